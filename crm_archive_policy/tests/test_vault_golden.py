import json
from pathlib import Path

from odoo.tests import tagged
from odoo.tools import SQL

from ..lib.bundle import BundleForeign, object_key
from ..vault.report import REFUSALS
from .vault_common import LIFECYCLE_COLUMNS, VaultCase

GOLDEN = Path(__file__).parent / "golden"


@tagged("post_install", "-at_install")
class TestVaultGolden(VaultCase):
    """Bundles of every earlier format come back in the database of today.

    They are made by ``scripts/shell/vault_golden.py``, once for each format.
    """

    def load(self, path):
        """Put a golden bundle into the store and its line into the index.

        :return: the entry and what is expected
        """
        expected = json.loads(path.with_suffix(".json").read_text())
        bundle = self.env["crm.archive.bundle"].create(
            {
                "database_uuid": expected["database_uuid"],
                **expected["bundle"],
                "store_id": self.store.id,
                "state": "used",
            }
        )
        with self.store._open() as store:
            store.put(object_key(bundle.name), path.read_bytes())
        entry = self.env["crm.archive.entry"].create(
            {**expected["entry"], "bundle_id": bundle.id, "state": "vaulted"}
        )
        return entry, expected

    def test_restored(self):
        paths = sorted(GOLDEN.glob("*.crmarc"))
        self.assertTrue(paths)
        for path in paths:
            with self.subTest(path.name), self.env.cr.savepoint() as savepoint:
                self.check_restored(path)
                savepoint.rollback()
            self.env.invalidate_all()

    def check_restored(self, path):
        entry, expected = self.load(path)
        lead = entry._restore()
        self.env.flush_all()
        kinds = {finding[0] for finding in entry.restore_report or ()}
        self.assertFalse(kinds & REFUSALS)
        self.env.cr.execute("SELECT * FROM crm_lead WHERE false")
        names = {column.name for column in self.env.cr.description}
        names = sorted(names & expected["row"].keys() - LIFECYCLE_COLUMNS - {"active"})
        texts = [SQL("%s::text", SQL.identifier(name)) for name in names]
        [row] = self.execute(
            "SELECT %s FROM crm_lead WHERE id = %s", SQL(", ").join(texts), lead.id
        )
        for name, value in zip(names, row, strict=True):
            self.assertEqual(value, expected["row"][name], name)
        self.assertTrue(lead.active)
        attachment = lead.message_ids.attachment_ids
        self.assertEqual(attachment.raw, bytes(range(256)))
        self.assertIn("👋", "".join(lead.message_ids.mapped("body")))
        self.assertEqual(self.env.ref("__import__.golden_lead"), lead)

    def test_another_database(self):
        """A bundle of another database is not taken for one's own."""
        entry, _expected = self.load(sorted(GOLDEN.glob("*.crmarc"))[0])
        entry.bundle_id.database_uuid = self.store._get_database_uuid()
        with self.assertRaisesRegex(BundleForeign, "database_uuid"):
            entry._restore()
