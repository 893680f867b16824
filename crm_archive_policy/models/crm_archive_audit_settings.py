from odoo import api, fields, models

#: Parameters that begin like this are settings of this add-on.
PREFIX = "crm_archive_policy."

#: What of a scheduled action decides when it does what.
CRON_FIELDS = (
    "name",
    "active",
    "interval_number",
    "interval_type",
    "nextcall",
    "priority",
    "user_id",
)

COMPANY_FIELDS = ("archive_store_id",)


class CrmArchiveLog(models.Model):
    """Settings belong to core's models; their changes are told like those of rules."""

    _inherit = "crm.archive.log"

    @api.model
    def _append_setting(self, action, records, changes):
        """Append the line of a setting that was changed, unless nothing was.

        :param str action: ``create``, ``write`` or ``unlink``
        :param records: where the setting is
        :param dict changes: ``{name: [old, new]}`` as JSON values
        """
        if changes and self.env.registry.ready:
            self._append(action, records, changes)

    @api.model
    def _get_changes_models(self):
        return super()._get_changes_models() | {
            "ir.config_parameter",
            "ir.cron",
            "res.company",
        }


class IrConfigParameter(models.Model):
    _inherit = "ir.config_parameter"

    @api.model_create_multi
    def create(self, vals_list):
        parameters = super().create(vals_list)
        for parameter in parameters._filter_archive():
            self.env["crm.archive.log"]._append_setting(
                "create", parameter, {parameter.key: [None, parameter.value]}
            )
        return parameters

    def write(self, vals):
        before = {parameter: parameter._get_archive_setting() for parameter in self}
        result = super().write(vals)
        for parameter, old in before.items():
            new = parameter._get_archive_setting()
            changes = {
                key: [old.get(key), new.get(key)]
                for key in sorted(old.keys() | new.keys())
                if old.get(key) != new.get(key)
            }
            self.env["crm.archive.log"]._append_setting("write", parameter, changes)
        return result

    def unlink(self):
        gone = {
            parameter: {parameter.key: [parameter.value, None]}
            for parameter in self._filter_archive()
        }
        result = super().unlink()
        for parameter, changes in gone.items():
            self.env["crm.archive.log"]._append_setting("unlink", parameter, changes)
        return result

    def _get_archive_setting(self):
        """Return key and value, nothing of what is no setting of this add-on."""
        return {self.key: self.value} if self.key.startswith(PREFIX) else {}

    def _filter_archive(self):
        return self.filtered(lambda parameter: parameter.key.startswith(PREFIX))


class IrCron(models.Model):
    _inherit = "ir.cron"

    def write(self, vals):
        """What people write; the scheduler itself goes on in SQL."""
        # The code belongs to the server action, which notes it itself.
        names = [name for name in CRON_FIELDS if name in vals]
        crons = self._filter_archive() if names else self.browse()
        before = {cron: _read_values(cron, names) for cron in crons}
        result = super().write(vals)
        for cron, values in before.items():
            changes = _compare(values, _read_values(cron, names))
            self.env["crm.archive.log"]._append_setting("write", cron, changes)
        return result

    def unlink(self):
        gone = {cron: {"name": [cron.name, None]} for cron in self._filter_archive()}
        result = super().unlink()
        for cron, changes in gone.items():
            self.env["crm.archive.log"]._append_setting("unlink", cron, changes)
        return result

    def _filter_archive(self):
        """Return the scheduled actions of this add-on among these."""
        data = self.env["ir.model.data"].sudo()
        ids = data.search_fetch(
            [
                ("module", "=", "crm_archive_policy"),
                ("model", "=", "ir.cron"),
                ("res_id", "in", self.ids),
            ],
            ["res_id"],
        ).mapped("res_id")
        return self.browse(ids)


class IrActionsServer(models.Model):
    """What a scheduled action does is written here as well, past the action."""

    _inherit = "ir.actions.server"

    def write(self, vals):
        if "code" not in vals:
            return super().write(vals)
        # Technical look-up: who writes the code need not see scheduled actions.
        crons = self.env["ir.cron"].sudo().with_context(active_test=False)
        crons = crons.search([("ir_actions_server_id", "in", self.ids)])
        before = [
            (cron, cron.ir_actions_server_id, cron.ir_actions_server_id.code)
            for cron in crons._filter_archive()
        ]
        result = super().write(vals)
        for cron, action, code in before:
            changes = {"code": [code, action.code]} if code != action.code else {}
            self.env["crm.archive.log"]._append_setting("write", cron, changes)
        return result


class ResCompany(models.Model):
    _inherit = "res.company"

    def write(self, vals):
        names = [name for name in COMPANY_FIELDS if name in vals]
        before = {company: _read_values(company, names) for company in self}
        result = super().write(vals)
        for company, values in before.items() if names else ():
            changes = _compare(values, _read_values(company, names))
            self.env["crm.archive.log"]._append_setting("write", company, changes)
        return result


def _read_values(record, names):
    """Return field values of a record as JSON; links as ids."""
    values = {}
    for name in names:
        value = record.sudo()[name]
        if isinstance(value, models.BaseModel):
            value = value.id or None
        elif record._fields[name].type == "datetime":
            value = fields.Datetime.to_string(value) or None
        values[name] = value
    return values


def _compare(before, after):
    """Return ``{name: [old, new]}`` for what differs."""
    return {
        name: [value, after[name]]
        for name, value in before.items()
        if value != after[name]
    }
