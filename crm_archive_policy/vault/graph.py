"""Which rows belong to a record: found in the catalogue and the registry, not listed.

A row *belongs* when deleting the record would delete it: by a cascading foreign key,
transitively, or because core's ``unlink()`` removes it though no key says so
(messages, followers, activities, attachments, external ids). Rows that only *refer* to
the record stay where they are, and are remembered when the database empties the
reference. Rows that forbid the deletion are *blockers*.
"""

from typing import NamedTuple

from odoo.exceptions import UserError

from .catalog import CASCADE, Catalog, ForeignKey

#: What core's ``unlink()`` removes with a record: BaseModel (attachments, external
#: ids), mail.thread (messages, followers, scheduled messages), mail.activity.mixin,
#: rating. Every other ``many2one_reference`` keeps pointing at an id that comes back.
OWNED_REFERENCES = frozenset(
    [
        "ir.attachment",
        "ir.model.data",
        "mail.activity",
        "mail.followers",
        "mail.message",
        "mail.scheduled.message",
        "rating.rating",
    ]
)

#: Of those, the ones whose rows may themselves have attachments.
_WITH_ATTACHMENTS = frozenset(["mail.activity", "mail.scheduled.message"])


class Edge(NamedTuple):
    """How rows of a table are found from the ids of rows that own them."""

    parent: str
    table: str
    column: str
    #: Column that holds the owner's model, for a reference without a key.
    model_column: str | None = None
    #: The owner's model.
    model: str | None = None


class Graph:
    """The tables that belong to the records of a model, owners before the owned."""

    def __init__(
        self, env, model_name: str, keep_row: bool = False, tolerant: bool = False
    ):
        """
        :param env: environment; only the registry and the cursor are used
        :param model_name: model of the records
        :param keep_row: the record's own row stays, so nothing cascades from it but
            its parts (see ``_get_archive_parts``), and what refers to it stays too
        :param tolerant: leave out tables that could not be captured instead of
            refusing: nothing is going to be deleted
        :raise UserError: when a table cannot be captured, so nothing is lost
        """
        self.env, self.model_name, self.keep_row = env, model_name, keep_row
        self._tolerant = tolerant
        self.root = env[model_name]._table
        self.catalog = Catalog(env.cr)
        self._model_of = {
            model._table: name
            for name, model in env.registry.items()
            if model._auto and not model._abstract
        }
        self._references = self._find_references()
        self.edges: dict[str, list[Edge]] = {}
        self.tables: list[str] = []
        self._walk()
        self._sort()
        referring = (
            key.table for table in self.tables for key in self.keys_from_outside(table)
        )
        self.catalog.load(dict.fromkeys([*self.tables, *referring]))

    # -- what belongs ------------------------------------------------------------

    def _find_references(self):
        """Return ``{model: (table, id column, model column)}`` of owned references."""
        wanted = OWNED_REFERENCES | self.env[self.model_name]._get_archive_references()
        found = {}
        for name in sorted(wanted & set(self.env.registry)):
            model = self.env[name]
            for field in model._fields.values():
                if field.type == "many2one_reference" and field.store:
                    found.setdefault(
                        name, (model._table, field.name, field.model_field)
                    )
        return found

    def _walk(self):
        waiting, by_key = [self.root], {self.root}
        while waiting:
            table = waiting.pop(0)
            self.edges[table] = []
            for edge in [*self._cascades(table), *self._refer(table, by_key)]:
                self.edges[table].append(edge)
                if edge.model is None and table in by_key:
                    by_key.add(edge.table)
                if edge.table not in self.edges and edge.table not in waiting:
                    waiting.append(edge.table)

    def _cascades(self, table):
        for key in self.catalog.keys_to(table):
            if key.action != CASCADE:
                continue
            if table == self.root and self.keep_row and not self._is_part(key):
                continue
            if self._is_known(key):
                yield Edge(table, key.table, key.column)
            elif not self._tolerant:
                self._refuse(key)

    def _is_part(self, key):
        """Tell whether rows are parts of a record whose own row stays."""
        parts = self.env[self.model_name]._get_archive_parts()
        return (key.table, key.column) in parts

    def _is_known(self, key: ForeignKey):
        """Tell whether what a key deletes can be captured and brought back."""
        is_record = self._model_of.get(key.table) in self._lifecycle_models()
        return not (key.unusual or is_record)

    def _refuse(self, key: ForeignKey):
        """Refuse what would be deleted and cannot be brought back.

        :raise UserError: naming the table
        """
        raise UserError(
            self.env._(
                "Deleting %(model)s would also delete rows of the table "
                "“%(table)s” that cannot be captured, so they stay where they "
                "are. Ask the maker of that module to change its foreign key "
                "“%(column)s”.",
                model=self.env[self.model_name]._description,
                table=key.table,
                column=key.column,
            )
        )

    def _lifecycle_models(self):
        return self.env["crm.archive.policy"]._get_lifecycle_models()

    def _refer(self, table, by_key):
        """Yield the references to the rows of a table that core deletes with them."""
        name = self._model_of.get(table)
        if name is None:
            return
        model = self.env[name]
        wanted = set()
        if table in by_key:
            wanted = {"ir.attachment", "ir.model.data"}
            if table == self.root or "message_follower_ids" in model._fields:
                wanted |= self._references.keys() - {"mail.activity"}
            if table == self.root or "activity_ids" in model._fields:
                wanted.add("mail.activity")
        elif name in _WITH_ATTACHMENTS:
            wanted = {"ir.attachment"}
        for owned in sorted(wanted & self._references.keys()):
            child, column, model_column = self._references[owned]
            yield Edge(table, child, column, model_column, name)

    def _sort(self):
        """Order the tables so that owners come before what they own.

        Where tables own each other the order within the ring is free: keys that
        point forward are put in afterwards by the restore.
        """
        done, path = {}, set()

        def visit(table):
            if table in done or table in path:
                return
            path.add(table)
            for edge in self.edges[table]:
                visit(edge.table)
            path.discard(table)
            done[table] = True

        visit(self.root)
        self.tables = list(reversed(done))

    def edges_of_references(self, table: str) -> list[Edge]:
        """:return: how a table's rows name their owners where no key says so"""
        return [
            edge
            for edges in self.edges.values()
            for edge in edges
            if edge.table == table and edge.model_column
        ]

    # -- what refers -------------------------------------------------------------

    def keys_from_outside(self, table: str) -> list[ForeignKey]:
        """Return the keys that refer to rows of a table which are going to be deleted.

        The database empties those with ``SET NULL``; the others forbid the deletion,
        or would change the row that refers.
        """
        if table == self.root and self.keep_row:
            return []
        return [key for key in self.catalog.keys_to(table) if key.action != CASCADE]

    def model_of(self, table: str) -> str | None:
        """:return: the model of a table, None for a table of links"""
        return self._model_of.get(table)
