from odoo import api, fields, models


class CrmArchiveRetentionWizard(models.TransientModel):
    """Change until when records are kept: the one way to an earlier day."""

    _name = "crm.archive.retention.wizard"
    _inherit = ["crm.archive.records", "crm.archive.approval.asking"]
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

    @api.depends("res_model", "res_ids", "retention_date")
    def _compute_is_approval_needed(self):
        super()._compute_is_approval_needed()

    def _is_approval_needed(self):
        records = self._get_records()
        if not records._is_shortened_by(self.retention_date):
            return False
        companies = records.company_id
        return self.env["crm.archive.approval"]._is_needed(
            "retention", companies if len(companies) == 1 else None
        )

    def action_apply(self):
        """Set the new date, or ask a second person for an earlier one.

        The audit log names the old and the new one.

        :return: notification that says how many, or the request
        """
        self.ensure_one()
        records, date = self._get_records(), self.retention_date
        records._check_may_shorten(date, self.reason)
        details = {}
        if records._is_shortened_by(date):
            if self._is_approval_needed():
                approvals = self.env["crm.archive.approval"]
                asked = approvals._ask_retention(records, date, self.reason)
                return asked._get_action()
            details = self._get_alone("retention")
        records._shorten_retention(date, self.reason, details)
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
