import os
from datetime import timedelta
from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import faults
from ..lib.bundle import object_key
from ..lib.stores import LocalStore
from .vault_upkeep_common import UpkeepRunCase


@tagged("post_install", "-at_install")
class TestSweep(UpkeepRunCase):
    """What nothing needs is removed, and nothing else."""

    def sweep(self):
        self.run_upkeep("sweep")

    def put(self, store, key, content):
        with store._open() as opened:
            opened.put(key, content)

    def write_only(self, store=None):
        """Write a bundle and stop before it is used."""
        self.env.company.archive_store_id = store or self.store
        leads = self.archive_leads(1)
        return self.env["crm.archive.bundle"]._write_records(leads).bundles

    def make_orphan(self, store=None):
        """Write an object whose transaction was rolled back."""
        bundle = self.write_only(store)
        name = bundle.name
        self.env.cr.execute("DELETE FROM crm_archive_bundle WHERE id = %s", bundle.ids)
        self.env.invalidate_all()
        return object_key(name)

    def test_orphans_after_the_grace(self):
        for store in (self.store, self.database_store):
            with self.subTest(kind=store.kind):
                key = self.make_orphan(store)
                self.sweep()
                self.assertIn(key, self.get_objects(store), "young")
                self.make_old()
                self.sweep()
                self.assertNotIn(key, self.get_objects(store))
                details = self.get_lines("sweep")[-1]._get_details()
                self.assertEqual(details["orphans"], [key])
        self.assertTrue(self.store.date_sweep)

    def test_encrypted_orphan_goes_with_its_keys(self):
        self.set_master_key()
        store = self.create_store("sealed", encrypt=True)
        self.make_orphan(store)
        self.assertEqual(len(self.get_objects(store)), 2)
        self.make_old()
        self.sweep()
        self.assertFalse(self.get_objects(store))

    def test_orphans_on_one_side_of_a_mirror(self):
        mirror = self.create_store("mirror")
        store = self.create_store("first", mirror_id=mirror.id)
        key = self.make_orphan(store)
        os.unlink(os.path.join(self.root, "first", key))
        self.make_old()
        self.sweep()
        self.assertFalse(self.get_objects(mirror))
        self.assertFalse(self.get_lines("heal"), "no healing of what is thrown away")

    def test_what_is_used_stays(self):
        mirror = self.create_store("mirror")
        store = self.create_store("first", mirror_id=mirror.id)
        bundles = self.vault(self.archive_leads(1), store)
        bundles += self.vault(self.archive_leads(1), self.database_store)
        self.make_old(bundles, days=1000)
        bundles[0]._note_damage("x")
        self.sweep()
        for side in (store, mirror):
            self.assertIn(object_key(bundles[0].name), self.get_objects(side))
        self.assertIn(
            object_key(bundles[1].name), self.get_objects(self.database_store)
        )
        self.assertEqual(bundles.mapped("state"), ["damaged", "used"])

    def test_strangers_and_other_databases_stay(self):
        """Another database's bundle, a file of somebody, a damaged one of theirs."""
        orphan = self.make_orphan()
        with open(os.path.join(self.root, "folder", orphan), "rb") as file:
            content = file.read()
        uuid = self.env["ir.config_parameter"].get_param("database.uuid")
        name = "ab" * 16
        foreign = content.replace(uuid.encode(), b"0" * len(uuid))
        self.put(self.store, "notes.txt", b"mine")
        self.put(self.store, "backup/2024.crmarc", content)
        self.put(self.store, object_key(name), b"not a bundle at all")
        self.put(self.store, object_key("cd" * 16), self.reseal(foreign))
        self.make_old()
        self.sweep()
        self.assertEqual(
            self.get_objects(self.store),
            {
                "notes.txt",
                "backup/2024.crmarc",
                object_key(name),
                object_key("cd" * 16),
            },
        )

    def reseal(self, content):
        """Put the digest of a changed header right."""
        import hashlib

        from ..lib.header import HEAD

        _magic, length = HEAD.unpack(content[: HEAD.size])
        end = HEAD.size + length
        digest = hashlib.sha256(content[:end]).digest()
        return content[:end] + digest + content[end + 32 :]

    def test_half_objects_of_ours(self):
        """A crash within the header: only the place says whose it is."""
        orphan = self.make_orphan()
        path = os.path.join(self.root, "folder", orphan)
        os.truncate(path, 20)
        part = os.path.join(self.root, "folder", ".part-0123")
        with open(part, "wb") as file:
            file.write(b"x")
        self.make_old()
        self.sweep()
        self.assertFalse(os.path.exists(path))
        self.assertFalse(os.path.exists(part))

    def test_written_and_never_used(self):
        bundle = self.write_only()
        self.sweep()
        self.assertEqual(bundle.state, "written")
        self.make_old(bundle)
        self.sweep()
        self.assertEqual(bundle.state, "removed")
        self.assertFalse(self.get_objects(self.store))
        self.assertEqual(self.get_lines("sweep")[-1].res_id, bundle.id)

    def test_all_restored(self):
        leads = self.archive_leads(2)
        bundle = self.vault(leads)
        entries = self.find_entries(leads)
        entries[0]._restore()
        entries[0].restore_date -= timedelta(days=400)
        self.make_old(bundle, days=400)
        self.sweep()
        self.assertEqual(bundle.state, "used", "the other one is in the vault")
        entries[1]._restore()
        self.sweep()
        self.assertEqual(bundle.state, "used", "it has just come back")
        entries[1].restore_date -= timedelta(days=31)
        self.sweep()
        self.assertEqual(bundle.state, "removed")
        self.assertFalse(self.get_objects(self.store))

    def test_what_could_not_come_back_is_kept(self):
        leads = self.archive_leads(1)
        bundle = self.vault(leads)
        entry = self.find_entries(leads)
        entry._restore()
        entry.restore_date -= timedelta(days=400)
        for kind in ("column_gone", "table_gone", "row_gone", "live_kept"):
            entry.restore_report = [["target_gone", "a"], [kind, "crm_lead", "x", 1]]
            self.sweep()
            self.assertEqual(bundle.state, "used", kind)
        entry.restore_report = [["target_gone", "crm_lead", "x", 1]]
        self.sweep()
        self.assertEqual(bundle.state, "removed")

    def test_purged_goes_at_once(self):
        leads = self.archive_leads(1)
        bundle = self.vault(leads)
        self.find_entries(leads).state = "purged"
        self.sweep()
        self.assertEqual(bundle.state, "removed")

    def test_what_stayed_live_is_taken_out(self):
        leads = self.archive_leads(3)
        old = self.vault(leads, unused=leads[:1].ids)
        self.sweep()
        new = old.replaced_by_id
        self.assertEqual((old.state, new.state), ("obsolete", "used"))
        self.assertTrue(os.path.exists(self.get_path(old)), "for older backups")
        self.assertEqual(self.find_entries(leads)._rehearse(), {new: []})
        old.remove_date -= timedelta(days=7)
        self.sweep()
        self.assertEqual(old.state, "removed")
        self.assertEqual(self.get_objects(self.store), {object_key(new.name)})

    def test_stopped_at_any_point(self):
        leads = self.archive_leads(3)
        old = self.vault(leads, unused=leads[:1].ids)
        self.env["ir.config_parameter"].set_param(
            "crm_archive_policy.sweep_grace_days", 1
        )
        entries = self.find_entries(leads)
        for number in range(1, 200):
            try:
                with faults.crash_at(number), self.env.cr.savepoint():
                    for _step in self.store._sweep():
                        self.env.flush_all()
                    old.remove_date -= timedelta(days=7)
                    for _step in self.store._sweep():
                        self.env.flush_all()
                break
            except faults.InjectedFault:
                self.env.invalidate_all()
            # Rolled back as a whole, while the objects are as they are.
            if os.path.exists(self.get_path(old)):
                self.assertEqual(list(entries._rehearse().values()), [[]])
            else:
                break
        self.assertGreater(number, 10)

    def test_damaged_bundle_is_not_rewritten(self):
        leads = self.archive_leads(2)
        old = self.vault(leads, unused=leads[:1].ids)
        self.damage(old)
        self.sweep()
        self.assertEqual(old.state, "damaged")
        self.assertTrue(os.path.exists(self.get_path(old)))
        self.assertRung(self.store)

    def test_read_only_store_is_left_alone(self):
        key = self.make_orphan()
        self.make_old()
        self.store.is_readonly = True
        self.sweep()
        self.assertIn(key, self.get_objects(self.store))

    def test_one_store_in_trouble_stops_no_other(self):
        self.make_orphan()
        key = self.make_orphan(self.database_store)
        self.make_old()
        self.store.sequence = 0
        with (
            patch.object(LocalStore, "_delete", side_effect=PermissionError),
            mute_logger("odoo.addons.crm_archive_policy.models.crm_archive_sweep"),
        ):
            self.sweep()
        self.assertNotIn(key, self.get_objects(self.database_store))
