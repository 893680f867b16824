from datetime import timedelta
from unittest.mock import patch

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError
from odoo.models import BaseModel
from odoo.tests import new_test_user, tagged

from ..models import crm_archive_overview
from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestOverview(ArchiveCase):
    """The first screen of the app: true figures, and the lists behind them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.archive_user = new_test_user(
            cls.env,
            "archive_user",
            groups="sales_team.group_sale_salesman,"
            "crm_archive_policy.group_archive_user",
        )

    def get_overview(self, user=None):
        self.env.flush_all()
        overview = self.env["crm.archive.overview"].with_user(user or self.manager)
        return overview.get_overview()

    def figures(self, overview):
        """Yield every figure with a list behind it."""
        yield from overview["todo"]
        yield from overview["stock"]
        yield from overview["pending"]["ends"] if overview["pending"] else ()

    def get_list(self, target, user):
        """Return what the client lists: the action is one the user may open."""
        action = (
            self.env["ir.actions.actions"].with_user(user)._for_xml_id(target["xmlid"])
        )
        model = self.env[action["res_model"]].with_user(user)
        return model.with_context(**target["context"]).search(target["domain"])

    # ------------------------------------------------------------
    # Figures
    # ------------------------------------------------------------

    def test_every_number_opens_the_list_behind_it(self):
        self.create_policy(mode="review", grace_days=10).action_run()
        archived = self.create_lead("Archived", user_id=self.archive_user.id)
        archived.with_user(self.manager)._archive({"archive_reason_id": self.reason.id})
        self.contact.retention_date = fields.Date.today() + timedelta(days=5)
        self.contact._archive({})
        for user in (self.manager, self.officer, self.auditor, self.archive_user):
            overview = self.get_overview(user)
            with self.subTest(user=user.login):
                labels = [figure["label"] for figure in self.figures(overview)]
                self.assertIn("Archived contacts", labels)
                for figure in self.figures(overview):
                    if not figure.get("is_size"):
                        found = self.get_list(figure["open"], user)
                        self.assertEqual(len(found), figure["count"], figure["label"])

    def test_weeks_ahead(self):
        today = fields.Date.today()
        waiting = self.create_policy(mode="review", grace_days=10)
        waiting.action_run()
        planned = self.create_policy("res.partner", grace_days=100, name="Planned")
        planned.action_run()
        overview = self.get_overview()
        rows = overview["pending"]["rows"]
        self.assertEqual(rows[0]["review"], 0)
        found = {index: (r["review"], r["planned"]) for index, r in enumerate(rows)}
        candidates = self.env["crm.archive.candidate"].with_user(self.manager)
        for index, row in enumerate(rows):
            listed = candidates.search(row["open"]["domain"])
            self.assertEqual(len(listed), sum(found[index]), row["label"])
            if listed:
                self.assertEqual(
                    set(listed.mapped("due_date")),
                    {today + timedelta(days={2: 10, 5: 100}[index])},
                )
        self.assertGreaterEqual(found[2][0], 1)
        self.assertGreaterEqual(found[5][1], 1)

    def test_what_happened_since_the_last_visit(self):
        start = fields.Datetime.now()
        with freeze_time(start):
            first = self.get_overview()
        self.assertIn("30 Days", first["since"])
        settings = self.env["res.users.settings"]._find_or_create_for_user(self.manager)
        self.env.flush_all()
        with self.subTest("a reload is the same visit"):
            self.assertIn("30 Days", self.get_overview()["since"])
        settings.sudo().archive_visit_date = start - timedelta(days=2)
        self.lead.with_user(self.officer)._archive({})
        events = {event["label"]: event for event in self.get_overview()["events"]}
        self.assertEqual(settings.archive_seen_date, start - timedelta(days=2))
        self.assertEqual(events["Archived"]["count"], 1)
        lines = self.get_list(events["Archived"]["open"], self.manager)
        self.assertEqual(sum(lines.mapped("res_count")), 1)
        with self.subTest("before the last visit it is no news"):
            later = fields.Datetime.now() + timedelta(hours=3)
            settings.sudo().archive_seen_date = later
            settings.sudo().archive_visit_date = later
            events = {e["label"]: e["count"] for e in self.get_overview()["events"]}
            self.assertEqual(events["Archived"], 0)

    def test_visits_of_two_users_are_their_own(self):
        self.get_overview(self.manager)
        settings = self.env["res.users.settings"]._find_or_create_for_user(self.officer)
        self.assertFalse(settings.archive_visit_date)
        formatted = settings._res_users_settings_format()
        self.assertNotIn("archive_visit_date", formatted)

    # ------------------------------------------------------------
    # Who sees what
    # ------------------------------------------------------------

    def test_only_for_the_archive_groups(self):
        with self.assertRaises(AccessError):
            self.get_overview(self.seller)

    def test_users_see_what_is_theirs(self):
        self.create_policy(mode="review", grace_days=10).action_run()
        overview = self.get_overview(self.archive_user)
        self.assertFalse(overview["growth"])
        self.assertFalse(overview["pending"])
        self.assertFalse(overview["events"] or overview["health"])
        self.assertNotIn("Candidates to review", [f["label"] for f in overview["todo"]])

    def test_nobody_waits_for_the_own_request(self):
        self.contact._archive({})
        purge = self.env["crm.archive.purge"].create(
            {"reason": "Test", "user_id": self.manager.id}
        )
        labels = [figure["label"] for figure in self.get_overview()["todo"]]
        self.assertNotIn("Purge requests to approve", labels)
        purge.user_id = self.env.user
        labels = [figure["label"] for figure in self.get_overview()["todo"]]
        self.assertIn("Purge requests to approve", labels)

    def test_figures_of_the_own_companies(self):
        other = self.env["res.company"].create({"name": "Other"})
        growth = self.env["crm.archive.growth"]
        lead = self.create_lead("Elsewhere", company_id=other.id)
        lead.with_company(other)._archive({})
        growth._cron_count()
        before = self.get_overview()
        self.manager.company_ids |= other
        after = self.env["crm.archive.overview"].with_user(self.manager)
        after = after.with_context(
            allowed_company_ids=[self.manager.company_id.id, other.id]
        ).get_overview()
        self.assertEqual(
            after["growth"]["totals"]["crm.lead"],
            before["growth"]["totals"]["crm.lead"] + 1,
        )
        count = {e["label"]: e["count"] for e in before["events"]}["Archived"]
        self.assertEqual(
            {e["label"]: e["count"] for e in after["events"]}["Archived"], count + 1
        )

    # ------------------------------------------------------------
    # An empty archive
    # ------------------------------------------------------------

    def test_an_empty_archive_offers_ready_made_policies(self):
        self.assertFalse(self.env["crm.archive.entry"].search_count([]))
        starters = self.get_overview()["starters"]
        self.assertEqual(len(starters), 3)
        policy = self.env["crm.archive.policy"].browse(starters[0]["id"])
        self.assertFalse(policy.active)
        action = policy.with_user(self.manager).action_preview()
        self.assertEqual(action["res_model"], "crm.archive.preview")
        with self.subTest("no longer once a policy is on"):
            policy.active = True
            self.assertFalse(self.get_overview()["starters"])

    # ------------------------------------------------------------
    # Health
    # ------------------------------------------------------------

    def get_health(self, label):
        return {line["label"]: line for line in self.get_overview()["health"]}[label]

    def test_health_of_runs(self):
        self.assertEqual(self.get_health("Runs of policies")["state"], "unknown")
        policy = self.create_policy()
        run = self.run_policy(policy)
        self.assertEqual(self.get_health("Runs of policies")["state"], "good")
        run.error_count = 2
        self.assertEqual(self.get_health("Runs of policies")["state"], "warn")
        run.state = "failed"
        line = self.get_health("Runs of policies")
        self.assertEqual(line["state"], "bad")
        self.assertEqual(self.get_list(line["open"], self.manager), run)
        with self.subTest("a later run that went well"):
            self.run_policy(policy)
            self.assertEqual(self.get_health("Runs of policies")["state"], "good")
        cron = self.env.ref("crm_archive_policy.ir_cron_run_policies")
        cron.nextcall = fields.Datetime.now() - timedelta(days=3)
        self.assertEqual(self.get_health("Runs of policies")["state"], "warn")

    def test_health_of_stores_and_log(self):
        store = self.env["crm.archive.store"].search([], limit=1)
        store.write({"state": "failed", "error_detail": "No such place"})
        line = self.get_health("Stores")
        self.assertEqual(line["state"], "bad")
        self.assertIn("No such place", line["text"])
        self.assertEqual(self.get_health("Audit log")["state"], "unknown")
        cron = self.env.ref("crm_archive_policy.ir_cron_verify_log")
        cron.lastcall = fields.Datetime.now()
        self.assertEqual(self.get_health("Audit log")["state"], "good")
        self.env["crm.archive.incident"].create({"trouble": "cut"})
        self.assertEqual(self.get_health("Audit log")["state"], "bad")

    def test_policies_due_for_review(self):
        policy = self.create_policy(review_date=fields.Date.today())
        self.create_policy(name="Later")
        reviews = self.get_overview()["reviews"]
        self.assertEqual([review["id"] for review in reviews], policy.ids)

    # ------------------------------------------------------------
    # Growth and cost
    # ------------------------------------------------------------

    def test_growth_is_worked_out_from_the_records(self):
        growth = self.env["crm.archive.growth"]
        growth.search([]).unlink()
        growth._cron_count()
        this_month = fields.Date.today().replace(day=1)

        def count(months, field):
            rows = growth.search(
                [
                    ("res_model", "=", "crm.lead"),
                    ("date", "=", this_month - relativedelta(months=months)),
                ]
            )
            return sum(rows.mapped(field))

        live, past = count(0, "live_count"), count(3, "live_count")
        self.assertEqual(len(set(growth.search([]).mapped("date"))), 12)
        self.create_lead("Old", years=3)
        archived = self.create_lead("Old and archived", years=3)
        archived._archive({})
        growth._cron_count()
        self.assertEqual(count(0, "live_count"), live + 1)
        self.assertEqual(count(0, "archived_count"), 1)
        with self.subTest("a month that was counted stays as it was"):
            self.assertEqual(count(3, "live_count"), past)
        with self.subTest("months that were missed are worked out"):
            growth.search([]).unlink()
            archived.sudo().archive_date = fields.Datetime.now() - relativedelta(
                months=2
            )
            growth._cron_count()
            self.assertEqual(count(3, "live_count"), past + 2)
            self.assertEqual(count(3, "archived_count"), 0)
            self.assertEqual(count(2, "archived_count"), 1)

    def test_long_lists_are_not_counted_to_their_end(self):
        leads = self.env["crm.lead"].concat(
            *(self.create_lead(f"Many {n}") for n in range(5))
        )
        leads._archive({})
        self.patch(crm_archive_overview, "COUNT_MAX", 3)
        limits, count = [], BaseModel.search_count

        def search_count(records, domain, limit=None):
            limits.append(limit)
            return count(records, domain, limit)

        with patch.object(BaseModel, "search_count", search_count):
            self.get_overview()
        self.assertTrue(limits and all(limits), "nothing is counted to its end")
        self.env["crm.archive.growth"].search([]).unlink()
        stock = {f["label"]: f for f in self.get_overview()["stock"]}
        self.assertEqual(stock["Archived leads"]["count"], 3)
        self.assertTrue(stock["Archived leads"]["more"])
        self.env["crm.archive.growth"]._cron_count()
        stock = {f["label"]: f for f in self.get_overview()["stock"]}
        self.assertEqual(stock["Archived leads"]["count"], 5)

    def test_few_queries_whatever_there_is(self):
        def measure():
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.get_overview()
            return self.env.cr.sql_log_count - before

        self.get_overview()
        few = measure()
        for number in range(6):
            policy = self.create_policy(name=f"Policy {number}", mode="review")
            self.create_lead(f"Lead {number}")
            policy.action_run()
        self.env["crm.archive.growth"]._cron_count()
        self.assertLessEqual(measure(), few + 3)
        self.env.invalidate_all()
        with self.assertQueryCount(45):
            self.get_overview()
