from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestCompany(ArchiveCase):
    """Whoever works for one company learns nothing about another one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ours = cls.env.company
        cls.theirs = cls.env["res.company"].create({"name": "Their company"})
        cls.env.user.company_ids |= cls.theirs
        cls.manager.company_ids |= cls.theirs
        cls.contacts = cls.create_contact("Ours", company_id=cls.ours.id)
        cls.contacts |= cls.create_contact("Theirs", company_id=cls.theirs.id)
        cls.contacts |= cls.create_contact("Shared")
        both = "base.group_user,crm_archive_policy.group_archive_"
        cls.insider = new_test_user(
            cls.env,
            "insider",
            groups=f"{both}officer,{both}auditor,base.group_partner_manager",
            company_id=cls.theirs.id,
            company_ids=[(6, 0, cls.theirs.ids)],
        )

    def _policy(self, **values):
        """Return a policy over the three contacts; for every company by default."""
        return self.create_policy(
            "res.partner",
            domain=f"[('id', 'in', {self.contacts.ids})]",
            user_id=self.manager.id,
            **values,
        )

    def test_figures_of_a_policy_for_every_company(self):
        policy = self._policy()
        self.run_policy(policy)
        self.assertEqual(set(self.contacts.mapped("archive_state")), {"archived"})
        # The officer works for our company: ours and the shared one.
        self.assertEqual(policy.with_user(self.officer).archived_count, 2)
        self.assertEqual(policy.with_user(self.auditor).archived_count, 2)
        self.assertEqual(policy.with_user(self.insider).archived_count, 2)
        manager = policy.with_user(self.manager)
        both = (self.ours | self.theirs).ids
        every = manager.with_context(allowed_company_ids=both)
        self.assertEqual(every.archived_count, 3)
        self.assertEqual(len(every._get_archived_sample()), 3)
        sample = policy.with_user(self.officer)._get_archived_sample()
        self.assertEqual(set(sample.mapped("name")), {"Ours", "Shared"})

    def test_candidates_of_a_policy_for_every_company(self):
        policy = self._policy(mode="review")
        self.run_policy(policy)
        ours, theirs, shared = policy.candidate_ids.sorted("res_id")
        self.assertEqual(ours.company_id, self.ours)
        self.assertEqual(theirs.company_id, self.theirs)
        self.assertFalse(shared.company_id)
        seen = self.env["crm.archive.candidate"].with_user(self.officer).search([])
        self.assertEqual(seen, ours | shared)
        self.assertEqual(policy.with_user(self.officer).pending_count, 2)
        with self.assertRaises(AccessError):
            theirs.with_user(self.officer).action_approve()
        self.assertEqual(self.contacts[1].archive_state, "pending")
        seen.action_approve()
        self.assertEqual(
            self.contacts.mapped("archive_state"), ["archived", "pending", "archived"]
        )

    def test_what_colleagues_elsewhere_were_told(self):
        """Of a policy for every company: how many records are theirs to decide on."""
        self.contacts[1].user_id = self.insider
        policy = self._policy(grace_days=5)
        self.run_policy(policy)
        notice = self.env["crm.archive.notice"].search(
            [("policy_id", "=", policy.id), ("owner_id", "=", self.insider.id)]
        )
        self.assertEqual(notice.record_count, 1)
        for user, expected in ((self.officer, 0), (self.insider, 1)):
            with self.subTest(user=user.login):
                seen = self.env["crm.archive.notice"].with_user(user)
                self.assertEqual(seen.search_count([("id", "=", notice.id)]), expected)

    def test_a_shared_record_is_named_for_the_company_of_the_policy(self):
        policy = self._policy(mode="review", company_id=self.theirs.id)
        # A policy of a company leaves shared records alone, but a rule may change.
        candidate = self.env["crm.archive.candidate"].create(
            {
                "policy_id": policy.id,
                "res_model": "res.partner",
                "res_id": self.contacts[2].id,
                "due_date": "2030-01-01",
            }
        )
        self.assertEqual(candidate.company_id, self.theirs)

    def test_totals_are_for_whoever_sees_all_of_it(self):
        """Runs count over all companies of the responsible; no part can be told."""
        policy = self._policy()
        self.run_policy(policy)
        outsider = new_test_user(self.env, "no_group", groups="base.group_user")
        figures = ["taken_count", "last_result", "regret_rate", "winback_count"]
        for user, expected in ((self.manager, 3), (self.insider, 0), (self.officer, 0)):
            with self.subTest(user=user.login):
                self.env.invalidate_all()
                [shown] = policy.with_user(user).read(figures)
                self.assertEqual(shown["taken_count"], expected)
                self.assertEqual(bool(shown["last_result"]), bool(expected))
        with self.assertRaises(AccessError):
            policy.with_user(outsider).read(figures)
        own = self._policy(company_id=self.theirs.id)
        self.assertEqual(own.with_user(self.insider).taken_count, 0)
        shared = policy.with_user(self.insider).search([("id", "=", policy.id)])
        self.assertTrue(shared, "the policy itself is everybody's")

    def test_what_belongs_to_another_company_is_invisible(self):
        policy = self._policy(company_id=self.theirs.id, grace_days=5)
        run = self.run_policy(policy)
        run._note_error(self.contacts[1], ValueError("No luck"))
        hold = self.env["crm.archive.hold"].create(
            {
                "name": "Their matter",
                "reason": "Theirs",
                "company_id": self.theirs.id,
                "partner_ids": [(6, 0, self.contacts[1].ids)],
            }
        )
        hold.action_start()
        self.env["crm.archive.restore.stat"]._create_counts(
            {(policy.id, False, True, "crm.lead", *[False] * 5): 1}
        )
        self.contacts[1].user_id = self.insider
        notice = self.env["crm.archive.notice"].search([("policy_id", "=", policy.id)])
        self.assertTrue(notice)
        log = self.env["crm.archive.log"].with_company(self.theirs)
        log._append("keep", self.contacts[1], policy=policy)
        records = {
            "crm.archive.policy": policy,
            "crm.archive.run": run,
            "crm.archive.run.error": run.error_ids,
            "crm.archive.candidate": policy.candidate_ids,
            "crm.archive.notice": notice,
            "crm.archive.restore.stat": self.env["crm.archive.restore.stat"].search(
                [("policy_id", "=", policy.id)]
            ),
            "crm.archive.log": log.search([], limit=1),
            "crm.archive.hold": hold,
            "crm.archive.hold.record": self.env["crm.archive.hold.record"].search(
                [("hold_id", "=", hold.id)]
            ),
            "crm.archive.recontact": self.env["crm.archive.recontact"].create(
                {
                    "archived_model": "res.partner",
                    "archived_id": self.contacts[1].id,
                    "match_kind": "email",
                    "company_id": self.theirs.id,
                }
            ),
        }
        outsider = new_test_user(
            self.env,
            "outsider_of_all",
            groups="crm_archive_policy.group_archive_manager,"
            "crm_archive_policy.group_archive_auditor",
        )
        for name, found in records.items():
            with self.subTest(model=name):
                self.assertEqual(len(found), 1)
                domain = [("id", "=", found.id)]
                for user, expected in ((outsider, 0), (self.manager, 1)):
                    model = self.env[name].with_user(user)
                    if user == self.manager:
                        model = model.with_context(allowed_company_ids=self.theirs.ids)
                    self.assertEqual(model.search_count(domain), expected)

    def test_explain_names_no_policy_of_another_company(self):
        self._policy(name="For everybody")
        self._policy(name="Their own", company_id=self.theirs.id)
        shared = self.contacts[2]
        for user, expected in (
            (self.officer, {"For everybody"}),
            (self.insider, {"For everybody", "Their own"}),
        ):
            with self.subTest(user=user.login):
                action = shared.with_user(user).action_archive_explain()
                explanation = self.env[action["res_model"]].browse(action["res_id"])
                lines = explanation.line_ids.filtered(lambda li: li.kind == "policy")
                self.assertEqual(set(lines.mapped("name")), expected)
