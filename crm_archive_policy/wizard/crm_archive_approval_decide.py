from odoo import fields, models


class CrmArchiveApprovalDecide(models.TransientModel):
    """Approve or refuse what somebody else has asked for, and say why."""

    _name = "crm.archive.approval.decide"
    _description = "Approve or Refuse"

    approval_id = fields.Many2one(
        "crm.archive.approval", required=True, readonly=True, ondelete="cascade"
    )
    summary = fields.Text(related="approval_id.summary")
    asked_by = fields.Many2one(related="approval_id.user_id", string="Asked by")
    asked_reason = fields.Text(related="approval_id.reason", string="Because")
    reason = fields.Text(
        "Your Reason", required=True, help="It stays: name no person here."
    )

    def action_grant(self):
        """Approve it: it is done at once, exactly as it was asked for.

        :return: notification that says what came of it
        :raise AccessError: for the person who has asked
        """
        self.ensure_one()
        approval = self.approval_id
        is_done = approval._grant(self.reason)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success" if is_done else "warning",
                "sticky": not is_done,
                "message": self.env._("Approved and done.")
                if is_done
                else approval.outcome,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_refuse(self):
        """Refuse it: nothing is done.

        :return: action that closes the dialog
        :raise AccessError: for the person who has asked
        """
        self.ensure_one()
        self.approval_id._refuse(self.reason)
        return {"type": "ir.actions.client", "tag": "soft_reload"}
