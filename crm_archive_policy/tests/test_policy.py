from datetime import timedelta

from lxml import etree
from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Date
from odoo.tests import tagged
from odoo.tools import mute_logger
from odoo.tools.convert import convert_file
from odoo.tools.safe_eval import safe_eval

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestPolicy(ArchiveCase):
    """What a policy finds and does; what it refuses to be."""

    def test_automatic_policy_archives_at_once(self):
        fresh = self.create_lead("Fresh", years=0)
        tag = self.env["crm.archive.tag"].create({"name": "Dead wood"})
        policy = self.create_policy(tag_ids=[(4, tag.id)], restrict_access=True)
        run = self.run_policy(policy)
        self.assertRecordValues(
            self.lead,
            [
                {
                    "archive_state": "archived",
                    "active": False,
                    "archive_policy_id": policy.id,
                    "archive_reason_id": self.reason.id,
                    "archive_tag_ids": tag.ids,
                    "archive_restricted": True,
                }
            ],
        )
        self.assertUntouched(fresh)
        self.assertEqual(run.state, "done")
        self.assertGreaterEqual(run.archived_count, 1)
        self.assertEqual(policy.archived_count, run.archived_count)

    def test_every_unit(self):
        for unit, number in (
            ("days", 400),
            ("weeks", 60),
            ("months", 14),
            ("years", 1),
        ):
            with self.subTest(unit=unit):
                policy = self.create_policy(
                    idle_number=number,
                    idle_unit=unit,
                    domain=f"[('id', '=', {self.lead.id})]",
                )
                self.assertEqual(policy._find(), self.lead)
                policy.idle_number = number * 10
                self.assertFalse(policy._find())

    def test_domain_limits_the_scope(self):
        other = self.create_lead("Other")
        policy = self.create_policy(domain="[('name', '=', 'Silent lead')]")
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertUntouched(other)

    def test_lost_leads_are_found(self):
        self.lead.action_set_lost()
        self.age(self.lead, years=3)
        policy = self.create_policy(domain="[('won_status', '=', 'lost')]")
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertEqual(self.lead.won_status, "lost")

    def test_sign_of_life_protects(self):
        self.lead.message_post(body="Still here", message_type="email")
        self.run_policy(self.create_policy())
        self.assertUntouched(self.lead)

    def test_no_period_leaves_it_to_the_domain(self):
        fresh = self.create_lead("Spam", years=0)
        self.run_policy(
            self.create_policy(idle_number=0, domain="[('name', '=', 'Spam')]")
        )
        self.assertEqual(fresh.archive_state, "archived")
        self.assertUntouched(self.lead)

    def test_retention_from_the_category(self):
        category = self.env["crm.archive.category"].create(
            {"name": "Ten days", "minimum_number": 10, "minimum_unit": "days"}
        )
        later = self.create_lead("Later")
        until = Date.today() + timedelta(days=99)
        later.retention_date = until
        self.run_policy(self.create_policy(category_id=category.id))
        self.assertEqual(self.lead.retention_date, Date.today() + timedelta(days=10))
        self.assertEqual(later.retention_date, until, "only ever extended")

    # ------------------------------------------------------------
    # Review and grace
    # ------------------------------------------------------------

    def _propose(self, **values):
        values.setdefault("domain", f"[('id', '=', {self.lead.id})]")
        policy = self.create_policy(**values)
        self.run_policy(policy)
        return policy, policy.candidate_ids

    def test_review_waits_for_approval(self):
        policy, candidate = self._propose(mode="review")
        self.assertRecordValues(candidate, [{"verdict": "pending"}])
        self.assertEqual(self.lead.archive_state, "pending")
        self.assertTrue(self.lead.active)
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "pending", "nobody approved")
        self.assertEqual(policy.candidate_ids, candidate, "and no second one")
        candidate.with_user(self.officer).action_approve()
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertRecordValues(
            candidate, [{"verdict": "archived", "user_id": self.officer.id}]
        )

    def test_approval_waits_for_grace(self):
        policy, candidate = self._propose(mode="review", grace_days=10)
        candidate.with_user(self.officer).action_approve()
        self.assertEqual(self.lead.archive_state, "pending")
        candidate.sudo().due_date = Date.today()
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "archived")

    def test_grace_of_an_automatic_policy(self):
        policy, candidate = self._propose(grace_days=10)
        self.assertEqual(self.lead.archive_due_date, Date.today() + timedelta(days=10))
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "pending")
        candidate.sudo().due_date = Date.today()
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertEqual(candidate.verdict, "archived")

    def test_keep(self):
        policy, candidate = self._propose(mode="review")
        candidate.with_user(self.officer).action_keep()
        self.assertRecordValues(
            self.lead,
            [
                {
                    "archive_state": "live",
                    "archive_policy_id": False,
                    "archive_due_date": False,
                }
            ],
        )
        self.run_policy(policy)
        self.assertUntouched(self.lead)
        self.assertEqual(policy.candidate_ids.mapped("verdict"), ["kept"])

    def test_sign_of_life_cancels(self):
        policy, candidate = self._propose(grace_days=10)
        self.lead.message_post(body="I am back", message_type="email")
        run = self.run_policy(policy)
        self.assertUntouched(self.lead)
        self.assertEqual(candidate.verdict, "cancelled")
        self.assertEqual(run.cancelled_count, 1)

    def test_guard_cancels(self):
        policy, candidate = self._propose(grace_days=10)
        self.lead.archive_exempt = True
        candidate.sudo().due_date = Date.today()
        self.run_policy(policy)
        self.assertUntouched(self.lead)
        self.assertEqual(candidate.verdict, "cancelled")
        self.assertIn("Never Archive", candidate.note)

    def test_decide_twice(self):
        _policy, candidate = self._propose(mode="review")
        candidate.with_user(self.officer).action_keep()
        with self.assertRaisesRegex(UserError, "decided already"):
            candidate.with_user(self.officer).action_approve()

    def test_only_officers_decide(self):
        _policy, candidate = self._propose(mode="review")
        for user in (self.seller, self.auditor):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                candidate.with_user(user).action_keep()

    # ------------------------------------------------------------
    # Rights and companies
    # ------------------------------------------------------------

    def test_only_managers_run(self):
        policy = self.create_policy()
        for user in (self.seller, self.officer, self.auditor):
            with self.subTest(user=user.login):
                with self.assertRaises(AccessError):
                    policy.with_user(user).action_run()
                with self.assertRaises(AccessError):
                    policy.with_user(user).write({"idle_number": 0})
        self.assertUntouched(self.lead)
        policy.with_user(self.manager).action_run()
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertEqual(self.lead.archive_user_id, self.manager)

    def test_finds_only_what_its_responsible_sees(self):
        own_only = self.env.ref("sales_team.group_sale_salesman")
        everything = self.env.ref("sales_team.group_sale_salesman_all_leads")
        self.manager.group_ids = [(3, everything.id), (4, own_only.id)]
        self.lead.user_id = self.officer
        policy = self.create_policy(
            user_id=self.manager.id, domain=f"[('id', '=', {self.lead.id})]"
        )
        self.assertFalse(policy._find())
        self.lead.user_id = self.manager
        self.assertEqual(policy._find(), self.lead)

    def test_policy_of_a_company(self):
        other = self.env["res.company"].create({"name": "Other company"})
        theirs = self.create_contact("Theirs", company_id=other.id)
        ours = self.create_contact("Ours", company_id=self.env.company.id)
        shared = self.create_contact("Shared")
        policy = self.create_policy("res.partner", company_id=self.env.company.id)
        self.run_policy(policy)
        self.assertEqual(ours.archive_state, "archived")
        self.assertUntouched(theirs | shared)

    def test_policy_of_another_company_is_invisible(self):
        other = self.env["res.company"].create({"name": "Other company"})
        policy = self.create_policy(company_id=other.id)
        found = self.env["crm.archive.policy"].with_user(self.manager)
        self.assertNotIn(policy, found.search([]))
        with self.assertRaises(AccessError):
            policy.with_user(self.manager).action_run()

    # ------------------------------------------------------------
    # Bad input
    # ------------------------------------------------------------

    def test_bad_domains_are_refused(self):
        policy = self.create_policy()
        for domain in (
            "[('no_such_field', '=', 1)]",
            "[('name', 'no such operator', 1)]",
            "[('name', '=', ",
            "__import__('os').system('true')",
            "[('name', '=', open('x').read())]",
            "{'name': 1}",
            "[" + "('id', '=', 1)," * 10_000 + "]",
            "['|', ('name', '=', 1)]",
            "1",
        ):
            with (
                self.subTest(domain=domain[:40]),
                self.assertRaisesRegex(ValidationError, "Test policy"),
                self.env.cr.savepoint(),
            ):
                policy.domain = domain
        self.assertEqual(policy.domain, "[]")

    def test_sql_in_a_domain_is_a_value(self):
        policy = self.create_policy(
            domain="""[('name', '=', "'; DELETE FROM crm_lead; --")]"""
        )
        self.assertFalse(policy._find())
        self.assertTrue(self.lead.exists())

    @mute_logger("odoo.sql_db")
    def test_negative_periods_are_refused(self):
        for values in ({"idle_number": -1}, {"grace_days": -1}):
            with self.assertRaises(IntegrityError), self.env.cr.savepoint():
                self.create_policy(**values)

    def test_category_periods(self):
        category = self.env["crm.archive.category"]
        with self.assertRaisesRegex(ValidationError, "negative"):
            category.create({"name": "Bad", "minimum_number": -1})
        with self.assertRaisesRegex(ValidationError, "longer than the maximum"):
            category.create({"name": "Bad", "minimum_number": 3, "maximum_number": 2})

    def test_other_models_are_refused(self):
        with self.assertRaisesRegex(ValidationError, "no archive lifecycle"):
            self.create_policy("res.users")

    def test_switched_off_policy_does_not_run(self):
        policy = self.create_policy(active=False)
        with self.assertRaisesRegex(UserError, "switched off"):
            policy.action_run()
        self.run_cron()
        self.assertUntouched(self.lead)

    # ------------------------------------------------------------
    # Preview and explain
    # ------------------------------------------------------------

    def test_preview_counts_and_writes_nothing(self):
        exempt = self.create_lead("Exempt", archive_exempt=True)
        policy = self.create_policy(
            domain="[('name', 'in', ['Silent lead', 'Exempt'])]"
        )
        log = self.env["crm.archive.log"]
        before = log.search_count([])
        action = policy.with_user(self.manager).action_preview()
        preview = self.env[action["res_model"]].browse(action["res_id"])
        self.assertEqual(
            (preview.matched_count, preview.kept_count, preview.archived_count),
            (2, 1, 1),
        )
        self.assertEqual(preview.line_ids.mapped("count"), [1])
        self.assertIn("Never Archive", preview.line_ids.message)
        listed = preview.action_view_records()
        found = self.env["crm.lead"].search(listed["domain"])
        self.assertEqual(found, self.lead)
        self.assertUntouched(self.lead | exempt)
        self.assertFalse(policy.run_ids)
        self.assertEqual(log.search_count([]), before)

    def test_preview_offers_a_run_of_what_is_switched_on(self):
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        previews = self.env["crm.archive.preview"]
        arch = etree.fromstring(previews.get_view(view_type="form")["arch"])
        (button,) = arch.xpath("//button[@name='action_run']")
        for active in (True, False):
            policy.active = active
            preview = previews._create_for(policy)
            self.assertEqual(preview.archived_count, 1)
            names = ("archived_count", "policy_active")
            values = {name: preview[name] for name in names}
            hidden = safe_eval(button.get("invisible"), values)
            self.assertEqual(bool(hidden), not active)

    def test_preview_says_how_much_room_it_is(self):
        """Twice the records take twice the room; compressed it is less."""
        # Not of one piece: PostgreSQL would compress what repeats itself as well.
        body = " ".join(f"Offer {n * 7919 % 1000} of {n}." for n in range(120))
        leads = self.env["crm.lead"]
        for number in range(4):
            lead = self.create_lead(f"Big {number}")
            lead.message_post(body=body, message_type="comment")
            leads |= lead
        self.env.flush_all()
        live, packed = leads._estimate_bytes(4)
        self.assertGreater(live, 4 * len(body))
        self.assertLess(packed, live)
        self.assertAlmostEqual(leads._estimate_bytes(8)[0], live * 2, delta=8)
        self.assertEqual(leads.browse()._estimate_bytes(0), (0, 0))
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        preview = self.env["crm.archive.preview"]._create_for(policy)
        self.assertRegex(preview.size_text, r"about \d.* bytes|Kb")

    def test_room_of_the_archive(self):
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        self.assertFalse(policy.archived_size)
        self.run_policy(policy)
        self.env.invalidate_all()
        self.assertRegex(policy.with_user(self.auditor).archived_size, r"^\d")
        self.lead.action_archive_restore()
        self.env.invalidate_all()
        self.assertFalse(policy.archived_size)

    def test_preview_agrees_with_the_run(self):
        self.create_lead("Exempt", archive_exempt=True)
        policy = self.create_policy()
        preview = self.env["crm.archive.preview"]._create_for(policy)
        expected = (preview.archived_count, preview.kept_count)
        run = self.run_policy(policy)
        self.assertEqual((run.archived_count, run.kept_count), expected)

    def test_explain(self):
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        action = self.lead.with_user(self.seller).action_archive_explain()
        explanation = self.env[action["res_model"]].browse(action["res_id"])
        line = explanation.line_ids.filtered(lambda li: li.name == policy.name)
        self.assertTrue(line.applies)
        self.lead.archive_exempt = True
        action = self.lead.with_user(self.seller).action_archive_explain()
        explanation = self.env[action["res_model"]].browse(action["res_id"])
        self.assertIn("Never Archive", explanation.summary)

    def test_room_counts_attachments(self):
        before, _packed = self.lead._estimate_bytes(1)
        self.env["ir.attachment"].create(
            {
                "name": "Offer",
                "res_model": "crm.lead",
                "res_id": self.lead.id,
                "raw": b"x" * 50_000,
            }
        )
        self.env.flush_all()
        live, packed = self.lead._estimate_bytes(1)
        self.assertAlmostEqual(live - before, 50_000, delta=500)
        self.assertGreater(packed, 50_000, "files are kept as they are")

    def test_figures_leave_out_what_still_waits(self):
        policy = self.create_policy(
            mode="review", domain=f"[('id', '=', {self.lead.id})]"
        )
        self.run_policy(policy)
        self.assertEqual((policy.archived_count, policy.pending_count), (0, 1))
        self.assertFalse(policy.archived_size)

    def test_ready_made_policies_come_switched_off(self):
        """Installing changes nothing: what the data file says, said anew."""
        policies = self.env["crm.archive.policy"]
        for name in (
            "lost_leads",
            "silent_contacts",
            "duplicate_contacts",
            "bounced_contacts",
            "unreachable_leads",
        ):
            policies |= self.env.ref(f"crm_archive_policy.crm_archive_policy_{name}")
        policies.write({"active": True, "mode": "automatic"})
        file = "data/crm_archive_policy_data.xml"
        convert_file(self.env, "crm_archive_policy", file, {}, mode="init")
        self.assertEqual(
            {(policy.active, policy.mode) for policy in policies}, {(False, "review")}
        )
