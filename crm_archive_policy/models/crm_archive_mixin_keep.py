from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .crm_archive_candidate import OPEN_VERDICTS

OFFICER = "crm_archive_policy.group_archive_officer"


class CrmArchiveMixin(models.AbstractModel):
    """Lets people keep a record that is about to be archived, where they meet it."""

    _inherit = "crm.archive.mixin"

    archive_can_keep = fields.Boolean(compute="_compute_archive_can_keep")

    @api.depends(lambda self: ["archive_state", *({"user_id"} & self._fields.keys())])
    @api.depends_context("uid")
    def _compute_archive_can_keep(self):
        keepable = self._filter_keepable()
        for record in self:
            record.archive_can_keep = record in keepable

    def _get_open_candidates(self):
        """Return what waits for a decision about these records.

        The caller has checked that the user may read them: that they are about to
        be archived is written on their form already.
        """
        return (
            self.env["crm.archive.candidate"]
            .sudo()
            .search(
                Domain("res_model", "=", self._name)
                & Domain("res_id", "in", self.ids)
                & Domain("verdict", "in", OPEN_VERDICTS)
            )
        )

    def _filter_keepable(self):
        """Return those pending records that the user may keep.

        That is all for officers; for others, those they own now and those they
        were told about.
        """
        pending = self.filtered(lambda record: record.archive_state == "pending")
        pending = pending._filtered_access("read")
        if not pending:
            return pending
        candidates = pending._get_open_candidates()
        if self.env.user.has_group(OFFICER):
            return pending.browse(candidates.mapped("res_id"))
        told = set(
            candidates.filtered(lambda c: c.owner_id == self.env.user).mapped("res_id")
        )
        waiting = set(candidates.mapped("res_id"))
        return pending.filtered(
            lambda r: r.id in waiting and (r.id in told or r.user_id == self.env.user)
        )

    def action_archive_keep(self):
        """Keep records that a policy is about to archive.

        :return: notification that says how many
        :raise UserError: when the user may not keep any of them
        """
        self.check_access("read")
        kept = self._filter_keepable()
        if not kept:
            raise UserError(
                self.env._(
                    "You cannot keep %(names)s: nothing is about to archive it, or it "
                    "is somebody else's. Ask its salesperson or an archive officer.",
                    names=", ".join(self[:5].mapped("display_name")),
                )
            )
        candidates = kept._get_open_candidates()
        candidates._keep()
        return candidates.sudo(False)._get_kept_action()
