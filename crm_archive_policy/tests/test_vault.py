from odoo.tests import tagged

from .vault_common import VaultCase

MAIL_TABLES = [
    "ir_attachment",
    "ir_model_data",
    "mail_activity",
    "mail_followers",
    "mail_followers_mail_message_subtype_rel",
    "mail_mail",
    "mail_mail_res_partner_rel",
    "mail_message",
    "mail_message_link_preview",
    "mail_message_reaction",
    "mail_message_res_partner_rel",
    "mail_message_res_partner_starred_rel",
    "mail_message_schedule",
    "mail_message_translation",
    "mail_notification",
    "mail_scheduled_message",
    "mail_scheduled_message_res_partner_rel",
    "message_attachment_rel",
]


@tagged("post_install", "-at_install")
class TestVault(VaultCase):
    """There and back again: every row of the database is what it was."""

    def test_lead(self):
        lead = self.create_rich_lead()
        tables = {"crm_tag_rel", "mail_tracking_value", "calendar_event"}
        self.assertExactRoundTrip(lead, [*MAIL_TABLES, *tables])

    def test_contact(self):
        contact = self.create_rich_contact()
        tables = {"res_partner_bank", "res_partner_res_partner_category_rel"}
        self.assertExactRoundTrip(contact, [*MAIL_TABLES, *tables])
