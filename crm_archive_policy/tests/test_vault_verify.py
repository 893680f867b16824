import os
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from ..lib.bundle import keyring_key, object_key
from .vault_upkeep_common import ACTIVITY, UpkeepRunCase


@tagged("post_install", "-at_install")
class TestVerify(UpkeepRunCase):
    """Everything that is stored is read again, in time."""

    def test_a_part_each_day_covers_everything(self):
        self.env["ir.config_parameter"].set_param("crm_archive_policy.verify_days", 3)
        bundles = self.env["crm.archive.bundle"]
        for number in range(6):
            bundle = self.vault(self.archive_leads(1))
            bundle.verify_date = fields.Datetime.now() - timedelta(hours=20 + number)
            bundles += bundle
        seen = []
        for _day in range(3):
            run = self.run_upkeep("verify")
            self.assertEqual(run.done_count, 2)
            seen += run.upkeep_ids
        self.assertEqual(sorted(seen), sorted(bundles.ids))
        lines = self.get_lines("verify")[-3:]
        self.assertEqual(sum(lines.mapped("res_count")), 6)
        # What is overdue comes in any case.
        bundles.verify_date = fields.Datetime.now() - timedelta(days=4)
        self.assertEqual(self.run_upkeep("verify").done_count, 6)

    def test_every_byte(self):
        """B2: one flipped bit anywhere is found."""
        bundle = self.vault(self.archive_leads(2))
        size = os.path.getsize(self.get_path(bundle))
        for position in range(0, size, max(size // 40, 1)):
            self.damage(bundle, position=position)
            troubles, _healed = bundle._verify()
            self.assertIn(bundle, troubles, position)
            self.assertEqual(bundle.state, "damaged")
            self.damage(bundle, position=position)
            self.assertFalse(bundle._verify()[0])
            self.assertEqual((bundle.state, bundle.trouble), ("used", False))

    def test_an_object_exchanged_for_a_sound_one(self):
        first, second = (self.vault(self.archive_leads(1)) for _n in range(2))
        with open(self.get_path(first), "rb") as file:
            content = file.read()
        with open(self.get_path(second), "wb") as file:
            file.write(content)
        second._verify()
        self.assertEqual((first.state, second.state), ("used", "damaged"))

    def test_the_index_is_wrong(self):
        leads = self.archive_leads(1)
        bundle = self.vault(leads)
        self.find_entries(leads).place_digest = "0" * 64
        bundle._verify()
        self.assertEqual(bundle.state, "damaged")

    def test_missing_object(self):
        bundle = self.vault(self.archive_leads(1))
        os.unlink(self.get_path(bundle))
        run_id = self.store.with_user(self.manager).action_verify()["res_id"]
        run = self.env["crm.archive.run"].browse(run_id)
        self.assertEqual((run.state, run.damaged_count), ("failed", 1))
        self.assertEqual(bundle.state, "damaged")
        self.assertEqual(self.store.damaged_count, 1)
        self.assertRung(self.store)

    def test_one_incident_rings_once(self):
        bundles = self.vault(self.archive_leads(1)) + self.vault(self.archive_leads(1))
        for bundle in bundles:
            self.damage(bundle)
            bundle._verify()
            bundle._verify()
        self.assertRung(self.store)
        self.assertIn("2 bundles", self.store.activity_search([ACTIVITY]).note)
        self.damage(bundles[0])
        bundles[0]._verify()
        self.assertRung(self.store)
        self.damage(bundles[1])
        bundles[1]._verify()
        self.assertRung(self.store, 0)

    def test_mirror_heals(self):
        mirror = self.create_store("mirror")
        store = self.create_store("first", mirror_id=mirror.id)
        leads = self.archive_leads(1)
        bundle = self.vault(leads, store)
        for side in (store, mirror):
            with self.subTest(side=side.name):
                self.damage(bundle, side)
                bundle.verify_date = False
                run = self.run_upkeep("verify")
                self.assertEqual((run.state, run.healed_count), ("done", 1))
                self.assertEqual(bundle.state, "used")
                line = self.get_lines("heal")[-1]
                self.assertEqual(line._get_details()["object"], object_key(bundle.name))
        for side in (store, mirror):
            self.damage(bundle, side)
        bundle._verify()
        self.assertEqual(bundle.state, "damaged")
        self.assertRung(store)

    def test_healed_while_restoring(self):
        """B2: a record comes back from the mirror when the first copy is damaged."""
        mirror = self.create_store("mirror")
        store = self.create_store("first", mirror_id=mirror.id)
        leads = self.archive_leads(1)
        bundle = self.vault(leads, store)
        entry = self.find_entries(leads)
        self.damage(bundle, store, entry.place_offset + entry.place_length // 2)
        entry._restore()
        self.assertEqual(leads.name, "Lead 0")
        self.assertEqual(len(self.get_lines("heal")), 1)

    def test_key_ring(self):
        self.set_master_key()
        store = self.create_store("sealed", encrypt=True)
        leads = self.archive_leads(2)
        bundle = self.vault(leads, store)
        self.assertFalse(bundle._verify()[0])
        path = self.get_path(bundle, ring=True)
        with open(path, "rb") as file:
            content = file.read()
        with store._open() as opened:
            ring = bundle._load_keyring(opened)
            ring.destroy(leads[0].id)
            opened.put(keyring_key(bundle.name), ring.dumps(), overwrite=True)
        bundle._verify()
        self.assertEqual(bundle.state, "damaged", "a key is gone and nobody purged")
        with open(path, "wb") as file:
            file.write(content)
        bundle._verify()
        self.assertEqual(bundle.state, "used")
        os.unlink(path)
        bundle._verify()
        self.assertEqual(bundle.state, "damaged")

    def test_marking_survives_a_rollback(self):
        bundle = self.vault(self.archive_leads(1))
        path = "odoo.addons.crm_archive_policy.models.crm_archive_bundle_verify"
        with patch(f"{path}._note_in_new_transaction") as noted:
            self.damage(bundle)
            bundle._verify()
            self.env.cr.postrollback.run()
            self.env.cr.postcommit.run()
        self.assertEqual(noted.call_count, 2)
        self.assertEqual(noted.call_args.args[1], bundle.ids)

    def test_noting_in_a_transaction_of_its_own(self):
        from ..models.crm_archive_bundle_verify import _note_in_new_transaction

        bundle = self.vault(self.archive_leads(1))
        self.env.flush_all()
        with self.enter_registry_test_mode():
            _note_in_new_transaction(self.env.registry, bundle.ids, "x")
        self.env.invalidate_all()
        self.assertEqual((bundle.state, bundle.trouble), ("damaged", "x"))
        self.assertRung(self.store)

    def test_large_stores_are_left_to_the_scheduled_action(self):
        for _number in range(3):
            self.vault(self.archive_leads(1))
        path = "odoo.addons.crm_archive_policy.models.crm_archive_run_upkeep"
        with patch(f"{path}.VERIFY_INLINE", 1), patch(f"{path}.VERIFY_BYTES", 1):
            run_id = self.store.action_verify()["res_id"]
            run = self.env["crm.archive.run"].browse(run_id)
            self.assertEqual(run.state, "waiting")
            self.run_upkeep("verify")
        self.assertEqual((run.state, run.done_count), ("done", 3))
        self.assertEqual(len(self.get_lines("verify")), 3, "a step a bundle")
