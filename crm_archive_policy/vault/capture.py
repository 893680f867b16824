"""Read the rows that belong to records, as they are, in batches."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from odoo.tools import SQL

from ..models.query_tools import id_array
from .catalog import SET_NULL
from .graph import Graph

#: Rows fetched at once while a large record is streamed.
CHUNK = 2000


class RecordTooLarge(Exception):
    """A record has more than a bundle takes."""

    def __init__(self, root: int):
        """:param root: the record"""
        super().__init__(f"record {root}")
        self.root = root


@dataclass
class Found:
    """The rows of some records: known, not yet read."""

    graph: Graph
    roots: list[int]
    #: ``{table: {record id: [row id, or line of JSON for a table of links]}}``
    keys: dict[str, dict[int, list]] = field(default_factory=dict)
    #: ``{record id: number}``: changes with any row, and with their set.
    versions: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    #: ``{record id: number of rows}``
    counts: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    #: ``{record id: [(table, column, target table, row id, target id)]}``
    back: dict[int, list] = field(default_factory=lambda: defaultdict(list))
    #: ``{record id: table of the row that forbids its deletion}``
    blocked: dict[int, str] = field(default_factory=dict)
    #: The same for rows that belong to the record.
    blocked_parts: dict[int, str] = field(default_factory=dict)

    def pairs(self, table: str) -> tuple[list[int], list]:
        """:return: record ids and keys of a table's rows, side by side"""
        roots, keys = [], []
        for root, values in self.keys.get(table, {}).items():
            roots += [root] * len(values)
            keys += values
        return roots, keys

    def count(self, root: int) -> int:
        """:return: number of rows of a record"""
        return self.counts[root]


def discover(graph: Graph, roots: list[int]) -> Found:
    """Find every row that belongs to some records, and what refers to them.

    :param graph: of the records' model
    :param roots: record ids
    :return: the rows' keys
    """
    found = Found(graph, list(roots))
    found.keys = {table: defaultdict(list) for table in graph.tables}
    seen = {table: set() for table in graph.tables}
    referring = []
    waiting = {graph.root: _read_roots(graph, roots)}
    while waiting:
        table, rows = waiting.popitem()
        news, known = [], seen[table]
        keys, counts, versions = found.keys[table], found.counts, found.versions
        for root, key, ctid, xmin in rows:
            if (root, ctid) in known:
                continue
            known.add((root, ctid))
            keys[root].append(key)
            counts[root] += 1
            versions[root] ^= hash((table, ctid, xmin))
            news.append((root, key))
        if news and graph.catalog.has_id(table):
            for edge, owned in _read_owned(graph, table, news).items():
                waiting.setdefault(edge.table, []).extend(owned)
            referring += _read_referring(graph, table, news)
    _sort_referring(found, referring)
    return found


def _read_roots(graph, roots):
    return graph.env.execute_query(
        SQL(
            "SELECT id, id, ctid::text, xmin::text FROM %s WHERE id = ANY(%s)",
            SQL.identifier(graph.root),
            id_array(roots, "int8"),
        )
    )


def _read_owned(graph, table, owners):
    """Read what rows own, all tables in one statement.

    :param owners: list of ``(record id, row id)``
    :return: ``{edge: [(record id, key, ctid, xmin)]}`` of those that own something
    """
    edges = graph.edges[table]
    branches = []
    for number, edge in enumerate(edges):
        has_id = graph.catalog.has_id(edge.table)
        condition = SQL("child.%s = x.id", SQL.identifier(edge.column))
        if edge.model_column:
            condition = SQL(
                "%s AND child.%s = %s",
                condition,
                SQL.identifier(edge.model_column),
                edge.model,
            )
        branches.append(
            SQL(
                "SELECT %s, x.root, %s, %s, child.ctid::text, child.xmin::text"
                " FROM x JOIN %s child ON %s",
                number,
                SQL("child.id::bigint") if has_id else SQL("NULL::bigint"),
                SQL("NULL::text") if has_id else _line(graph, edge.table),
                SQL.identifier(edge.table),
                condition,
            )
        )
    owned = defaultdict(list)
    for number, root, row_id, line, ctid, xmin in _read_branches(
        graph, owners, branches
    ):
        key = line if row_id is None else row_id
        owned[edges[number]].append((root, key, ctid, xmin))
    return owned


