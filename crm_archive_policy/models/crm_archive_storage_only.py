from odoo import api, fields, models
from odoo.exceptions import UserError

#: What may still be written of such a record: to keep it longer, or restore it.
WRITABLE = frozenset(["archive_category_id", "retention_date"])


class CrmArchiveCategory(models.Model):
    """Records that the law has kept and that are used for nothing else."""

    _inherit = "crm.archive.category"

    is_storage_only = fields.Boolean(
        "Storage Only",
        help="While such a record is archived, only the archive groups see it and "
        "nobody edits it: it is stored and protected, and nothing else (PIPL Article "
        "47, GDPR Article 18). It can still be restored, exported and erased.",
    )


class CrmArchiveMixin(models.AbstractModel):
    """What becomes of the record itself, and what it says about why it is kept."""

    _inherit = "crm.archive.mixin"

    archive_legal_basis = fields.Text(
        "Legal Basis", related="archive_category_id.legal_basis"
    )
    archive_storage_only = fields.Boolean(
        "Storage Only", compute="_compute_archive_storage_only"
    )

    @api.depends("archive_state", "archive_category_id.is_storage_only")
    def _compute_archive_storage_only(self):
        for record in self:
            record.archive_storage_only = (
                record.archive_state in ("archived", "vaulted")
                and record.sudo().archive_category_id.is_storage_only
            )

    def _archive(self, values=None, details=None):
        archived = super()._archive(values, details)
        stored = archived.sudo().archive_category_id
        if any(stored.mapped("is_storage_only")):
            archived.sudo().filtered(
                lambda r: r.archive_storage_only and not r.archive_restricted
            )._move({"archive_restricted": True})
        return archived

    def _check_values_by_others(self, vals):
        """Refuse to edit what is stored only; code running as superuser is trusted.

        :raise UserError: naming the record and the way out
        """
        super()._check_values_by_others(vals)
        if self.env.su or not vals.keys() - WRITABLE - {self._active_name}:
            return
        stored = self.sudo().filtered("archive_storage_only")
        if stored:
            self.check_access("write")  # the message names the record
            raise UserError(
                self.env._(
                    "%(name)s is stored only, because its retention category says so: "
                    "nobody edits it. Restore it first, if there is a reason to use it "
                    "again.",
                    name=stored[0].display_name,
                )
            )
