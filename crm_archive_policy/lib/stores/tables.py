"""Objects in two tables of PostgreSQL: one line an object, its bytes in chunks.

Chunks keep memory bounded on both sides and let a record be read out of the middle
of a large object. The bytes are compressed already, so PostgreSQL is told not to try.
"""

from datetime import timezone

from .base import ObjectStat
from .errors import (
    ObjectExists,
    ObjectNotFound,
    StoreFull,
    StoreMisconfigured,
    StorePermission,
    StoreTemporary,
)

#: Literal in the statements below: names are not parameters in SQL.
SCHEMA = "crm_archive"

#: Bytes in a chunk. Sent as hexadecimal text, a chunk takes about four times this
#: for a moment.
CHUNK = 1 << 20

_DDL = (
    "CREATE SCHEMA IF NOT EXISTS crm_archive",
    """
    CREATE TABLE IF NOT EXISTS crm_archive.object (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text NOT NULL UNIQUE,
        size bigint NOT NULL,
        database_uuid text NOT NULL,
        modified timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS crm_archive.chunk (
        object_id bigint NOT NULL REFERENCES crm_archive.object ON DELETE CASCADE,
        number integer NOT NULL,
        data bytea NOT NULL,
        PRIMARY KEY (object_id, number)
    )
    """,
    "ALTER TABLE crm_archive.chunk ALTER COLUMN data SET STORAGE EXTERNAL",
)


class _Quiet:
    """A cursor that keeps what it is given out of the log."""

    def __init__(self, cursor):
        import psycopg2.extensions

        self.fetchone, self.fetchall = cursor.fetchone, cursor.fetchall
        self._cursor = cursor
        # Odoo's cursor logs a failed statement, and these carry people's data.
        is_odoo = not isinstance(cursor, psycopg2.extensions.cursor)
        self._options = {"log_exceptions": False} if is_odoo else {}

    def execute(self, statement, values=None):
        self._cursor.execute(statement, values, **self._options)


class ObjectTables:
    """The statements; whose cursor and whose commit is the store's business."""

    def __init__(self, cursor):
        """:param cursor: psycopg2 cursor, or Odoo's, which has the same methods"""
        self._cursor = _Quiet(cursor)

    def exists(self) -> bool:
        """:return: whether the tables are there"""
        self._cursor.execute("SELECT to_regclass(%s)", ["crm_archive.chunk"])
        return self._cursor.fetchone()[0] is not None

    def make(self):
        """Make the tables where they are missing."""
        if not self.exists():
            for statement in _DDL:
                self._cursor.execute(statement)

    def drop(self):
        """Remove the tables with everything in them, and the schema if empty."""
        self._cursor.execute(
            "DROP TABLE IF EXISTS crm_archive.chunk, crm_archive.object"
        )
        self._cursor.execute(
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s LIMIT 1",
            [SCHEMA],
        )
        if not self._cursor.fetchone():
            self._cursor.execute("DROP SCHEMA IF EXISTS crm_archive")

    def insert(self, key: str, overwrite: bool, database_uuid: str) -> "ChunkWriter":
        """Start an object.

        :raise ObjectExists: when the key is taken and is to be kept
        """
        if overwrite:
            self._cursor.execute("DELETE FROM crm_archive.object WHERE key = %s", [key])
        self._cursor.execute(
            "INSERT INTO crm_archive.object (key, size, database_uuid)"
            " VALUES (%s, 0, %s) ON CONFLICT DO NOTHING RETURNING id",
            [key, database_uuid],
        )
        row = self._cursor.fetchone()
        if row is None:
            raise ObjectExists(f"{key} exists already")
        return ChunkWriter(self._cursor, row[0])

    def open(self, key: str) -> "ChunkReader":
        """:return: the object as a seekable file"""
        self._cursor.execute(
            "SELECT id, size FROM crm_archive.object WHERE key = %s", [key]
        )
        row = self._cursor.fetchone()
        if row is None:
            raise ObjectNotFound(f"there is no object {key}")
        return ChunkReader(self._cursor, *row)

    def stat(self, key: str) -> ObjectStat:
        """:return: size and time of an object"""
        self._cursor.execute(
            "SELECT size, modified FROM crm_archive.object WHERE key = %s", [key]
        )
        row = self._cursor.fetchone()
        if row is None:
            raise ObjectNotFound(f"there is no object {key}")
        return ObjectStat(key, row[0], row[1].astimezone(timezone.utc))

    def delete(self, key: str):
        """Delete an object and its chunks."""
        self._cursor.execute(
            "DELETE FROM crm_archive.object WHERE key = %s RETURNING id", [key]
        )
        if self._cursor.fetchone() is None:
            raise ObjectNotFound(f"there is no object {key}")

    def list(self, prefix: str, batch: int = 1000):
        """Iterate over objects by key, a batch at a time."""
        after = ""
        while True:
            self._cursor.execute(
                "SELECT key, size, modified FROM crm_archive.object"
                ' WHERE key COLLATE "C" > %s AND starts_with(key, %s)'
                ' ORDER BY key COLLATE "C" LIMIT %s',
                [after, prefix, batch],
            )
            rows = self._cursor.fetchall()
            for key, size, modified in rows:
                yield ObjectStat(key, size, modified.astimezone(timezone.utc))
            if len(rows) < batch:
                return
            after = rows[-1][0]


