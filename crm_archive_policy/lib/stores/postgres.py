"""Objects in another PostgreSQL server, with a connection and commits of its own."""

import contextlib
from contextlib import contextmanager

from .. import faults
from .base import Store, register
from .database import translated_sql
from .errors import StoreMisconfigured
from .tables import ObjectTables

_CONNECT_SECONDS = 10
_SECRETS = ("password", "sslpassword")
#: Parameters of a DSN that are accepted; others name files, services or settings.
_ALLOWED = {
    *_SECRETS,
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "channel_binding",
    "target_session_attrs",
    "keepalives",
    "keepalives_idle",
}


@register
class PostgresStore(Store):
    """Each object is one transaction, durable when :meth:`create` is left."""

    kind = "postgres"

    def __init__(self, *, database_uuid: str, dsn: str):
        """
        :param dsn: connection string or URL of libpq, password included
        :raise StoreMisconfigured: when it is malformed or psycopg2 is missing
        """
        super().__init__(database_uuid=database_uuid)
        self._dsn = dsn
        self._parts = _parse(dsn)
        #: Commits each statement; a second one is used for each object written.
        self._connection = None

    def describe(self) -> str:
        """:return: server and database, without user and password"""
        host = self._parts.get("host", "local server")
        port = self._parts.get("port", "5432")
        return f"postgres://{host}:{port}/{self._parts.get('dbname', '')}"

    def _redact(self, text):
        for secret in (self._dsn, *(self._parts.get(name) for name in _SECRETS)):
            if secret:
                text = text.replace(secret, "***")
        return text

    def close(self):
        """Close the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    @contextmanager
    def _translated(self):
        with translated_sql(self):
            yield

    def _tables(self):
        """:return: the tables, each statement a transaction"""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
            self._connection.autocommit = True
        return ObjectTables(self._connection.cursor())

    def _connect(self):
        import psycopg2

        connection = psycopg2.connect(
            self._dsn,
            connect_timeout=_CONNECT_SECONDS,
            application_name="crm_archive_policy",
        )
        with connection.cursor() as cursor:
            # Durable means durable, whatever this server's default is.
            cursor.execute("SET synchronous_commit = on")
            ObjectTables(cursor).make()
        connection.commit()
        return connection

    @contextmanager
    def _create(self, key, overwrite):
        # Its own connection: nothing else may commit half an object.
        with contextlib.closing(self._connect()) as connection:
            writer = ObjectTables(connection.cursor()).insert(
                key, overwrite, self.database_uuid
            )
            yield writer
            writer.finish()
            faults.point("postgres.commit")
            connection.commit()

    def _open(self, key):
        return self._tables().open(key)

    def _stat(self, key):
        return self._tables().stat(key)

    def _delete(self, key):
        self._tables().delete(key)

    def _iter_objects(self, prefix):
        return self._tables().list(prefix)


def _parse(dsn):
    """:return: the parameters of a connection string

    :raise StoreMisconfigured: when it is malformed; it is not quoted
    """
    try:
        from psycopg2 import ProgrammingError
        from psycopg2.extensions import parse_dsn
    except ImportError:
        raise StoreMisconfigured(
            "postgres stores need the Python package 'psycopg2'"
        ) from None
    try:
        parts = parse_dsn(dsn)
    except ProgrammingError:
        raise StoreMisconfigured("the connection string is malformed") from None
    if unknown := set(parts) - _ALLOWED:
        raise StoreMisconfigured(f"parameters not allowed: {sorted(unknown)}")
    return parts
