from dateutil.relativedelta import relativedelta

from odoo.fields import Date
from odoo.tests import HttpCase, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestTours(ArchiveCase, HttpCase):
    """What people click, in a real browser."""

    def test_archive_a_contact_with_a_reason(self):
        company = self.create_contact("Tour company", is_company=True)
        self.create_contact("Tour person", parent_id=company.id)
        self.start_tour(
            f"/odoo/contacts/{company.id}", "crm_archive_contact", login="seller"
        )
        self.assertUntouched(company)
        self.assertTrue(company.active)
        actions = self.env["crm.archive.log"].search(
            [("res_model", "=", "res.partner"), ("res_id", "=", company.id)]
        )
        self.assertEqual(actions.mapped("action"), ["restore", "archive"])
        self.assertEqual(actions[1].reason_id, self.reason)
        self.assertEqual(actions.user_id, self.seller)

    def test_write_preview_run_and_restore(self):
        self.env["crm.lead"].with_context(active_test=False).search(
            [("id", "!=", self.lead.id)]
        ).archive_exempt = True
        self.env.cr.execute("UPDATE crm_lead SET create_date = now()")
        leads = self.lead | self.create_lead("Tour lead 2")
        self.lead.name = "Tour lead 1"
        self.create_lead("Tour lead exempt", archive_exempt=True)
        self.age(leads, years=3)
        self.start_tour("/odoo", "crm_archive_policy", login="manager")
        self.assertEqual(leads.mapped("archive_state"), ["live", "archived"])
        policy = self.env["crm.archive.policy"].search([("name", "=", "Tour policy")])
        self.assertEqual(policy.run_ids.archived_count, 2)

    def test_hold_and_lift(self):
        self.act_alone()
        self.start_tour(
            "/odoo/action-crm_archive_policy.crm_archive_hold_action",
            "crm_archive_hold",
            login="manager",
        )
        hold = self.env["crm.archive.hold"].search([("name", "=", "Case 2026-114")])
        self.assertRecordValues(
            hold,
            [
                {
                    "state": "lifted",
                    "lift_reason": "Settled",
                    "lift_user_id": self.manager.id,
                }
            ],
        )
        self.assertFalse(self.contact.archive_on_hold)
        log = self.env["crm.archive.log"].search(
            [("res_model", "=", "res.partner"), ("res_id", "=", self.contact.id)]
        )
        self.assertEqual(log.mapped("action"), ["lift", "hold"])

    def test_watch_and_stop_a_run(self):
        policy = self.create_policy()
        run = self.env["crm.archive.run"].create({"policy_id": policy.id})
        run._begin(100)
        run._count(done_count=20, archived_count=20)
        self.start_tour(
            f"/odoo/action-crm_archive_policy.crm_archive_run_action/{run.id}",
            "crm_archive_run",
            login="manager",
        )
        self.assertEqual(run.state, "cancelled")
        self.assertTrue(run.date_end)

    def test_bring_back_who_got_in_touch(self):
        self.contact.email = "silent@example.com"
        policy = self.create_policy(
            "res.partner", domain=f"[('id', '=', {self.contact.id})]"
        )
        self.run_policy(policy)
        self.assertEqual(self.contact.archive_state, "archived")
        self.env["crm.lead"].create(
            {"name": "Here again", "email_from": "silent@example.com"}
        )
        self.start_tour(
            "/odoo/action-crm_archive_policy.crm_archive_recontact_action",
            "crm_archive_recontact",
            login="officer",
        )
        self.assertUntouched(self.contact)

    def test_shorten_retention_with_a_reason(self):
        self.act_alone()
        self.contact._move({"retention_date": "2051-12-31"})
        self.start_tour(
            f"/odoo/contacts/{self.contact.id}",
            "crm_archive_retention",
            login="manager",
        )
        self.assertEqual(self.contact.retention_date, Date.to_date("2050-03-05"))
        line = self.env["crm.archive.log"].search(
            [("res_model", "=", "res.partner"), ("res_id", "=", self.contact.id)]
        )[0]
        self.assertEqual((line.action, line.user_id), ("retention", self.manager))
        self.assertEqual(
            line._get_details(),
            {
                "old": "2051-12-31",
                "new": "2050-03-05",
                "reason": "Contract ended early",
            },
        )

    def test_review_a_policy(self):
        policy = self.create_policy(
            domain=f"[('id', '=', {self.lead.id})]", user_id=self.manager.id
        )
        self.run_policy(policy)
        policy.review_date = Date.today()
        policy._cron_review()
        self.start_tour(
            f"/odoo/action-crm_archive_policy.crm_archive_policy_action/{policy.id}",
            "crm_archive_policy_reviewed",
            login="manager",
        )
        self.assertEqual(policy.review_date, Date.today() + relativedelta(months=12))
        self.assertFalse(policy.activity_ids)

    def test_archive_from_the_card(self):
        """And the undo of the notification brings it back."""
        self.start_tour("/odoo/contacts", "crm_archive_card", login="seller")
        self.assertUntouched(self.contact)
        lines = self.env["crm.archive.log"].search(
            [("res_model", "=", "res.partner"), ("res_id", "=", self.contact.id)]
        )
        self.assertEqual(lines.mapped("action"), ["restore", "archive"])
        self.assertEqual(lines[1].reason_id, self.reason)
