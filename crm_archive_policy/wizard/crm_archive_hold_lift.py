from odoo import fields, models


class CrmArchiveHoldLift(models.TransientModel):
    """Lift a legal hold, and say why."""

    _name = "crm.archive.hold.lift"
    _inherit = ["crm.archive.approval.asking"]
    _description = "Lift a Legal Hold"

    hold_id = fields.Many2one(
        "crm.archive.hold", required=True, readonly=True, ondelete="cascade"
    )
    record_count = fields.Integer(related="hold_id.record_count")
    reason = fields.Text(required=True)

    def _is_approval_needed(self):
        approvals = self.env["crm.archive.approval"]
        return approvals._is_needed("lift", self.hold_id.company_id)

    def action_lift(self):
        """Lift the hold for good, or ask a second person for it.

        :return: action that closes the dialog, or shows the request
        """
        self.ensure_one()
        self.hold_id._check_liftable(self.reason)
        if self._is_approval_needed():
            approvals = self.env["crm.archive.approval"]
            return approvals._ask_lift(self.hold_id, self.reason)._get_action()
        self.hold_id._lift(self.reason, self._get_alone("lift"))
        return {"type": "ir.actions.act_window_close"}
