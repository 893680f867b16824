from odoo import models
from odoo.exceptions import UserError


class CrmArchiveMixin(models.AbstractModel):
    """Restoring: asks why, counts for the policy, and closes what was proposed."""

    _inherit = "crm.archive.mixin"

    # ------------------------------------------------------------
    # LIFECYCLE
    # ------------------------------------------------------------

    def _restore(self, details=None):
        archived = self._filter_archived()
        details = details or {}
        # What comes back with its company or contact says nothing of its own.
        if details.get("how") != "cascade":
            self.env["crm.archive.restore.stat"]._count_restored(
                archived, details.get("cause")
            )
        by_policy = archived.sudo().grouped("archive_policy_id")
        restored = super()._restore(details)
        for policy, records in by_policy.items():
            policy._let_go_of_restored(records)
        self.env["crm.archive.recontact"]._close_for(archived)
        return restored

    def _write_active(self, vals):
        """An import or another module says nothing about why it restores."""
        if not vals[self._active_name]:
            return super()._write_active(vals)
        archived = self._filter_archived()
        self.env["crm.archive.approval"]._check_restore(archived)
        by_policy = archived.sudo().grouped("archive_policy_id")
        self.env["crm.archive.restore.stat"]._count_restored(archived)
        result = super()._write_active(vals)
        for policy, records in by_policy.items():
            policy._let_go_of_restored(records)
        self.env["crm.archive.recontact"]._close_for(archived)
        return result

    def _filter_archived(self):
        """Return those of the records that can be restored."""
        archived = self.sudo()._filter_by_value("archive_state", {"archived"})
        return archived.with_env(self.env)

    def _notice_archive_reply(self, msg_dict):
        """A mail has come in on these records; colleagues are not customers.

        :param dict msg_dict: the parsed mail
        :raise AccessError: for a person who plays the mail gateway
        """
        self.check_access("write")
        author = self.env["res.partner"].sudo().browse(msg_dict.get("author_id"))
        if not author.user_ids or author.partner_share:
            self.env["crm.archive.recontact"]._notice_reply(self)

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_unarchive(self):
        """Restore what is archived exactly; leave the rest to core."""
        archived = self.filtered(lambda r: r.archive_state == "archived")
        if archived:
            archived.action_archive_restore()
        return super(CrmArchiveMixin, self - archived).action_unarchive()

    def action_archive_restore(self):
        """Bring archived records back exactly as they were.

        :return: notification that says how many
        :raise UserError: when none of the records is archived
        """
        self.check_access("write")
        self.env["crm.archive.approval"]._check_restore(self._filter_archived())
        restored = self._restore()
        if not restored:
            raise UserError(
                self.env._(
                    "Nothing to restore: %(names)s is not archived.",
                    names=", ".join(self[:5].mapped("display_name")),
                )
            )
        return restored._get_restored_action()

    def _get_restored_action(self):
        """Return the notification that says how many records were restored."""
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "%(count)s restored, exactly as before.", count=len(self)
                ),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_archive_restore_wizard(self):
        """Ask why these records are restored; one click answers and restores.

        :return: window action
        :raise UserError: when none of the records is archived
        """
        self.check_access("write")
        archived = self._filter_archived()
        if not archived:
            raise UserError(
                self.env._(
                    "Nothing to restore: %(names)s is not archived.",
                    names=", ".join(self[:5].mapped("display_name")),
                )
            )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Why restore?"),
            "res_model": "crm.archive.restore",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"active_model": self._name, "active_ids": archived.ids},
        }
