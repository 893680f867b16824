from odoo.exceptions import UserError
from odoo.tests import tagged

from .vault_common import VaultCase


@tagged("post_install", "-at_install")
class TestVaultRetention(VaultCase):
    """The vault is where records are kept: a duty to keep them is no obstacle."""

    def setUp(self):
        super().setUp()
        self.category = self.env["crm.archive.category"].create(
            {"name": "Ten years", "minimum_number": 10}
        )

    def vault_by_policy(self, record):
        """Have a policy archive a record and move it to the vault.

        :return: its entry
        """
        policy = self.create_policy(
            record._name,
            domain=f"[('id', '=', {record.id})]",
            category_id=self.category.id,
            vault_enabled=True,
            vault_after_days=0,
        )
        policy.action_run()
        self.assertEqual(record.archive_category_id, self.category)
        self.assertGreater(record.retention_date, self.env.cr.now().date())
        policy.action_run()
        self.assertFalse(policy.run_ids.error_ids.mapped("message"))
        return self.find_entries(record)

    def test_lead_that_has_to_be_kept(self):
        lead = self.create_lead("To be kept")
        entry = self.vault_by_policy(lead)
        self.assertEqual(entry.state, "vaulted")
        self.assertFalse(lead.exists())
        date = entry.retention_date
        self.assertTrue(date)
        entry._restore()
        self.assertEqual(lead.retention_date, date)
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            lead.unlink()

    def test_contact_that_has_to_be_kept(self):
        contact = self.create_contact("To be kept")
        entry = self.vault_by_policy(contact)
        self.assertEqual(contact.archive_state, "vaulted")
        date = contact.retention_date
        entry._restore()
        self.assertEqual(contact.retention_date, date)


@tagged("post_install", "-at_install")
class TestVaultShell(VaultCase):
    """The row that a contact leaves is no contact."""

    def test_unarchive_of_the_shell(self):
        entry = self.vault(self.contact)
        for act in (
            self.contact.with_user(self.seller).action_unarchive,
            lambda: self.contact.with_user(self.seller).write({"active": True}),
        ):
            with self.assertRaisesRegex(UserError, "Restore it from the vault"):
                act()
        self.assertFalse(self.contact.active)
        entry._restore()
        self.assertTrue(self.contact.active)
