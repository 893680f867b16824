from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.crm_archive_restore_stat import RESTORE_CAUSES


class CrmArchiveRestore(models.TransientModel):
    """Restore contacts or leads; the button that restores says why."""

    _name = "crm.archive.restore"
    _description = "Restore from Archive"

    res_model = fields.Char(required=True, readonly=True)
    res_ids = fields.Json(required=True, readonly=True)
    record_count = fields.Integer("Records", compute="_compute_records")
    record_names = fields.Char("Names", compute="_compute_records")
    restore_cause = fields.Selection(RESTORE_CAUSES, "Cause", readonly=True)
    note = fields.Char(
        help="Goes into the history of each record, and is purged with it."
    )

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        context = self.env.context
        values.setdefault("res_model", context.get("active_model"))
        values.setdefault("res_ids", context.get("active_ids") or [])
        return values

    @api.depends("res_model", "res_ids")
    def _compute_records(self):
        for wizard in self:
            records = wizard._get_records()
            wizard.record_count = len(records)
            wizard.record_names = ", ".join(records[:3].mapped("display_name")) + (
                "…" if len(records) > 3 else ""
            )

    def _get_records(self):
        """Return the records to restore, inactive as they are."""
        self.ensure_one()
        if self.res_model not in self.env["crm.archive.policy"]._get_lifecycle_models():
            raise UserError(self.env._("Only contacts and leads can be restored here."))
        model = self.env[self.res_model].with_context(active_test=False)
        return model.browse(self.res_ids).exists()

    def action_restore(self):
        """Restore for the cause that the clicked button has put in the context.

        :return: notification that says how many
        :raise UserError: when nothing is left to restore, or without a cause
        """
        self.ensure_one()
        cause = self.env.context.get("restore_cause")
        if cause not in dict(RESTORE_CAUSES):
            raise UserError(self.env._("Say why the records are restored."))
        self.restore_cause = cause
        records = self._get_records()
        records.check_access("write")
        restored = records._restore({"cause": cause, "how": "wizard"})
        if not restored:
            raise UserError(
                self.env._("Somebody was faster: these records are restored already.")
            )
        if self.note:
            # In the chatter rather than in the audit log: free text may be personal.
            restored._message_log_batch(bodies=dict.fromkeys(restored.ids, self.note))
        return restored._get_restored_action()
