from unittest.mock import patch

from psycopg2 import OperationalError
from psycopg2.errors import LockNotAvailable

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib.stores import LocalStore, StoreTemporary
from ..vault.restore import Restore
from .vault_common import VaultCase
from .vault_upkeep_common import ACTIVITY, UpkeepRunCase

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
