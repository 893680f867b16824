from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestStorageOnly(ArchiveCase):
    """What is kept for the law alone is seen by few and edited by nobody."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.category = cls.env["crm.archive.category"].create(
            {
                "name": "Blocked",
                "legal_basis": "PIPL Article 47",
                "is_storage_only": True,
            }
        )
        cls.lead.archive_category_id = cls.category
        cls.contact.archive_category_id = cls.category

    def test_archived_is_stored_only(self):
        for record in (self.lead, self.contact):
            own = record.with_user(self.officer)
            own.name = "Edited while live"
            self.assertFalse(own.archive_storage_only)
            own._archive()
            self.assertTrue(own.archive_storage_only)
            self.assertTrue(own.archive_restricted)
            self.assertEqual(own.archive_legal_basis, "PIPL Article 47")
            seen = record.with_user(self.seller).with_context(active_test=False)
            self.assertFalse(seen.search([("id", "=", record.id)]))
            for user in (self.officer, self.manager):
                with self.assertRaisesRegex(UserError, "stored only"):
                    record.with_user(user).name = "Edited"
            self.assertEqual(record.name, "Edited while live")

    def test_kept_longer_and_restored(self):
        own = self.lead.with_user(self.officer)
        own._archive()
        own.retention_date = "2099-01-01"
        own.action_archive_restore()
        self.assertFalse(own.archive_restricted)
        own.name = "In use again"

    def test_other_categories_are_edited(self):
        self.category.is_storage_only = False
        own = self.lead.with_user(self.officer)
        own._archive()
        own.name = "Edited"
        self.assertFalse(own.archive_restricted)
