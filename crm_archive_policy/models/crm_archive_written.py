"""Records that are in a verified bundle and still in their tables: the step between."""

from odoo.tools import SQL, Query

from ..lib import faults
from ..vault.capture import discover
from ..vault.catalog import fix_text_format
from ..vault.graph import Graph
from ..vault.removal import VaultConflict, blank, find_late, remove
from .crm_archive_permit import PERMIT, Permit
from .query_tools import path_to_sql

#: What the index keeps of a record's place in its bundle, and the type in SQL.
PLACE_COLUMNS = {
    "offset": "bigint",
    "length": "bigint",
    "digest": "text",
    "rows": "integer",
    "size": "bigint",
    "blob_size": "bigint",
    "stored": "bigint",
    "rows_digest": "text",
}


class Written:
    """What :meth:`CrmArchiveBundle._write_records` has written.

    It outlives the transaction of the writing, so that the taking sees what others
    have committed meanwhile. Losing it loses nothing: the records are live.
    """

    def __init__(self, env, model_name, run=None):
        """
        :param env: environment
        :param str model_name: model of the records
        :param run: the run it is part of
        """
        self.env, self.model_name, self.run = env, model_name, run
        #: ``{record id: reason}`` of what could not be written.
        self.refused = {}
        self._places, self._bundles, self._versions = {}, {}, {}

    def refuse(self, root, reason):
        """Note why a record stays where it is."""
        self.refused[root] = reason

    def add(self, bundle, summary, versions):
        """Note a verified bundle.

        :param bundle: ``crm.archive.bundle``
        :param summary: what was written
        :param dict versions: of the records' rows as they were captured
        """
        for entry in summary.entries:
            self._places[entry.id] = entry
            self._bundles[entry.id] = bundle
        self._versions.update(versions)

    @property
    def ids(self) -> list[int]:
        """:return: ids of the records that were written"""
        return list(self._places)

    @property
    def bundles(self):
        """:return: the bundles that were written"""
        return self.env["crm.archive.bundle"].union(*set(self._bundles.values()))

    # ------------------------------------------------------------
    # TAKING
    # ------------------------------------------------------------

    def take(self, records):
        """Take records out of the live tables, now that the bundle holds them.

        In one transaction: lock, compare with what was captured, ask the holds,
        delete, write the index, append the audit line. What has changed meanwhile
        stays live and is written again another time.

        :param records: some of those that were written
        :return: those that were moved
        :raise UserError: when something forbids it
        """
        moved = records.browse()
        for bundle in self._lock_bundles():
            own = [i for i in records.ids if self._bundles.get(i) == bundle]
            moved |= self._take_from(bundle, records.browse(own))
        return moved

    def _lock_bundles(self):
        """Return the bundles that are there still: a sweep may have taken one for
        forgotten if this run was halted for long."""
        bundles = self.bundles.try_lock_for_update(allow_referencing=True)
        bundles.invalidate_recordset(["state"])
        return bundles.filtered(lambda b: b.state in ("written", "used"))

    def _take_from(self, bundle, records):
        faults.point("vault: taking")
        records = records.sudo().try_lock_for_update()
        self.env.flush_all()
        fix_text_format(self.env.cr)
        graph = Graph(self.env, self.model_name, bundle.keeps_row)
        found = discover(graph, records.ids)
        records = records.browse(
            res_id
            for res_id in records.ids
            if found.versions.get(res_id) == self._versions[res_id]
            and res_id not in found.blocked
            and res_id not in found.blocked_parts
        )
        if not records:
            return records
        faults.point("vault: compared")
        records._check_vaultable()
        if not bundle.keeps_row:
            self._prepare_deletion(records)
        entries = self._create_entries(bundle, records)
        faults.point("vault: entries created")
        remove(found, records.ids)
        if bundle.keeps_row:
            self._blank(records, graph)
        bundle.state = "used"
        records._log_archive(
            "vault", {"bundle": bundle.name, "store": bundle.store_id.id}
        )
        self._check_late(found, records)
        faults.point("vault: rows deleted")
        self.env.invalidate_all(flush=False)
        return entries and records.with_env(self.env)

    def _prepare_deletion(self, records):
        """Ask what core asks before it deletes, and note what depends on the records.

        As ``BaseModel.unlink()`` does. The retention goes on in the vault: it forbids
        a deletion, which this is not.
        """
        moving = records.with_context(**{PERMIT: Permit(records)})
        for check in moving._ondelete_methods:
            check(moving)
        for field in records._fields.values():
            self.env.remove_to_compute(field, records)
        records._recompute_dependants(before=True)

    def _check_late(self, found, records):
        """Look once more through fresh eyes: this transaction's snapshot is older.

        :raise VaultConflict: when a message or a file has come in since
        """
        with self.env.registry.cursor() as fresh:
            late = find_late(fresh, found, records.ids)
        if late:
            raise VaultConflict(late)

    def _blank(self, records, graph):
        """Leave a row that says nothing, where the row has to stay."""
        columns = graph.catalog.columns(graph.root)
        assignments = {"archive_state": SQL("'vaulted'")}
        if records._archive_keeps_row:
            assignments.update(records._prepare_archive_blanks(columns))
        blank(self.env, graph.root, records.ids, assignments)

    # ------------------------------------------------------------
    # INDEX
    # ------------------------------------------------------------

    def _create_entries(self, bundle, records):
        """Write the index out of the rows themselves, in one statement.

        :return: ``crm.archive.entry``
        """
        model = records.browse()
        query = Query(self.env, model._table, model._table_sql)
        values = {
            name: path_to_sql(model, query, path)
            for name, path in model._get_archive_entry_paths().items()
        }
        places = [self._places[res_id] for res_id in records.ids]
        columns = {"id": "integer", **PLACE_COLUMNS}
        query.add_join(
            "JOIN",
            "place",
            SQL(
                "(SELECT * FROM unnest(%s) AS row(%s))",
                SQL(", ").join(
                    # Numbers and digests need no quotes, so a text says them all.
                    SQL(
                        "%s::%s[]",
                        "{%s}" % ",".join(str(getattr(p, name)) for p in places),
                        SQL(kind),
                    )
                    for name, kind in columns.items()
                ),
                SQL(", ").join(map(SQL.identifier, columns)),
            ),
            SQL("%s = %s", SQL.identifier(model._table, "id"), SQL("place.id")),
        )
        return self._insert_entries(bundle, model, query, values)

    def _insert_entries(self, bundle, model, query, values):
        names = [*values, *(f"place_{name}" for name in PLACE_COLUMNS)]
        sources = [
            *values.values(),
            *(SQL.identifier("place", name) for name in PLACE_COLUMNS),
        ]
        constants = {
            "bundle_id": bundle.id,
            "res_model": self.model_name,
            "state": "vaulted",
            "keeps_row": bundle.keeps_row,
            "run_id": bundle.run_id.id or None,
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
        }
        rows = self.env.execute_query(
            SQL(
                "INSERT INTO crm_archive_entry"
                " (res_id, vault_date, create_date, write_date, message_keys, %s, %s)"
                " SELECT %s, %s, %s, %s, %s, %s, %s FROM %s RETURNING id",
                SQL(", ").join(map(SQL.identifier, constants)),
                SQL(", ").join(map(SQL.identifier, names)),
                SQL.identifier(model._table, "id"),
                *[self.env.cr.now()] * 3,
                self.env["crm.archive.entry"]._get_message_keys(model),
                SQL(", ").join(SQL("%s", value) for value in constants.values()),
                SQL(", ").join(sources),
                query.from_clause,
            )
        )
        entries = self.env["crm.archive.entry"].browse(row[0] for row in rows)
        self._copy_tags(entries, model)
        return entries

    def _copy_tags(self, entries, model):
        field = model._fields["archive_tag_ids"]
        target = entries._fields["tag_ids"]
        self.env.cr.execute(
            SQL(
                "INSERT INTO %s (%s, %s) SELECT e.id, tag.%s FROM crm_archive_entry e"
                " JOIN %s tag ON tag.%s = e.res_id WHERE e.id = ANY(%s)",
                SQL.identifier(target.relation),
                SQL.identifier(target.column1),
                SQL.identifier(target.column2),
                SQL.identifier(field.column2),
                SQL.identifier(field.relation),
                SQL.identifier(field.column1),
                entries.ids,
            )
        )

    def settle(self, moved):
        """Note what was written in vain, or let go of the bundle altogether.

        :param moved: the records that were taken
        """
        for bundle in self.bundles.exists():
            own = [root for root, b in self._bundles.items() if b == bundle]
            unused = sorted(set(own) - set(moved.ids))
            if len(unused) == len(own):
                bundle._retire()
            elif unused:
                bundle.unused_ids = unused
