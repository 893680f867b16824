"""Legal holds over records that are in the vault."""

import logging

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..vault.report import RestoreRefused
from .query_tools import DOMAIN_ERRORS, as_domain
from .vault_errors import VAULT_ERRORS

_logger = logging.getLogger(__name__)

ENTRY = "crm.archive.entry"


class CrmArchiveHold(models.Model):
    """A hold covers a record by its model and id, wherever its rows are."""

    _inherit = "crm.archive.hold"

    entry_ids = fields.Many2many(
        "crm.archive.entry",
        "crm_archive_hold_crm_archive_entry_rel",
        string="In the Vault",
        copy=False,
    )

    def _get_scope(self):
        """Records in the vault are taken by :meth:`_take_entries`."""
        return [pair for pair in super()._get_scope() if pair[0]._name != ENTRY]

    def _take(self, limit=None):
        self._take_entries(self.sudo().entry_ids)
        return super()._take(limit)

    def _take_entries(self, entries):
        """Write down that the hold covers records that are in the vault.

        :param entries: ``crm.archive.entry``
        """
        self.ensure_one()
        for model_name, group in entries.grouped("res_model").items():
            records = self.env[model_name].browse(group.mapped("res_id"))
            rows = self.env.execute_query(
                SQL(
                    "INSERT INTO crm_archive_hold_record"
                    " (hold_id, res_model, res_id, date)"
                    " SELECT %s, %s, unnest(%s::integer[]), %s"
                    " ON CONFLICT DO NOTHING RETURNING res_id",
                    self.id,
                    model_name,
                    records.ids,
                    self.env.cr.now(),
                )
            )
            self.env["crm.archive.hold.record"].invalidate_model()
            group.invalidate_recordset(["archive_on_hold"], flush=False)
            if taken := records.browse(row[0] for row in rows):
                taken._mark_held()
                taken._log_archive("hold", {"hold": self.id})


class CrmArchiveMixin(models.AbstractModel):
    _inherit = "crm.archive.mixin"

    def _mark_held(self):
        """Mark those of the records that have a row in their table."""
        rows = self.sudo().with_context(active_test=False).exists()
        unmarked = rows.filtered(lambda record: not record.archive_on_hold)
        if unmarked:
            unmarked._move({"archive_on_hold": True})


class CrmArchiveEntry(models.Model):
    """What a legal hold stops, on the side of the vault."""

    _inherit = "crm.archive.entry"

    archive_on_hold = fields.Boolean(
        "On Legal Hold",
        compute="_compute_archive_on_hold",
        search="_search_archive_on_hold",
        help="A legal hold stops purging and erasing. Holds over a domain are asked "
        "at the latest when the record is to be purged.",
    )

    @api.depends("res_model", "res_id")
    def _compute_archive_on_hold(self):
        held = self._find_members()
        for entry in self:
            entry.archive_on_hold = entry in held

    @api.model
    def _search_archive_on_hold(self, operator, value):
        if operator != "in":
            return NotImplemented
        domain = as_domain(
            lambda alias: SQL(
                "EXISTS (SELECT 1 FROM crm_archive_hold_record member"
                " JOIN crm_archive_hold hold ON hold.id = member.hold_id"
                " WHERE hold.state = 'active' AND member.res_model = %s"
                " AND member.res_id = %s)",
                SQL.identifier(alias, "res_model"),
                SQL.identifier(alias, "res_id"),
            )
        )
        if set(value) == {True}:
            return domain
        return ~domain if set(value) == {False} else Domain(bool(value))

    def _find_members(self):
        """Return the entries that an active hold has written down.

        Technical look-up: who sees an entry may know that it is held, not why.
        """
        found = self.browse()
        members = self.env["crm.archive.hold.record"].sudo()
        for model_name, group in self.grouped("res_model").items():
            ids = members.search(
                [
                    ("res_model", "=", model_name),
                    ("res_id", "in", group.mapped("res_id")),
                    ("state", "=", "active"),
                ]
            ).mapped("res_id")
            found |= group.filtered(lambda entry, ids=set(ids): entry.res_id in ids)
        return found

    # ------------------------------------------------------------
    # ASKING EXACTLY
    # ------------------------------------------------------------

    def _get_held(self):
        """Return the entries that a legal hold covers, or may cover.

        A hold over a domain says what a record has to look like. What the index
        keeps of it would only be near that; so the records are brought back in a
        savepoint, looked at by the hold itself, and let go again. Where that cannot
        be done the record counts as held: nothing is destroyed on a guess.
        """
        entries = self.sudo().filtered(lambda entry: entry.state == "vaulted")
        held = entries._find_members()
        holds = self.env["crm.archive.hold"]
        for model_name, group in (entries - held).grouped("res_model").items():
            if active := holds._get_active_domains(model_name):
                for batch in group.grouped("bundle_id").values():
                    held |= batch._find_covered(active)
        return held.with_env(self.env)

    def _find_covered(self, holds):
        """Return the entries of one bundle that holds over a domain cover.

        :param holds: active holds over the entries' model
        """
        try:
            found = self._look_with(holds)
        except RestoreRefused:
            if len(self) == 1:
                return self
            half = len(self) // 2
            return self[:half]._find_covered(holds) | self[half:]._find_covered(holds)
        except (*VAULT_ERRORS, *DOMAIN_ERRORS) as error:
            _logger.warning(
                "Holds over vaulted records cannot be asked: %s", type(error).__name__
            )
            return self
        covered = self.browse()
        for hold, ids in found.items():
            taken = self.filtered(lambda entry, ids=ids: entry.res_id in ids)
            hold._take_entries(taken)
            covered |= taken
        return covered

    def _look_with(self, holds):
        """Bring the records back, let each hold find its own, and take it back.

        :return: dict ``{hold: ids that it covers}``
        """
        found, ids = {}, self.mapped("res_id")
        bundle = self.bundle_id
        with self.env.cr.savepoint() as savepoint:
            try:
                self._bring_back(bundle, None)
                for hold in holds:
                    for model, domain in hold._get_scope():
                        records = model.search(domain & Domain("id", "in", ids))
                        if records:
                            found[hold] = set(records.ids)
            finally:
                savepoint.rollback()
                self.env.invalidate_all(flush=False)
        return found

    def _keep_retention(self, records):
        """What came under a hold in the vault is held when it is back."""
        super()._keep_retention(records)
        if held := self._find_members():
            records.browse(held.mapped("res_id"))._mark_held()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_archive_hold(self):
        """Open a new legal hold over these records.

        :return: window action
        """
        self.env["crm.archive.hold"].check_access("create")
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("New Legal Hold"),
            "res_model": "crm.archive.hold",
            "view_mode": "form",
            "context": {"default_entry_ids": [(6, 0, self.ids)]},
        }
