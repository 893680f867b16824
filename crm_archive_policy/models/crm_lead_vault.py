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

    def _merge_opportunity(
        self, user_id=False, team_id=False, auto_unlink=True, max_length=5
    ):
        """What comes back from the vault later follows the merge."""
        head = super()._merge_opportunity(
            user_id=user_id,
            team_id=team_id,
            auto_unlink=auto_unlink,
            max_length=max_length,
        )
        if auto_unlink:
            self.env["crm.archive.merge"].sudo()._remember(self - head, head)
        return head
