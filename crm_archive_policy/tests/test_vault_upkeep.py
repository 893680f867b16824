import os
from datetime import timedelta
from unittest.mock import patch

from psycopg2 import OperationalError
from psycopg2.errors import LockNotAvailable

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..lib import faults
from ..lib.bundle import keyring_key, object_key
from ..lib.stores import LocalStore, StoreTemporary
from ..vault.restore import Restore
from ..vault.space import TableSpace, _estimate
from .vault_common import VaultCase
from .vault_upkeep_common import UpkeepCase

LIVE = (
    "crm_lead",
    "mail_message",
    "mail_followers",
    "mail_tracking_value",
    "mail_activity",
    "ir_attachment",
    "crm_tag_rel",
    "crm_archive_entry",
)

ACTIVITY = "crm_archive_policy.mail_activity_type_vault"


class UpkeepRunCase(UpkeepCase):
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


@tagged("post_install", "-at_install")
class TestDrill(UpkeepRunCase):
    """Restores are rehearsed, and the alarm rings when one would fail."""

    def test_sample_by_schedule(self):
        """F8: live tables are untouched."""
        leads = self.archive_leads(5)
        self.vault(leads)
        self.env["ir.config_parameter"].set_param("crm_archive_policy.drill_sample", 3)
        before = self.dump(*LIVE)
        run = self.run_upkeep("drill")
        self.assertEqual(self.dump(*LIVE), before)
        self.assertEqual((run.state, run.store_id), ("done", self.store))
        self.assertEqual((run.done_count, run.exact_count), (3, 3))
        self.assertEqual(set(run.drill_ids.mapped("outcome")), {"exact"})
        self.assertEqual(len(run.drill_ids.entry_id), 3)
        self.assertTrue(all(run.drill_ids.mapped("row_count")))
        self.assertEqual(self.get_lines("drill")[-1]._get_details(), {"exact": 3})
        self.assertEqual(self.store.drill_run_id, run)
        self.assertRung(self.store, 0)

    def test_it_really_restores(self):
        """A rehearsal that restores nothing would find everything in order."""
        leads = self.archive_leads(1)
        self.vault(leads)
        with patch.object(Restore, "_insert"):
            run = self.run_upkeep("drill")
        self.assertEqual(run.state, "failed")
        self.assertIn("differ", run.drill_ids.message)
        self.assertEqual(self.find_entries(leads).bundle_id.state, "used")
        self.assertRung(self.store)

    def test_alarm_on_a_corrupted_sample(self):
        """F8: the alarm rings, once, and nothing live is touched."""
        leads = self.archive_leads(3)
        bundle = self.vault(leads)
        self.damage(bundle, position=len(self.get_content(bundle)) // 2)
        self.damage_all(bundle)
        tables = "crm_lead", "ir_attachment", "crm_tag_rel"
        before = self.dump(*tables)
        run = self.run_upkeep("drill")
        self.assertEqual(self.dump(*tables), before)
        self.assertFalse(
            self.env["mail.message"].search_count(
                [("model", "=", "crm.lead"), ("res_id", "in", leads.ids)]
            )
        )
        self.assertEqual(run.state, "failed")
        self.assertEqual((run.error_count, run.exact_count), (3, 0))
        self.assertEqual(set(run.drill_ids.mapped("outcome")), {"failed"})
        self.assertIn("damaged", run.drill_ids[0].message)
        self.assertEqual(bundle.state, "damaged")
        self.assertTrue(bundle.trouble)
        activity = self.store.activity_search([ACTIVITY])
        self.assertEqual(activity.user_id, self.manager)
        self.assertIn("backup", activity.note)
        self.run_upkeep("drill")
        self.assertRung(self.store)

    def get_content(self, bundle):
        with open(self.get_path(bundle), "rb") as file:
            return file.read()

    def damage_all(self, bundle):
        """Damage every record's frame."""
        for entry in bundle.entry_ids:
            self.damage(bundle, position=entry.place_offset + entry.place_length // 2)

    def test_everybody_is_told(self):
        self.damage_all(self.vault(self.archive_leads(1)))
        other = self.manager.copy({"login": "second", "name": "Second"})
        self.run_upkeep("drill")
        told = self.env["mail.message"].search(
            [("partner_ids", "in", other.partner_id.ids)]
        )
        self.assertIn("folder", told.subject)

    def test_drift_is_no_failure(self):
        """What the restore would merely report is counted apart, and rings nobody."""
        gone = self.env["utm.source"].create({"name": "Gone"})
        leads = self.archive_leads(1, source_id=gone.id)
        self.vault(leads)
        gone.unlink()
        run = self.run_upkeep("drill")
        self.assertEqual((run.state, run.drift_count, run.error_count), ("done", 1, 0))
        self.assertEqual(run.drill_ids.outcome, "drift")
        self.assertIn("deleted", run.drill_ids.message)
        self.assertRung(self.store, 0)

    def test_refused_restore_rings(self):
        leads = self.archive_leads(1)
        self.vault(leads)
        self.env.cr.execute(
            "INSERT INTO crm_lead (id, name, type) VALUES (%s, 'Squatter', 'lead')",
            leads.ids,
        )
        run = self.run_upkeep("drill")
        self.assertEqual(run.state, "failed")
        self.assertIn(str(leads.id), run.drill_ids.message)
        self.assertRung(self.store)
        self.assertEqual(self.find_entries(leads).bundle_id.state, "used")

    def test_alarm_ends_when_healed(self):
        leads = self.archive_leads(1)
        bundle = self.vault(leads)
        content = self.get_content(bundle)
        self.damage_all(bundle)
        self.run_upkeep("drill")
        with open(self.get_path(bundle), "wb") as file:
            file.write(content)
        bundle.action_verify()
        self.assertEqual(bundle.state, "used")
        self.assertRung(self.store, 0)
        self.assertEqual(self.run_upkeep("drill").state, "done")

    def test_alarm_stays_while_the_reason_does(self):
        """A sound object is no answer to a restore that is refused."""
        leads = self.archive_leads(1)
        bundle = self.vault(leads)
        with patch.object(Restore, "_insert"):
            self.run_upkeep("drill")
        bundle.action_verify()
        self.assertRung(self.store)
        self.run_upkeep("drill")
        self.assertRung(self.store, 0)

    def test_missing_key_is_not_damage(self):
        """B5: a missing key rings, and is never called damage."""
        self.set_master_key()
        store = self.create_store("sealed", encrypt=True)
        bundle = self.vault(self.archive_leads(1), store)
        self.set_server(master_keys="")
        run = self.run_upkeep("drill")
        self.assertEqual((run.state, bundle.state), ("failed", "used"))
        self.assertIn("master key", run.drill_ids.message)
        self.assertRung(store)
        run = self.run_upkeep("verify")
        self.assertFalse(run, "verified today")
        bundle.verify_date = False
        run = self.run_upkeep("verify")
        self.assertEqual((run.state, bundle.state), ("failed", "used"))

    def test_buttons(self):
        leads = self.archive_leads(2)
        bundle = self.vault(leads)
        entries = self.find_entries(leads)
        run = self.env["crm.archive.run"].create({"kind": "vault"})
        entries.run_id = run
        for records, count in (
            (self.store.with_user(self.manager), 2),
            (run.with_user(self.officer), 2),
            (entries[0].with_user(self.officer), 1),
        ):
            with self.subTest(model=records._name):
                action = records.action_drill()
                drill = self.env["crm.archive.run"].browse(action["res_id"])
                self.assertEqual((drill.kind, drill.state), ("drill", "done"))
                self.assertEqual(drill.exact_count, count)
        self.assertEqual(len(entries[0].drill_ids), 3)
        for records in (self.store, run, entries, bundle):
            for user in (self.seller, self.auditor):
                with self.subTest(model=records._name), self.assertRaises(AccessError):
                    method = "action_drill" if records != bundle else "action_verify"
                    getattr(records.with_user(user), method)()
        entries._restore()
        with self.assertRaises(UserError):
            entries.action_drill()

    def test_many_are_left_to_the_scheduled_action(self):
        leads = self.archive_leads(3)
        self.vault(leads)
        path = "odoo.addons.crm_archive_policy.models.crm_archive_drill"
        with patch(f"{path}.DRILL_INLINE", 1), patch(f"{path}.DRILL_BATCH", 2):
            self.find_entries(leads).action_drill()
            run = self.env["crm.archive.run"].search([("kind", "=", "drill")], limit=1)
            self.assertEqual(run.state, "waiting")
            self.run_upkeep("drill")
        self.assertEqual((run.state, run.exact_count), ("done", 3))

    def test_policies_schedule_leaves_drills_alone(self):
        self.vault(self.archive_leads(1))
        runs = self.env["crm.archive.run"]
        drill = runs.create(runs._prepare_upkeep("drill", [1], self.store))
        self.assertNotIn(drill, runs._plan_runs())

    def test_a_drill_waits_for_nobody(self):
        """A row that somebody is working on is left to another time."""
        leads = self.archive_leads(1)
        self.vault(leads)
        timeouts = []

        def insert(restore, *args):
            restore.env.cr.execute("SHOW lock_timeout")
            timeouts.append(restore.env.cr.fetchone()[0])
            raise LockNotAvailable

        run = self.env["crm.archive.run"].create({"kind": "drill"})
        with patch.object(Restore, "_insert", insert):
            with self.assertRaises(OperationalError), self.env.cr.savepoint():
                run._drill(self.find_entries(leads))
        self.assertEqual(timeouts, ["5s"])
        self.env.cr.execute("SHOW lock_timeout")
        self.assertEqual(self.env.cr.fetchone()[0], "0")
        self.assertFalse(run.drill_ids)

    def test_store_that_does_not_answer_is_tried_again(self):
        self.vault(self.archive_leads(1))
        with (
            patch.object(LocalStore, "_open", side_effect=StoreTemporary("no answer")),
            mute_logger(
                "odoo.addons.crm_archive_policy.models.crm_archive_run_schedule"
            ),
        ):
            run = self.run_upkeep("drill")
            self.assertEqual(run.state, "waiting")
            self.assertTrue(run.date_retry)
            self.assertFalse(run.drill_ids)
            for _attempt in range(3):
                run.date_retry = False
                self.env.flush_all()
                self.run_upkeep("drill")
        self.assertEqual(run.state, "failed")
        self.assertRung(self.store)


@tagged("post_install", "-at_install")
class TestDrillOfEverything(VaultCase):
    """F8, with all that Odoo hangs on records: not one row of the database changes."""

    def test_the_database_is_as_before(self):
        lead, contact = self.create_rich_lead(), self.create_rich_contact()
        entries = self.vault(lead) + self.vault(contact)
        before = self.dump()
        entries.action_drill()
        self.assertSameDump(before, self.dump())
        drills = entries.drill_ids
        self.assertEqual(drills.mapped("outcome"), ["exact", "exact"], drills)


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


@tagged("post_install", "-at_install")
class TestUpkeepSettings(UpkeepRunCase):
    """Intervals, samples and grace are set in Settings."""

    def test_settings(self):
        with Form(self.env["res.config.settings"]) as settings:
            settings.archive_drill_sample = 7
            settings.archive_drill_interval_type = "days"
            settings.archive_verify_days = 30
            settings.archive_sweep_grace_days = 14
            settings.archive_sweep_active = False
        settings.record.execute()
        drill = self.env.ref("crm_archive_policy.ir_cron_drill")
        self.assertEqual(drill.interval_type, "days")
        self.assertFalse(self.env.ref("crm_archive_policy.ir_cron_sweep").active)
        stores = self.env["crm.archive.store"]
        self.assertEqual(stores._get_upkeep_setting("drill_sample"), 7)
        self.assertEqual(stores._get_upkeep_setting("verify_days"), 30)
        self.assertEqual(stores._get_upkeep_setting("sweep_grace_days"), 14)
        self.assertEqual(stores._get_upkeep_setting("sweep_restored_days"), 30)

    def test_nothing_is_swept_at_once(self):
        with self.assertRaises(ValidationError):
            self.env["res.config.settings"].create({"archive_sweep_grace_days": 0})
        self.env["ir.config_parameter"].set_param(
            "crm_archive_policy.sweep_grace_days", "0"
        )
        stores = self.env["crm.archive.store"]
        self.assertEqual(stores._get_upkeep_setting("sweep_grace_days"), 1)

    def test_copies_do_none_of_it(self):
        from odoo.modules.neutralize import get_neutralization_queries

        for query in get_neutralization_queries(["crm_archive_policy"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        for name in ("verify", "drill", "sweep"):
            self.assertFalse(self.env.ref(f"crm_archive_policy.ir_cron_{name}").active)


@tagged("post_install", "-at_install")
class TestSpace(UpkeepRunCase):
    """What was freed is told honestly."""

    def test_sizes_of_run_policy_and_store(self):
        policy = self.create_policy(store_id=self.store.id, vault_enabled=True)
        leads = self.archive_leads(4)
        run = self.env["crm.archive.run"].create(
            {"kind": "vault", "policy_id": policy.id}
        )
        written = self.env["crm.archive.bundle"]._write_records(leads, run)
        written.settle(written.take(leads))
        bundle = written.bundles
        self.assertEqual(bundle.size, os.path.getsize(self.get_path(bundle)))
        for record in (run, policy, self.store):
            with self.subTest(model=record._name):
                record = record.with_user(self.manager)
                self.assertEqual(record.stored_size, bundle.size)
                self.assertEqual(record.moved_size, bundle.content_size)
                self.assertRegex(record.size_summary, r"take .* in the store: \d+ %")
                self.assertAlmostEqual(
                    record.stored_ratio, bundle.size / bundle.content_size
                )
        entries = bundle.entry_ids
        moved = entries.mapped("place_size") + entries.mapped("place_blob_size")
        self.assertEqual(bundle.content_size, sum(moved))
        self.assertFalse(self.database_store.size_summary)

    def test_screen(self):
        self.vault(self.archive_leads(1))
        spaces = self.env["crm.archive.space"]
        for user in (self.manager, self.auditor):
            action = spaces.with_user(user)._open()
            space = spaces.with_user(user).browse(action["res_id"])
            self.assertIn("in the store", space.summary)
            self.assertIn("Nothing of the vault", space.database_note)
            self.assertIn("clean-up", space.file_note)
            tables = space.line_ids.mapped("table")
            self.assertLessEqual(
                {"crm_lead", "mail_message", "ir_attachment"}, set(tables)
            )
            self.assertTrue(all(space.line_ids.mapped("advice")))
            self.assertEqual(
                space.line_ids.mapped("total_size"),
                sorted(space.line_ids.mapped("total_size"), reverse=True),
            )
        for user in (self.officer, self.seller):
            with self.assertRaises(AccessError):
                spaces.with_user(user)._open()
        self.vault(self.archive_leads(1), self.database_store)
        space = spaces.browse(spaces._open()["res_id"])
        self.assertIn("in this database itself", space.database_note)

    def test_advice(self):
        """A rewrite is advised where it pays, and only there."""
        gigabyte = 1 << 30
        for values, advice in (
            ((gigabyte, 0, 10**6, 0, 100 << 20), "nothing"),
            ((10 << 20, 0, 10, 0, 9 << 20), "nothing"),
            ((gigabyte, 0, 10**6, 10**6, 500 << 20), "vacuum"),
            ((gigabyte, 0, 10**6, 100, None), "analyze"),
            ((gigabyte, 0, 10**6, 100, 100 << 20, 300 << 20), "reindex"),
            ((gigabyte, 0, 10**6, 100, 300 << 20, 300 << 20), "rewrite"),
            ((gigabyte, 0, 10**6, 100, 500 << 20), "rewrite"),
        ):
            with self.subTest(values=values):
                space = TableSpace("crm_lead", *values)
                self.assertEqual(space.advice, advice)
        text = self.env["crm.archive.space"]._describe_advice(space)
        self.assertIn("VACUUM FULL crm_lead", text)
        self.assertIn("500.00 Mb of 1.00 Gb", text)
        self.assertIn("524.00 Mb of free disk", text)

    def test_estimate(self):
        """Rows of 100 bytes: 75 a page, so that a tenth of the pages was needed."""
        self.assertEqual(_estimate(1000 * 8192, 0, 75 * 100, 0, 100), 900 * 8192)
        self.assertEqual(_estimate(8192, 0, 1000, 0, 100), 0, "never less than none")
        self.assertEqual(_estimate(8192, 100 * 2048, 75, 60, 100), 40 * 2048)
        self.assertIsNone(_estimate(8192, 0, 10, 0, None))
        self.assertEqual(_estimate(0, 0, 0, 0, None), 0)
