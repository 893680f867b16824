"""Let restored rows arrive as they are going to be, instead of being changed at once.

Rows are captured archived and are live a moment after they are back. A row of a wide
table costs as much to change as to insert, every index of it once more; so the columns
of the lifecycle are changed while the rows are still staged. What was captured is
handed to the caller, who tells the rest of Odoo of the change; and the proof compares
the live rows with the staged ones as ever, these columns included.
"""

from odoo.tools import SQL


class Arrival:
    """Which columns arrive with other values, and what they held before."""

    def __init__(self, values, unless):
        """
        :param dict values: ``{column: new value}``
        :param str unless: column that is empty in rows which take part
        """
        self.values, self._unless = values, unless
        #: ``{row id: {column: value as captured}}`` of the rows that took part.
        self.before = {}

    def apply(self, restore):
        """Change the staged rows, just before they are inserted.

        :param restore: :class:`.restore.Restore`, which keeps no row of these
        """
        staging, table = restore.staging, restore.root
        names = list(dict.fromkeys([*self.values, self._unless]))
        self.before.clear()
        columns = restore.catalog.columns(table)
        if any(
            name not in columns or staging.position(table, name) is None
            for name in names
        ):
            return  # written by another version: the long way round
        rows = restore.env.execute_query(
            SQL(
                "SELECT s.id, %s FROM %s WHERE %s",
                SQL(", ").join(
                    restore.columns.cast(table, name, columns[name].type)
                    for name in names
                ),
                staging.source(table),
                self._takes_part(staging, table),
            )
        )
        for row_id, *row in rows:
            self.before[row_id] = dict(zip(names, row, strict=True))
        assignments = SQL(", ").join(
            SQL(
                "v[%s] = CAST(%s AS %s)::text",
                staging.position(table, name) + 1,
                value,
                SQL(columns[name].type),
            )
            for name, value in self.values.items()
        )
        restore.env.cr.execute(
            SQL(
                "UPDATE crm_archive_staging s SET %s WHERE %s AND %s",
                assignments,
                staging.rows(table),
                self._takes_part(staging, table),
            )
        )

    def _takes_part(self, staging, table):
        return SQL(
            "%s = 'archived' AND coalesce(%s, 'null') IN ('null', '{}', 'false')",
            staging.value(table, "archive_state"),
            staging.value(table, self._unless),
        )
