"""Read the rows that belong to records, as they are, in batches."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from odoo.tools import SQL

from .graph import Graph

#: Rows fetched at once while a large record is streamed.
CHUNK = 2000


@dataclass
class Found:
    """The rows of some records: known, not yet read."""

    graph: Graph
    roots: list[int]
    #: ``{table: {record id: [row id, or line of JSON for a table of links]}}``
    keys: dict[str, dict[int, list]] = field(default_factory=dict)
    #: ``{record id: number}``: changes with any row, and with their set.
    versions: dict[int, int] = field(default_factory=lambda: defaultdict(int))
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
        return sum(len(rows.get(root, ())) for rows in self.keys.values())


def discover(graph: Graph, roots: list[int]) -> Found:
    """Find every row that belongs to some records, and what refers to them.

    :param graph: of the records' model
    :param roots: record ids
    :return: the rows' keys
    """
    found = Found(graph, list(roots))
    found.keys = {table: defaultdict(list) for table in graph.tables}
    seen = {table: set() for table in graph.tables}
    waiting = {graph.root: _read_roots(graph, roots)}
    while waiting:
        table, rows = waiting.popitem()
        news = []
        for root, key, ctid, xmin in rows:
            if (root, ctid) in seen[table]:
                continue
            seen[table].add((root, ctid))
            found.keys[table][root].append(key)
            found.versions[root] ^= hash((table, ctid, xmin))
            news.append((root, key))
        if not news or not graph.catalog.has_id(table):
            continue
        parents = [root for root, _key in news], [key for _root, key in news]
        for edge in graph.edges[table]:
            if more := _read_edge(graph, edge, *parents):
                waiting.setdefault(edge.table, []).extend(more)
    _find_referring(found)
    return found


def _read_roots(graph, roots):
    return graph.env.execute_query(
        SQL(
            "SELECT id, id, ctid::text, xmin::text FROM %s WHERE id = ANY(%s)",
            SQL.identifier(graph.root),
            list(roots),
        )
    )


def _read_edge(graph, edge, roots, ids):
    has_id = graph.catalog.has_id(edge.table)
    condition = SQL("child.%s = x.id", SQL.identifier(edge.column))
    if edge.model_column:
        condition = SQL(
            "%s AND child.%s = %s",
            condition,
            SQL.identifier(edge.model_column),
            edge.model,
        )
    return graph.env.execute_query(
        SQL(
            "SELECT x.root, %s, child.ctid::text, child.xmin::text"
            " FROM unnest(%s::bigint[], %s::bigint[]) x(root, id)"
            " JOIN %s child ON %s",
            SQL("child.id") if has_id else _line(graph, edge.table),
            roots,
            ids,
            SQL.identifier(edge.table),
            condition,
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


def _find_referring(found):
    """Look for rows outside that refer to what is going to be deleted."""
    graph = found.graph
    taken = {}
    for key in graph.back_references():
        for root, row_id, target_id in _read_key(found, key):
            if not _is_taken(found, taken, key.table, row_id):
                back = key.table, key.column, key.target, row_id, target_id
                found.back[root].append(back)
    for back in found.back.values():
        back.sort()
    for root, back in found.back.items():
        found.versions[root] ^= hash(tuple(back))
    for key in graph.blockers():
        for root, row_id, _target_id in _read_key(found, key):
            if _is_taken(found, taken, key.table, row_id):
                continue
            blocked = found.blocked if key.target == graph.root else found.blocked_parts
            blocked.setdefault(root, key.table)


def _read_key(found, key):
    graph = found.graph
    roots, ids = found.pairs(key.target)
    if not ids or not graph.catalog.has_id(key.target):
        return []
    has_id = graph.catalog.has_id(key.table)
    return graph.env.execute_query(
        SQL(
            "SELECT x.root, %s, x.id"
            " FROM unnest(%s::bigint[], %s::bigint[]) x(root, id)"
            " JOIN %s child ON child.%s = x.id",
            SQL("child.id") if has_id else SQL("NULL::bigint"),
            roots,
            ids,
            SQL.identifier(key.table),
            SQL.identifier(key.column),
        )
    )


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
        self._lines = {}

    def load(self, roots: list[int]):
        """Read all rows of some records at once, a query a table."""
        self._lines = {root: {} for root in roots}
        wanted = set(roots)
        for table in self._columns:
            if not self._found.graph.catalog.has_id(table):
                continue
            pairs = [
                (root, key)
                for root, keys in self._found.keys[table].items()
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
        for table in self._columns:
            keys = self._found.keys.get(table, {}).get(root)
            if not keys:
                continue
            if not self._found.graph.catalog.has_id(table):
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
                "SELECT x.root, %s FROM unnest(%s::bigint[], %s::bigint[]) x(root, id)"
                " JOIN %s child ON child.id = x.id ORDER BY x.root, child.id",
                _line(graph, table, self._columns[table]),
                [root for root, _key in pairs],
                [key for _root, key in pairs],
                SQL.identifier(table),
            )
        )


def line_values(line: str) -> list[str | None]:
    """:return: the values of a row out of its line of JSON"""
    return json.loads(line)
