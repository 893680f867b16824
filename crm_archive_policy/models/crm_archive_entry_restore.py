import json

from odoo import fields, models
from odoo.tools import SQL

from ..lib import faults
from ..lib.bundle import BundleCorrupt, BundleForeign, Ref
from ..vault.catalog import Catalog
from ..vault.proof import prove
from ..vault.report import RestoreRefused
from ..vault.restore import Restore
from .crm_archive_mixin_vault import RESTORED_COLUMNS
from .query_tools import id_array


class CrmArchiveEntry(models.Model):
    """Bringing records back: the same ids, exactly, or not at all."""

    _inherit = "crm.archive.entry"

    def _restore(self, replacements=None, details=None):
        """Bring records back into the live tables and out of the archive.

        :param dict replacements: ``{(table, id that is gone): id to use instead}``
        :param dict details: JSON values for the audit line
        :return: the records
        :raise UserError: when the entries are of several models
        :raise RestoreRefused: when it cannot be done truthfully; nothing is changed
        :raise BundleError: when the bundle is damaged, foreign or its key is missing
        :raise StoreError: when the store cannot be read
        """
        self._check_may_restore()
        restored = self._get_records().browse()
        entries = self.sudo()._lock_vaulted()
        for bundle, group in entries.grouped("bundle_id").items():
            with self.env.cr.savepoint():
                arrival = None if bundle.keeps_row else restored._prepare_arrival()
                findings = group._bring_back(bundle, replacements, arrival)
                restored |= group._settle(findings, details, arrival)
        faults.point("restore: done")
        return restored

    def _rehearse(self, replacements=None):
        """Restore in a savepoint that is rolled back, to know what would happen.

        :return: dict ``{bundle: findings}``
        :raise RestoreRefused: when it would be refused
        """
        found = {}
        entries = self.sudo().filtered(lambda entry: entry.state == "vaulted")
        for bundle, group in entries.grouped("bundle_id").items():
            with self.env.cr.savepoint() as savepoint:
                try:
                    found[bundle] = group._bring_back(bundle, replacements)
                finally:
                    savepoint.rollback()
                    self.env.invalidate_all(flush=False)
        return found

    def _find_refused(self, replacements=None):
        """Tell which records of a refused restore it was refused for.

        :return: dict ``{entry: findings}``
        """
        refused = {}
        for entry in self:
            try:
                entry._rehearse(replacements)
            except RestoreRefused as error:
                refused[entry] = error.findings
        return refused

    def _lock_vaulted(self):
        """Lock the entries, and leave out those that are not in the vault any more."""
        locked = self.try_lock_for_update()
        locked.invalidate_recordset(["state"])
        locked.fetch(["state", "bundle_id", "res_model", "res_id"])
        return locked.filtered(lambda entry: entry.state == "vaulted")

    def _bring_back(self, bundle, replacements, arrival=None):
        """Put the rows of entries of one bundle back, and prove them.

        :param arrival: of records that are not only looked at, see ``_prepare_arrival``
        :return: list of :class:`~..vault.report.Finding`
        """
        try:
            with self.env.cr.savepoint():
                return self._bring_back_from(bundle, replacements, arrival)
        except (BundleCorrupt, BundleForeign):
            if not bundle.store_id.mirror_id:
                raise
        # The mirror may hold what this side has lost, and heals it on the way.
        return self._bring_back_from(bundle, replacements, arrival, thorough=True)

    def _bring_back_from(self, bundle, replacements, arrival, thorough=False):
        self.env.flush_all()
        filled, emptied = self._get_filled_columns(self.env[bundle.res_model])
        with bundle._open_reader(thorough) as reader:
            restore = Restore(
                self.env,
                reader.header,
                kept=self.mapped("res_id") if bundle.keeps_row else (),
                filled=filled,
                emptied=emptied,
                replacements=replacements,
                arrival=arrival,
            )
            places = self._get_places()
            records = [reader.record(ref) for ref in places]
            findings = restore.run(records)
            if [record.rows_digest for record in records] != [*places.values()]:
                raise BundleForeign("the rows are not those that were captured")
        faults.point("restore: rows inserted")
        if not findings:
            prove(restore, restore.filled)
        self.env.invalidate_all(flush=False)
        return findings

    def _get_ref(self):
        """Return where the record is in its bundle."""
        self.ensure_one()
        return Ref(self.res_id, self.place_offset, self.place_length, self.place_digest)

    def _get_places(self):
        """Return where the records are, in the order of the bundle.

        :return: dict ``{Ref: digest of the rows}``
        """
        self.flush_recordset()
        rows = self.env.execute_query(
            SQL(
                "SELECT res_id, place_offset, place_length, place_digest,"
                " place_rows_digest FROM crm_archive_entry WHERE id = ANY(%s)"
                " ORDER BY place_offset",
                id_array(self.ids),
            )
        )
        return {Ref(*place): rows_digest for *place, rows_digest in rows}

    def _get_filled_columns(self, model):
        """Return the columns that a row which stayed gets back.

        :return: ``(all of them, those that hold nothing in between)``
        """
        if not model._archive_keeps_row:
            return RESTORED_COLUMNS, frozenset()
        columns = Catalog(self.env.cr).columns(model._table)
        blanks = model._prepare_archive_blanks(columns)
        emptied = frozenset(n for n, value in blanks.items() if value == SQL("NULL"))
        # Also what was emptied then and could not be emptied now.
        kept = model._get_archive_kept_columns() - RESTORED_COLUMNS
        return columns.keys() - kept, emptied

    # ------------------------------------------------------------
    # AFTERWARDS
    # ------------------------------------------------------------

    def _settle(self, findings, details, arrival=None):
        """Let the rest of Odoo know, and move the records out of the archive."""
        records = self._get_records()
        report = [list(finding) for finding in findings]
        self._keep_retention(records)
        self.env["crm.archive.recontact"]._point_at_records(self)
        self._note_restored(report)
        records._recompute_dependants(create=True)
        details = {"how": "vault", **(details or {})}
        if report:
            details["differences"] = len(report)
        if arrival:
            records._restore_arrived(arrival, details)
        else:
            records._restore(details)
        return records

    def _note_restored(self, report):
        """Say so in the index, in one statement: the entries get the same values.

        :param list report: findings, empty when everything was as before
        """
        self.flush_recordset()
        now = fields.Datetime.now()
        self.env.cr.execute(
            SQL(
                "UPDATE crm_archive_entry SET state = 'restored', restore_date = %s,"
                " restore_report = %s::jsonb, write_uid = %s, write_date = %s"
                " WHERE id = ANY(%s)",
                now,
                json.dumps(report) if report else None,
                self.env.uid,
                self.env.cr.now(),
                id_array(self.ids),
            )
        )
        names = ["state", "restore_date", "restore_report", "write_uid", "write_date"]
        self.invalidate_recordset(names, flush=False)
        self.modified(names)

    def _keep_retention(self, records):
        """What was decided while the record was away holds for it now."""
        longer = self.env.execute_query(
            SQL(
                "SELECT entry.retention_date, array_agg(record.id)"
                " FROM crm_archive_entry entry JOIN %s record"
                " ON record.id = entry.res_id WHERE entry.id = ANY(%s) AND"
                " entry.retention_date > coalesce(record.retention_date, '-infinity')"
                " GROUP BY 1",
                SQL.identifier(records._table),
                id_array(self.ids),
            )
        )
        for retention_date, ids in longer:
            records.browse(ids)._move({"retention_date": retention_date})
        self.env["crm.archive.hold"]._refresh(records._name)
