from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import crm_archive_run
from .common import ArchiveCase

RUN_LOGGER = "odoo.addons.crm_archive_policy.models.crm_archive_run"


@tagged("post_install", "-at_install")
class TestRun(ArchiveCase):
    """Batches, errors, and going on where it stopped."""

    def setUp(self):
        super().setUp()
        self.leads = self.create_lead("Batch 0")
        for number in range(1, 10):
            self.leads |= self.create_lead(f"Batch {number}")
        self.policy = self.create_policy(domain="[('name', 'like', 'Batch')]")

    def _set_batch(self, size):
        self.patch(crm_archive_run, "BATCH_SIZE", size)

    def test_many_batches(self):
        self._set_batch(3)
        run = self.run_policy(self.policy)
        self.assertEqual((run.done_count, run.archived_count), (10, 10))
        self.assertEqual(set(self.leads.mapped("archive_state")), {"archived"})
        self.assertEqual(run.progress, 100)

    @mute_logger(RUN_LOGGER)
    def test_one_bad_record_stops_nobody(self):
        bad = self.leads[4]
        write = self.env.registry["crm.lead"].write

        def failing_write(records, vals):
            if bad in records and vals.get("active") is False:
                raise UserError("This lead refuses.")
            return write(records, vals)

        self.patch(self.env.registry["crm.lead"], "write", failing_write)
        run = self.run_policy(self.policy)
        self.assertEqual((run.archived_count, run.error_count), (9, 1))
        self.assertEqual(run.state, "done")
        self.assertUntouched(bad)
        self.assertTrue(bad.active)
        self.assertRecordValues(
            run.error_ids,
            [
                {
                    "res_model": "crm.lead",
                    "res_id": bad.id,
                    "message": "This lead refuses.",
                }
            ],
        )
        # Each lead is named by exactly one audit line, the bad one by none.
        log = self.env["crm.archive.log"]
        for lead in self.leads:
            lines = log.search(
                [("res_model", "=", "crm.lead"), ("res_id", "=", lead.id)]
            )
            self.assertEqual(len(lines), 0 if lead == bad else 1)

    def test_large_run_is_left_to_the_cron(self):
        self.patch(crm_archive_run, "INLINE_MAX", 5)
        self._set_batch(4)
        with self.capture_triggers("crm_archive_policy.ir_cron_run_policies") as calls:
            run = self.run_policy(self.policy)
        self.assertEqual(len(calls.records), 1)
        self.assertEqual(run.state, "waiting")
        self.assertUntouched(self.leads)
        self.run_cron()
        self.assertEqual((run.state, run.archived_count), ("done", 10))

    def test_cron_stops_in_time_and_goes_on(self):
        self._set_batch(4)
        remaining = iter([60, 60, 0])
        runs = self.env["crm.archive.run"]
        with patch.object(
            self.env.registry["ir.cron"],
            "_commit_progress",
            lambda *args, **kwargs: next(remaining, 60),
        ):
            runs._run_all()
            run = self.policy.run_ids
            self.assertEqual((run.state, run.archived_count), ("running", 8))
            runs._run_all()
        self.assertEqual(self.policy.run_ids, run, "the same run went on")
        self.assertEqual((run.state, run.archived_count), ("done", 10))
        self.assertEqual(run.done_count, 10, "nothing was done twice")

    def test_cancel(self):
        self._set_batch(4)
        run = self.env["crm.archive.run"].create({"policy_id": self.policy.id})
        run._begin(10)
        run._step()
        run.with_user(self.manager).action_cancel()
        self.assertTrue(run._step(), "it is over")
        self.assertEqual((run.state, run.archived_count), ("cancelled", 4))

    @mute_logger(RUN_LOGGER)
    def test_a_failing_policy_does_not_stop_the_next(self):
        other = self.create_policy(name="Other", domain="[('name', '=', 'Silent lead')]")
        self.env.cr.execute(
            "UPDATE crm_archive_policy SET domain = '[(''gone'', ''='', 1)]' "
            "WHERE id = %s",
            [self.policy.id],
        )
        self.env.invalidate_all()
        self.run_cron()
        self.assertEqual(self.policy.run_ids.state, "failed")
        self.assertIn("gone", self.policy.run_ids.error)
        self.assertEqual(other.run_ids.state, "done")
        self.assertEqual(self.lead.archive_state, "archived")

    def test_cost_does_not_grow_with_the_batch(self):
        """One audit line and one write a batch, not one a record."""
        log = self.env["crm.archive.log"]
        before = log.search_count([])
        self.run_policy(self.policy)
        self.assertEqual(log.search_count([]), before + 1)

    def test_kept_by_reason(self):
        self.leads[:3].archive_exempt = True
        run = self.run_policy(self.policy)
        reason, count = run._get_kept_by_reason()[0]
        self.assertEqual(count, 3)
        self.assertIn(reason, run.kept_summary)
