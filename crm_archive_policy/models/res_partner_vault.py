from odoo import api, models
from odoo.tools import SQL


class ResPartner(models.Model):
    """A contact leaves a shell: invoices, orders and messages refer to it."""

    _inherit = "res.partner"

    _archive_keeps_row = True

    @api.model
    def _get_archive_kept_columns(self):
        """The place in a company and the country say nothing about the person."""
        return super()._get_archive_kept_columns() | {
            "parent_id",
            "commercial_partner_id",
            "is_company",
            "type",
            "country_id",
        }

    @api.model
    def _prepare_archive_blanks(self, columns):
        """A company keeps its name, which is on every invoice; a person does not."""
        label = self.env._("Archived contact")
        name = SQL(
            "CASE WHEN live.is_company THEN live.name ELSE %s || ' ' || live.id END",
            label,
        )
        return {
            **super()._prepare_archive_blanks(columns),
            "name": name,
            "complete_name": name,
        }

    @api.model
    def _get_archive_entry_paths(self):
        return {
            **super()._get_archive_entry_paths(),
            "name": "complete_name",
            "email": "email",
            "phone": "phone",
            "email_normalized": "email_normalized",
            "phone_sanitized": "phone_sanitized",
            "partner_name": "commercial_company_name",
            "partner_id": "commercial_partner_id",
            "user_id": "user_id",
            "country_id": "country_id",
            "industry_id": "industry_id",
        }

    def _check_vaultable(self):
        """Users and companies of this database are asked here once more."""
        super()._check_vaultable()
        self._check_archivable()
