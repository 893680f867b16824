"""Rows out of a bundle, laid out in a temporary table so that SQL can judge them."""

import json
import re

import psycopg2

from odoo.tools import SQL

from ..lib.bundle import BundleCorrupt

#: Lines sent to the server at once.
CHUNK = 2000

#: What JSON writes down otherwise than PostgreSQL's arrays do.
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/"}


def as_array(line: str) -> str:
    """Return a row's line of JSON as PostgreSQL writes an array.

    Without escapes the two are the same but for the brackets, and an array is read in
    a third of the time.

    :param line: an array of strings and nulls
    :raise BundleCorrupt: when it is no array
    """
    if not (line.startswith("[") and line.endswith("]")):
        raise BundleCorrupt("a row is not an array")
    if "\\" in line:
        if "\\u" in line:  # halves of characters: json knows how they go together
            try:
                line = json.dumps(json.loads(line), ensure_ascii=False)
            except (ValueError, RecursionError):
                raise BundleCorrupt("a row cannot be read") from None
        line = _ESCAPE.sub(_unescape, line)
    return "{" + line[1:-1] + "}"


def _unescape(match):
    escape = match[1]
    if escape[0] == "u":
        return chr(int(escape[1:], 16))
    return _PLAIN.get(escape, match[0])


class Staging:
    """The rows of some records of one bundle, by table."""

    def __init__(self, cr, tables):
        """
        :param cr: cursor
        :param tables: tables of the bundle's header
        """
        self._cr = cr
        self.tables = {table.name: table for table in tables}
        self.order = {table.name: number for number, table in enumerate(tables)}
        cr.execute(
            """
            CREATE TEMPORARY TABLE IF NOT EXISTS crm_archive_staging (
                number integer NOT NULL,
                root bigint NOT NULL,
                id bigint,
                -- An array is taken apart once a row, where JSON would be parsed
                -- once a column.
                v text[] NOT NULL
            ) ON COMMIT DROP;
            -- Nobody asks how wide rows are distributed.
            ALTER TABLE crm_archive_staging ALTER COLUMN v SET STORAGE EXTERNAL,
                                            ALTER COLUMN v SET STATISTICS 0;
            TRUNCATE crm_archive_staging
            """
        )
        self.counts = dict.fromkeys(self.tables, 0)
        #: Where each table's rows have their id, from 1 as SQL counts.
        self._id_places = {
            name: None if (place := self.position(name, "id")) is None else place + 1
            for name in self.tables
        }
        self._waiting = []

    def add(self, record):
        """Take in the rows of a record, streamed; :meth:`finish` sends the last ones.

        :param record: :class:`~..lib.bundle.RecordReader`
        :raise BundleCorrupt: when the record is damaged; nothing may be used then
        """
        for table, line in record.lines():
            self._waiting.append(
                (
                    self.order[table],
                    record.id,
                    self._id_places[table],
                    as_array(line.decode()),
                )
            )
            self.counts[table] += 1
            if len(self._waiting) == CHUNK:
                self._insert()

    def _insert(self):
        if not self._waiting:
            return
        numbers, roots, places, lines = map(list, zip(*self._waiting, strict=True))
        self._waiting = []
        try:
            self._cr.execute(
                SQL(
                    "INSERT INTO crm_archive_staging (number, root, id, v)"
                    " SELECT number, root, v[place]::bigint, v"
                    " FROM (SELECT number, root, place, line::text[] AS v"
                    " FROM unnest(%s::int[], %s::bigint[], %s::int[], %s::text[])"
                    " row(number, root, place, line) OFFSET 0) row",
                    numbers,
                    roots,
                    places,
                    lines,
                ),
                log_exceptions=False,
            )
        except (ValueError, psycopg2.DataError):
            # Its text quotes the row: it goes no further.
            raise BundleCorrupt("a row cannot be read") from None

    def finish(self):
        """Send what is left, and help the planner."""
        self._insert()
        self._cr.execute("ANALYZE crm_archive_staging")

    def used(self) -> list[str]:
        """:return: tables that have rows, owners before the owned"""
        return [name for name, count in self.counts.items() if count]

    def position(self, table: str, column: str) -> int | None:
        """:return: where a column is in a row's line, None if it is not"""
        for position, (name, _type) in enumerate(self.tables[table].columns):
            if name == column:
                return position
        return None

    def value(self, table: str, column: str) -> SQL:
        """:return: the text of a column of the staged row ``s``"""
        return SQL("s.v[%s]", self.position(table, column) + 1)

    def source(self, table: str) -> SQL:
        """Return a table's staged rows as ``s``, to be read column by column.

        A long row is kept outside of its table; adding nothing to it brings it in
        once, and not again for each column.
        """
        return SQL(
            "(SELECT root, id, v || '{}'::text[] AS v FROM crm_archive_staging"
            " WHERE number = %s OFFSET 0) s",
            self.order[table],
        )

    def rows(self, table: str) -> SQL:
        """:return: condition for the staged rows ``s`` of a table"""
        return SQL("s.number = %s", self.order[table])

    def drop(self, table: str, condition: SQL) -> int:
        """Take rows out that are not to be brought back.

        :param condition: about the staged row ``s``
        :return: their number
        """
        self._cr.execute(
            SQL(
                "DELETE FROM crm_archive_staging s WHERE %s AND %s",
                self.rows(table),
                condition,
            )
        )
        self.counts[table] -= self._cr.rowcount
        return self._cr.rowcount

    def set_value(self, table: str, column: str, expression: SQL, condition: SQL):
        """Change one value of staged rows.

        :param expression: the new text, or NULL
        :param condition: about the staged row ``s``
        """
        self._cr.execute(
            SQL(
                "UPDATE crm_archive_staging s SET v[%s] = %s WHERE %s AND %s",
                self.position(table, column) + 1,
                expression,
                self.rows(table),
                condition,
            )
        )