class ChunkWriter:
    """File that cuts what is written into rows."""

    def __init__(self, cursor, object_id: int):
        """
        :param cursor: where to insert
        :param object_id: the object, of size 0 so far
        """
        self._cursor, self._object_id = cursor, object_id
        self._buffer, self._number, self._size = bytearray(), 0, 0

    def write(self, data: bytes):
        """Take bytes in."""
        self._buffer += data
        while len(self._buffer) >= CHUNK:
            self._insert(bytes(self._buffer[:CHUNK]))
            del self._buffer[:CHUNK]

    def finish(self):
        """Write what is left and the size."""
        if self._buffer:
            self._insert(bytes(self._buffer))
            self._buffer.clear()
        self._cursor.execute(
            "UPDATE crm_archive.object SET size = %s WHERE id = %s",
            [self._size, self._object_id],
        )

    def _insert(self, data):
        self._cursor.execute(
            "INSERT INTO crm_archive.chunk VALUES (%s, %s, %s)",
            [self._object_id, self._number, data],
        )
        self._number += 1
        self._size += len(data)


class ChunkReader:
    """Seekable file over the rows of an object; at most one chunk in memory."""

    def __init__(self, cursor, object_id: int, size: int):
        """
        :param cursor: where to select
        :param object_id: the object
        :param size: its size in bytes
        """
        self._cursor, self._object_id, self._size = cursor, object_id, size
        self._position = 0

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, as files do."""
        base = (0, self._position, self._size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """:return: where the next byte is read"""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, at most to the end of a chunk."""
        left = self._size - self._position
        number, start = divmod(self._position, CHUNK)
        length = min(left if size < 0 else size, left, CHUNK - start)
        if length <= 0:
            return b""
        # Stored uncompressed, so that only the pages asked for are read.
        self._cursor.execute(
            "SELECT substring(data FROM %s FOR %s) FROM crm_archive.chunk"
            " WHERE object_id = %s AND number = %s",
            [start + 1, length, self._object_id, number],
        )
        row = self._cursor.fetchone()
        # A missing or short row is for the reader of the bytes to notice.
        data = bytes(row[0]) if row else b""
        self._position += len(data)
        return data

    def close(self):
        """Nothing to let go of: the cursor is the store's."""


#: Beginning of SQLSTATE and what it means; the longest match wins.
_SQLSTATES = {
    "08": StoreTemporary,
    "0B": StorePermission,
    "22": StoreMisconfigured,
    "25006": StorePermission,
    "28": StorePermission,
    "3D": StoreMisconfigured,
    "3F": StoreMisconfigured,
    "40": StoreTemporary,
    "42": StoreMisconfigured,
    "42501": StorePermission,
    "53": StoreTemporary,
    "53100": StoreFull,
    "53400": StoreFull,
    "54": StoreFull,
    "55": StoreTemporary,
    "57": StoreTemporary,
    "58": StoreTemporary,
}


#: A refused connection has no SQLSTATE in psycopg2, only what the server said; in
#: another language than English it counts as temporary.
_REFUSALS = {
    "authentication failed": StorePermission,
    "no pg_hba.conf entry": StorePermission,
    "permission denied": StorePermission,
    "does not exist": StoreMisconfigured,
}


def classify_sql(error):
    """Find the kind of a psycopg2 error.

    :param error: ``psycopg2.Error``
    :return: class of :mod:`.errors`; unknown troubles count as temporary
    """
    if error.pgcode:
        kind = _SQLSTATES.get(error.pgcode) or _SQLSTATES.get(error.pgcode[:2])
        return kind or StoreTemporary
    text = str(error)
    for refusal, kind in _REFUSALS.items():
        if "FATAL" in text and refusal in text:
            return kind
    return StoreTemporary
