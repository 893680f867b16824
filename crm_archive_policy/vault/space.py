"""How much room tables take, and how much of it only a rewrite gives back."""

from typing import NamedTuple

from odoo.tools import SQL

#: A page, and what of it rows can use.
PAGE, USABLE = 8192, 8168

#: A chunk of a value kept apart (TOAST) takes at most about so many bytes.
CHUNK = 2048

#: Bytes of an indexed value of which there are no statistics.
UNKNOWN_WIDTH = 32

#: How full PostgreSQL makes the pages of an index.
INDEX_FILL = 0.9

#: Below this nobody should bother, in bytes and as a share of the table.
WORTHWHILE_BYTES, WORTHWHILE_SHARE = 64 << 20, 0.2

#: Deleted rows that the clean-up has not reached yet, and as a share of all.
DEAD_ROWS, DEAD_SHARE = 10_000, 0.1


class TableSpace(NamedTuple):
    """What PostgreSQL knows of a table; sizes in bytes, free room is an estimate."""

    table: str
    #: With indexes and values kept apart.
    total: int
    indexes: int
    live_rows: int
    dead_rows: int
    #: Inside the table, for new rows; ``None`` without statistics.
    free: int | None
    #: Inside its indexes, those of the ordinary kind (B-tree).
    free_indexes: int = 0

    @property
    def advice(self) -> str:
        """:return: ``analyze``, ``vacuum``, ``nothing``, ``reindex`` or ``rewrite``"""
        if self.free is None:
            return "analyze" if self.total >= WORTHWHILE_BYTES else "nothing"
        rows = self.live_rows + self.dead_rows
        if self.dead_rows >= DEAD_ROWS and self.dead_rows >= DEAD_SHARE * rows:
            return "vacuum"
        worthwhile = max(WORTHWHILE_BYTES, WORTHWHILE_SHARE * self.total)
        if self.free_indexes >= worthwhile > self.free:
            return "reindex"
        return "rewrite" if self.free_total >= worthwhile else "nothing"

    @property
    def free_total(self) -> int:
        """:return: free bytes in the table and its indexes"""
        return (self.free or 0) + self.free_indexes

    @property
    def needed(self) -> int:
        """:return: bytes of disk that a rewrite needs while it works"""
        return max(self.total - self.free_total, 0)


def measure(cr, tables) -> list[TableSpace]:
    """Ask PostgreSQL for the room that tables take.

    What is free inside a table is estimated from the width of its columns and the
    number of rows (``pg_stats``), and never too much of it for values kept apart.

    :param cr: cursor
    :param tables: names
    :return: the largest first
    """
    cr.execute(
        SQL(
            """
            SELECT c.relname, pg_total_relation_size(c.oid), pg_indexes_size(c.oid),
                   pg_relation_size(c.oid), pg_relation_size(c.reltoastrelid),
                   coalesce(stat.n_live_tup, 0), coalesce(stat.n_dead_tup, 0),
                   coalesce(toast.n_live_tup, 0),
                   (SELECT 24 + count(*) / 8 + sum((1 - null_frac) * avg_width)
                      FROM pg_stats s
                     WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
              FROM pg_class c
              JOIN pg_namespace n ON n.oid = c.relnamespace
              LEFT JOIN pg_stat_all_tables stat ON stat.relid = c.oid
              LEFT JOIN pg_stat_all_tables toast ON toast.relid = c.reltoastrelid
             WHERE n.nspname = current_schema AND c.relkind = 'r'
               AND c.relname = ANY(%s)
             ORDER BY 2 DESC
            """,
            list(tables),
        )
    )
    spaces = [_make(*row) for row in cr.fetchall()]
    free = _measure_indexes(cr, {space.table: space.live_rows for space in spaces})
    return [space._replace(free_indexes=free.get(space.table, 0)) for space in spaces]


def _make(table, total, indexes, heap, toast, live, dead, chunks, width):
    return TableSpace(
        table, total, indexes, live, dead, _estimate(heap, toast, live, chunks, width)
    )


def _measure_indexes(cr, live_rows):
    """Estimate what is free in B-tree indexes; PostgreSQL may store even less.

    :param dict live_rows: number of rows by table
    :return: ``{table: bytes}``
    """
    cr.execute(
        SQL(
            """
            SELECT t.relname, pg_relation_size(c.oid),
                   (SELECT sum(coalesce(s.avg_width, %s))
                      FROM pg_attribute a
                      LEFT JOIN LATERAL unnest(i.indkey::int[])
                           WITH ORDINALITY k(key, nr) ON k.nr = a.attnum
                      LEFT JOIN pg_attribute base
                        ON base.attrelid = t.oid AND base.attnum = k.key
                      LEFT JOIN pg_stats s ON s.schemaname = n.nspname
                       AND ((k.key > 0 AND s.tablename = t.relname
                             AND s.attname = base.attname)
                            OR (k.key = 0 AND s.tablename = c.relname
                                AND s.attname = a.attname))
                     WHERE a.attrelid = c.oid)
              FROM pg_index i
              JOIN pg_class c ON c.oid = i.indexrelid
              JOIN pg_class t ON t.oid = i.indrelid
              JOIN pg_namespace n ON n.oid = t.relnamespace
              JOIN pg_am am ON am.oid = c.relam AND am.amname = 'btree'
             WHERE n.nspname = current_schema AND t.relname = ANY(%s)
            """,
            UNKNOWN_WIDTH,
            list(live_rows),
        )
    )
    free = {}
    for table, size, width in cr.fetchall():
        item = -(-float(width or UNKNOWN_WIDTH) // 8) * 8 + 12
        needed = (live_rows[table] * item / (USABLE * INDEX_FILL) + 2) * PAGE
        free[table] = free.get(table, 0) + max(int(size - needed), 0)
    return free


def _estimate(heap, toast, live_rows, chunks, width):
    """Estimate the free bytes inside a table.

    :param heap: bytes of the table proper
    :param toast: bytes of values kept apart
    :param live_rows: number of rows
    :param chunks: number of pieces of values kept apart
    :param width: bytes of a row as they are on average, ``None`` when unknown
    """
    if width is None:
        # No statistics because there is nothing: that much is known.
        return None if heap else 0
    aligned = -(-float(width) // 8) * 8 + 4
    pages = -(-live_rows // max(USABLE // aligned, 1))
    return int(max(heap - pages * PAGE, 0) + max((toast or 0) - chunks * CHUNK, 0))
