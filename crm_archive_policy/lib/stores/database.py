"""Objects in the same database, in a schema of their own: nothing to set up."""

from contextlib import contextmanager

from .base import Store, register
from .tables import SCHEMA, ObjectTables, classify_sql


@register
class DatabaseStore(Store):
    """Objects become durable when the caller's transaction commits.

    That makes moving a record from its table into the store one atomic step.
    """

    kind = "database"
    #: Inside one database there is no other: a clone has a copy of its own.
    shared = False

    def __init__(self, *, database_uuid: str, cursor):
        """:param cursor: psycopg2 cursor of the caller, who commits or rolls back"""
        super().__init__(database_uuid=database_uuid)
        self._cursor, self._tables = cursor, ObjectTables(cursor)

    def describe(self) -> str:
        """:return: the schema"""
        return f"schema {SCHEMA} of this database"

    def ensure_schema(self):
        """Make the tables where they are missing, at installation."""
        with self._translated():
            self._tables.make()

    def drop_schema(self):
        """Remove the tables with every object in them, at uninstallation."""
        with self._translated():
            self._tables.drop()

    @contextmanager
    def _translated(self):
        with translated_sql(self):
            yield

    @contextmanager
    def _create(self, key, overwrite):
        # The caller may go on after a failure: nothing of it may stay behind.
        self._cursor.execute("SAVEPOINT crm_archive_store")
        try:
            writer = self._tables.insert(key, overwrite, self.database_uuid)
            yield writer
            writer.finish()
        except BaseException:
            self._cursor.execute("ROLLBACK TO SAVEPOINT crm_archive_store")
            raise
        finally:
            self._cursor.execute("RELEASE SAVEPOINT crm_archive_store")

    def _open(self, key):
        return self._tables.open(key)

    def _stat(self, key):
        return self._tables.stat(key)

    def _delete(self, key):
        self._tables.delete(key)

    def _iter_objects(self, prefix):
        return self._tables.list(prefix)


@contextmanager
def translated_sql(store):
    """Turn psycopg2's errors into those of stores."""
    import psycopg2

    with Store._translated(store):
        try:
            yield
        except psycopg2.Error as error:
            kind = classify_sql(error)
            text = store._redact(str(error).strip())
            raise kind(f"{store.describe()}: {text}") from None
