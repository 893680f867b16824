from odoo import api, models


class CrmLead(models.Model):
    """Leads of archived people are recognised: from a mail, a form, or by hand."""

    _inherit = "crm.lead"

    @api.model_create_multi
    def create(self, vals_list):
        leads = super().create(vals_list)
        self.env["crm.archive.recontact"]._notice_created(leads)
        return leads

    def message_update(self, msg_dict, update_vals=None):
        """Called by the mail gateway: somebody has answered an old message."""
        self._notice_archive_reply(msg_dict)
        return super().message_update(msg_dict, update_vals)
