from unittest.mock import patch

from freezegun import freeze_time
from psycopg2 import OperationalError

from odoo.exceptions import AccessError, UserError
from odoo.fields import Datetime
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..models import crm_archive_run, crm_archive_run_schedule
from .common import ArchiveCase

RUN_LOGGER = "odoo.addons.crm_archive_policy.models.crm_archive_run"
SCHEDULE_LOGGER = "odoo.addons.crm_archive_policy.models.crm_archive_run_schedule"


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

    @mute_logger(RUN_LOGGER, SCHEDULE_LOGGER)
    def test_one_bad_record_stops_nobody(self):
        bad = self.leads[4]
        write = self.env.registry["crm.lead"].write

        def failing_write(records, vals):
            if bad in records and vals.get("active") is False:
                raise UserError("This lead refuses.")  # pylint: disable=translation-required
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
        due_ids = self.policy._find_ids()
        run._step(due_ids)
        run.with_user(self.manager).action_cancel()
        self.assertTrue(run._step(due_ids), "it is over")
        self.assertEqual((run.state, run.archived_count), ("cancelled", 4))

    @mute_logger(RUN_LOGGER, SCHEDULE_LOGGER)
    def test_a_failing_policy_does_not_stop_the_next(self):
        other = self.create_policy(
            name="Other", domain="[('name', '=', 'Silent lead')]"
        )
        self.env.cr.execute(
            "UPDATE crm_archive_policy SET domain = '[(''gone'', ''='', 1)]' "
            "WHERE id = %s",
            [self.policy.id],
        )
        self.env.invalidate_all()
        self.run_cron()
        run = self.policy.run_ids
        self.assertEqual((run.state, run.try_count), ("waiting", 1))
        self.assertIn("gone", run.error)
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

    @mute_logger(RUN_LOGGER, SCHEDULE_LOGGER)
    def test_failed_run_is_tried_again_later_and_then_reported(self):
        run = self.env["crm.archive.run"].create({"policy_id": self.policy.id})
        cron = "crm_archive_policy.ir_cron_run_policies"
        for attempt, minutes in enumerate(crm_archive_run_schedule.RETRY_MINUTES, 1):
            with self.capture_triggers(cron) as triggers:
                run._fail(ValueError("No luck"))
            self.assertEqual((run.state, run.try_count), ("waiting", attempt))
            wait = triggers.records.call_at - Datetime.now()
            self.assertAlmostEqual(wait.total_seconds() / 60, minutes, delta=1)
            self.assertNotIn(run, self.env["crm.archive.run"]._plan_runs())
        run._fail(ValueError("No luck"))
        self.assertEqual(run.state, "failed")
        notice = self.env["mail.message"].search(
            [
                ("model", "=", "crm.archive.policy"),
                ("res_id", "=", self.policy.id),
                ("subject", "like", "Archiving failed"),
            ]
        )
        self.assertIn("No luck", notice.body)
        self.assertIn(self.manager.partner_id, notice.partner_ids)

    def test_failed_run_goes_on_when_its_time_has_come(self):
        run = self.env["crm.archive.run"].create({"policy_id": self.policy.id})
        run._fail(ValueError("No luck"))
        run.date_retry = Datetime.now()
        self.run_cron()
        self.assertEqual(self.policy.run_ids, run, "no second run")
        self.assertRecordValues(
            run, [{"state": "done", "archived_count": 10, "error": False}]
        )

    @mute_logger(RUN_LOGGER, SCHEDULE_LOGGER)
    def test_what_a_failed_batch_counted_is_lost(self):
        """The next attempt does that batch again, and nothing is counted twice."""
        self._set_batch(4)
        policies = self.env.registry["crm.archive.policy"]
        calls = []

        def failing(policy, records):
            calls.append(records)
            if len(calls) == 2:
                # The cursor and the number looked at are written by now.
                self.assertEqual(policy.run_ids.done_count, 8)
                raise ValueError("No luck")
            return select(policy, records)

        select = policies._select_to_propose
        self.patch(policies, "_select_to_propose", failing)
        self.run_cron()
        run = self.policy.run_ids
        self.assertRecordValues(
            run,
            [
                {
                    "state": "waiting",
                    "try_count": 1,
                    "cursor": self.leads[3].id,
                    "done_count": 4,
                    "archived_count": 4,
                }
            ],
        )
        run.date_retry = Datetime.now()
        self.run_cron()
        self.assertRecordValues(
            run, [{"state": "done", "done_count": 10, "archived_count": 10}]
        )

    def test_limit_of_a_run(self):
        self._set_batch(3)
        self.policy.run_limit = 4
        run = self.run_policy(self.policy)
        self.assertEqual((run.state, run.archived_count), ("done", 4))
        self.run_cron()
        self.assertEqual(self.policy.archived_count, 8)

    def test_off_hours(self):
        parameters = self.env["ir.config_parameter"]
        parameters.set_param("crm_archive_policy.window", "True")
        parameters.set_param("crm_archive_policy.window_start", "20")
        parameters.set_param("crm_archive_policy.window_stop", "6")
        runs = self.env["crm.archive.run"].with_context(tz="Asia/Shanghai")
        for utc, within in (
            ("2026-03-01 11:59:00", False),  # 19:59 in Shanghai
            ("2026-03-01 12:00:00", True),  # 20:00
            ("2026-03-01 21:59:00", True),  # 05:59
            ("2026-03-01 22:00:00", False),  # 06:00
        ):
            with self.subTest(utc=utc), freeze_time(utc):
                self.assertEqual(runs._is_within_window(), within)
        parameters.set_param("crm_archive_policy.window_stop", "20")
        for hour in (0, 12, 23):  # from 20 to 20 o'clock is all day
            with freeze_time(f"2026-03-01 {hour}:00:00"):
                self.assertTrue(runs._is_within_window())
        self.patch(type(runs), "_is_within_window", lambda _self: False)
        self.run_cron()
        self.assertUntouched(self.leads)

    def test_errors_of_the_database_quote_nobody(self):
        """Neither on the form nor in the server's log."""
        tag = self.env["crm.archive.tag"].create({"name": "Somebody's name"})

        def archive(records, *_args):
            query = "INSERT INTO crm_archive_tag (id, name) VALUES (%s, %s)"
            name = '{"en_US": "Somebody"}'
            records.env.cr.execute(query, [tag.id, name], log_exceptions=False)

        number = str(tag.id)
        with (
            patch.object(type(self.leads), "_archive", archive),
            self.assertLogs(RUN_LOGGER) as logged,
        ):
            run = self.run_policy(self.policy)
        self.assertEqual(run.error_count, 10)
        for message in run.error_ids.mapped("message"):
            self.assertEqual(message, "UniqueViolation: crm_archive_tag_pkey")
        self.assertNotIn(f"({number})", "".join(logged.output))
        with (
            patch.object(type(run), "_find_due_ids", lambda run: archive(run)),
            self.assertLogs(SCHEDULE_LOGGER) as logged,
        ):
            self.run_cron()
        failed = self.policy.run_ids.filtered("error")
        self.assertEqual(failed.error, "UniqueViolation: crm_archive_tag_pkey")
        self.assertNotIn("DETAIL", "".join(logged.output))

    def test_conflicts_are_left_to_the_next_call(self):
        """Somebody else keeps changing the same rows: others go on, nothing hangs."""
        other = self.create_policy(
            name="Other", domain="[('name', '=', 'Silent lead')]"
        )
        step = self.env.registry["crm.archive.run"]._step
        calls = []

        def conflicting_step(run, due_ids):
            if run.policy_id == self.policy:
                calls.append(run)
                raise OperationalError("could not serialize access")
            return step(run, due_ids)

        self.patch(self.env.registry["crm.archive.run"], "_step", conflicting_step)
        self.run_cron()
        self.assertEqual(len(calls), crm_archive_run_schedule.CONFLICTS_MAX)
        self.assertEqual(other.run_ids.state, "done")
        self.assertEqual(self.policy.run_ids.state, "waiting")

    @mute_logger(RUN_LOGGER, SCHEDULE_LOGGER, "odoo.sql_db")
    def test_error_of_the_database_stops_nobody(self):
        """After an error PostgreSQL refuses everything up to a savepoint."""
        bad = self.leads[4]
        write = self.env.registry["crm.lead"].write

        def failing_write(records, vals):
            result = write(records, vals)
            if bad in records and vals.get("active") is False:
                records.env.cr.execute("SELECT 1 / 0")
            return result

        self.patch(self.env.registry["crm.lead"], "write", failing_write)
        run = self.run_policy(self.policy)
        self.assertEqual((run.archived_count, run.error_count), (9, 1))
        self.assertUntouched(bad)
        self.assertTrue(bad.active, "what was written before the error is gone")

    def test_what_somebody_works_on_is_left_to_the_next_run(self):
        busy = self.leads[2]
        lock = self.env.registry["crm.lead"].try_lock_for_update

        def lock_the_others(records, **options):
            return lock(records - busy.with_env(records.env), **options)

        with patch.object(
            self.env.registry["crm.lead"], "try_lock_for_update", lock_the_others
        ):
            run = self.run_policy(self.policy)
        self.assertEqual((run.state, run.archived_count), ("done", 9))
        self.assertUntouched(busy)
        self.run_policy(self.policy)
        self.assertEqual(busy.archive_state, "archived")

    def test_run_of_another_worker_is_left_alone(self):
        run = self.env["crm.archive.run"].create({"policy_id": self.policy.id})
        with patch.object(
            self.env.registry["crm.archive.run"],
            "try_lock_for_update",
            lambda runs, **options: runs.browse(),
        ):
            self.run_cron()
        self.assertEqual(run.state, "waiting")
        self.assertUntouched(self.leads)
        self.run_cron()
        self.assertEqual((run.state, run.archived_count), ("done", 10))

    def test_limit_counts_over_a_pause(self):
        """The rest of a limited run is what it had not looked at before, and what
        was kept is not looked at twice."""
        self._set_batch(3)
        self.leads[0].archive_exempt = True
        self.policy.run_limit = 5
        remaining = iter([60, 0])
        runs = self.env["crm.archive.run"]
        with patch.object(
            self.env.registry["ir.cron"],
            "_commit_progress",
            lambda *args, **kwargs: next(remaining, 60),
        ):
            runs._run_all()
            run = self.policy.run_ids
            self.assertEqual((run.state, run.done_count), ("running", 3))
            runs._run_all()
        self.assertEqual(self.policy.run_ids, run)
        self.assertEqual((run.state, run.done_count), ("done", 5))
        self.assertEqual((run.archived_count, run.kept_count), (4, 1))

    def test_hours_within_a_day(self):
        parameters = self.env["ir.config_parameter"]
        parameters.set_param("crm_archive_policy.window", "True")
        parameters.set_param("crm_archive_policy.window_start", "8")
        parameters.set_param("crm_archive_policy.window_stop", "18")
        runs = self.env["crm.archive.run"].with_context(tz="UTC")
        for time, within in (("07:59", False), ("08:00", True), ("18:00", False)):
            with self.subTest(time=time), freeze_time(f"2026-03-01 {time}:00"):
                self.assertEqual(runs._is_within_window(), within)

    def test_run_pauses_at_the_end_of_the_hours(self):
        """What was begun goes on the next night, where it was."""
        self._set_batch(4)
        inside = iter([True, False])
        runs = self.env["crm.archive.run"]
        model = self.env.registry["crm.archive.run"]
        with patch.object(model, "_is_within_window", lambda _self: next(inside)):
            self.run_cron()
        run = self.policy.run_ids
        self.assertEqual((run.state, run.archived_count), ("running", 4))
        self.run_cron()
        self.assertEqual(runs.search([("policy_id", "=", self.policy.id)]), run)
        self.assertEqual((run.state, run.archived_count), ("done", 10))

    def test_failure_is_told_to_those_it_concerns(self):
        group = "crm_archive_policy.group_archive_manager"
        other = self.env["res.company"].create({"name": "Other company"})
        stranger = new_test_user(
            self.env,
            "stranger",
            groups=group,
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        gone = new_test_user(self.env, "gone", groups=group)
        self.policy.write({"company_id": self.env.company.id, "user_id": gone.id})
        gone.active = False
        run = self.env["crm.archive.run"].create({"policy_id": self.policy.id})
        run.try_count = len(crm_archive_run_schedule.RETRY_MINUTES)
        run._fail(ValueError("No luck"))
        notice = self.env["mail.message"].search(
            [("model", "=", self.policy._name), ("res_id", "=", self.policy.id)],
            order="id desc",
            limit=1,
        )
        self.assertIn(self.manager.partner_id, notice.partner_ids)
        self.assertNotIn(stranger.partner_id, notice.partner_ids)
        self.assertNotIn(gone.partner_id, notice.partner_ids)

    def test_conflicts_let_the_others_go_first(self):
        other = self.create_policy(
            name="Other", domain="[('name', '=', 'Silent lead')]"
        )
        step = self.env.registry["crm.archive.run"]._step
        seen = []

        def conflicting_step(run, due_ids):
            seen.append(run.policy_id.name)
            if run.policy_id == self.policy:
                raise OperationalError("could not serialize access")
            return step(run, due_ids)

        self.patch(self.env.registry["crm.archive.run"], "_step", conflicting_step)
        self.run_cron()
        self.assertEqual(seen[:2], [self.policy.name, other.name])

    def test_only_managers_cancel(self):
        run = self.env["crm.archive.run"].create({"policy_id": self.policy.id})
        run._begin(10)
        for user in (self.officer, self.auditor, self.seller):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                run.with_user(user).action_cancel()
        self.assertEqual(run.state, "running")
