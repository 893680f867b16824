from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_archive_personal import PERSONAL_TYPES

#: Columns of text that say nothing about the person. The digests go when the content
#: has gone, see :meth:`CrmArchiveBundle._rewrite_without`.
IMPERSONAL = frozenset(
    ["res_model", "place_digest", "place_rows_digest"],
)

#: What only a deletion takes away.
STATISTICS = frozenset(
    [
        "country_id",
        "industry_id",
        "source_id",
        "expected_revenue",
        "won_status",
        "user_id",
        "record_date",
    ]
)


class CrmArchiveEntry(models.Model):
    """The end of the lifecycle, in the index of the vault."""

    _inherit = "crm.archive.entry"

    purge_id = fields.Many2one(
        "crm.archive.purge",
        "Purge Request",
        readonly=True,
        ondelete="restrict",
        index="btree_not_null",
        groups="crm_archive_policy.group_archive_manager,"
        "crm_archive_policy.group_archive_auditor",
    )
    purge_date = fields.Datetime("Purged on", readonly=True)
    retention_action = fields.Selection(related="category_id.end_action", string="Then")

    @api.depends("name", "res_model", "res_id")
    def _compute_display_name(self):
        """Whoever has been purged is a number."""
        for entry in self:
            entry.display_name = entry.name or self.env._(
                "Purged record %(id)s", id=entry.res_id
            )

    @api.model
    def _get_purgeable_domain(self):
        """Return the records in the vault whose retention is over."""
        today = self.env["crm.archive.retention"]._get_retention_today()
        return Domain("state", "=", "vaulted") & Domain("retention_date", "<", today)

    @api.model
    def _get_personal_fields(self):
        """Return the columns of the index that may say who somebody is.

        By the same rule as for the records themselves: text, and links to people.
        """
        people = {*self.env["crm.archive.policy"]._get_lifecycle_models()}
        return {
            name
            for name, field in self._fields.items()
            if field.store
            and field.column_type
            and name not in IMPERSONAL
            and (
                field.manual
                or (field.type in PERSONAL_TYPES and name != "res_id")
                or (field.type == "many2one" and field.comodel_name in people)
            )
        }

    def _scrub(self, request, thoroughly):
        """Leave nothing in the index that says who it was.

        From here on nobody restores the record; its content is destroyed next, by
        :meth:`CrmArchivePurge._destroy`.

        :param request: the approved ``crm.archive.purge``
        :param bool thoroughly: take the statistics as well
        """
        names = self._get_personal_fields()
        if thoroughly:
            names |= STATISTICS
            self.tag_ids = False
        self.flush_recordset()
        self.env.cr.execute(
            SQL(
                "UPDATE crm_archive_entry SET state = 'purged', purge_id = %s,"
                " purge_date = %s, is_restricted = TRUE, %s WHERE id = ANY(%s)",
                request.id,
                self.env.cr.now(),
                SQL(", ").join(
                    SQL("%s = NULL", SQL.identifier(name)) for name in sorted(names)
                ),
                self.ids,
            )
        )
        self.invalidate_recordset(flush=False)
        self._scrub_shells()

    def _scrub_shells(self):
        """A row that had to stay says nothing any more, not even a company's name."""
        for model_name, group in self.grouped("res_model").items():
            shells = self.env[model_name].sudo().with_context(active_test=False)
            shells = shells.browse(group.mapped("res_id")).exists()
            shells = shells.filtered(lambda r: r.archive_state == "vaulted")
            if shells:
                shells._anonymise()

    @api.ondelete(at_uninstall=False)
    def _unlink_except_purged(self):
        """A line of the index is no way round holds, retention and the second person.

        The privacy look-up of Odoo finds these lines by e-mail and name, and comes
        by here when somebody deletes what it has found.
        """
        raise UserError(
            self.env._(
                "A record in the vault is not deleted from the list: it would stay in "
                "its bundle. Use “Erase person…” on its form, which a second person "
                "approves."
            )
        )

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_purge(self):
        """Open the dialog that asks for the purge of these records.

        :return: window action
        """
        return self.env["crm.archive.purge.ask"]._get_action_for(self)

    def action_erase(self):
        """Open the dialog that finds everything about the person.

        :return: window action
        """
        self.ensure_one()
        self.env["crm.archive.purge"]._check_may_ask()
        self.check_access("read")
        return self.env["crm.archive.erase"]._get_action_for(self._get_identity())
