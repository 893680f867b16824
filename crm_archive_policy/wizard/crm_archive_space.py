from odoo import Command, api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL, human_size

from ..models.big_integer import BigInteger
from ..models.crm_archive_sized import IN_STORE, describe_sizes
from ..vault.graph import Graph
from ..vault.space import measure

#: Tables shown: the largest of those that records leave.
TABLES_MAX = 15


class CrmArchiveSpace(models.TransientModel):
    """What the vault has freed, and what the disk will ever see of it."""

    _name = "crm.archive.space"
    _description = "Freed Space"

    moved_size = BigInteger("Moved (Bytes)", readonly=True)
    stored_size = BigInteger("In the Stores (Bytes)", readonly=True)
    summary = fields.Char("In All", readonly=True)
    database_note = fields.Text("In This Database", readonly=True)
    file_note = fields.Text("Files", readonly=True)
    line_ids = fields.One2many("crm.archive.space.line", "space_id", readonly=True)

    def _compute_display_name(self):
        for space in self:
            space.display_name = self.env._("Freed Space")

    @api.model
    def _open(self):
        """Measure, and show the result.

        :return: window action
        :raise AccessError: for other people than managers and auditors
        """
        user = self.env.user
        groups = ("group_archive_manager", "group_archive_auditor")
        if not any(user.has_group(f"crm_archive_policy.{group}") for group in groups):
            raise AccessError(
                self.env._("Only archive managers and auditors see how room is used.")
            )
        space = self.create(self._prepare_space())
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Freed Space"),
            "res_model": self._name,
            "res_id": space.id,
            "views": [(False, "form")],
        }

    def action_refresh(self):
        """Measure again.

        :return: window action
        """
        return {**self._open(), "target": "main"}

    # ------------------------------------------------------------
    # MEASURING
    # ------------------------------------------------------------

    @api.model
    def _prepare_space(self):
        [(moved, stored)] = (
            self.env["crm.archive.bundle"]
            .sudo()
            ._read_group(IN_STORE, [], ["content_size:sum", "size:sum"])
        )
        moved, stored = moved or 0, stored or 0
        nothing = self.env._("Nothing is in the vault yet.")
        return {
            "moved_size": moved,
            "stored_size": stored,
            "summary": describe_sizes(self.env, moved, stored) or nothing,
            "database_note": self._describe_database(),
            "file_note": self._describe_files(),
            "line_ids": [
                Command.create(self._prepare_line(space))
                for space in measure(self.env.cr, self._get_tables())[:TABLES_MAX]
            ],
        }

    @api.model
    def _get_tables(self):
        """Return the tables that rows leave when records go to the vault."""
        tables = set()
        for name in self.env["crm.archive.policy"]._get_lifecycle_models():
            keeps_row = self.env[name]._archive_keeps_row
            tables |= set(Graph(self.env, name, keeps_row).tables)
        return sorted(tables)

    @api.model
    def _prepare_line(self, space):
        return {
            "name": self._get_table_label(space.table),
            "table": space.table,
            "total_size": space.total,
            "index_size": space.indexes,
            "live_rows": space.live_rows,
            "dead_rows": space.dead_rows,
            "free_size": space.free_total,
            "advice_kind": space.advice,
            "advice": self._describe_advice(space),
        }

    @api.model
    def _get_table_label(self, table):
        for model in self.env.registry.values():
            if model._table == table and not model._abstract:
                return self.env["ir.model"]._get(model._name).sudo().name
        return table

    # ------------------------------------------------------------
    # WORDS
    # ------------------------------------------------------------

    @api.model
    def _describe_advice(self, space):
        """Return what to do about a table, and what it costs.

        :param space: :class:`~..vault.space.TableSpace`
        """
        values = {
            "table": space.table,
            "free": human_size(space.free_total) or "0",
            "indexes": human_size(space.free_indexes) or "0",
            "total": human_size(space.total) or "0",
            "needed": human_size(space.needed) or "0",
            "dead": space.dead_rows,
        }
        if space.advice == "analyze":
            return self.env._(
                "PostgreSQL has no statistics of this table yet. It makes them by "
                "itself; “ANALYZE %(table)s” does it now.",
                **values,
            )
        if space.advice == "vacuum":
            return self.env._(
                "%(dead)s deleted rows are not cleaned up yet. PostgreSQL does it by "
                "itself within a while; “VACUUM ANALYZE %(table)s” does it now. Only "
                "then can new rows use their room.",
                **values,
            )
        if space.advice == "reindex":
            return self.env._(
                "At least %(indexes)s of %(total)s are free inside the indexes: new "
                "rows use them at once, the disk does not get them back. “REINDEX "
                "TABLE CONCURRENTLY %(table)s” returns them while people work.",
                **values,
            )
        if space.advice == "rewrite":
            return self.env._(
                "At least %(free)s of %(total)s are free inside the table and its "
                "indexes: new rows use them at once, the disk does not get them back. "
                "If the table will not grow again, a rewrite returns them: pg_repack "
                "while people work, or "
                "“VACUUM FULL %(table)s”, which locks everybody out of it meanwhile. "
                "Either needs about %(needed)s of free disk for its time.",
                **values,
            )
        return self.env._("Nothing to do: new rows use the room that is free.")

    @api.model
    def _describe_database(self):
        """Return what of the vault lies in this very database."""
        [[size]] = self.env.execute_query(
            SQL(
                "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint"
                " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname = 'crm_archive' AND c.relkind = 'r'"
            )
        )
        in_use = (
            self.env["crm.archive.bundle"]
            .sudo()
            .search_count([*IN_STORE, ("store_id.kind", "=", "database")], limit=1)
        )
        if not in_use:
            return self.env._(
                "Nothing of the vault lies in this database: what has left the tables "
                "has left the database."
            )
        return self.env._(
            "%(size)s of the vault lie in this database itself, in tables of its own: "
            "daily tables and their indexes are smaller, and the database as a whole "
            "only by what compression saves. Another store takes the rest out as well.",
            size=human_size(size),
        )

    @api.model
    def _describe_files(self):
        """Return what becomes of the files of attachments."""
        [(files,)] = (
            self.env["crm.archive.entry"]
            .sudo()
            ._read_group([("state", "=", "vaulted")], [], ["place_blob_size:sum"])
        )
        if not files:
            return False
        return self.env._(
            "%(size)s of attached files were moved. Odoo's daily clean-up (the "
            "scheduled action “Base: Auto-vacuum internal data”) deletes a file from "
            "the disk when no attachment uses it any more; a shared one stays.",
            size=human_size(files),
        )


