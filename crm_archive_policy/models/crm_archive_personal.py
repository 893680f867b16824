"""What of a record is about a person, and how that is emptied."""

from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..vault.capture import discover
from ..vault.catalog import fix_text_format
from ..vault.graph import Graph
from ..vault.removal import blank, remove
from .crm_archive_permit import PERMIT, Permit
from .query_tools import search_links

#: Types of fields that may say who somebody is. Numbers, dates and choices are
#: statistics, unless a model says otherwise.
PERSONAL_TYPES = frozenset(
    [
        "binary",
        "char",
        "html",
        "image",
        "json",
        "many2one_reference",
        "properties",
        "reference",
        "text",
    ]
)


class PurgeRefused(UserError):
    """A record cannot be anonymised. The text names nobody: it is kept with a run."""


class CrmArchiveMixin(models.AbstractModel):
    """The end of the lifecycle, on the side of the record."""

    _inherit = "crm.archive.mixin"

    # ------------------------------------------------------------
    # WHAT IS PERSONAL
    # ------------------------------------------------------------

    @api.model
    def _get_archive_personal_fields(self):
        """Return columns that are personal though their type does not say so.

        :return: set of names; other modules add theirs
        """
        return frozenset()

    @api.model
    def _get_archive_statistical_fields(self):
        """Return columns of text or links to people that are kept nevertheless.

        :return: set of names; other modules add theirs
        """
        return frozenset()

    @api.model
    def _get_archive_person_fields(self):
        """Return the fields that hold the name of a person, to be found by it.

        :return: tuple of names of stored text fields
        """
        return ()

    @api.model
    def _get_archive_name_columns(self):
        """Return the columns that get a number instead of a name."""
        return (self._rec_name,) if self._rec_name else ()

    @api.model
    def _is_archive_personal(self, name):
        """Tell whether a column may say who somebody is.

        Text, files and links to people are. So is whatever nobody vouches for: a
        field somebody has added by hand, or a column that no field knows.

        :param str name: column
        """
        if name in self._get_archive_statistical_fields():
            return False
        field = self._fields.get(name)
        if (
            field is None
            or field.manual
            or field.type in PERSONAL_TYPES
            or name in self._get_archive_personal_fields()
        ):
            return True
        people = {*self.env["crm.archive.policy"]._get_lifecycle_models()}
        return field.type == "many2one" and field.comodel_name in people

    @api.model
    def _prepare_archive_anonymous(self, columns):
        """Return what the columns of an anonymised row hold.

        :param dict columns: :class:`~..vault.catalog.Column` by name
        :return: dict ``{column: SQL}``
        """
        kept = self._get_archive_kept_columns()
        label = SQL("%s || ' ' || live.id", self._get_archive_anonymous_label())
        values = {"retention_date": SQL("NULL")}
        for name, column in columns.items():
            if name in kept or column.generated or not self._is_archive_personal(name):
                continue
            if name in self._get_archive_name_columns():
                values[name] = label
            elif not column.required:
                values[name] = SQL("NULL")
            elif name not in self._fields or self._fields[name].type != "many2one":
                values[name] = SQL("''")
        return values

    @api.model
    def _get_archive_anonymous_label(self):
        return self.env._("Anonymised record")

    # ------------------------------------------------------------
    # WHAT MUST STAY
    # ------------------------------------------------------------

    @api.model
    def _get_archive_duties(self):
        """Return documents that the law has kept together with the record.

        :return: list of ``(model, link to the record, domain)``; other modules add
            theirs, and a model that is not installed is no duty
        """
        return []

    def _find_archive_duties(self):
        """Return ids of the records that have to stay because of such documents."""
        found = set()
        for model_name, link, domain in self._get_archive_duties():
            if model_name not in self.env or not self:
                continue
            _model, query, target = search_links(
                self.env, model_name, link, domain, self._name
            )
            query.add_where(SQL("%s = ANY(%s)", target, self.ids))
            rows = self.env.execute_query(query.select(SQL("DISTINCT %s", target)))
            found |= {row[0] for row in rows}
        return found

    def _find_archive_users(self):
        """Return ids of the records that somebody signs in with."""
        return set()

    def _get_held(self):
        """A shell tells a hold nothing: what it stands for is asked in the vault."""
        held = super()._get_held()
        shells = (self.sudo() - held).filtered(lambda r: r.archive_state == "vaulted")
        if shells:
            entries = self.env["crm.archive.entry"]._find_for(self._name, shells.ids)
            held |= shells.browse(entries._get_held().mapped("res_id"))
        return held

    @api.ondelete(at_uninstall=False)
    def _unlink_except_kept(self):
        """Nothing is deleted before its day, by whatever way; see :class:`Permit`.

        The one way out is a purge or an erasure, which a second person approves.
        """
        permit = self.env.context.get(PERMIT)
        today = self._get_retention_today()
        records = self.sudo()
        if isinstance(permit, Permit):
            records = records.filtered(lambda record: not permit.covers(record))
        kept = records.filtered(
            lambda r: r.retention_date and r.retention_date >= today
        )
        if kept:
            raise UserError(
                self.env._(
                    "%(name)s has to be kept until %(date)s and cannot be deleted "
                    "before. An archive manager can change that day, with a reason.",
                    name=kept[0].display_name,
                    date=kept[0].retention_date,
                )
            )
        away = records.filtered(lambda r: r.archive_state == "vaulted")
        if away and self.env["crm.archive.entry"]._find_for(self._name, away.ids):
            raise UserError(
                self.env._(
                    "%(name)s stands for a record in the vault. Restore that first, "
                    "or ask for its purge.",
                    name=away[0].display_name,
                )
            )

    # ------------------------------------------------------------
    # DOING IT
    # ------------------------------------------------------------

    def _anonymise(self):
        """Empty what is personal, with the chatter and all files; statistics stay.

        The caller has checked rights, holds and retention. Done in SQL, as vaulting
        is, so that no other module writes the old values into a chatter again.

        :raise PurgeRefused: when rows of another table forbid it
        """
        records = self.sudo()
        self.env.flush_all()
        fix_text_format(self.env.cr)
        graph = Graph(self.env, records._name, keep_row=True)
        found = discover(graph, records.ids)
        if found.blocked_parts:
            raise PurgeRefused(
                self.env._(
                    "Rows of the table “%(table)s” refer to a part of the record, such "
                    "as a bank account, and forbid its deletion.",
                    table=next(iter(found.blocked_parts.values())),
                )
            )
        columns = graph.catalog.columns(graph.root)
        values = records._prepare_archive_anonymous(columns)
        names = [name for name in values if name in records._fields]
        own = records._fields.values()
        with self.env.protecting(own, records):
            records.modified(names, before=True)
        remove(found, records.ids)
        blank(self.env, graph.root, records.ids, values)
        self.env.invalidate_all(flush=False)
        with self.env.protecting(own, records):
            records.modified(names)
        self.env.flush_all()

    def _delete_for_good(self):
        """Delete records with all that core and other modules delete with them.

        :return: ids of those that are gone; what other data refers to stays as it is
        """
        found = discover(Graph(self.env, self._name), self.ids)
        stuck = {*found.blocked, *found.blocked_parts}
        free = self.browse(res_id for res_id in self.ids if res_id not in stuck)
        return free._delete_where_possible() if free else set()

    def _delete_where_possible(self):
        """Delete records; where another module refuses one, the others all the same."""
        try:
            with self.env.cr.savepoint():
                permit = Permit(self)
                self.sudo().with_context(**{PERMIT: permit}).unlink()
                self.env.flush_all()
        except UserError:
            self.env.invalidate_all(flush=False)
            if len(self) == 1:
                return set()
            half = len(self) // 2
            gone = self[:half]._delete_where_possible()
            return gone | self[half:]._delete_where_possible()
        return set(self.ids)

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_archive_purge(self):
        """Open the dialog that asks for the purge of these records.

        :return: window action
        """
        return self.env["crm.archive.purge.ask"]._get_action_for(self)

    def action_archive_erase(self):
        """Open the dialog that finds everything about the person.

        :return: window action
        """
        self.ensure_one()
        self.env["crm.archive.purge"]._check_may_ask()
        self.check_access("read")
        return self.env["crm.archive.erase"]._get_action_for(
            self._get_archive_identity()
        )

    def _get_archive_identity(self):
        """Return how the person is known: dict with name, email and phone."""
        self.ensure_one()
        return {"name": self.display_name}
