from odoo import api, fields, models


class CrmArchiveCandidate(models.Model):
    """A duplicate that was named says which record is kept in its place."""

    _inherit = "crm.archive.candidate"

    duplicate_of_id = fields.Many2oneReference(
        "Duplicate of (ID)", model_field="res_model", readonly=True
    )
    duplicate_of_name = fields.Char(
        "Duplicate of",
        compute="_compute_duplicate_of_name",
        help="The record with the longer history, which is kept.",
    )

    @api.depends("res_model", "duplicate_of_id")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_duplicate_of_name(self):
        """Name only what the user may see."""
        self.duplicate_of_name = False
        named = self.filtered(lambda c: c.duplicate_of_id and c.res_model in self.env)
        for model_name, candidates in named.grouped("res_model").items():
            kept = self.env[model_name].browse(candidates.mapped("duplicate_of_id"))
            visible = kept.exists()._filtered_access("read")
            names = {record.id: record.display_name for record in visible}
            for candidate in candidates:
                kept_id = candidate.duplicate_of_id
                candidate.duplicate_of_name = names.get(kept_id) or self.env._(
                    "Record %(id)s", id=kept_id
                )
