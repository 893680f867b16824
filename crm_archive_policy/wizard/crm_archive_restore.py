from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.crm_archive_restore_stat import RESTORE_CAUSES


class CrmArchiveRestore(models.TransientModel):
    """Restore contacts or leads; the button that restores says why."""

    _name = "crm.archive.restore"
    _inherit = ["crm.archive.records", "crm.archive.approval.asking"]
    _description = "Restore from Archive"

    restore_cause = fields.Selection(RESTORE_CAUSES, "Cause", readonly=True)
    note = fields.Char(
        help="Goes into the history of each record, and is purged with it."
    )

    @api.depends("res_model", "res_ids")
    def _compute_is_approval_needed(self):
        super()._compute_is_approval_needed()

    def _is_approval_needed(self):
        archived = self._get_records()._filter_archived()
        return self.env["crm.archive.approval"]._is_restore_needed(len(archived))

    def action_restore(self):
        """Restore for the cause that the clicked button has put in the context.

        :return: notification that says how many, or the request for an approval
        :raise UserError: when nothing is left to restore, or without a cause
        """
        self.ensure_one()
        cause = self.env.context.get("restore_cause")
        if cause not in dict(RESTORE_CAUSES):
            raise UserError(self.env._("Say why the records are restored."))
        self.restore_cause = cause
        records = self._get_records()
        records.check_access("write")
        details = {"cause": cause, "how": "wizard"}
        if self._is_approval_needed():
            return (
                self.env["crm.archive.approval"]
                ._ask_restore(records._filter_archived(), self.approval_reason, details)
                ._get_action()
            )
        restored = records._restore(details)
        if not restored:
            raise UserError(
                self.env._("Somebody was faster: these records are restored already.")
            )
        if self.note:
            # In the chatter rather than in the audit log: free text may be personal.
            restored._message_log_batch(bodies=dict.fromkeys(restored.ids, self.note))
        return restored._get_restored_action()
