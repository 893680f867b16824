from odoo import api, fields, models

#: Types whose values are too large or too meaningless for the audit log.
UNLOGGED_TYPES = frozenset(("binary", "image", "properties", "properties_definition"))


class CrmArchiveAudit(models.AbstractModel):
    """Puts every change of a rule into the audit log, with old and new values.

    For policies, guards and categories: what decides over other people's data is
    itself on record. Linked records are named by their ids.
    """

    _name = "crm.archive.audit"
    _description = "Audited Rule"

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        names = self._get_audited_fields()
        for record in records:
            values = record._get_audit_values(names)
            filled = {name: [None, value] for name, value in values.items() if value}
            record._log_changes("create", filled)
        return records

    def write(self, vals):
        names = self._get_audited_fields() & vals.keys()
        before = {record.id: record._get_audit_values(names) for record in self}
        result = super().write(vals)
        for record in self if names else self.browse():
            old, new = before[record.id], record._get_audit_values(names)
            changed = {
                name: [value, new[name]]
                for name, value in old.items()
                if value != new[name]
            }
            record._log_changes("write", changed)
        return result

    def unlink(self):
        names = self._get_audited_fields()
        before = {record: record._get_audit_values(names) for record in self}
        result = super().unlink()
        for record, values in before.items():
            filled = {name: [value, None] for name, value in values.items() if value}
            record._log_changes("unlink", filled)
        return result

    def _log_changes(self, action, changes):
        """Append the audit line, unless nothing has changed.

        What a module's own data files write while it is being loaded is not a
        decision of anybody, and is skipped.

        :param dict changes: ``{field: [old, new]}`` as JSON values
        """
        if changes and self.env.registry.ready:
            self.env["crm.archive.log"]._append(action, self, changes)

    @api.model
    def _get_unaudited_fields(self):
        """Return the fields that are results rather than rules."""
        return {"run_ids", "candidate_ids"}

    @api.model
    def _get_audited_fields(self):
        """Return the names of the fields that people write.

        :return: set of names of stored fields, without those of the chatter
        """
        chatter = {
            *self.env["mail.thread"]._fields,
            *self.env["mail.activity.mixin"]._fields,
        }
        return {
            name
            for name, field in self._fields.items()
            if (field.store or field.type == "one2many")
            and not (field.compute and field.readonly)
            and field.type not in UNLOGGED_TYPES
            and name not in models.MAGIC_COLUMNS
            and name not in chatter
        } - self._get_unaudited_fields()

    def _get_audit_values(self, names):
        """Return field values as JSON; links as ids.

        :param names: names of fields
        """
        self.ensure_one()
        record = self.sudo().with_context(active_test=False)
        values = {}
        for name in sorted(names):
            field, value = self._fields[name], record[name]
            if field.type == "many2one":
                value = value.id or None
            elif isinstance(value, models.BaseModel):
                value = sorted(value.ids)
            elif field.type == "date":
                value = fields.Date.to_string(value) or None
            elif field.type == "datetime":
                value = fields.Datetime.to_string(value) or None
            elif field.type == "html":
                value = str(value or "")
            values[name] = value
        return values
