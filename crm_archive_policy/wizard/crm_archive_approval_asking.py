from odoo import api, fields, models
from odoo.exceptions import UserError


class CrmArchiveApprovalAsking(models.AbstractModel):
    """A dialog whose act a second person may have to approve."""

    _name = "crm.archive.approval.asking"
    _description = "Dialog That May Need an Approval"

    is_approval_needed = fields.Boolean(compute="_compute_is_approval_needed")
    approval_reason = fields.Text(
        "Reason for Approval",
        help="For the archive manager who approves it. It stays: name no person here.",
    )

    @api.depends_context("uid")
    def _compute_is_approval_needed(self):
        for wizard in self:
            try:
                wizard.is_approval_needed = wizard._is_approval_needed()
            except UserError:
                # Nobody could approve it: said when the button is clicked.
                wizard.is_approval_needed = False

    def _is_approval_needed(self):
        """Tell whether the act has to be approved; each dialog knows its own.

        :raise UserError: when approvals are always wanted and nobody could give one
        """
        return False

    def _get_alone(self, kind):
        """Return what the audit line says of an act that nobody else could approve.

        :param str kind: a value of ``crm.archive.approval.kind``
        """
        mode = self.env["crm.archive.approval"]._get_mode(kind)
        return {"alone": True} if mode == "auto" else {}
