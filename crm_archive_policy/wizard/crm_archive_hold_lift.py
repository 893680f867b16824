from odoo import fields, models


class CrmArchiveHoldLift(models.TransientModel):
    """Lift a legal hold, and say why."""

    _name = "crm.archive.hold.lift"
    _description = "Lift a Legal Hold"

    hold_id = fields.Many2one(
        "crm.archive.hold", required=True, readonly=True, ondelete="cascade"
    )
    record_count = fields.Integer(related="hold_id.record_count")
    reason = fields.Text(required=True)

    def action_lift(self):
        """Lift the hold for good.

        :return: action that closes the dialog
        """
        self.ensure_one()
        self.hold_id._lift(self.reason)
        return {"type": "ir.actions.act_window_close"}
