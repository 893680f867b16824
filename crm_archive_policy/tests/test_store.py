from odoo.tests import tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestStore(ArchiveCase):
    def test_database_store(self):
        store = self.env.ref("crm_archive_policy.crm_archive_store_database")
        with store._open() as opened:
            opened.put("aa/b.crmarc", b"x")
            self.assertEqual(opened.get("aa/b.crmarc"), b"x")
        self.assertFalse(store._get_masters())
        self.assertEqual(store._get_default(self.env.company), store)
        store._check_writable()
        store.action_check_health()
        self.assertEqual(store.state, "ok", store.message)
