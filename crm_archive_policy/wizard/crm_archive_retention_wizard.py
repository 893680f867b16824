from odoo import api, fields, models
from odoo.exceptions import UserError


class CrmArchiveRetentionWizard(models.TransientModel):
    """Change until when records are kept: the one way to an earlier day."""

    _name = "crm.archive.retention.wizard"
    _description = "Change Retention"

    res_model = fields.Char(required=True, readonly=True)
    res_ids = fields.Json(required=True, readonly=True)
    record_count = fields.Integer("Records", compute="_compute_records")
    record_names = fields.Char("Names", compute="_compute_records")
    current_date = fields.Date("Kept until", compute="_compute_records")
    retention_date = fields.Date(
        "New Date", help="Empty: no day until which they have to be kept."
    )
    reason = fields.Text(
        required=True,
        help="Written to the audit log, where it stays: name no person here.",
    )

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        context = self.env.context
        values.setdefault("res_model", context.get("active_model"))
        values.setdefault(
            "res_ids",
            context.get("active_ids")
            or ([context["active_id"]] if context.get("active_id") else []),
        )
        return values

    @api.depends("res_ids", "res_model")
    def _compute_records(self):
        for wizard in self:
            records = wizard._get_records()
            wizard.record_count = len(records)
            wizard.record_names = ", ".join(records[:3].mapped("display_name")) + (
                "…" if len(records) > 3 else ""
            )
            wizard.current_date = max(
                filter(None, records.mapped("retention_date")), default=False
            )

    def _get_records(self):
        """Return the records, inactive ones included."""
        self.ensure_one()
        models_ = self.env["crm.archive.policy"]._get_lifecycle_models()
        if self.res_model not in models_:
            raise UserError(self.env._("Only contacts and leads have a retention."))
        model = self.env[self.res_model].with_context(active_test=False)
        return model.browse(self.res_ids).exists()

    def action_apply(self):
        """Set the new date; the audit log names the old and the new one.

        :return: notification that says how many
        """
        self.ensure_one()
        records = self._get_records()
        records._shorten_retention(self.retention_date, self.reason)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "Retention of %(count)s changed.", count=len(records)
                ),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }
