from unittest.mock import patch

from odoo import SUPERUSER_ID
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.crm_archive_policy.models import crm_archive_run
from odoo.addons.crm_archive_policy.tests.common import ArchiveCase
from odoo.addons.queue_job.tests.common import trap_jobs

from ..models import crm_archive_run as queued_run

SCHEDULE_LOGGER = "odoo.addons.crm_archive_policy.models.crm_archive_run_schedule"


@tagged("post_install", "-at_install")
class TestQueue(ArchiveCase):
    """The scheduled action plans, jobs work."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.leads = cls.lead.browse()
        for number in range(10):
            cls.leads |= cls.create_lead(f"Batch {number}")
        cls.policy = cls.create_policy(domain="[('name', 'like', 'Batch')]")

    def plan(self):
        """Let the scheduled action plan, and return what it has queued."""
        with trap_jobs() as trap:
            self.run_cron()
        return trap

    def work(self, job):
        """Carry a job out as the runner does, and return what it queues in turn."""
        self.env.flush_all()
        with (
            trap_jobs() as trap,
            self.enter_registry_test_mode(),
            self.registry.cursor() as cr,
        ):
            run = self.env(cr=cr, user=SUPERUSER_ID)[job.model_name].browse(
                job.recordset.ids
            )
            getattr(run, job.method_name)(*job.args, **job.kwargs)
        self.env.invalidate_all()
        return trap

    def test_cron_only_plans(self):
        trap = self.plan()
        run = self.policy.run_ids
        self.assertEqual(run.state, "waiting")
        self.assertUntouched(self.leads)
        trap.assert_jobs_count(1, only=run._work_as_job)
        trap.assert_enqueued_job(
            run._work_as_job,
            args=(True,),
            properties={"identity_key": f"crm_archive_run:{run.id}"},
        )

    def test_job_does_the_work(self):
        [job] = self.plan().enqueued_jobs
        self.patch(crm_archive_run, "BATCH_SIZE", 3)
        self.work(job).assert_jobs_count(0)
        run = self.policy.run_ids
        self.assertEqual((run.state, run.archived_count), ("done", 10))
        self.assertEqual(set(self.leads.mapped("archive_state")), {"archived"})
        self.assertTrue(self.env["crm.archive.log"].verify_chain()["ok"])

    def test_time_is_up(self):
        """What is left goes to another job, on whichever server is free."""
        [job] = self.plan().enqueued_jobs
        self.patch(crm_archive_run, "BATCH_SIZE", 3)
        clock = iter(range(0, 10_000, 40))
        with patch.object(queued_run.time, "monotonic", lambda: next(clock)):
            trap = self.work(job)
        run = self.policy.run_ids
        self.assertEqual((run.state, run.archived_count), ("running", 3))
        trap.assert_jobs_count(1, only=run._work_as_job)
        self.assertFalse(trap.enqueued_jobs[0].eta)
        while trap.enqueued_jobs:
            trap = self.work(trap.enqueued_jobs[0])
        self.assertEqual((run.state, run.archived_count), ("done", 10))

    def test_hours_are_kept(self):
        [job] = self.plan().enqueued_jobs
        parameters = self.env["ir.config_parameter"]
        parameters.set_param("crm_archive_policy.window", "True")
        # An hour that no day has.
        parameters.set_param("crm_archive_policy.window_start", "24")
        parameters.set_param("crm_archive_policy.window_stop", "25")
        self.work(job).assert_jobs_count(0)
        self.assertUntouched(self.leads)
        self.plan().assert_jobs_count(0)

    @mute_logger(SCHEDULE_LOGGER)
    def test_failure_is_left_to_the_scheduled_action(self):
        """A failed run waits for its time: no job turns round and round."""
        [job] = self.plan().enqueued_jobs
        model = self.env.registry["crm.archive.run"]

        def failing(_run, _due_ids):
            raise UserError("Nothing works.")  # pylint: disable=translation-required

        with patch.object(model, "_step", failing):
            self.work(job).assert_jobs_count(0)
        run = self.policy.run_ids
        self.assertEqual((run.state, run.try_count), ("waiting", 1))
        self.assertTrue(run.date_retry)
        self.plan().assert_jobs_count(0)

    def test_one_job_a_run(self):
        self.policy.run_ids = False
        self.run_cron()
        self.run_cron()
        jobs = self.env["queue.job"].search([("method_name", "=", "_work_as_job")])
        self.assertEqual(len(jobs), 1)
        self.assertEqual(jobs.channel, "root.crm_archive")
        self.assertTrue(jobs.job_function_id.allow_commit)
