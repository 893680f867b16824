from odoo.tests import HttpCase, tagged

from .test_vault_reading import ReadingCase


@tagged("post_install", "-at_install")
class TestVaultTours(ReadingCase, HttpCase):
    """What people click around the vault, in a real browser."""

    def test_find_and_read(self):
        contact = self.create_contact(
            "Grace Hopper", email="grace@navy.example", function="Rear Admiral"
        )
        contact.message_post(body="Met at the fair", message_type="comment")
        self.attach(contact, "card.txt", b"a card")
        entry = self.to_vault(contact)
        self.start_tour(
            "/odoo/action-contacts.action_contacts",
            "crm_archive_vault_read",
            login="reader",
        )
        self.assertEqual(self.get_looks(entry).user_id, self.reader)
        self.assertEqual(entry.state, "vaulted")

    def test_restore_with_a_difference(self):
        entry = self.to_vault(self.lead)
        self.stage.unlink()
        self.start_tour(
            f"/odoo/action-crm_archive_policy.crm_archive_entry_action/{entry.id}",
            "crm_archive_vault_restore",
            login="officer",
        )
        self.assertEqual(entry.state, "restored")
        self.assertEqual(self.lead.exists().email_from, "ada@example.com")
        self.assertTrue(entry.restore_report)

    def test_policy_with_the_vault(self):
        policy = self.create_policy()
        self.start_tour(
            f"/odoo/action-crm_archive_policy.crm_archive_policy_action/{policy.id}",
            "crm_archive_vault_policy",
            login="manager",
        )
        self.assertTrue(policy.vault_enabled)
        self.assertEqual(policy.vault_after_days, 30)
