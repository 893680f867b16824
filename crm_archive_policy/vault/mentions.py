"""Blot out by what a person is known, wherever else it is written in the database."""

import html
import re
from typing import NamedTuple

import psycopg2

from odoo.tools import SQL

from .catalog import Catalog

#: What is left in the place of a name. Not longer than a short name itself.
BLOT = "***"

#: Columns of these types are looked through.
_TEXT = re.compile("text|character varying|json")

#: Digits that a phone number has at least; fewer would be found in anything.
PHONE_DIGITS = 7

#: What people put between the digits of a phone number.
_BETWEEN = "[ ()./\u00a0-]{0,3}"


class Place(NamedTuple):
    """A table with columns of text."""

    table: str
    columns: dict[str, str]
    #: As the planner estimates them.
    rows: int


def to_pattern(identifiers) -> str:
    """Return one regular expression of PostgreSQL for e-mails, phones and names.

    Each is found as a whole only: ``jo@example.com`` is not in ``banjo@example.com``.

    :param identifiers: texts as people write them
    :return: pattern, empty when there is nothing to look for
    """
    patterns = set()
    for text in identifiers:
        text = text.strip()
        digits = re.sub(r"\D", "", text)
        if "@" in text:
            patterns.add(
                rf"(?<![[:alnum:]._%+-]){_escape(text)}(?![[:alnum:]-]|\.[[:alnum:]])"
            )
        elif len(digits) >= PHONE_DIGITS and not re.search("[^\\W\\d_]", text):
            patterns.add(rf"(?<![[:alnum:]])\+?{_BETWEEN.join(digits)}(?![[:alnum:]])")
        elif _is_telling(text):
            for name in {text, html.escape(text)}:
                patterns.add(_whole(name))
    return "|".join(sorted(patterns))


def _is_telling(name):
    """Tell whether a name stands for one person wherever it is written.

    A single word such as Rose or Will stands for much else; it is not looked for in
    other people's data. Scripts without spaces write a whole name as one word.
    """
    return len(name) > 1 and (" " in name or not name.isascii())


def _escape(text):
    return re.sub(r"([^\w\s@])", r"\\\1", text)


def _whole(name):
    """Scripts that put no spaces between words have no edges of words either."""
    escaped = re.sub(r"\s+", r"\\s+", _escape(name))
    start = "(?<![[:alnum:]])" if name[0].isascii() else ""
    end = "(?![[:alnum:]])" if name[-1].isascii() else ""
    return f"{start}{escaped}{end}"


class Mentions:
    """The places in a database where somebody may be mentioned."""

    def __init__(self, env, identifiers, excluded, own):
        """
        :param env: environment; registry and cursor are used
        :param identifiers: texts by which the person is known
        :param excluded: models that are left alone
        :param own: models whose records are chosen one by one: only their long texts
            are looked through
        """
        self._env, self._catalog = env, Catalog(env.cr)
        self.pattern = to_pattern(identifiers)
        self._excluded, self._own = set(excluded), set(own)

    def places(self) -> list[Place]:
        """:return: where to look, in the order of the tables' names"""
        found = {}
        models = [
            (name, model)
            for name, model in self._env.registry.items()
            if model._auto and not model._abstract and not self._is_excluded(name)
        ]
        self._catalog.load({model._table for _name, model in models})
        for name, model in models:
            columns = {
                column.name: column.type
                for column in self._catalog.columns(model._table).values()
                if _TEXT.match(column.type)
                and not column.generated
                and self._is_text(model, name, column.name)
            }
            if columns:
                found.setdefault(model._table, {}).update(columns)
        self._env.cr.execute(
            "SELECT relname, reltuples::bigint FROM pg_class WHERE relname = ANY(%s)"
            " AND relnamespace = current_schema::regnamespace",
            [list(found)],
        )
        rows = dict(self._env.cr.fetchall())
        return [
            Place(table, found[table], rows.get(table, 0)) for table in sorted(found)
        ]

    def _is_excluded(self, name):
        return any(
            name == pattern or (pattern.endswith(".") and name.startswith(pattern))
            for pattern in self._excluded
        )

    def _is_text(self, model, model_name, column):
        field = model._fields.get(column)
        if field is None:
            return model_name not in self._own
        if model_name in self._own:
            return field.type in ("text", "html")
        return field.type != "selection"

    def erase(self, place: Place, spared) -> int:
        """Blot the person out of one table.

        :param place: table and columns
        :param spared: ids of rows that have to stay as they are
        :return: number of rows
        """
        try:
            with self._env.cr.savepoint(flush=False):
                return self._replace(place, spared, SQL("%s", BLOT))
        except psycopg2.IntegrityError:
            # Two rows may not say the same: each gets its number.
            numbered = SQL("%s || live.id", BLOT)
            return self._replace(place, spared, numbered)

    def _replace(self, place, spared, blot):
        has_id = self._catalog.has_id(place.table)
        spare = SQL("live.id <> ALL(%s)", list(spared)) if has_id else SQL("TRUE")
        self._env.cr.execute(
            SQL(
                "UPDATE %s live SET %s WHERE %s AND (%s)",
                SQL.identifier(place.table),
                SQL(", ").join(
                    SQL(
                        "%s = regexp_replace(live.%s::text, %s, %s, 'gi')::%s",
                        SQL.identifier(name),
                        SQL.identifier(name),
                        self.pattern,
                        blot,
                        SQL(kind),
                    )
                    for name, kind in place.columns.items()
                ),
                spare,
                SQL(" OR ").join(
                    SQL("live.%s::text ~* %s", SQL.identifier(name), self.pattern)
                    for name in place.columns
                ),
            ),
            log_exceptions=False,
        )
        return self._env.cr.rowcount
