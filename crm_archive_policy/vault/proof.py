"""Prove that restored rows are what was captured, column by column."""

from odoo.tools import SQL

from ..lib.bundle import BundleForeign


def prove(restore, kept_columns):
    """Compare every staged row with the live one, as text.

    Rows that came to the record while it was away are not its concern.

    :param restore: :class:`.restore.Restore` that has run without findings
    :param kept_columns: of rows that stayed, only these were put back
    :raise BundleForeign: when a row differs, so that nothing inexact is committed
    """
    staging = restore.staging
    for table in staging.used():
        # What is no more held nothing, or it would have been found.
        now = restore.catalog.columns(table)
        columns = [name for name, _type in staging.tables[table].columns if name in now]
        if table == restore.root and restore.kept:
            columns = [name for name in columns if name in kept_columns]
        if "id" in dict(staging.tables[table].columns):
            different = _compare_by_id(restore, table, columns)
        else:
            different = count_missing_links(restore, table, columns)
        if different:
            raise BundleForeign(
                f"{different} restored rows of {table} differ from the captured ones"
            )


def _compare_by_id(restore, table, columns):
    staging = restore.staging
    live = SQL(", ").join(
        SQL("%s::text", SQL.identifier("live", name)) for name in columns
    )
    staged = SQL("s.v")
    if len(columns) < len(staging.tables[table].columns):
        staged = SQL(
            "ARRAY[%s]",
            SQL(", ").join(staging.value(table, name) for name in columns),
        )
    [[count]] = restore.env.execute_query(
        SQL(
            "SELECT count(*) FROM %s LEFT JOIN %s live ON live.id = s.id"
            " WHERE live.id IS NULL OR ARRAY[%s] IS DISTINCT FROM %s",
            staging.source(table),
            SQL.identifier(table),
            live,
            staged,
        )
    )
    return count


def count_missing_links(restore, table, columns):
    """:return: number of staged rows of a table of links that are not there"""
    staging = restore.staging
    same = SQL(" AND ").join(
        SQL(
            "%s IS NOT DISTINCT FROM %s",
            SQL.identifier("live", name),
            restore.columns.cast(
                table, name, restore.catalog.columns(table)[name].type
            ),
        )
        for name in columns
    )
    [[count]] = restore.env.execute_query(
        SQL(
            "SELECT count(*) FROM %s WHERE NOT EXISTS (SELECT 1 FROM %s live WHERE %s)",
            staging.source(table),
            SQL.identifier(table),
            same,
        )
    )
    return count
