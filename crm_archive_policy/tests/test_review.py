from datetime import timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Date, Datetime
from odoo.tests import Form, tagged

from .test_notice import NoticeCase


@tagged("post_install", "-at_install")
class TestReview(NoticeCase):
    """Keep and approve: one or thousands, and for how long."""

    def _review(self, count=3, **values):
        values.setdefault("grace_days", 0)
        return self._name(count, mode="review", **values)

    # ------------------------------------------------------------
    # Keep
    # ------------------------------------------------------------

    def test_kept_stays_kept(self):
        policy, leads = self._review(1)
        policy.candidate_ids.with_user(self.officer).action_keep()
        self.assertUntouched(leads)
        with freeze_time(Date.today() + timedelta(days=2000)):
            self.run_policy(policy)
        self.assertUntouched(leads)
        self.assertEqual(len(policy.candidate_ids), 1)

    def test_keep_ends_with_the_next_sign_of_life(self):
        policy, leads = self._review(1)
        policy.candidate_ids.with_user(self.officer).action_keep()
        with freeze_time(Datetime.now() + timedelta(days=10)):
            leads.message_post(body="Hello again", message_type="email")
            self.run_policy(policy)
            self.assertUntouched(leads)
        # Silent again for as long as the policy asks for.
        with freeze_time(Datetime.now() + timedelta(days=300)):
            self.run_policy(policy)
            self.assertUntouched(leads)
        with freeze_time(Datetime.now() + timedelta(days=400)):
            self.run_policy(policy)
        self.assertEqual(leads.archive_state, "pending")
        self.assertEqual(
            policy.candidate_ids.sorted("id").mapped("verdict"), ["kept", "pending"]
        )

    def test_keep_until_a_day(self):
        policy, leads = self._review(2)
        until = Date.today() + timedelta(days=60)
        candidates = policy.candidate_ids.with_user(self.officer)
        action = candidates.action_keep_until()
        wizard = Form(
            self.env[action["res_model"]]
            .with_user(self.officer)
            .with_context(**action["context"])
        )
        self.assertEqual(wizard.record_count, 2)
        wizard.keep_until = until
        wizard.note = "Fair in May"
        wizard.save().action_keep()
        self.assertRecordValues(
            policy.candidate_ids,
            [{"verdict": "kept", "keep_until": until, "note": "Fair in May"}] * 2,
        )
        self.assertUntouched(leads)
        with freeze_time(until - timedelta(days=1)):
            self.run_policy(policy)
            self.assertUntouched(leads)
        with freeze_time(until):
            self.run_policy(policy)
        self.assertEqual(set(leads.mapped("archive_state")), {"pending"})

    def test_keep_until_checks_again(self):
        """The dialog is told ids by the client."""
        policy, leads = self._review(1, user=self.colleague)
        wizard = (
            self.env["crm.archive.keep"]
            .with_user(self.owner)
            .create({"candidate_ids": policy.candidate_ids.ids})
        )
        with self.assertRaises(AccessError):
            wizard.action_keep()
        with self.assertRaisesRegex(ValidationError, "not in the future"):
            wizard.keep_until = Date.today()
        self.assertEqual(leads.archive_state, "pending")

    def test_end_keep(self):
        policy, leads = self._review(1)
        candidate = policy.candidate_ids
        candidate.with_user(self.owner).action_keep()
        with self.assertRaises(AccessError):
            candidate.with_user(self.owner).action_end_keep()
        self.run_policy(policy)
        self.assertUntouched(leads)
        candidate.with_user(self.officer).action_end_keep()
        self.run_policy(policy)
        self.assertEqual(leads.archive_state, "pending")

    def test_a_keep_is_for_one_policy(self):
        policy, leads = self._review(1)
        policy.candidate_ids.with_user(self.officer).action_keep()
        other = self._propose(leads, mode="review")
        self.assertEqual(leads.archive_policy_id, other)

    def test_nobody_decides_twice(self):
        policy, _leads = self._review(1)
        candidate = policy.candidate_ids.with_user(self.officer)
        candidate.action_keep()
        with self.assertRaisesRegex(UserError, "decided already: Kept"):
            candidate.action_approve()
        with self.assertRaisesRegex(UserError, "decided already: Kept"):
            candidate.action_keep()

    # ------------------------------------------------------------
    # Keep on the record itself
    # ------------------------------------------------------------

    def test_keep_on_the_record(self):
        for model in ("crm.lead", "res.partner"):
            with self.subTest(model=model):
                policy, record = self._name(1, model=model)
                own = record.with_user(self.owner)
                self.assertTrue(own.archive_can_keep)
                action = own.action_archive_keep()
                self.assertIn("1 kept", action["params"]["message"])
                self.assertUntouched(record)
                self.assertFalse(record.archive_due_date)
                self.assertFalse(own.archive_can_keep)
                self.assertRecordValues(
                    policy.candidate_ids,
                    [{"verdict": "kept", "user_id": self.owner.id}],
                )
                self.run_policy(policy)
                self.assertUntouched(record)

    def test_others_cannot_keep_on_the_record(self):
        policy, contact = self._name(1, model="res.partner")
        for user in (self.seller, self.auditor, self.colleague):
            with self.subTest(user=user.login):
                self.assertFalse(contact.with_user(user).archive_can_keep)
                with self.assertRaisesRegex(UserError, "somebody else"):
                    contact.with_user(user).action_archive_keep()
        self.assertEqual(contact.archive_state, "pending")
        self.assertTrue(contact.with_user(self.officer).archive_can_keep)
        # The new salesperson may, without having been told.
        contact.user_id = self.colleague
        self.assertTrue(contact.with_user(self.colleague).archive_can_keep)
        contact.with_user(self.colleague).action_archive_keep()
        self.assertUntouched(contact)

    def test_unseen_records_cannot_be_kept(self):
        _policy, lead = self._name(1)
        with self.assertRaises(AccessError):
            lead.with_user(self.colleague).action_archive_keep()

    # ------------------------------------------------------------
    # Cancelling
    # ------------------------------------------------------------

    def test_sign_of_life_and_hold_cancel(self):
        policy, leads = self._name(3)
        leads[0].message_post(body="Hello", message_type="email")
        leads[1].sudo().archive_on_hold = True
        with freeze_time(Date.today() + timedelta(days=31)):
            self.run_policy(policy)
        self.assertEqual(leads.mapped("archive_state"), ["live", "live", "archived"])
        candidates = {c.res_id: c for c in policy.candidate_ids}
        self.assertIn("sign of life", candidates[leads[0].id].note)
        self.assertIn("hold", candidates[leads[1].id].note)

    # ------------------------------------------------------------
    # Thousands
    # ------------------------------------------------------------

    def _as_sent(self, policy):
        """Return the candidates as an officer's browser sends them: by their ids."""
        model = self.env["crm.archive.candidate"].with_user(self.officer)
        return model.browse(policy.candidate_ids.ids)

    def _count_queries(self, number, method):
        leads = self.env["crm.lead"].create(
            [{"name": f"{method} {i}", "user_id": False} for i in range(number)]
        )
        self.age(leads, years=3)
        policy = self._propose(leads, mode="review", grace_days=0)
        candidates = self._as_sent(policy)
        self.assertEqual(len(candidates), number)
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        getattr(candidates, method)()
        self.env.flush_all()
        queries = self.env.cr.sql_log_count - before
        expected = {"action_keep": "live", "action_approve": "archived"}[method]
        self.assertEqual(set(leads.mapped("archive_state")), {expected})
        return queries

    def test_thousands_in_a_few_queries(self):
        for method in ("action_keep", "action_approve"):
            with self.subTest(method=method):
                self._count_queries(3, method)
                few = self._count_queries(10, method)
                many = self._count_queries(400, method)
                self.assertLess(many - few, 30)

    def test_audit_names_every_decision(self):
        policy, leads = self._review(3)
        log = self.env["crm.archive.log"]
        before = log.search_count([])
        policy.candidate_ids[:2].with_user(self.officer).action_keep()
        self.assertEqual(log.search_count([]), before + 1, "one line for both")
        line = log.search(
            [("res_model", "=", "crm.lead"), ("res_id", "=", leads[1].id)]
        )
        self.assertEqual(line[0].action, "keep")
        self.assertEqual(line[0].user_id, self.officer)

    # ------------------------------------------------------------
    # What the page shows
    # ------------------------------------------------------------

    def test_impact(self):
        company = self.create_contact(
            "Firm", is_company=True, email="firm@example.com", phone="+32 1"
        )
        self.create_contact("Person", parent_id=company.id)
        silent = self.create_contact("Silent")
        policy = self._propose(company | silent, mode="review")
        self.create_lead("Open", partner_id=company.id)
        self.create_lead("Lost", partner_id=company.id).action_set_lost()
        company.activity_schedule("mail.mail_activity_data_todo", user_id=self.owner.id)
        company.message_post(body="one")
        candidates = policy.candidate_ids.with_user(self.officer)
        firm = candidates.filtered(lambda c: c.res_id == company.id)
        self.assertEqual(
            (firm.activity_count, firm.child_count, firm.lead_count), (1, 1, 1)
        )
        self.assertEqual(firm.message_count, len(company.message_ids))
        self.assertGreater(firm.message_count, 0)
        self.assertIn("firm@example.com", firm.res_summary)
        other = candidates - firm
        self.assertEqual((other.child_count, other.lead_count), (0, 0))

    def test_impact_of_a_page_in_a_few_queries(self):
        def count(number):
            contacts = self.env["res.partner"].create(
                [{"name": f"Page {i}"} for i in range(number)]
            )
            self.age(contacts, years=3)
            candidates = self._as_sent(self._propose(contacts, mode="review"))
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            candidates.read(["res_name", "res_summary", "message_count", "lead_count"])
            return self.env.cr.sql_log_count - before

        count(2)
        self.assertLessEqual(count(80), count(5))

    def test_impact_says_nothing_about_unseen_records(self):
        policy, _leads = self._review(1, user=self.colleague)
        self.officer.group_ids = [
            (3, self.env.ref("sales_team.group_sale_salesman_all_leads").id),
            (4, self.env.ref("sales_team.group_sale_salesman").id),
        ]
        candidate = policy.candidate_ids.with_user(self.officer)
        self.assertFalse(candidate.res_summary)
        self.assertFalse(candidate.message_count)

    def test_audit_line_names_the_policy(self):
        """An auditor sees on whose behalf a record was kept or approved."""
        policy, _leads = self._review(2, grace_days=5)
        kept, approved = policy.candidate_ids.with_user(self.officer)
        log = self.env["crm.archive.log"]
        kept.action_keep()
        self.assertEqual(log.search([], limit=1).policy_id, policy)
        approved.action_approve()
        line = log.search([], limit=1)
        self.assertEqual((line.action, line.policy_id), ("approve", policy))
        self.assertTrue(log.verify_chain()["ok"])
