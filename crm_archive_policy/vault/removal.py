"""Take captured rows out of the live tables: those and no others."""

from odoo.tools import SQL

from ..models.query_tools import id_array
from .capture import Found
from .files import release_files
from .graph import Edge


class VaultConflict(Exception):
    """Rows have changed since they were captured; nothing was deleted."""

    def __init__(self, roots, table=""):
        """
        :param roots: the records, empty when it is not known which
        :param table: where
        """
        super().__init__(f"{table} {sorted(roots)}")
        self.roots, self.table = set(roots), table


def remove(found: Found, roots):
    """Delete the captured rows of some records, the owned before their owners.

    :param found: the rows, discovered in this transaction after the records were locked
    :param roots: the records; with ``keep_row`` their own rows stay
    :raise VaultConflict: when other rows than the captured ones would go
    """
    graph, wanted = found.graph, set(roots)
    ids = {
        table: sorted(_keys(found, table, wanted))
        for table in graph.tables
        if graph.catalog.has_id(table)
    }
    if ids.get("ir_attachment"):
        release_files(graph.env, ids["ir_attachment"])
    for table in reversed(graph.tables):
        if table == graph.root and graph.keep_row:
            continue
        if table in ids:
            _delete_rows(graph.env.cr, table, ids[table])
        else:
            lines = _keys(found, table, wanted)
            _delete_links(graph, table, ids, len(lines))


def _keys(found, table, wanted):
    rows = found.keys[table]
    return {key for root in wanted & rows.keys() for key in rows[root]}


def _delete_rows(cr, table, ids):
    if not ids:
        return
    cr.execute(
        SQL(
            "DELETE FROM %s WHERE id = ANY(%s)",
            SQL.identifier(table),
            id_array(ids, "int8"),
        )
    )
    if cr.rowcount != len(ids):
        raise VaultConflict((), table)


def _delete_links(graph, table, ids, expected):
    """Delete rows of a table of links by whatever owns them."""
    if not expected:
        return
    owners = [
        SQL(
            "%s = ANY(%s)",
            SQL.identifier(edge.column),
            id_array(ids[edge.parent], "int8"),
        )
        for edges in graph.edges.values()
        for edge in edges
        if edge.table == table and ids.get(edge.parent)
    ]
    graph.env.cr.execute(
        SQL(
            "DELETE FROM %s WHERE %s",
            SQL.identifier(table),
            SQL(" OR ").join(owners),
        )
    )
    if graph.env.cr.rowcount != expected:
        raise VaultConflict((), table)


def find_late(cr, found: Found, roots) -> set[int]:
    """Find rows that came too late to be captured, where no key would have said so.

    :param cr: cursor of a transaction that has just begun, to see what others have
        committed meanwhile
    :param roots: records that are being deleted
    :return: the records that have such rows
    """
    graph, late, wanted = found.graph, set(), set(roots)
    for edges in graph.edges.values():
        for edge in edges:
            if edge.model_column:
                late |= _read_late(cr, found, edge, wanted)
    return late


def _read_late(cr, found, edge: Edge, wanted):
    owners = {
        key: root
        for root in wanted & found.keys[edge.parent].keys()
        for key in found.keys[edge.parent][root]
    }
    if not owners:
        return set()
    known = _keys(found, edge.table, wanted)
    cr.execute(
        SQL(
            "SELECT id, %s FROM %s WHERE %s = %s AND %s = ANY(%s)",
            SQL.identifier(edge.column),
            SQL.identifier(edge.table),
            SQL.identifier(edge.model_column),
            edge.model,
            SQL.identifier(edge.column),
            list(owners),
        )
    )
    return {owners[owner] for row_id, owner in cr.fetchall() if row_id not in known}


def blank(env, table, roots, assignments):
    """Empty the rows of records whose own row stays.

    :param table: the records' table
    :param roots: the records
    :param dict assignments: ``{column: SQL}``
    """
    env.cr.execute(
        SQL(
            "UPDATE %s live SET %s WHERE id = ANY(%s)",
            SQL.identifier(table),
            SQL(", ").join(
                SQL("%s = %s", SQL.identifier(name), value)
                for name, value in assignments.items()
            ),
            list(roots),
        )
    )
