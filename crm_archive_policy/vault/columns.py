"""Fit what a bundle says of a table to the columns that the table has now."""

import psycopg2

from odoo.tools import SQL

_TEXTS = frozenset(["text", "character varying"])
_SOURCE_LANGUAGE = "en_US"


class Columns:
    """Compares columns, and turns staged texts into values."""

    def __init__(self, env, graph, staging, find):
        """
        :param env: environment
        :param graph: :class:`.graph.Graph`
        :param staging: :class:`.staging.Staging`
        :param find: callable that notes a finding
        """
        self._env, self._graph, self._staging = env, graph, staging
        self._find = find

    def match(self, table: str, *, inserts: bool) -> dict[str, str]:
        """Compare the bundle's columns with the table's.

        :param inserts: whether rows are inserted, so that every required column must
            get a value; otherwise they are there and are only filled
        :return: ``{name: type as it is now}`` of those that can be filled
        """
        now = self._graph.catalog.columns(table)
        then = dict(self._staging.tables[table].columns)
        matched = {}
        for name, kind in then.items():
            column = now.get(name)
            if column is None:
                if count := self._count_values(table, name):
                    self._find("column_gone", table, name, count=count)
            elif not column.generated:
                matched[name] = column.type
                if column.type != kind:
                    self._check_converted(table, name, kind, column.type)
        for name, column in now.items():
            missing = inserts and name not in then and column.required
            if missing and not (column.has_default or column.generated):
                self._find("required_column", table, name)
        return matched

    def cast(self, table: str, column: str, kind: str) -> SQL:
        """:return: the text of a column of the staged row ``s``, as a value"""
        value = self._staging.value(table, column)
        was = dict(self._staging.tables[table].columns)[column].split("(")[0]
        field = self._get_field(table, column)
        if field is not None and field.type in ("char", "text", "html"):
            # As Odoo itself does when a field becomes translatable, or ceases to be.
            if was in _TEXTS and kind == "jsonb":
                return SQL(
                    "CASE WHEN %(value)s IS NOT NULL"
                    " THEN jsonb_build_object(%(lang)s::text, %(value)s) END",
                    value=value,
                    lang=_SOURCE_LANGUAGE,
                )
            if was == "jsonb" and kind.split("(")[0] in _TEXTS:
                value = SQL("((%s)::jsonb->>%s)", value, _SOURCE_LANGUAGE)
        return SQL("CAST(%s AS %s)", value, SQL(kind.replace("%", "%%")))

    def _get_field(self, table, column):
        model = self._graph.model_of(table)
        return self._env[model]._fields.get(column) if model else None

    def _count_values(self, table, column):
        [[count]] = self._env.execute_query(
            SQL(
                "SELECT count(%s) FROM crm_archive_staging s WHERE %s",
                self._staging.value(table, column),
                self._staging.rows(table),
            )
        )
        return count

    # -- another type ----------------------------------------------------------------

    def _check_converted(self, table, column, was, kind):
        """Find out whether every value fits the type that the column has now, whole.

        PostgreSQL cuts and rounds without a word when it casts: so what has another
        text afterwards is cast back and compared.
        """
        value = self._staging.value(table, column)
        new = self.cast(table, column, kind)
        changed = self._count(table, SQL("(%s)::text IS DISTINCT FROM %s", new, value))
        if changed and not self._is_lossless(table, value, new, was):
            changed = None
        if changed is None:
            self._find("bad_value", table, column)
        elif changed:
            self._find("value_converted", table, column, count=changed)

    def _is_lossless(self, table, value, new, was):
        old = self._get_old_type(was)
        if old is None:
            return False
        back = SQL(
            "CAST(%s AS %s) IS DISTINCT FROM CAST(%s AS %s)", new, old, value, old
        )
        if was.split("(")[0] == "jsonb":
            back = SQL(
                "jsonb_build_object(%s::text, %s) IS DISTINCT FROM (%s)::jsonb",
                _SOURCE_LANGUAGE,
                new,
                value,
            )
        elif was.split("(")[0] in _TEXTS:
            # Only a translatable field's text looks different.
            back = SQL(
                "to_jsonb(%s)->>%s IS DISTINCT FROM %s", new, _SOURCE_LANGUAGE, value
            )
        return self._count(table, SQL("%s IS NOT NULL AND (%s)", value, back)) == 0

    def _get_old_type(self, was):
        """Return the type that a column had, as the catalogue spells it.

        What a bundle says is never put into a statement as it stands.
        """
        try:
            with self._env.cr.savepoint(flush=False):
                self._env.cr.execute(
                    "SELECT format_type(to_regtype(%s), NULL)",
                    [was],
                    log_exceptions=False,
                )
                [name] = self._env.cr.fetchone()
        except (psycopg2.DataError, psycopg2.ProgrammingError):
            return None
        return SQL(name.replace("%", "%%")) if name else None

    def _count(self, table, condition):
        """:return: number of staged rows, ``None`` when a value does not fit at all"""
        query = SQL(
            "SELECT count(*) FROM crm_archive_staging s WHERE %s AND %s",
            self._staging.rows(table),
            condition,
        )
        try:
            with self._env.cr.savepoint(flush=False):
                self._env.cr.execute(query, log_exceptions=False)
                return self._env.cr.fetchone()[0]
        except (psycopg2.DataError, psycopg2.ProgrammingError):
            return None
