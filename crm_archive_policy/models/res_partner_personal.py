from dateutil.relativedelta import relativedelta

from odoo import api, fields, models

#: Years for which most countries have invoices kept; a system parameter changes it.
INVOICE_YEARS = 10


class ResPartner(models.Model):
    """What a contact says about a person, and what keeps it."""

    _inherit = "res.partner"

    @api.model
    def _get_archive_personal_fields(self):
        """Where somebody lives, in numbers."""
        return super()._get_archive_personal_fields() | {
            "partner_latitude",
            "partner_longitude",
        }

    @api.model
    def _get_archive_name_columns(self):
        return ("name", "complete_name")

    @api.model
    def _get_archive_anonymous_label(self):
        return self.env._("Anonymised contact")

    @api.model
    def _get_archive_duties(self):
        """Posted invoices need to say for whom they are, for as long as a law says."""
        years = self.env["ir.config_parameter"].sudo()
        years = int(years.get_param("crm_archive_policy.invoice_years", INVOICE_YEARS))
        since = fields.Date.today() - relativedelta(years=years)
        posted = [("state", "=", "posted"), ("date", ">=", since)]
        return [
            *super()._get_archive_duties(),
            ("account.move", "partner_id", posted),
            ("account.move", "commercial_partner_id", posted),
        ]

    def _find_archive_users(self):
        users = self.env["res.users"].sudo().with_context(active_test=False)
        companies = self.env["res.company"].sudo()
        domain = [("partner_id", "in", self.ids)]
        return {
            *users.search(domain).partner_id.ids,
            *companies.with_context(active_test=False).search(domain).partner_id.ids,
        }

    def _get_archive_identity(self):
        return {"name": self.name, "email": self.email, "phone": self.phone}
