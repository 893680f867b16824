import os

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..lib import faults
from ..lib.bundle import BundleError, keyring_key, object_key
from .vault_upkeep_common import UpkeepCase


@tagged("post_install", "-at_install")
class TestVaultRewrite(UpkeepCase):
    """A bundle is written again without some of its records."""

    def rewrite(self, **values):
        leads = self.archive_leads(4)
        store = self.create_store("other", **values) if values else self.store
        old = self.vault(leads, store, unused=leads[:1].ids)
        self.assertEqual(old.unused_ids, leads[:1].ids)
        return leads, old, old._rewrite_without(old.unused_ids)

    def assertRestorable(self, bundle, leads):
        entries = self.env["crm.archive.entry"]._find_for("crm.lead", leads.ids)
        self.assertEqual(entries.bundle_id, bundle)
        self.assertEqual(len(entries), len(leads))
        self.assertEqual(entries._rehearse(), {bundle: []})

    def test_the_others_are_in_the_new_bundle(self):
        leads, old, new = self.rewrite()
        self.assertRestorable(new, leads[1:])
        self.assertEqual((old.state, new.state), ("obsolete", "used"))
        self.assertEqual(old.replaced_by_id, new)
        self.assertEqual(new.record_count, 3)
        with new._open_reader() as reader:
            self.assertEqual(set(reader.index()), set(leads[1:].ids))
        line = self.get_lines("sweep")[-1]
        self.assertEqual(line._get_details()["left_out"], 1)
        entries = self.env["crm.archive.entry"]._find_for("crm.lead", leads.ids)
        entries._restore()
        self.assertEqual(leads.mapped("name"), [f"Lead {n}" for n in range(4)])

    def test_the_old_object_goes_last(self):
        _leads, old, new = self.rewrite()
        self.assertTrue(os.path.exists(self.get_path(old)), "needed after a rollback")
        self.assertEqual(old._remove_object(), old)
        self.assertEqual(old.state, "removed")
        self.assertFalse(os.path.exists(self.get_path(old)))
        self.assertTrue(os.path.exists(self.get_path(new)))

    def test_what_cannot_be_deleted_is_not_forgotten(self):
        _leads, old, _new = self.rewrite()
        self.store.is_readonly = True
        self.assertFalse(old._remove_object())
        self.assertEqual(old.state, "obsolete")
        self.store.is_readonly = False
        self.assertEqual(old._remove_object(), old)

    def test_encrypted_with_a_destroyed_key(self):
        self.set_master_key()
        leads = self.archive_leads(3)
        store = self.create_store("sealed", encrypt=True)
        old = self.vault(leads, store)
        entries = self.env["crm.archive.entry"]._find_for("crm.lead", leads.ids)
        entries[0].state = "purged"
        with store._open() as opened:
            ring = old._load_keyring(opened)
            ring.destroy(entries[0].res_id)
            opened.put(keyring_key(old.name), ring.dumps(), overwrite=True)
        # What was encrypted stays so.
        store.encrypt = False
        new = old._rewrite_without([], action="purge", details={"why": "retention"})
        self.assertTrue(new.is_encrypted)
        self.assertRestorable(new, leads.browse(entries[1:].mapped("res_id")))
        self.assertEqual(entries[0].bundle_id, new)
        self.assertFalse(entries[0].place_rows_digest)
        self.assertFalse(entries[0].place_digest)
        self.assertEqual(self.get_lines("purge")[-1]._get_details()["why"], "retention")
        self.assertEqual(len(self.get_objects(store)), 4)
        old._remove_object()
        self.assertEqual(len(self.get_objects(store)), 2, "its key ring goes as well")

    def test_mirror_has_it_as_well(self):
        mirror = self.create_store("mirror")
        leads, old, new = self.rewrite(mirror_id=mirror.id)
        for store in (old.store_id, mirror):
            self.assertTrue(os.path.exists(self.get_path(new, store)))
        old._remove_object()
        for store in (old.store_id, mirror):
            self.assertFalse(os.path.exists(self.get_path(old, store)))
        os.unlink(self.get_path(new))
        self.assertRestorable(new, leads[1:])

    def test_in_the_database(self):
        leads = self.archive_leads(3)
        old = self.vault(leads, self.database_store, unused=leads[:1].ids)
        new = old._rewrite_without(old.unused_ids)
        old._remove_object()
        objects = self.get_objects(self.database_store)
        self.assertIn(object_key(new.name), objects)
        self.assertNotIn(object_key(old.name), objects)
        self.assertRestorable(new, leads[1:])

    def test_nothing_left(self):
        leads = self.archive_leads(2)
        old = self.vault(leads)
        entries = self.env["crm.archive.entry"]._find_for("crm.lead", leads.ids)
        entries._restore()
        self.assertFalse(old._rewrite_without(leads.ids))
        self.assertEqual(old.state, "obsolete")
        self.assertFalse(any(entries.mapped("place_digest")))

    def test_what_is_in_the_vault_stays_there(self):
        leads = self.archive_leads(2)
        old = self.vault(leads)
        with self.assertRaises(UserError):
            old._rewrite_without(leads[:1].ids)
        self.assertEqual(old.state, "used")

    def test_damaged_bundle_is_left_alone(self):
        leads = self.archive_leads(3)
        old = self.vault(leads, unused=leads[:1].ids)
        self.damage(old)
        with self.assertRaises(BundleError), self.env.cr.savepoint():
            old._rewrite_without(old.unused_ids)
        self.assertEqual(old.state, "used")
        self.assertEqual(len(self.get_objects(self.store)), 1)

    def test_stopped_at_any_point(self):
        """Before the commit the old one is whole, after it the new one."""
        leads = self.archive_leads(3)
        old = self.vault(leads, unused=leads[:1].ids)
        for number in range(1, 100):
            try:
                with faults.crash_at(number) as reached, self.env.cr.savepoint():
                    old._rewrite_without(old.unused_ids)
                break
            except faults.InjectedFault:
                self.env.invalidate_all()
                self.assertRestorable(old, leads[1:])
        self.assertGreater(number, 5, reached)
        new = old.replaced_by_id
        self.assertRestorable(new, leads[1:])
        for number in range(1, 100):
            try:
                with faults.crash_at(number), self.env.cr.savepoint():
                    old._remove_object()
                break
            except faults.InjectedFault:
                self.env.invalidate_all()
                self.assertRestorable(new, leads[1:])
        self.assertEqual(old.state, "removed")

    def test_a_swept_bundle_takes_nothing(self):
        """A step that is tried again finds its object gone, and deletes no row."""
        leads = self.archive_leads(2)
        self.env.company.archive_store_id = self.store
        written = self.env["crm.archive.bundle"]._write_records(leads)
        written.settle(leads.browse())
        self.assertEqual(written.bundles.state, "obsolete")
        self.assertFalse(written.take(leads))
        self.assertEqual(len(leads.exists()), 2)

    def test_a_copy_of_the_database_reads_what_the_original_wrote(self):
        """A backup that is restored, or a duplicate, gets another identity."""
        leads = self.archive_leads(2)
        store = self.create_store("other")
        self.vault(leads, store)
        self.env["ir.config_parameter"].sudo().set_param("database.uuid", "a-copy")
        entries = self.env["crm.archive.entry"]._find_for("crm.lead", leads.ids)
        entries._restore()
        self.assertEqual(set(leads.mapped("archive_state")), {"live"})
