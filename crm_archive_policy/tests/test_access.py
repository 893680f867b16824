from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestAccess(ArchiveCase):
    """Who sees restricted records."""

    def _restrict(self):
        (self.lead)._archive({"archive_restricted": True})
        (self.contact)._archive({"archive_restricted": True})

    def _find(self, record, user):
        model = self.env[record._name].with_user(user).with_context(active_test=False)
        return model.search([("id", "=", record.id)])

    def _get_rules(self):
        return self.env.ref(
            "crm_archive_policy.crm_lead_rule_archive_restricted"
        ) | self.env.ref("crm_archive_policy.res_partner_rule_archive_restricted")

    def test_rules_are_in_force_before_there_is_something_to_hide(self):
        """Whatever restricts a record, or is going to, puts them in force."""
        live = self.create_lead("Live")
        own = {"archive_restricted": True}
        for name, act in (
            ("a policy that is made", lambda: self.create_policy(restrict_access=True)),
            (
                "a policy that is changed",
                lambda: self.create_policy().write({"restrict_access": True}),
            ),
            ("archiving", lambda: self.contact._archive(own)),
            ("code that writes", lambda: live.sudo().write(own)),
            ("code that creates", lambda: live.sudo().create({"name": "New", **own})),
        ):
            self._get_rules().active = False
            self._find(live, self.seller)  # the rules are remembered
            act()
            with self.subTest(name):
                self.assertTrue(all(self._get_rules().mapped("active")))
        self.assertFalse(self._find(live, self.seller))

    def test_rules_cost_nothing_while_nothing_is_hidden(self):
        self.assertFalse(any(self._get_rules().mapped("active")))
        self.create_policy()
        self.lead._archive()
        self.assertFalse(any(self._get_rules().mapped("active")))

    def test_restricted_is_invisible_without_the_group(self):
        self._restrict()
        for record in (self.lead, self.contact):
            with self.subTest(model=record._name):
                self.assertFalse(self._find(record, self.seller))
                with self.assertRaises(AccessError):
                    record.with_user(self.seller).read(["name"])
                self.assertTrue(self._find(record, self.officer))
                self.assertEqual(
                    record.with_user(self.officer).name, record.sudo().name
                )

    def test_all_leads_rule_does_not_open_it(self):
        """Group rules are OR-ed: ours must hold against one that allows all."""
        self._restrict()
        admin = new_test_user(
            self.env, "sales_boss", groups="sales_team.group_sale_manager"
        )
        self.assertFalse(self._find(self.lead, admin))

    def test_archived_without_restriction_stays_visible(self):
        self.lead._archive()
        self.assertTrue(self._find(self.lead, self.seller))

    def test_restore_lifts_the_restriction(self):
        self._restrict()
        self.lead.with_user(self.officer).action_archive_restore()
        self.assertTrue(self._find(self.lead, self.seller))

    def test_seller_cannot_restore_what_he_cannot_see(self):
        self._restrict()
        with self.assertRaises(AccessError):
            self.lead.with_user(self.seller).action_archive_restore()
        with self.assertRaises(AccessError):
            self.lead.with_user(self.seller).write({"active": True})

    def test_portal_and_public_do_nothing(self):
        portal = new_test_user(self.env, "portal_x", groups="base.group_portal")
        public = self.env.ref("base.public_user")
        for user in (portal, public):
            for method in (
                "action_archive_wizard",
                "action_archive_restore",
                "action_archive_explain",
            ):
                with (
                    self.subTest(user=user.login, method=method),
                    self.assertRaises(AccessError),
                ):
                    getattr(self.lead.with_user(user), method)()

    def test_inactive_system_users_stay_readable(self):
        bot = self.env.ref("base.partner_root")
        self.assertFalse(bot.active)
        self.assertTrue(bot.with_user(self.seller).name)

    def test_groups_imply_each_other(self):
        group = "crm_archive_policy.group_archive_"
        self.assertTrue(self.manager.has_group(group + "officer"))
        self.assertTrue(self.officer.has_group(group + "user"))
        self.assertTrue(self.auditor.has_group(group + "user"))
        self.assertFalse(self.auditor.has_group(group + "officer"))
        self.assertFalse(self.manager.has_group(group + "auditor"))

    def test_candidate_names_only_what_the_officer_sees(self):
        self.lead.user_id = self.seller
        policy = self.create_policy(
            mode="review", domain=f"[('id', '=', {self.lead.id})]"
        )
        self.run_policy(policy)
        self.officer.group_ids = [
            (3, self.env.ref("sales_team.group_sale_salesman_all_leads").id),
            (4, self.env.ref("sales_team.group_sale_salesman").id),
        ]
        name = policy.candidate_ids.with_user(self.officer).res_name
        self.assertNotIn("Silent", name)
        self.assertIn("Silent", policy.candidate_ids.with_user(self.manager).res_name)

    def test_auditor_reads_policies_without_sales_rights(self):
        """Figures of what a policy took, though not the records themselves."""
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        self.run_policy(policy)
        self.env.invalidate_all()
        seen = policy.with_user(self.auditor)
        self.assertEqual(seen.archived_count, 1)
        with self.assertRaises(AccessError):
            self.lead.with_user(self.auditor).read(["name"])
        outsider = new_test_user(self.env, "outsider", groups="base.group_user")
        self.env.invalidate_all()
        self.assertEqual(policy.with_user(outsider).archived_count, 0)
