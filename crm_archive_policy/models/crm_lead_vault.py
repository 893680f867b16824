from odoo import api, models


class CrmLead(models.Model):
    """A lead leaves its table completely."""

    _inherit = "crm.lead"

    @api.model
    def _get_archive_entry_paths(self):
        return {
            **super()._get_archive_entry_paths(),
            "name": "name",
            "email": "email_from",
            "phone": "phone",
            "email_normalized": "email_normalized",
            "phone_sanitized": "phone_sanitized",
            "contact_name": "contact_name",
            "partner_name": "partner_name",
            "partner_id": "partner_id",
            "user_id": "user_id",
            "country_id": "country_id",
            "industry_id": "partner_id.industry_id",
            "source_id": "source_id",
            "expected_revenue": "expected_revenue",
            "won_status": "won_status",
        }
