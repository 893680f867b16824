import base64
import os
import shutil
import tempfile
from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.tools import SQL

from ..lib.bundle import keyring_key, object_key
from .common import ArchiveCase

#: The activity that tells the person in charge of a store.
ACTIVITY = "crm_archive_policy.mail_activity_type_vault"


class UpkeepCase(ArchiveCase):
    """A vault in a folder, which a test can damage, and one in the database."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.database_store = cls.env.ref(
            "crm_archive_policy.crm_archive_store_database"
        )

    def setUp(self):
        super().setUp()
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.set_server(roots=self.root)
        self.store = self.create_store()

    def set_server(self, **settings):
        """Set options of the server for the rest of the test."""
        patcher = patch.dict(
            os.environ,
            {f"CRM_ARCHIVE_{name.upper()}": value for name, value in settings.items()},
        )
        patcher.start()
        self.addCleanup(patcher.stop)
        self.env.invalidate_all()

    def set_master_key(self, letter="k"):
        key = base64.b64encode(letter.encode() * 32).decode()
        self.set_server(master_keys=f"{letter}:{key}")

    def create_store(self, name="folder", **values):
        return self.env["crm.archive.store"].create(
            {
                "name": name,
                "kind": "fsspec",
                "url": f"file://{self.root}/{name}",
                "user_id": self.manager.id,
                **values,
            }
        )

    def archive_leads(self, count=3, **values):
        """Return archived leads, each with a message and a file."""
        leads = self.env["crm.lead"]
        for number in range(count):
            lead = self.create_lead(f"Lead {number}", **values)
            lead.message_post(body=f"Message {number}")
            self.env["ir.attachment"].create(
                {
                    "name": f"file{number}.txt",
                    "raw": f"content {number} ".encode() * 50,
                    "res_model": lead._name,
                    "res_id": lead.id,
                }
            )
            leads += lead
        leads._archive({"archive_reason_id": self.reason.id})
        return leads

    def vault(self, leads, store=None, unused=()):
        """Move leads to the vault, but for some that change in the last moment.

        :return: the bundle
        """
        self.env.company.archive_store_id = store or self.store
        written = self.env["crm.archive.bundle"]._write_records(leads)
        moved = written.take(leads - leads.browse(unused))
        written.settle(moved)
        self.env.flush_all()
        return written.bundles

    def get_path(self, bundle, store=None, ring=False):
        key = keyring_key(bundle.name) if ring else object_key(bundle.name)
        return os.path.join(self.root, (store or bundle.store_id).name, key)

    def damage(self, bundle, store=None, position=-60):
        """Flip a bit in the stored object."""
        path = self.get_path(bundle, store)
        with open(path, "r+b") as file:
            data = bytearray(file.read())
            data[position] ^= 1
            file.seek(0)
            file.write(data)

    def get_objects(self, store):
        with store._open() as opened:
            return {stat.key for stat in opened.iter_objects()}

    def make_old(self, bundles=(), days=30):
        """Age bundles and everything in the folders."""
        date = datetime.now() - timedelta(days=days)
        self.env.flush_all()
        if bundles:
            self.env.cr.execute(
                SQL(
                    "UPDATE crm_archive_bundle SET create_date = %s, write_date = %s"
                    " WHERE id = ANY(%s)",
                    date,
                    date,
                    bundles.ids,
                )
            )
        self.env.cr.execute("UPDATE crm_archive.object SET modified = %s", [date])
        for folder, _folders, names in os.walk(self.root):
            for name in names:
                stamp = date.timestamp()
                os.utime(os.path.join(folder, name), (stamp, stamp))
        self.env.invalidate_all()

    def get_lines(self, action):
        return self.env["crm.archive.log"].search(
            [("action", "=", action)], order="sequence"
        )

    def dump(self, *tables):
        """Return every row of tables as text."""
        self.env.flush_all()
        rows = {}
        for table in tables:
            self.env.cr.execute(
                SQL("SELECT t::text FROM %s t ORDER BY 1", SQL.identifier(table))
            )
            rows[table] = self.env.cr.fetchall()
        return rows


class UpkeepRunCase(UpkeepCase):
    """The scheduled actions that look after the vault."""

    def run_upkeep(self, kind):
        """Run a scheduled action as its worker does; return the newest run."""
        with self.enter_registry_test_mode():
            self.env.ref(f"crm_archive_policy.ir_cron_{kind}").method_direct_trigger()
        self.env.invalidate_all()
        return self.env["crm.archive.run"].search([("kind", "=", kind)], limit=1)

    def assertRung(self, store, count=1):
        self.assertEqual(len(store.activity_search([ACTIVITY])), count)

    def find_entries(self, leads):
        return self.env["crm.archive.entry"]._find_for("crm.lead", leads.ids)
