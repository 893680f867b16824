"""Put rows back as they were: the same ids, the same text in every column.

Where the database has moved on, each difference has a named outcome (see ``report``);
what cannot be brought back truthfully is refused, and the caller rolls back.
"""

from collections import Counter, defaultdict

import psycopg2

from odoo.tools import SQL

from .catalog import CASCADE, fix_text_format, names
from .columns import Columns
from .files import restore_file
from .graph import Graph
from .ownerless import drop_ownerless
from .proof import count_missing_links
from .report import Finding, RestoreRefused
from .staging import Staging


class Restore:
    """Brings back records of one bundle in the current transaction."""

    def __init__(
        self,
        env,
        header,
        *,
        kept=(),
        filled=(),
        emptied=(),
        replacements=None,
        arrival=None,
    ):
        """
        :param env: environment
        :param header: the bundle's header
        :param kept: ids of records whose own row stayed in its table
        :param filled: the columns that such a row gets back
        :param emptied: those of them that hold nothing in between
        :param dict replacements: ``{(table, id): id}`` chosen by a person for what is
            gone
        :param arrival: :class:`.arrival.Arrival` of rows that arrive changed
        """
        self.env, self.header = env, header
        self.graph = Graph(env, header.model, tolerant=True)
        self.catalog, self.root = self.graph.catalog, self.graph.root
        self.kept, self.filled, self._emptied = set(kept), set(filled), emptied
        self._replacements, self._arrival = replacements or {}, arrival
        self._findings = Counter()
        self._ids = defaultdict(set)
        self._forward = []
        #: Tables of which rows were left out.
        self.left_out = set()
        self._meta, self._readers = {}, {}

    def run(self, readers) -> list[Finding]:
        """Bring records back.

        :param readers: :class:`~..lib.bundle.RecordReader` of each
        :return: what was not as it had been
        :raise RestoreRefused: when it cannot be done; the caller rolls back
        :raise BundleError: when the bundle is damaged or foreign
        """
        fix_text_format(self.env.cr)
        self.staging = Staging(self.env.cr, self.header.tables)
        for reader in readers:
            self.staging.add(reader)
            self._meta[reader.id], self._readers[reader.id] = reader.meta, reader
        self.staging.finish()
        self.columns = Columns(self.env, self.graph, self.staging, self.find)
        self.catalog.load(self.staging.used())
        self._find_kept()
        for table in self.staging.used():
            if table in self.graph.edges:
                self._bring_back(table)
            else:
                self.find("table_gone", table, count=self.staging.counts[table])
        self._refuse_if_needed()
        self._point_forward()
        self._refer_back()
        self._write_files()
        self._advance_sequences()
        return self.findings()

    def findings(self) -> list[Finding]:
        """:return: what was found so far, each kind and column once"""
        return [
            Finding(kind, table, column, count, target, tuple(ids)[:10])
            for (kind, table, column, target), count in sorted(self._findings.items())
            for ids in [sorted(self._ids[kind, table, column, target])]
        ]

    def find(self, kind, table, column="", *, count=1, target="", ids=()):
        """Note what is not as it had been, see :class:`.report.Finding`."""
        self._findings[kind, table, column, target] += count
        self._ids[kind, table, column, target].update(ids)

    def _refuse_if_needed(self):
        findings = self.findings()
        if any(finding.refuses for finding in findings):
            raise RestoreRefused(findings)

    def _find_kept(self):
        """What was left behind may have been deleted: then the whole row comes back."""
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM %s WHERE id = ANY(%s)",
                SQL.identifier(self.root),
                list(self.kept),
            )
        )
        self.kept = {row_id for (row_id,) in rows}

    # -- one table ---------------------------------------------------------------

    def _bring_back(self, table):
        inserts = table != self.root or not self.kept.issuperset(self._meta)
        columns = self.columns.match(table, inserts=inserts)
        self._drop_present(table)
        self._resolve_targets(table)
        if self.left_out:
            drop_ownerless(self, table)
        self._refuse_if_needed()
        forward = self._get_forward(table)
        if table == self.root and self.kept:
            self._update_kept(columns, forward)
        elif table == self.root and self._arrival:
            self._arrival.apply(self)
        self._insert(table, columns, forward)

    def _drop_present(self, table):
        """Leave out rows that are there already; refuse ids taken by other rows."""
        if self.staging.position(table, "id") is None:
            return
        then = [name for name, _type in self.staging.tables[table].columns]
        now = self.catalog.columns(table)
        same = SQL("false")
        if all(name in now for name in then) and table != self.root:
            texts = SQL(", ").join(
                SQL("%s::text", SQL.identifier("live", name)) for name in then
            )
            same = SQL("ARRAY[%s] = s.v", texts)
        rows = self.env.execute_query(
            SQL(
                "SELECT s.id, %s FROM %s JOIN %s live ON live.id = s.id WHERE %s",
                same,
                self.staging.source(table),
                SQL.identifier(table),
                self._not_kept(table),
            )
        )
        if taken := [row_id for row_id, is_same in rows if not is_same]:
            self.find("id_taken", table, count=len(taken), ids=taken)
        elif rows:
            self.staging.drop(table, SQL("s.id = ANY(%s)", [row[0] for row in rows]))

    def leave_out(self, table, condition):
        """Take rows out of what is brought back, and remember that some are missing.

        :return: their number
        """
        self.left_out.add(table)
        return self.staging.drop(table, condition)

    def _not_kept(self, table):
        if table != self.root or not self.kept:
            return SQL("true")
        return SQL("s.root <> ALL(%s)", list(self.kept))

    def _insert(self, table, columns, forward):
        """Insert the staged rows; a live row that takes the same place is kept."""
        values = [
            SQL("NULL") if name in forward else self.columns.cast(table, name, kind)
            for name, kind in columns.items()
        ]
        query = SQL(
            "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s"
            " FROM %s WHERE %s ORDER BY s.root, s.id ON CONFLICT DO NOTHING",
            SQL.identifier(table),
            names(columns),
            SQL(", ").join(values),
            self.staging.source(table),
            self._not_kept(table),
        )
        expected = self.staging.counts[table]
        if table == self.root:
            expected -= len(self.kept & self._meta.keys())
        self._execute(table, query)
        if (kept := expected - self.env.cr.rowcount) > 0:
            self.left_out.add(table)
            if self.staging.position(table, "id") is None:
                # A link that two of the records share is there after all.
                kept = count_missing_links(self, table, list(columns))
        if kept > 0:
            kind = "unique_taken" if table == self.root else "live_kept"
            self.find(kind, table, count=kept)

    def _execute(self, table, query):
        """Run a statement; what the database refuses is a refusal of the restore."""
        try:
            self.env.cr.execute(query, log_exceptions=False)
        except (psycopg2.IntegrityError, psycopg2.DataError) as error:
            column = error.diag.column_name or error.diag.constraint_name or ""
            is_clash = isinstance(error, psycopg2.errors.UniqueViolation)
            self.find("unique_taken" if is_clash else "bad_value", table, column)
            # The text of the error quotes values: it goes no further.
            raise RestoreRefused(self.findings()) from None

    # -- rows that stayed ----------------------------------------------------------

    def _update_kept(self, columns, forward):
        """Fill the rows that stayed with what they held."""
        filled = {name: kind for name, kind in columns.items() if name in self.filled}
        if not filled:
            return
        table = SQL.identifier(self.root)
        staged = SQL("live.id = s.id AND s.root = ANY(%s)", list(self.kept))
        self._find_shell_changes(filled, table, staged)
        assignments = SQL(", ").join(
            SQL(
                "%s = %s",
                SQL.identifier(name),
                SQL("NULL")
                if name in forward
                else self.columns.cast(self.root, name, kind),
            )
            for name, kind in filled.items()
        )
        self._execute(
            self.root,
            SQL(
                "UPDATE %s live SET %s FROM %s WHERE %s",
                table,
                assignments,
                self.staging.source(self.root),
                staged,
            ),
        )

    def _find_shell_changes(self, filled, table, staged):
        """Say what somebody has written where everything had been emptied."""
        emptied = [name for name in filled if name in self._emptied]
        if not emptied:
            return
        differences = SQL(", ").join(
            SQL("count(%s)", SQL.identifier("live", name)) for name in emptied
        )
        [counts] = self.env.execute_query(
            SQL(
                "SELECT %s FROM %s live JOIN %s ON %s",
                differences,
                table,
                self.staging.source(self.root),
                staged,
            )
        )
        for name, count in zip(emptied, counts, strict=True):
            if count:
                self.find("shell_changed", self.root, name, count=count)

    # -- what rows point at --------------------------------------------------------

    def _resolve_targets(self, table):
        """Give each key whose target is gone the outcome that it has."""
        for key, gone in self._find_gone(table):
            for target_id in list(gone):
                other = self._replace(key, target_id)
                if other:
                    chosen = self._replacements.get((key.target, target_id))
                    kind = "target_replaced" if other == chosen else "target_merged"
                    count = gone.pop(target_id)
                    self._find_target(kind, key, [target_id], count)
            if gone:
                self._let_go(key, gone)

    def _find_gone(self, table):
        """Find out which rows point at what is no more.

        :return: list of ``(key, {id: number of rows})``
        """
        keys = [
            key
            for key in self.catalog.keys_from(table)
            if not key.unusual and self.staging.position(table, key.column) is not None
        ]
        if not keys:
            return []
        values = SQL(", ").join(
            SQL("(%s, (%s)::bigint)", number, self.staging.value(table, key.column))
            for number, key in enumerate(keys)
        )
        # What all rows point at, in one pass: nearly always few different ids.
        rows = self.env.execute_query(
            SQL(
                "SELECT key.number, key.id, count(*) FROM %s,"
                " LATERAL (VALUES %s) key(number, id)"
                " WHERE key.id IS NOT NULL GROUP BY 1, 2",
                self.staging.source(table),
                values,
            )
        )
        counts = defaultdict(dict)
        for number, target_id, count in rows:
            counts[keys[number]][target_id] = count
        return [
            (key, {target_id: ids[target_id] for target_id in gone})
            for key, ids in counts.items()
            if (gone := self._filter_gone(key, list(ids)))
        ]

    def _filter_gone(self, key, ids):
        """Return those of the ids a key points at that are no more."""
        coming = SQL("false")
        if self._comes_later(key):
            coming = SQL(
                "EXISTS (SELECT 1 FROM crm_archive_staging o"
                " WHERE o.number = %s AND o.id = x.id)",
                self.staging.order[key.target],
            )
        rows = self.env.execute_query(
            SQL(
                "SELECT x.id FROM unnest(%s::bigint[]) x(id) WHERE NOT %s"
                " AND NOT EXISTS (SELECT 1 FROM %s target WHERE target.id = x.id)",
                ids,
                coming,
                SQL.identifier(key.target),
            )
        )
        return [row[0] for row in rows]

    def _comes_later(self, key):
        """Tell whether a key points at rows that are staged and not yet inserted."""
        order = self.staging.order
        return (
            self.staging.counts.get(key.target)
            and key.target in self.graph.edges
            and order[key.target] >= order[key.table]
        )

    def _replace(self, key, target_id):
        """Point at what a person has chosen, or at what the target was merged into."""
        other = self._replacements.get((key.target, target_id))
        if not other or not self._exists(key.target, other):
            model = self.graph.model_of(key.target)
            other = self.env["crm.archive.merge"]._follow(model, target_id)
        if not other:
            return None
        if key.table == self.root:
            # A row that stayed has lost the target as well.
            self.filled.add(key.column)
        value = self.staging.value(key.table, key.column)
        self.staging.set_value(
            key.table,
            key.column,
            SQL("%s::text", str(other)),
            SQL("%s = %s", value, str(target_id)),
        )
        return other

    def _exists(self, table, row_id):
        query = SQL("SELECT 1 FROM %s WHERE id = %s", SQL.identifier(table), row_id)
        return bool(self.env.execute_query(query))

    def _let_go(self, key, gone):
        """What the database itself would have done, had the rows been there."""
        ids, count = list(gone), sum(gone.values())
        value = self.staging.value(key.table, key.column)
        condition = SQL("(%s)::bigint = ANY(%s)", value, ids)
        required = self.catalog.columns(key.table)[key.column].required
        # Without its company a row would be there for all companies to see.
        if key.target == "res_company" or (key.table == self.root and required):
            self._find_target("required_gone", key, ids, count)
        elif key.table != self.root and (key.action == CASCADE or required):
            self.leave_out(key.table, condition)
            self._find_target("row_gone", key, ids, count)
        else:
            self.staging.set_value(key.table, key.column, SQL("NULL::text"), condition)
            self._find_target("target_gone", key, ids, count)

    def _find_target(self, kind, key, ids, count):
        self.find(kind, key.table, key.column, count=count, target=key.target, ids=ids)

    def _get_forward(self, table):
        """Return the columns that point at rows which are inserted only later."""
        columns = self.catalog.columns(table)
        forward = [
            key
            for key in self.catalog.keys_from(table)
            if key.target != table
            and self._comes_later(key)
            and self.staging.position(table, key.column) is not None
            and not columns[key.column].required
        ]
        self._forward += forward
        return {key.column for key in forward}

    def _point_forward(self):
        """Fill the columns that had to wait for the rows they point at."""
        for key in self._forward:
            self._empty_missing(key)
            # Of a row that stayed only some columns come back.
            filled = key.table == self.root and key.column in self.filled
            kind = self.catalog.columns(key.table)[key.column].type
            self._execute(
                key.table,
                SQL(
                    "UPDATE %s live SET %s = %s FROM crm_archive_staging s"
                    " WHERE %s AND %s AND live.id = s.id AND %s IS NOT NULL",
                    SQL.identifier(key.table),
                    SQL.identifier(key.column),
                    self.columns.cast(key.table, key.column, kind),
                    self.staging.rows(key.table),
                    SQL("true") if filled else self._not_kept(key.table),
                    self.staging.value(key.table, key.column),
                ),
            )

    def _empty_missing(self, key):
        """Let go of rows that were to come later and have been left out since."""
        if key.action == CASCADE:
            return  # the row that points would have to go too: the database refuses
        value = SQL("(%s)::bigint", self.staging.value(key.table, key.column))
        missing = self.env.execute_query(
            SQL(
                "SELECT %s, count(*) FROM crm_archive_staging s"
                " WHERE %s AND %s IS NOT NULL AND NOT EXISTS"
                " (SELECT 1 FROM %s target WHERE target.id = %s) GROUP BY 1",
                value,
                self.staging.rows(key.table),
                value,
                SQL.identifier(key.target),
                value,
            )
        )
        if missing:
            self._let_go(key, dict(missing))

    def _refer_back(self):
        """Let rows that referred to the records refer to them again."""
        groups = defaultdict(list)
        for meta in self._meta.values():
            for table, column, target, row_id, target_id in meta.get("back", ()):
                groups[table, column, target].append((row_id, target_id))
        for (table, column, target), pairs in groups.items():
            known = any(
                (key.column, key.target, key.unusual) == (column, target, False)
                for key in self.catalog.keys_from(table)
            )
            done = self._set_back(table, column, target, pairs) if known else 0
            if done < len(pairs):
                self.find("reference_changed", table, column, count=len(pairs) - done)

    def _set_back(self, table, column, target, pairs):
        self._execute(
            table,
            SQL(
                "UPDATE %s live SET %s = x.target"
                " FROM unnest(%s::bigint[], %s::bigint[]) x(id, target)"
                " WHERE live.id = x.id AND live.%s IS NULL"
                " AND EXISTS (SELECT 1 FROM %s t WHERE t.id = x.target)",
                SQL.identifier(table),
                SQL.identifier(column),
                [row_id for row_id, _target in pairs],
                [target_id for _row, target_id in pairs],
                SQL.identifier(column),
                SQL.identifier(target),
            ),
        )
        return self.env.cr.rowcount

    # -- what is not a row -----------------------------------------------------------

    def _write_files(self):
        """Write the files of attachments whose rows have been inserted."""
        for reader in self._readers.values():
            for blob in reader.blobs:
                restore_file(self.env, reader, blob)

    def _advance_sequences(self):
        """Never let a sequence hand out an id that has come back (a copy of the
        database may be older than the bundle)."""
        for table in self.staging.used():
            known = table in self.graph.edges
            if not known or self.staging.position(table, "id") is None:
                continue
            self.env.cr.execute(
                SQL(
                    """
                    SELECT setval(sequence, highest)
                      FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass
                                       AS sequence, max(s.id) AS highest
                              FROM crm_archive_staging s WHERE %s) staged
                     WHERE highest > coalesce(pg_sequence_last_value(sequence), 0)
                    """,
                    table,
                    self.staging.rows(table),
                )
            )
