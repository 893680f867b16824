import base64
import os
import shutil
import tempfile
from datetime import timedelta
from unittest.mock import patch

from odoo.fields import Date
from odoo.tests import new_test_user
from odoo.tools import SQL

from .common import ArchiveCase


class PurgeCase(ArchiveCase):
    """Records at the end of their retention, a store in a folder, two managers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = Date.today()
        cls.yesterday = cls.today - timedelta(days=1)
        cls.second = new_test_user(
            cls.env,
            "second",
            groups="sales_team.group_sale_salesman_all_leads,"
            "base.group_partner_manager,crm_archive_policy.group_archive_manager",
        )
        cls.category = cls.env["crm.archive.category"].create(
            {
                "name": "Prospects",
                "minimum_number": 1,
                "minimum_unit": "days",
                "end_action": "delete",
                "legal_basis": "Commercial code, section 257",
            }
        )
        cls.country = cls.env.ref("base.be")

    def setUp(self):
        super().setUp()
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.set_server(roots=self.root)
        self.store = self.env["crm.archive.store"].create(
            {"name": "folder", "kind": "fsspec", "url": f"file://{self.root}/vault"}
        )
        self.env.company.archive_store_id = self.store

    def set_server(self, **settings):
        """Set options of the server for the rest of the test."""
        patcher = patch.dict(
            os.environ,
            {f"CRM_ARCHIVE_{name.upper()}": value for name, value in settings.items()},
        )
        patcher.start()
        self.addCleanup(patcher.stop)

    def encrypt(self):
        """Have new bundles encrypted."""
        key = base64.b64encode(b"k" * 32).decode()
        self.set_server(master_keys=f"k:{key}")
        self.store.encrypt = True

    def end_retention(self, records, category=None):
        """Let the retention of records be over since yesterday."""
        self.env.flush_all()
        category = category or self.category
        self.env.cr.execute(
            SQL(
                "UPDATE %s SET retention_date = %s, archive_category_id = %s"
                " WHERE id = ANY(%s)",
                SQL.identifier(records._table),
                self.yesterday,
                category.id,
                records.ids,
            )
        )
        self.env.invalidate_all()

    def archive(self, records, category=None):
        records._archive({"archive_reason_id": self.reason.id})
        self.end_retention(records, category)
        return records

    def vault(self, records):
        """Move archived records into the vault, and return their entries."""
        ids = records.ids
        moved = records.sudo()._vault()
        self.assertEqual(moved.ids, ids)
        return self.env["crm.archive.entry"]._find_for(records._name, ids)

    def ask(self, records, user=None, act="category", reason="End of the period"):
        """Ask for a purge as a person does, and return the request."""
        user = user or self.manager
        records = records.with_user(user)
        open_dialog = (
            records.action_purge
            if records._name == "crm.archive.entry"
            else records.action_archive_purge
        )
        action = open_dialog()
        wizard = self.env[action["res_model"]].with_user(user)
        wizard = wizard.with_context(**action["context"]).create(
            {"act": act, "reason": reason}
        )
        return self.env["crm.archive.purge"].browse(wizard.action_ask()["res_id"])

    def approve(self, purge, user=None):
        """Approve a request and have it carried out."""
        purge.with_user(user or self.second).action_approve()
        self.run_cron()
        return purge

    def read_store(self):
        """Return all bytes of the store, by the paths of the files."""
        found = {}
        for folder, _folders, files in os.walk(self.root):
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[path] = file.read()
        return found
