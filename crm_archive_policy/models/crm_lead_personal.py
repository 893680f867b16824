from odoo import api, models


class CrmLead(models.Model):
    """What a lead says about a person."""

    _inherit = "crm.lead"

    @api.model
    def _get_archive_anonymous_label(self):
        return self.env._("Anonymised lead")

    def _get_archive_identity(self):
        return {
            "name": self.contact_name or self.partner_id.name,
            "email": self.email_from,
            "phone": self.phone,
        }
