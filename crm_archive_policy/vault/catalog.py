"""What PostgreSQL's catalogue says of tables, columns and foreign keys."""

from collections import defaultdict
from typing import NamedTuple

from odoo.tools import SQL

CASCADE, SET_NULL, SET_DEFAULT = "c", "n", "d"


class Column(NamedTuple):
    """A column as it is now."""

    name: str
    #: As ``format_type()`` prints it.
    type: str
    required: bool
    has_default: bool
    #: Computed by PostgreSQL, never inserted.
    generated: bool


class ForeignKey(NamedTuple):
    """A foreign key of one column to the ``id`` of another table."""

    table: str
    column: str
    target: str
    #: ``c`` cascade, ``n`` set null, ``d`` set default, ``a`` and ``r`` refuse.
    action: str
    #: Whether it spans several columns, or refers to something else than ``id``.
    unusual: bool


class Catalog:
    """The catalogue at this moment, read in two queries and on demand."""

    def __init__(self, cr):
        """:param cr: cursor"""
        self._cr = cr
        self._columns = {}
        self._to, self._from = defaultdict(list), defaultdict(list)
        cr.execute(
            """
            SELECT child.relname, a.attname, parent.relname, c.confdeltype,
                   cardinality(c.conkey) <> 1 OR t.attname <> 'id'
                   OR child.relnamespace <> parent.relnamespace
              FROM pg_constraint c
              JOIN pg_class child ON child.oid = c.conrelid
              JOIN pg_class parent ON parent.oid = c.confrelid
              JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
              JOIN pg_attribute t ON t.attrelid = c.confrelid
                                 AND t.attnum = c.confkey[1]
             WHERE c.contype = 'f'
               AND parent.relnamespace = current_schema::regnamespace
             ORDER BY child.relname, a.attname, c.conname
            """
        )
        for row in cr.fetchall():
            key = ForeignKey(*row)
            self._to[key.target].append(key)
            self._from[key.table].append(key)

    def keys_to(self, table: str) -> list[ForeignKey]:
        """:return: foreign keys of other tables that refer to this one"""
        return self._to[table]

    def keys_from(self, table: str) -> list[ForeignKey]:
        """:return: foreign keys of this table"""
        return self._from[table]

    def load(self, tables):
        """Read the columns of several tables at once.

        :param tables: names
        """
        missing = [name for name in tables if name not in self._columns]
        if not missing:
            return
        self._columns.update({name: {} for name in missing})
        self._cr.execute(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                   a.attnotnull, a.atthasdef OR a.attidentity <> '',
                   a.attgenerated <> ''
              FROM pg_attribute a
              JOIN pg_class c ON c.oid = a.attrelid
             WHERE c.relname = ANY(%s) AND c.relkind IN ('r', 'p')
               AND c.relnamespace = current_schema::regnamespace
               AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY c.relname, a.attnum
            """,
            [missing],
        )
        for table, *column in self._cr.fetchall():
            self._columns[table][column[0]] = Column(*column)

    def columns(self, table: str) -> dict[str, Column]:
        """:return: columns by name, in the table's order; empty without a table"""
        self.load([table])
        return self._columns[table]

    def has_id(self, table: str) -> bool:
        """:return: whether rows of the table are known by an ``id``"""
        return "id" in self.columns(table)


def fix_text_format(cr):
    """Make ``::text`` print values in the one form that reads back the same, quickly.

    For the current transaction; PostgreSQL's own dump does likewise.
    """
    cr.execute(
        """
        SELECT set_config('datestyle', 'ISO, MDY', true),
               set_config('intervalstyle', 'postgres', true),
               set_config('extra_float_digits', '1', true),
               set_config('bytea_output', 'hex', true),
               set_config('timezone', 'UTC', true),
               -- Wide rows in small batches: compiling takes longer than running.
               set_config('jit', 'off', true),
               -- Rows are looked up by their keys, which leaves the rest unread: the
               -- usual price of that is a spinning disk's, and makes whole tables be
               -- read for a batch.
               set_config('random_page_cost', '1.1', true)
        """
    )


def names(columns) -> SQL:
    """:return: the column names as a list in SQL"""
    return SQL(", ").join(SQL.identifier(name) for name in columns)
