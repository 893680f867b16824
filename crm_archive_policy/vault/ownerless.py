"""What belongs to a part that cannot come back stays away with it."""

from odoo.tools import SQL


def drop_ownerless(restore, table):
    """Leave out rows whose owner was left out, where no foreign key says so.

    Such as the files of an activity; nothing would ever remove them from the database.

    :param restore: :class:`.restore.Restore` that is about to insert the table's rows
    :param table: the table
    """
    staging = restore.staging
    for edge in restore.graph.edges_of_references(table):
        if edge.parent == table or edge.parent not in restore.left_out:
            continue
        owner = SQL("(%s)::bigint", staging.value(table, edge.column))
        condition = SQL(
            "%s = %s AND NOT EXISTS (SELECT 1 FROM %s owner WHERE owner.id = %s)",
            staging.value(table, edge.model_column),
            edge.model,
            SQL.identifier(edge.parent),
            owner,
        )
        rows = restore.env.execute_query(
            SQL(
                "SELECT DISTINCT %s FROM crm_archive_staging s WHERE %s AND %s",
                owner,
                staging.rows(table),
                condition,
            )
        )
        if rows:
            count = restore.leave_out(table, condition)
            ids = [row[0] for row in rows]
            restore.find("row_gone", table, count=count, target=edge.parent, ids=ids)
