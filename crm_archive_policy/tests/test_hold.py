from datetime import timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Date
from odoo.tests import Form, new_test_user, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestHold(ArchiveCase):
    """Legal holds: what they stop, whom they cover, who lifts them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.act_alone()

    def _create_hold(self, user=None, **values):
        return (
            self.env["crm.archive.hold"]
            .with_user(user or self.manager)
            .create({"name": "Case 114", "reason": "Product liability", **values})
        )

    def _hold(self, records, **values):
        name = "partner_ids" if records._name == "res.partner" else "lead_ids"
        hold = self._create_hold(**{name: [(6, 0, records.ids)]}, **values)
        hold.action_start()
        return hold

    def _hold_domain(self, domain, model="crm.lead", **values):
        hold = self._create_hold(
            kind="domain", res_model=model, domain=domain, **values
        )
        hold.action_start()
        return hold

    def _lift(self, hold, reason="Settled", user=None):
        action = hold.with_user(user or self.manager).action_lift()
        wizard = (
            self.env[action["res_model"]]
            .with_user(user or self.manager)
            .with_context(**action["context"])
        )
        form = Form(wizard)
        form.reason = reason
        form.save().action_lift()

    def _run_cron(self, cron):
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self.env.invalidate_all()

    def _log_lines(self, action, record):
        return self.env["crm.archive.log"].search(
            [
                ("action", "=", action),
                ("res_model", "=", record._name),
                ("res_id", "in", record.ids),
            ]
        )

    # ------------------------------------------------------------
    # Starting and lifting
    # ------------------------------------------------------------

    def test_start_and_lift(self):
        hold = self._hold(self.contact, lead_ids=[(6, 0, self.lead.ids)])
        self.assertRecordValues(
            hold,
            [
                {
                    "state": "active",
                    "start_user_id": self.manager.id,
                    "record_count": 2,
                }
            ],
        )
        self.assertTrue(self.contact.archive_on_hold and self.lead.archive_on_hold)
        self._lift(hold)
        self.assertRecordValues(
            hold,
            [
                {
                    "state": "lifted",
                    "lift_user_id": self.manager.id,
                    "lift_reason": "Settled",
                    "record_count": 2,
                }
            ],
        )
        self.assertTrue(hold.lift_date)
        self.assertFalse(self.contact.archive_on_hold or self.lead.archive_on_hold)
        for action in ("hold", "lift"):
            for record in (self.contact, self.lead, hold):
                line = self._log_lines(action, record)
                self.assertEqual(line.user_id, self.manager, (action, record))

    def test_only_managers(self):
        hold = self._create_hold(partner_ids=[(6, 0, self.contact.ids)])
        for user in (self.seller, self.officer, self.auditor):
            with self.subTest(user=user.login):
                with self.assertRaises(AccessError):
                    hold.with_user(user).action_start()
                with self.assertRaises(AccessError):
                    self._create_hold(user)
        hold.action_start()
        for user in (self.seller, self.officer, self.auditor):
            with self.subTest(user=user.login):
                with self.assertRaises(AccessError):
                    hold.with_user(user).action_lift()
                with self.assertRaises(AccessError):
                    hold.with_user(user)._lift("I say so")
        self.assertTrue(self.contact.archive_on_hold)
        self.assertEqual(hold.with_user(self.auditor).record_count, 1)
        with self.assertRaises(AccessError):
            hold.with_user(self.officer).read(["name"])

    def test_lifting_needs_a_reason(self):
        hold = self._hold(self.contact)
        for reason in ("", "   ", False):
            with self.subTest(reason=reason), self.assertRaises(UserError):
                hold._lift(reason)
        with self.assertRaises(AssertionError):
            self._lift(hold, reason=False)
        self.assertTrue(self.contact.archive_on_hold)

    def test_state_is_not_written(self):
        hold = self._hold(self.contact)
        for vals in (
            {"state": "lifted"},
            {"state": "draft"},
            {"lift_reason": "forged"},
            {"start_user_id": self.env.uid},
        ):
            for target in (hold, hold.sudo()):
                with self.subTest(vals=vals), self.assertRaises(AccessError):
                    target.write(vals)
        with self.assertRaises(AccessError):
            self._create_hold(state="active")

    def test_a_lifted_hold_stays_lifted(self):
        hold = self._hold(self.contact)
        self._lift(hold)
        with self.assertRaisesRegex(UserError, "started before"):
            hold.action_start()
        with self.assertRaisesRegex(UserError, "stays as it is"):
            hold.reason = "Another one"
        with self.assertRaisesRegex(UserError, "not in force"):
            hold._lift("again")
        with self.assertRaisesRegex(UserError, "never deleted"):
            hold.unlink()
        self.assertEqual(hold.copy().state, "draft")

    def test_only_a_draft_is_deleted(self):
        self._create_hold().unlink()
        hold = self._hold(self.contact)
        with self.assertRaisesRegex(UserError, "never deleted"):
            hold.unlink()

    def test_empty_hold(self):
        with self.assertRaisesRegex(UserError, "covers nothing"):
            self._create_hold().action_start()

    def test_a_hold_in_force_only_grows(self):
        hold = self._hold(self.contact)
        other = self.create_contact("Other")
        hold.write({"partner_ids": [(4, other.id)], "date_end": Date.today()})
        self.assertTrue(other.archive_on_hold)
        with self.assertRaisesRegex(UserError, "only when the hold is lifted"):
            hold.write({"partner_ids": [(3, other.id)]})
        with self.assertRaisesRegex(UserError, "fixed"):
            hold.write({"kind": "domain"})

    def test_bad_domains(self):
        for domain in (
            "[('no_such_field', '=', 1)]",
            "__import__('os')",
            "[('id', '=', 1)",
            "5",
        ):
            with self.subTest(domain=domain), self.assertRaises(ValidationError):
                self._create_hold(kind="domain", res_model="crm.lead", domain=domain)

    def test_two_overlapping_holds(self):
        other = self.create_contact("Only the first")
        first = self._hold(self.contact | other)
        second = self._hold(self.contact)
        contact = self.contact.with_user(self.manager)
        self.assertEqual(contact.archive_hold_ids, first | second)
        self._lift(first)
        self.assertTrue(contact.archive_on_hold, "the second one still covers it")
        self.assertFalse(other.archive_on_hold)
        self.assertEqual(contact.archive_hold_ids, second)
        with self.assertRaisesRegex(UserError, "legal hold"):
            self.contact.unlink()
        self._lift(second)
        self.assertFalse(contact.archive_on_hold)
        self.contact.unlink()

    def test_from_the_list_of_contacts(self):
        action = self.contact.with_user(self.manager).action_archive_hold()
        form = Form(
            self.env["crm.archive.hold"]
            .with_user(self.manager)
            .with_context(**action["context"])
        )
        form.name = "From the list"
        form.reason = "Because"
        self.assertEqual(form.save().partner_ids, self.contact)
        with self.assertRaises(AccessError):
            self.contact.with_user(self.officer).action_archive_hold()

    # ------------------------------------------------------------
    # What a hold stops
    # ------------------------------------------------------------

    def test_archiving_by_hand(self):
        self._hold(self.lead)
        for user in (self.seller, self.manager):
            lead = self.lead.with_user(user)
            for archive in (lead.action_archive, lambda r=lead: r.write({"active": 0})):
                with (
                    self.subTest(user=user.login),
                    self.assertRaisesRegex(UserError, "legal hold"),
                ):
                    archive()
            wizard = (
                self.env["crm.archive.wizard"]
                .with_user(user)
                .create(
                    {
                        "res_model": "crm.lead",
                        "res_ids": self.lead.ids,
                        "reason_id": self.reason.id,
                    }
                )
            )
            with self.assertRaisesRegex(UserError, "legal hold"):
                wizard.action_archive()
        self.assertUntouched(self.lead)

    def test_archiving_by_policy_without_the_guard(self):
        """The guard only explains: whoever switches it off frees nothing."""
        self.env["crm.archive.guard"].search([]).active = False
        self._hold(self.lead)
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        run = self.run_policy(policy)
        self.assertUntouched(self.lead)
        self.assertEqual(run.error_count, 1)

    def test_pending_candidate_is_cancelled(self):
        policy = self.create_policy(
            grace_days=5, domain=f"[('id', '=', {self.lead.id})]"
        )
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "pending")
        self._hold(self.lead)
        self.assertRecordValues(
            self.lead,
            [{"archive_state": "live", "archive_due_date": False}],
        )
        self.assertRecordValues(
            policy.candidate_ids,
            [{"verdict": "cancelled", "note": "A legal hold is in force."}],
        )

    def test_unlink(self):
        self._hold(self.contact, lead_ids=[(6, 0, self.lead.ids)])
        for record in (self.contact, self.lead):
            with self.assertRaisesRegex(UserError, "legal hold"):
                record.unlink()

    def test_data_is_edited_and_archived_records_are_restored(self):
        self.lead._archive()
        self._hold(self.lead)
        lead = self.lead.with_user(self.seller)
        lead.description = "New facts"
        lead.action_archive_restore()
        self.assertUntouched(self.lead)

    def test_merging_contacts(self):
        twin = self.create_contact("Twin")
        self._hold(twin)
        wizard = (
            self.env["base.partner.merge.automatic.wizard"]
            .with_user(self.seller)
            .create(
                {
                    "partner_ids": [(6, 0, (self.contact | twin).ids)],
                    "dst_partner_id": self.contact.id,
                }
            )
        )
        for destination in (self.contact, twin):
            wizard.dst_partner_id = destination
            with self.assertRaisesRegex(UserError, "cannot be merged"):
                wizard.action_merge()
        self.assertTrue((self.contact | twin).exists() == self.contact | twin)

    def test_merging_leads(self):
        twin = self.create_lead("Twin")
        self._hold(twin)
        leads = (self.lead | twin).with_user(self.seller)
        with self.assertRaisesRegex(UserError, "cannot be merged"):
            leads.merge_opportunity()
        with self.assertRaisesRegex(UserError, "cannot be merged"):
            leads.merge_opportunity(auto_unlink=False)
        self.assertEqual(len(leads.exists()), 2)

    def test_refusal_of_a_merge_names_nobody_hidden(self):
        twin = self.create_contact("Secret twin")
        twin._archive({"archive_restricted": True})
        self._hold(twin)
        pair = (self.contact | twin).with_user(self.seller)
        with self.assertRaises(UserError) as refusal:
            pair._check_mergeable()
        self.assertNotIn("Secret", str(refusal.exception))

    # ------------------------------------------------------------
    # Domains
    # ------------------------------------------------------------

    def test_domain_catches_what_comes_to_match(self):
        lost = self.create_lead("Turbine A")
        lost.action_set_lost()
        hold = self._hold_domain("[('name', 'ilike', 'turbine')]")
        self.assertTrue(lost.archive_on_hold, "inactive ones too")
        self.assertFalse(self.lead.archive_on_hold)
        late = self.create_lead("Turbine B")
        self._run_cron(self.env.ref("crm_archive_policy.ir_cron_refresh_holds"))
        self.assertTrue(late.archive_on_hold)
        self.assertFalse(self.lead.archive_on_hold)
        self.assertEqual(hold.record_count, 2)
        lost.name = "No longer named so"
        hold._refresh("crm.lead")
        self.assertTrue(lost.archive_on_hold, "who was taken stays until it is lifted")

    def test_domain_covers_before_it_is_refreshed(self):
        self._hold_domain("[('name', 'ilike', 'turbine')]")
        late = self.create_lead("Turbine B")
        self.assertFalse(late.archive_on_hold)
        with self.assertRaisesRegex(UserError, "legal hold"):
            late.unlink()
        with self.assertRaisesRegex(UserError, "legal hold"):
            late.with_user(self.seller).action_archive()
        with self.assertRaisesRegex(UserError, "cannot be merged"):
            (late | self.lead).with_user(self.seller).merge_opportunity()

    def test_policy_run_refreshes_first(self):
        hold = self._hold_domain("[('name', 'ilike', 'turbine')]")
        late = self.create_lead("Turbine B")
        run = self.run_policy(self.create_policy(domain=f"[('id', '=', {late.id})]"))
        self.assertUntouched(late)
        self.assertEqual((run.kept_count, run.error_count), (1, 0))
        self.assertEqual(hold.record_count, 1)

    def test_domain_that_broke(self):
        hold = self._hold_domain("[('name', 'ilike', 'turbine')]")
        hold.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_archive_hold SET domain = %s WHERE id = %s",
            ["[('gone_field', '=', 1)]", hold.id],
        )
        hold.invalidate_recordset()
        hold._refresh()
        self.assertIn("gone_field", hold.error)
        self.assertEqual(hold.activity_ids.user_id, self.manager)
        hold._refresh()
        self.assertEqual(len(hold.activity_ids), 1, "said once")
        self.lead.unlink()

    def test_many_records_are_left_to_the_scheduled_action(self):
        leads = self.env["crm.lead"].create(
            [{"name": f"Turbine {n}", "user_id": False} for n in range(7)]
        )
        cron = self.env.ref("crm_archive_policy.ir_cron_refresh_holds")
        module = "odoo.addons.crm_archive_policy.models.crm_archive_hold"
        with (
            patch(f"{module}_cover.BATCH_SIZE", 2),
            patch(f"{module}.INLINE_MAX", 4),
            self.capture_triggers(cron.id) as triggers,
        ):
            hold = self._hold_domain("[('name', 'ilike', 'turbine')]")
            self.assertEqual(hold.record_count, 4)
            with self.assertRaisesRegex(UserError, "legal hold"):
                leads.filtered(lambda lead: not lead.archive_on_hold).unlink()
            self._run_cron(cron)
            self.assertEqual(leads.mapped("archive_on_hold"), [True] * 7)
            self._lift(hold)
            self.assertEqual(leads.mapped("archive_on_hold").count(True), 3)
            self.assertTrue(hold.is_releasing)
            self._run_cron(cron)
        self.assertEqual(leads.mapped("archive_on_hold"), [False] * 7)
        self.assertFalse(hold.is_releasing)
        self.assertEqual(len(triggers.records), 2)

    def test_many_records_take_few_queries(self):
        leads = self.env["crm.lead"].create(
            [{"name": f"Turbine {n}", "user_id": False} for n in range(50)]
        )
        hold = self._create_hold(
            kind="domain", res_model="crm.lead", domain="[('name', 'ilike', 'turbine')]"
        )
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        hold.action_start()
        self.env.flush_all()
        few = self.env.cr.sql_log_count - before
        self.assertEqual(leads.mapped("archive_on_hold"), [True] * 50)
        self.assertLess(few, 50)

    # ------------------------------------------------------------
    # Companies, people, dates
    # ------------------------------------------------------------

    def test_companies(self):
        other = self.env["res.company"].create({"name": "Other company"})
        groups = (
            "sales_team.group_sale_salesman_all_leads,base.group_partner_manager,"
            "crm_archive_policy.group_archive_manager"
        )
        stranger = new_test_user(
            self.env,
            "stranger",
            groups=groups,
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        theirs = self.create_lead("Turbine theirs", company_id=other.id)
        ours = self.create_lead("Turbine ours", company_id=self.env.company.id)
        shared = self.create_lead("Turbine shared", company_id=False)
        hold = self._hold_domain("[('name', 'ilike', 'turbine')]")
        self.assertEqual(
            [lead.archive_on_hold for lead in (theirs, ours, shared)],
            [False, True, True],
        )
        bot = self.env.ref("base.user_root")  # whom no record rule limits
        self._create_hold(
            bot, kind="domain", res_model="crm.lead", domain="[]"
        ).action_start()
        self.assertFalse(theirs.archive_on_hold)
        self.assertFalse(self.env[hold._name].with_user(stranger).search([]))
        with self.assertRaises(AccessError):
            hold.with_user(stranger)._lift("Not mine")
        self.assertFalse(
            self.env["crm.archive.hold.record"].with_user(stranger).search([])
        )
        self.assertFalse(shared.with_user(stranger).archive_hold_ids)
        forged = self._create_hold(
            company_id=False, lead_ids=[(6, 0, ours.ids)]
        ).with_user(stranger)
        with self.assertRaises(AccessError):
            forged.action_start()

    def test_domain_reaches_no_further_than_who_started_it(self):
        """Else the number of held records would answer any question about others."""
        clerk = new_test_user(
            self.env,
            "clerk",
            groups="sales_team.group_sale_salesman,"
            "crm_archive_policy.group_archive_manager",
        )
        theirs = self.create_lead("Turbine theirs", user_id=self.seller.id)
        own = self.create_lead("Turbine own", user_id=clerk.id)
        hold = self._create_hold(
            clerk,
            kind="domain",
            res_model="crm.lead",
            domain="[('name', 'ilike', 'turbine')]",
            user_id=self.manager.id,
        )
        hold.action_start()
        self._run_cron(self.env.ref("crm_archive_policy.ir_cron_refresh_holds"))
        self.assertEqual([theirs.archive_on_hold, own.archive_on_hold], [False, True])

    def test_who_may_know_the_matter(self):
        hold = self._hold(self.contact)
        with self.assertRaises(AccessError):
            self.contact.with_user(self.seller).read(["archive_hold_ids"])
        for user, name in ((self.auditor, hold.name), (self.seller, "Legal hold")):
            contact = self.contact.with_user(user)
            action = contact.action_archive_explain()
            lines = self.env[action["res_model"]].browse(action["res_id"]).line_ids
            line = lines.filtered(lambda line: line.kind == "hold")
            self.assertEqual(line.name, name)
        member = self.env["crm.archive.hold.record"].search([("hold_id", "=", hold.id)])
        self.assertEqual(member.with_user(self.manager).res_name, "Silent contact")
        for vals in ({"res_id": self.lead.id}, {"res_model": "crm.lead"}):
            with self.assertRaises(AccessError):
                member.with_user(self.manager).write(vals)
        with self.assertRaises(AccessError):
            member.with_user(self.manager).unlink()

    def test_search_by_hold(self):
        hold = self._hold(self.contact)
        contacts = self.env["res.partner"].with_user(self.manager)
        self.assertEqual(
            contacts.search([("archive_hold_ids", "in", hold.ids)]), self.contact
        )
        self._lift(hold)
        self.assertFalse(contacts.search([("archive_hold_ids", "in", hold.ids)]))

    def test_planned_end_reminds_and_lifts_nothing(self):
        hold = self._hold(self.contact, date_end=Date.today() - timedelta(days=1))
        hold._remind_of_end()
        hold._remind_of_end()
        self.assertEqual(len(hold.activity_ids), 1)
        self.assertEqual(hold.activity_ids.user_id, self.manager)
        self.assertTrue(self.contact.archive_on_hold)
        self.assertEqual(hold.state, "active")

    def test_lost_with_forged_values(self):
        """The way CRM loses a lead takes values from the client."""
        self._hold(self.lead)
        lead = self.lead.with_user(self.seller)
        with self.assertRaises(AccessError):
            lead.action_set_lost(archive_on_hold=False)
