from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

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
        kept = self._get_archive_kept_columns()
        return {
            name: SQL("NULL")
            for name, column in columns.items()
            if name not in kept and not column.required and not column.generated
        }

    @api.model
    def _get_archive_entry_paths(self):
        """Return where the index of the vault takes its columns from.

        :return: dict ``{field of crm.archive.entry: dotted path of this model}``
        """
        return {
            "company_id": "company_id",
            "record_date": "create_date",
            "archive_date": "archive_date",
            "archive_user_id": "archive_user_id",
            "policy_id": "archive_policy_id",
            "reason_id": "archive_reason_id",
            "category_id": "archive_category_id",
            "retention_date": "retention_date",
            "is_restricted": "archive_restricted",
        }

    def _check_vaultable(self):
        """Refuse what must not leave the live tables.

        :raise UserError: naming the record and the reason
        """
        for record in self.sudo():
            if record.archive_state != "archived":
                raise UserError(
                    self.env._(
                        "%(name)s is not archived, so it cannot move to the vault.",
                        name=record.display_name,
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

    @api.model
    def _get_vaultable_domain(self):
        """Return which archived records may go to the vault.

        Records with an external id belong to a module: its next update would create
        them again.
        """
        return [("archive_state", "=", "archived"), ("archive_on_hold", "=", False)]

    def _vault(self, run=None):
        """Move archived records to the vault at once, in this transaction.

        :param run: the run it is part of
        :return: entries of what was moved
        """
        bundles = self.env["crm.archive.bundle"].sudo()
        written = bundles._write_records(self, run)
        return written.take(self)
