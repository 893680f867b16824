from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from .query_tools import as_domain

#: What stays of a record whose row has to stay: who it is for the database, and its
#: own place in the lifecycle.
KEPT_COLUMNS = frozenset(
    [
        "id",
        "active",
        "company_id",
        "create_date",
        "create_uid",
        "write_date",
        "write_uid",
        "archive_state",
        "archive_date",
        "archive_user_id",
        "archive_reason_id",
        "archive_policy_id",
        "archive_category_id",
        "archive_restricted",
        "archive_exempt",
        "archive_on_hold",
        "retention_date",
    ]
)

#: Columns of the vault's index that a model fills when it has a field like that.
INDEXED_ALIKE = (
    "company_id",
    "country_id",
    "email",
    "email_normalized",
    "partner_id",
    "phone",
    "phone_sanitized",
    "user_id",
)

#: Of those, what a restore takes from the vault nevertheless.
RESTORED_COLUMNS = frozenset(["archive_state", "write_date", "write_uid"])


class CrmArchiveMixin(models.AbstractModel):
    """What the vault needs to know of a model."""

    _inherit = "crm.archive.mixin"

    archive_entry_ids = fields.One2many(
        "crm.archive.entry",
        "res_id",
        string="In the Vault",
        domain=lambda self: [("res_model", "=", self._name)],
        groups="crm_archive_policy.group_archive_user",
    )

    #: Whether the row stays in its table, emptied, because too much refers to it.
    _archive_keeps_row = False

    @api.model
    def _get_archive_references(self):
        """Return further models whose ``many2one_reference`` rows belong to a record.

        :return: set of model names, beside those that core's ``unlink()`` removes
        """
        return frozenset()

    @api.model
    def _get_archive_parts(self):
        """Return what belongs to a record whose own row stays, as a person sees it.

        Lines edited within the record (one2many with a cascading inverse) and labels
        (many2many). Where it takes part in documents of their own, such as meetings
        and channels, it goes on doing so, without a name.

        :return: set of ``(table, column)``
        """
        parts, documents = set(), set()
        for field in self._fields.values():
            if not field.store and field.type == "many2many":
                continue
            comodel = self.env.get(field.comodel_name) if field.comodel_name else None
            if comodel is None:
                continue
            if field.type == "many2many":
                part = (field.relation, field.column1)
                if "message_ids" in comodel._fields or comodel._name == self._name:
                    documents.add(field.relation)
                else:
                    parts.add(part)
            elif field.type == "one2many" and field.inverse_name:
                inverse = comodel._fields.get(field.inverse_name)
                if inverse is not None and inverse.store:
                    if getattr(inverse, "ondelete", None) == "cascade":
                        parts.add((comodel._table, inverse.name))
        return {part for part in parts if part[0] not in documents}

    @api.model
    def _get_archive_kept_columns(self):
        """Return the columns that a row which stays keeps."""
        return KEPT_COLUMNS

    @api.model
    def _prepare_archive_blanks(self, columns):
        """Return what the columns of a row hold while it is in the vault.

        Everything is emptied that can be, whatever module it comes from; only then is
        it certain that nothing personal stays.

        :param dict columns: :class:`~..vault.catalog.Column` by name
        :return: dict ``{column: SQL}``
        """
        kept, blanks = self._get_archive_kept_columns(), {}
        for name, column in columns.items():
            if name in kept or column.generated:
                continue
            if not column.required:
                blanks[name] = SQL("NULL")
            elif self._is_free_text(name, column):
                blanks[name] = self._get_required_blank(column)
        return blanks

    @api.model
    def _is_free_text(self, name, column):
        """Tell whether a column holds what people type, rather than a choice."""
        field = self._fields.get(name)
        if field is not None:
            return field.type in ("char", "text", "html")
        return column.type.split("(")[0] in ("text", "character varying", "character")

    @api.model
    def _get_required_blank(self, column):
        """Return a text that says nothing, unique in case that is asked for."""
        if column.type == "jsonb":
            return SQL("jsonb_build_object('en_US', live.id::text)")
        return SQL("CAST(live.id::text AS %s)", SQL(column.type))

    @api.model
    def _get_archive_entry_paths(self):
        """Return where the index of the vault takes its columns from.

        Whatever the model calls by the same name as the index is taken as it is.

        :return: dict ``{field of crm.archive.entry: dotted path of this model}``
        """
        alike = {name: name for name in INDEXED_ALIKE if self._is_indexed_alike(name)}
        return {
            "name": self._rec_name or "id",
            **alike,
            "record_date": "create_date",
            "archive_date": "archive_date",
            "archive_user_id": "archive_user_id",
            "policy_id": "archive_policy_id",
            "reason_id": "archive_reason_id",
            "category_id": "archive_category_id",
            "retention_date": "retention_date",
            "is_restricted": "archive_restricted",
        }

    @api.model
    def _is_indexed_alike(self, name):
        """Tell whether a stored field is of the type that the index has."""
        field, indexed = self._fields.get(name), self.env["crm.archive.entry"]._fields
        return bool(
            field
            and field.store
            and field.type == indexed[name].type
            and field.comodel_name == indexed[name].comodel_name
        )

    def _check_vaultable(self):
        """Refuse what must not leave the live tables.

        :raise UserError: naming the record and the reason
        """
        records = self.sudo()
        if others := records - records._filter_by_value("archive_state", {"archived"}):
            raise UserError(
                self.env._(
                    "%(name)s is not archived, so it cannot move to the vault.",
                    name=others[0].display_name,
                )
            )
        if of_modules := self._filter_of_modules():
            raise UserError(
                self.env._(
                    "%(name)s cannot move to the vault: it belongs to an installed "
                    "app, whose next update would create it again.",
                    name=of_modules[0].display_name,
                )
            )
        held = self._get_held()
        if held:
            raise UserError(
                self.env._(
                    "%(name)s cannot move to the vault: a legal hold is in force. Ask "
                    "an archive manager to lift it first.",
                    name=held[0].display_name,
                )
            )

    def _check_not_vaulted(self):
        """Refuse to use a row that only stands for a record in the vault.

        :raise UserError: naming it and what to do
        """
        vaulted = self._filter_by_value("archive_state", {"vaulted"})
        if vaulted.filtered(lambda record: not record[self._active_name]):
            raise UserError(
                self.env._(
                    "%(name)s is in the vault, and this row only stands for it. "
                    "Restore it from the vault.",
                    name=vaulted[0].display_name,
                )
            )

    def _check_mergeable(self):
        """What lies in the vault would not be merged with the rest."""
        super()._check_mergeable()
        vaulted = self.sudo().filtered(lambda r: r.archive_state == "vaulted")
        if vaulted:
            visible = vaulted.with_env(self.env)._filtered_access("read")
            raise UserError(
                self.env._(
                    "%(name)s is in the vault and cannot be merged. Restore it first.",
                    name=visible[:1].display_name or self.env._("One of the records"),
                )
            )

    @api.model
    def _get_vaultable_domain(self):
        """Return which archived records may go to the vault.

        Records with an external id of a module belong to it: its next update would
        create them again. External ids of imports and exports come and go with the
        record.
        """
        return (
            Domain("archive_state", "=", "archived")
            & Domain("archive_on_hold", "=", False)
            & as_domain(lambda alias: SQL("NOT %s", self._is_of_module(alias)))
        )

    @api.model
    def _is_of_module(self, alias):
        """Return the condition in SQL that a record belongs to a module."""
        return SQL(
            "EXISTS (SELECT 1 FROM ir_model_data d"
            " JOIN ir_module_module m ON m.name = d.module"
            " WHERE d.model = %s AND d.res_id = %s)",
            self._name,
            SQL.identifier(alias, "id"),
        )

    def _filter_of_modules(self):
        """Return the records that belong to a module."""
        of_module = as_domain(self._is_of_module)
        records = self.sudo().with_context(active_test=False)
        return records.search(Domain("id", "in", self.ids) & of_module)

    def _recompute_dependants(self, **how):
        """Let stored fields of other records follow, now or at the next flush.

        Only those that nobody can edit: a value that people may have typed over is
        theirs, and would not come back.

        :param how: ``before=True`` ahead of a deletion, ``create=True`` after a
            restore, as for ``modified()``
        """
        self.env.flush_all()
        with self.env.protecting(self._fields.values(), self):
            self.modified(self._fields, **how)
        for field in list(self.env.fields_to_compute()):
            if not field.readonly:
                self.env.remove_to_compute(field, self.env.records_to_compute(field))

    def _vault(self, run=None):
        """Move archived records to the vault at once, in this transaction.

        :param run: the run it is part of
        :return: the records that were moved
        """
        bundles = self.env["crm.archive.bundle"].sudo()
        written = bundles._write_records(self, run)
        moved = written.take(self)
        written.settle(moved)
        return moved