class CrmArchiveSpaceLine(models.TransientModel):
    """The room that one table takes, and what to do about it."""

    _name = "crm.archive.space.line"
    _description = "Room of a Table"
    _order = "total_size desc, id"

    space_id = fields.Many2one("crm.archive.space", required=True, ondelete="cascade")
    name = fields.Char("Content", readonly=True)
    table = fields.Char(readonly=True)
    total_size = BigInteger("Bytes", readonly=True, help="With its indexes.")
    total_text = fields.Char("Size", compute="_compute_texts")
    index_size = BigInteger("Bytes of Indexes", readonly=True)
    free_size = BigInteger("Free Bytes", readonly=True)
    free_text = fields.Char(
        "Free Inside",
        compute="_compute_texts",
        help="An estimate, of the table and its ordinary indexes. New rows use it; the "
        "disk does not get it back by itself.",
    )
    live_rows = BigInteger("Rows", readonly=True)
    dead_rows = BigInteger("Deleted, Not Cleaned Up", readonly=True)
    advice_kind = fields.Selection(
        [
            ("nothing", "Nothing to do"),
            ("vacuum", "Clean up"),
            ("analyze", "No statistics"),
            ("reindex", "New indexes pay"),
            ("rewrite", "A rewrite pays"),
        ],
        readonly=True,
    )
    advice = fields.Text(readonly=True)

    @api.depends("total_size", "free_size")
    def _compute_texts(self):
        for line in self:
            line.total_text = human_size(line.total_size) or "0"
            line.free_text = human_size(line.free_size) or "0"