def _read_referring(graph, table, rows):
    """Read what refers to rows without belonging to them.

    :param rows: list of ``(record id, row id)``
    :return: list of ``(foreign key, record id, id of the referring row, row id)``
    """
    keys = graph.keys_from_outside(table)
    branches = [
        SQL(
            "SELECT %s, x.root, %s, x.id FROM x JOIN %s child ON child.%s = x.id",
            number,
            SQL("child.id::bigint")
            if graph.catalog.has_id(key.table)
            else SQL("NULL::bigint"),
            SQL.identifier(key.table),
            SQL.identifier(key.column),
        )
        for number, key in enumerate(keys)
    ]
    return [
        (keys[number], root, row_id, target_id)
        for number, root, row_id, target_id in _read_branches(graph, rows, branches)
    ]


def _read_branches(graph, rows, branches):
    """Run queries about the same rows ``x`` as one: the ids travel once."""
    if not branches:
        return []
    return graph.env.execute_query(
        SQL(
            "WITH x AS MATERIALIZED (SELECT * FROM unnest(%s, %s) row(root, id)) %s",
            id_array([root for root, _id in rows], "int8"),
            id_array([row_id for _root, row_id in rows], "int8"),
            SQL(" UNION ALL ").join(branches),
        )
    )


def _line(graph, table, columns=None):
    """Return a row as a line of JSON: exactly what the bundle holds."""
    columns = columns or list(graph.catalog.columns(table))
    return SQL(
        "array_to_json(ARRAY[%s])::text",
        SQL(", ").join(
            SQL("%s::text", SQL.identifier("child", name)) for name in columns
        ),
    )


def _sort_referring(found, referring):
    """Tell back-references, which can be put back, from what forbids the deletion."""
    taken = {}
    for key, root, row_id, target_id in referring:
        if _is_taken(found, taken, key.table, row_id):
            continue
        if key.action == SET_NULL:
            back = key.table, key.column, key.target, row_id, target_id
            found.back[root].append(back)
        elif key.target == found.graph.root:
            found.blocked.setdefault(root, key.table)
        else:
            found.blocked_parts.setdefault(root, key.table)
    for root, back in found.back.items():
        back.sort()
        found.versions[root] ^= hash(tuple(back))


def _is_taken(found, cache, table, row_id):
    """Tell whether a row is itself among those found."""
    if table not in found.keys or row_id is None:
        return False
    if table not in cache:
        cache[table] = set(found.pairs(table)[1])
    return row_id in cache[table]


class Content:
    """The rows of found records, read table by table when they are asked for."""

    def __init__(self, found: Found, columns: dict[str, list[str]]):
        """
        :param found: the records' keys
        :param columns: columns by table, in the order of the bundle
        """
        self._found, self._columns = found, columns
        has_id = found.graph.catalog.has_id
        self._tables = [
            (table, found.keys[table], has_id(table))
            for table in columns
            if found.keys.get(table)
        ]
        self._lines = {}

    def load(self, roots: list[int]):
        """Read all rows of some records at once, a query a table."""
        self._lines = {root: {} for root in roots}
        wanted = set(roots)
        for table, keys_of, has_id in self._tables:
            if not has_id:
                continue
            pairs = [
                (root, key)
                for root, keys in keys_of.items()
                if root in wanted
                for key in keys
            ]
            for root, line in self._read(table, pairs):
                self._lines[root].setdefault(table, []).append(line)

    def rows(self, root: int) -> dict[str, Iterator[str]]:
        """Return the rows of a record by table, each a line of JSON.

        What was loaded comes from memory; the rest is read in chunks, so a record of
        any size takes little.
        """
        rows = {}
        for table, keys_of, has_id in self._tables:
            if not (keys := keys_of.get(root)):
                continue
            if not has_id:
                rows[table] = sorted(keys)
            elif root in self._lines:
                rows[table] = self._lines[root].get(table, [])
            else:
                rows[table] = self._stream(table, root, sorted(keys))
        return rows

    def _stream(self, table, root, keys):
        for start in range(0, len(keys), CHUNK):
            pairs = [(root, key) for key in keys[start : start + CHUNK]]
            for _root, line in self._read(table, pairs):
                yield line

    def _read(self, table, pairs):
        if not pairs:
            return []
        graph = self._found.graph
        return graph.env.execute_query(
            SQL(
                "SELECT x.root, %s FROM unnest(%s, %s) x(root, id)"
                " JOIN %s child ON child.id = x.id ORDER BY x.root, child.id",
                _line(graph, table, self._columns[table]),
                id_array([root for root, _key in pairs], "int8"),
                id_array([key for _root, key in pairs], "int8"),
                SQL.identifier(table),
            )
        )


def line_values(line: str) -> list[str | None]:
    """:return: the values of a row out of its line of JSON"""
    return json.loads(line)
