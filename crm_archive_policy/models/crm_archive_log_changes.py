from odoo import api, fields, models


class CrmArchiveLog(models.Model):
    """Shows what a line about a policy, guard or category changed."""

    _inherit = "crm.archive.log"

    changes = fields.Text(compute="_compute_changes")

    @api.depends("details", "res_model", "action")
    @api.depends_context("uid", "lang")
    def _compute_changes(self):
        audited = self._get_changes_models()
        for line in self:
            changes = ()
            if line.res_model in audited and line.res_model in self.env:
                changes = line._describe_changes(self.env[line.res_model])
            line.changes = "\n".join(changes)

    @api.model
    def _get_changes_models(self):
        """Return the names of the models whose lines tell old and new values."""
        return set(self.env.registry.descendants(["crm.archive.audit"], "_inherit"))

    def _describe_changes(self, model):
        """Yield one sentence for each changed field, as the user would call it.

        :param model: what the line is about
        """
        for name, change in self._get_details().items():
            if not isinstance(change, list) or len(change) != 2:
                continue
            field = model._fields.get(name)
            label = field._description_string(self.env) if field else name
            old, new = (self._describe_value(field, value) for value in change)
            yield self.env._(
                "%(field)s: %(old)s → %(new)s", field=label, old=old, new=new
            )

    def _describe_value(self, field, value):
        """Return one value in words; what the user may not see stays a number.

        :param field: the field, or ``None`` when it is no longer there
        :param value: JSON value of the audit line
        """
        if value is None or value == [] or value == "":
            return "–"
        if field is None:
            return str(value)
        if field.type == "boolean":
            return self.env._("yes") if value else self.env._("no")
        if field.type == "selection":
            labels = dict(field._description_selection(self.env))
            return str(labels.get(value, value))
        if field.relational:
            ids = value if isinstance(value, list) else [value]
            records = self.env[field.comodel_name].browse(ids).exists()
            names = {r.id: r.display_name for r in records._filtered_access("read")}
            return ", ".join(names.get(res_id) or f"#{res_id}" for res_id in ids)
        return str(value)
