from odoo import api, fields, models


class CrmArchiveRetentionWizard(models.TransientModel):
    """Change until when records are kept: the one way to an earlier day."""

    _name = "crm.archive.retention.wizard"
    _inherit = ["crm.archive.records"]
    _description = "Change Retention"

    current_date = fields.Date("Kept until", compute="_compute_current_date")
    retention_date = fields.Date(
        "New Date", help="Empty: no day until which they have to be kept."
    )
    reason = fields.Text(
        required=True,
        help="Written to the audit log, where it stays: name no person here.",
    )

    @api.depends("res_model", "res_ids")
    def _compute_current_date(self):
        for wizard in self:
            dates = wizard._get_records().mapped("retention_date")
            wizard.current_date = max(filter(None, dates), default=False)

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
