from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import frozendict

#: Action that reloads what is on the screen.
RELOAD = frozendict(type="ir.actions.client", tag="soft_reload")


def prepare_undo(message, records, method, next_action=RELOAD):
    """Return the notification that says what was done and offers to undo it.

    :param str message: what was done, translated
    :param records: what it was done to
    :param str method: public method of the records that undoes it
    :param next_action: what follows at once; falsy for nothing
    :return: client action
    """
    return {
        "type": "ir.actions.client",
        "tag": "crm_archive_undo",
        "params": {
            "message": message,
            "undo": {"model": records._name, "method": method, "ids": records.ids},
            "next": next_action,
        },
    }


class CrmArchiveCandidate(models.Model):
    """Keeping a record is decided quickly, and undone as quickly."""

    _inherit = "crm.archive.candidate"

    def action_keep(self):
        """Keep the records, and offer to undo it.

        :return: notification that says how many were kept
        """
        super().action_keep()
        return self._get_kept_action()

    def _get_kept_action(self, next_action=RELOAD):
        """Return the notification that says how many were kept, with the way back.

        Who keeps a record of their own that somebody else was told about is not
        offered it: the candidate is not theirs.
        """
        message = self.env._("%(count)s kept.", count=len(self))
        is_mine = all(candidate.owner_id == self.env.user for candidate in self.sudo())
        if is_mine or self.has_access("write"):
            return prepare_undo(message, self, "action_undo_keep", next_action)
        return self._notify_kept("success", message, next_action)

    @api.model
    def _notify_kept(self, kind, message, next_action=RELOAD):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"type": kind, "message": message, "next": next_action},
        }

    def action_undo_keep(self):
        """Let the records wait again, as before they were kept.

        Who kept them may do so, and officers. What has come between stays as it is: a
        record that was archived meanwhile, or that the policy has named anew.

        :return: notification that says how many wait again
        :raise UserError: when there is nothing to undo any more
        """
        self._check_may_keep()
        # Without a day they never waited: they stand for a restore.
        kept = self.filtered(lambda c: c.verdict == "kept" and c.due_date)
        if not self.has_access("write"):
            kept = kept.filtered(lambda candidate: candidate.user_id == self.env.user)
        undone = self.browse()
        for (policy, _due_date), candidates in kept.grouped(
            lambda candidate: (candidate.policy_id, candidate.due_date)
        ).items():
            undone += candidates._wait_again(policy)
        if not undone:
            raise UserError(
                self.env._("There is nothing to undo: the records have moved on.")
            )
        message = self.env._("%(count)s wait again.", count=len(undone))
        return self._notify_kept("info", message)

    def _wait_again(self, policy):
        """Put candidates of one policy and one day back to where they were.

        The caller has checked the rights.

        :param policy: their policy
        :return: those that wait again
        """
        records = self._get_records().sudo().exists()
        live_ids = set(records.filtered(lambda r: r.archive_state == "live").ids)
        waiting = self.filtered(lambda candidate: candidate.res_id in live_ids)
        live = records.filtered(lambda record: record.id in live_ids)
        waiting._decide(
            "pending", user_id=False, decision_date=False, keep_until=False, note=False
        )
        live._set_pending(policy, self[0].due_date)
        return waiting


class CrmArchiveMixin(models.AbstractModel):
    """Archiving by hand is undone by a restore, which is exact."""

    _inherit = "crm.archive.mixin"

    def _get_archived_action(self):
        """Return the notification that says how many were archived, and undoes it."""
        message = self.env._(
            "%(count)s archived. Restore brings them back at any time.", count=len(self)
        )
        return prepare_undo(message, self, "action_archive_restore")
