from datetime import timedelta

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from ..models.crm_archive_policy_quality import REVIEW_ACTIVITY
from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestQuality(ArchiveCase):
    """Policies get better: causes, figures, reviews, and changes on record."""

    def setUp(self):
        super().setUp()
        self.stat = self.env["crm.archive.restore.stat"]
        self.policy = self.create_policy(domain="[('name', 'like', 'Batch')]")
        self.leads = self.env["crm.lead"].create(
            [{"name": f"Batch {n}", "user_id": False} for n in range(10)]
        )
        self.age(self.leads, years=3)
        self.run_policy(self.policy)

    def _restore(self, records, cause, user=None, **values):
        """Restore as people do: open the dialog, click one of its buttons."""
        action = records.with_user(user or self.seller).action_archive_restore_wizard()
        wizard = (
            self.env[action["res_model"]]
            .with_user(user or self.seller)
            .with_context(**action["context"])
            .create(values)
        )
        return wizard.with_context(restore_cause=cause).action_restore()

    def _last_line(self):
        return self.env["crm.archive.log"].search([], limit=1)

    # ------------------------------------------------------------
    # Asking why
    # ------------------------------------------------------------

    def test_one_click_says_why(self):
        for lead, cause in zip(
            self.leads, ("came_back", "too_early", "mistake", "audit"), strict=False
        ):
            with self.subTest(cause=cause):
                action = self._restore(lead, cause)
                self.assertIn("1 restored", action["params"]["message"])
                self.assertEqual(lead.archive_state, "live")
                line = self._last_line()
                self.assertEqual(line._get_details()["cause"], cause)
                self.assertEqual(line.user_id, self.seller)
                self.assertEqual(self.stat.search([], limit=1).restore_cause, cause)

    def test_note_stays_with_the_record(self):
        self._restore(self.leads[:2], "mistake", note="Ann called me")
        for lead in self.leads[:2]:
            self.assertIn("Ann called me", lead.message_ids[0].body)
        self.assertNotIn("Ann", self._last_line().details)

    def test_a_cause_is_needed(self):
        for cause in (None, "whim"):
            with self.assertRaises(UserError):
                self._restore(self.leads[0], cause)
        self.assertEqual(self.leads[0].archive_state, "archived")

    def test_what_was_restored_is_left_alone(self):
        """A restore is a sign of life: the next run does not take it again."""
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "archived")
        self.lead.action_archive_restore()
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "live")
        self.lead._archive({"archive_policy_id": policy.id})
        self.lead.active = True  # as other modules restore
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "live")
        with freeze_time(fields.Datetime.now() + relativedelta(years=1, days=2)):
            self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "archived")

    def test_nothing_to_restore(self):
        with self.assertRaisesRegex(UserError, "Silent lead"):
            self.lead.action_archive_restore_wizard()

    def test_wizard_opens_no_back_door(self):
        restricted = self.lead
        restricted._archive({"archive_restricted": True})
        wizard = (
            self.env["crm.archive.restore"]
            .with_user(self.seller)
            .create({"res_model": "crm.lead", "res_ids": restricted.ids})
        )
        with self.assertRaises(AccessError):
            wizard.with_context(restore_cause="audit").action_restore()
        self.assertEqual(restricted.archive_state, "archived")
        wizard = self.env["crm.archive.restore"].create(
            {"res_model": "res.users", "res_ids": [1]}
        )
        with self.assertRaises(UserError):
            wizard.with_context(restore_cause="audit").action_restore()

    def test_scripts_and_unarchive_ask_nothing(self):
        self.leads[0].action_archive_restore()
        self.leads[1].action_unarchive()
        self.leads[2].write({"active": True})
        self.assertEqual(set(self.leads[:3].mapped("archive_state")), {"live"})
        self.assertEqual(
            self.stat.search([]).mapped("restore_cause"), [False, False, False]
        )

    # ------------------------------------------------------------
    # Figures
    # ------------------------------------------------------------

    def test_regret_rate(self):
        self._restore(self.leads[:2], "too_early")
        self._restore(self.leads[2], "came_back")
        self._restore(self.leads[3], "mistake")
        self._restore(self.leads[4], "audit")
        self.leads[5].action_archive_restore()
        self.leads[6]._move({"archive_date": fields.Datetime.now() - timedelta(91)})
        self._restore(self.leads[6], "too_early")
        policy = self.policy.with_user(self.officer)
        self.assertEqual((policy.taken_count, policy.regret_count), (10, 4))
        self.assertAlmostEqual(policy.regret_rate, 0.4)
        summary = policy.restored_summary
        self.assertIn("2 × Archived too early", summary)
        self.assertIn("1 × Audit", summary)
        self.assertIn("1 × No cause stated", summary)

    def test_by_hand_belongs_to_no_policy(self):
        self.lead.action_archive()
        self._restore(self.lead, "too_early")
        self.assertFalse(self.stat.search([]))

    def test_what_follows_another_is_not_counted(self):
        self.leads[0]._restore({"how": "cascade"})
        self.assertFalse(self.stat.search([]))

    def test_figures_survive_the_purge(self):
        self._restore(self.leads[:5], "too_early")
        self.leads.unlink()
        self.policy.invalidate_recordset()
        self.assertAlmostEqual(self.policy.regret_rate, 0.5)

    def test_compacting_keeps_the_sums(self):
        for lead in self.leads[:4]:
            self._restore(lead, "too_early")
        self._restore(self.leads[4], "audit")
        self.leads[5].action_archive_restore()
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_archive_restore_stat SET date = date - interval '2 months'"
        )
        self.env.invalidate_all()
        before = self.policy.regret_rate, self.policy.restored_summary
        self.env["crm.archive.policy"]._cron_review()
        self.assertEqual(len(self.stat.search([])), 3)
        self.assertEqual({stat.date.day for stat in self.stat.search([])}, {1})
        self.policy.invalidate_recordset()
        self.assertEqual(
            (self.policy.regret_rate, self.policy.restored_summary), before
        )

    def test_last_result(self):
        self.assertIn("10 archived", self.policy.last_result)
        self.assertFalse(self.create_policy().last_result)

    def test_winback_answers(self):
        candidates = self.env["crm.archive.candidate"].create(
            [
                {
                    "policy_id": self.policy.id,
                    "res_model": "crm.lead",
                    "res_id": lead.id,
                    "due_date": "2030-01-01",
                    "verdict": verdict,
                    "winback_date": date,
                }
                for lead, verdict, date in zip(
                    self.leads,
                    ("cancelled", "archived", "archived", "cancelled"),
                    ("2026-01-01", "2026-01-01", "2026-01-01", False),
                    strict=False,
                )
            ]
        )
        self.assertEqual(len(candidates), 4)
        self.assertEqual(self.policy.winback_count, 3)
        self.assertAlmostEqual(self.policy.winback_rate, 1 / 3)

    def test_figures_of_a_list_are_set_based(self):
        self._restore(self.leads[:2], "too_early")
        policies = self.policy
        for number in range(15):
            policies += self.create_policy(name=f"Policy {number}")
        names = ["regret_rate", "last_result", "restored_summary", "winback_rate"]

        def cost(records):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            for name in names:
                records.mapped(name)
            return self.env.cr.sql_log_count - before

        cost(policies)
        self.assertLessEqual(cost(policies), cost(self.policy) + 1)

    def test_statistics_are_for_officers(self):
        self._restore(self.leads[0], "too_early")
        with self.assertRaises(AccessError):
            self.stat.with_user(self.seller).search([])
        self.assertTrue(self.stat.with_user(self.officer).search([]))
        with self.assertRaises(AccessError):
            self.stat.with_user(self.manager).search([]).unlink()

    # ------------------------------------------------------------
    # Reviews
    # ------------------------------------------------------------

    def _reviews(self):
        return self.policy.activity_ids.filtered(
            lambda a: a.activity_type_id == self.env.ref(REVIEW_ACTIVITY)
        )

    def test_review(self):
        today = fields.Date.today()
        self.assertEqual(self.policy.review_date, today + relativedelta(months=12))
        self.policy.user_id = self.officer
        self.env["crm.archive.policy"]._cron_review()
        self.assertFalse(self._reviews())
        self.policy.review_date = today
        cron = self.env.ref("crm_archive_policy.ir_cron_review_policies")
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
            cron.method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(self._reviews().user_id, self.officer)
        self.assertEqual(len(self._reviews()), 1, "asked once")
        with self.assertRaises(AccessError):
            self.policy.with_user(self.officer).action_reviewed()
        self.policy.review_months = 6
        self.policy.with_user(self.manager).action_reviewed()
        self.assertEqual(self.policy.review_date, today + relativedelta(months=6))
        self.assertFalse(self._reviews())

    def test_never_reviewed(self):
        self.policy.write({"review_months": 0, "review_date": False})
        self.env["crm.archive.policy"]._cron_review()
        self.assertFalse(self._reviews())
        with self.assertRaises(UserError):
            self.policy.action_reviewed()

    # ------------------------------------------------------------
    # Changes on record
    # ------------------------------------------------------------

    def test_changes_of_a_policy(self):
        policy = self.policy.with_user(self.manager)
        tag = self.env["crm.archive.tag"].create({"name": "Quality tag"})
        other = self.env["crm.archive.reason"].create({"name": "Other reason"})
        policy.write(
            {
                "idle_number": 2,
                "tag_ids": [(4, tag.id)],
                "reason_id": other.id,
                "mode": "automatic",
            }
        )
        line = self._last_line()
        self.assertEqual(
            (line.action, line.res_model, line.res_id, line.user_id),
            ("write", "crm.archive.policy", policy.id, self.manager),
        )
        self.assertEqual(
            line._get_details(),
            {
                "idle_number": [1, 2],
                "tag_ids": [[], [tag.id]],
                "reason_id": [self.reason.id, other.id],
            },
        )
        self.assertFalse(line.reason_id)
        changes = line.with_user(self.auditor).changes
        self.assertIn("Silent for: 1 → 2", changes)
        self.assertIn("Quality tag", changes)
        self.assertIn("→ Other reason", changes)
        self.assertTrue(self.env["crm.archive.log"].verify_chain()["ok"])

    def test_no_change_no_line(self):
        line = self._last_line()
        self.policy.write({"idle_number": 1, "name": self.policy.name})
        self.assertEqual(self._last_line(), line)

    def test_changes_of_guards_and_categories(self):
        guard = self.env["crm.archive.guard"].create(
            {
                "name": "Phantom",
                "model_name": "gone.model",
                "link_field": "partner_id",
                "message": "Gone",
            }
        )
        line = self._last_line()
        self.assertEqual((line.action, line.res_id), ("create", guard.id))
        self.assertEqual(line._get_details()["message"], [None, "Gone"])
        guard.active = False
        self.assertEqual(self._last_line()._get_details(), {"active": [True, False]})
        self.assertIn("yes → no", self._last_line().changes)
        guard.unlink()
        line = self._last_line()
        self.assertEqual(line.action, "unlink")
        self.assertEqual(line._get_details()["name"], ["Phantom", None])
        category = self.env["crm.archive.category"].create({"name": "Six years"})
        category.minimum_number = 6
        self.assertEqual(self._last_line()._get_details()["minimum_number"], [0, 6])

    def test_refused_change_is_not_on_record(self):
        line = self._last_line()
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            self.policy.domain = "nonsense"
        with self.assertRaises(AccessError):
            self.policy.with_user(self.officer).name = "Mine"
        self.assertEqual(self._last_line(), line)

    def test_other_lines_show_no_changes(self):
        self._restore(self.leads[0], "audit")
        self.assertFalse(self._last_line().changes)
