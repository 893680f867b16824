from datetime import timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Date
from odoo.tests import new_test_user, tagged

from odoo.addons.mail.tests.common import MailCase

from ..models import crm_archive_run
from .common import ArchiveCase


class NoticeCase(ArchiveCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.colleague = new_test_user(
            cls.env, "colleague", groups="sales_team.group_sale_salesman"
        )
        # Sees own leads only, and has no archive group at all.
        cls.owner = new_test_user(
            cls.env, "owner", groups="sales_team.group_sale_salesman"
        )

    def _name(self, count=3, model="crm.lead", user=None, **values):
        """Create so many aged records and let a policy name them."""
        create = self.create_lead if model == "crm.lead" else self.create_contact
        records = self.env[model]
        for number in range(count):
            records |= create(f"Named {number}", user_id=(user or self.owner).id)
        return self._propose(records, **values), records

    def _propose(self, records, **values):
        values.setdefault("grace_days", 30)
        policy = self.create_policy(
            records._name,
            domain=f"[('id', 'in', {records.ids})]",
            user_id=self.manager.id,
            **values,
        )
        self.run_policy(policy)
        return policy

    def _get_activities(self, policy, user=None):
        domain = [("res_model", "=", policy._name), ("res_id", "=", policy.id)]
        if user:
            domain.append(("user_id", "=", user.id))
        return self.env["mail.activity"].search(domain)

    def _get_mails(self, records):
        return self.env["mail.mail"].search(
            [
                ("model", "=", records._name),
                ("res_id", "in", records.ids),
                # Not the e-mails to salespeople who were assigned a lead.
                ("message_type", "=", "email_outgoing"),
            ]
        )


@tagged("post_install", "-at_install")
class TestNotice(NoticeCase, MailCase):
    """The owner and the customer are told, once."""

    # ------------------------------------------------------------
    # Owner
    # ------------------------------------------------------------

    def test_one_activity_a_run_and_owner(self):
        self.patch(crm_archive_run, "BATCH_SIZE", 2)
        leads = self.env["crm.lead"]
        for number in range(5):
            leads |= self.create_lead(f"Mine {number}", user_id=self.owner.id)
        leads |= self.create_lead("Theirs", user_id=self.colleague.id)
        policy = self._propose(leads)
        activity = self._get_activities(policy, self.owner)
        self.assertEqual(len(activity), 1)
        self.assertIn("5 of your records", activity.summary)
        self.assertIn("/odoo/archive-mine", activity.note)
        self.assertEqual(activity.date_deadline, Date.today() + timedelta(days=30))
        self.assertIn("One of", self._get_activities(policy, self.colleague).summary)
        self.assertEqual(len(self._get_activities(policy)), 2)
        # Being told does not mean to follow every discussion about the policy.
        self.assertNotIn(self.owner.partner_id, policy.message_partner_ids)

    def test_every_run_tells_anew_only_about_new_records(self):
        policy, leads = self._name(2)
        policy.domain = f"[('user_id', '=', {self.owner.id})]"
        self.run_policy(policy)
        self.assertEqual(len(self._get_activities(policy, self.owner)), 1)
        self.create_lead("Later", user_id=self.owner.id)
        self.run_policy(policy)
        activities = self._get_activities(policy, self.owner).sorted("id")
        self.assertEqual(len(activities), 2)
        self.assertIn("One of", activities[1].summary)

    def test_without_an_owner_the_responsible_is_told(self):
        gone = new_test_user(self.env, "gone", groups="sales_team.group_sale_salesman")
        lead = self.create_lead("Orphan", user_id=gone.id)
        gone.active = False
        policy = self._propose(self.lead | lead)
        activity = self._get_activities(policy)
        self.assertEqual(activity.user_id, self.manager)
        self.assertIn("2 of", activity.summary)

    def test_switched_off(self):
        policy, _leads = self._name(notify_owner=False)
        self.assertFalse(self._get_activities(policy))

    def test_in_the_language_of_the_owner(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.owner.lang = "fr_FR"
        policy = self.create_policy(grace_days=1)
        policy.with_context(lang="fr_FR").name = "Silence"
        lead = self.create_lead("L", user_id=self.owner.id)
        policy.domain = f"[('id', '=', {lead.id})]"
        self.run_policy(policy)
        self.assertIn("Silence", self._get_activities(policy).note)

    def test_activity_goes_when_everything_is_decided(self):
        policy, _leads = self._name(2)
        first, second = policy.candidate_ids
        first.with_user(self.officer).action_keep()
        self.assertTrue(self._get_activities(policy, self.owner))
        second.with_user(self.owner).action_keep()
        self.assertFalse(self._get_activities(policy, self.owner))

    def test_archiving_by_itself_closes_the_activity(self):
        policy, _leads = self._name(2)
        with freeze_time(Date.today() + timedelta(days=31)):
            self.run_policy(policy)
        self.assertEqual(set(policy.candidate_ids.mapped("verdict")), {"archived"})
        self.assertFalse(self._get_activities(policy))

    # ------------------------------------------------------------
    # What an owner may do
    # ------------------------------------------------------------

    def test_owner_sees_own_candidates_only(self):
        policy = self._propose(
            self.create_lead("Mine", user_id=self.owner.id)
            | self.create_lead("Theirs", user_id=self.colleague.id)
        )
        seen = self.env["crm.archive.candidate"].with_user(self.owner).search([])
        self.assertEqual(seen.mapped("res_name"), ["Mine"])
        self.assertEqual(policy.with_user(self.owner).own_pending_count, 1)
        theirs = policy.candidate_ids - seen.sudo()
        with self.assertRaises(AccessError):
            theirs.with_user(self.owner).read(["res_id"])
        with self.assertRaises(AccessError):
            theirs.with_user(self.owner).action_keep()

    def test_owner_keeps_but_never_approves(self):
        policy, leads = self._name(1)
        candidate = policy.candidate_ids.with_user(self.owner)
        with self.assertRaises(AccessError):
            candidate.action_approve()
        with self.assertRaises(AccessError):
            candidate.write({"verdict": "approved"})
        with self.assertRaises(AccessError):
            candidate.unlink()
        self.assertEqual(leads.archive_state, "pending")
        candidate.action_keep()
        self.assertUntouched(leads)
        self.assertRecordValues(
            policy.candidate_ids, [{"verdict": "kept", "user_id": self.owner.id}]
        )

    def test_owner_who_lost_sight_of_the_record_cannot_keep_it(self):
        policy, leads = self._name(1)
        leads.user_id = self.colleague
        with self.assertRaises(AccessError):
            policy.candidate_ids.with_user(self.owner).action_keep()
        self.assertEqual(leads.archive_state, "pending")

    def test_auditors_decide_nothing(self):
        policy, leads = self._name(1)
        # Sees the lead itself, so that nothing but the candidate's rights refuse.
        all_leads = self.env.ref("sales_team.group_sale_salesman_all_leads")
        self.auditor.group_ids |= all_leads
        candidate = policy.candidate_ids.with_user(self.auditor)
        self.assertEqual(candidate.verdict, "pending")
        for method in ("action_keep", "action_keep_until", "action_approve"):
            with self.subTest(method=method), self.assertRaises(AccessError):
                getattr(candidate, method)()
        self.assertEqual(leads.archive_state, "pending")

    def test_decisions_are_not_written_directly(self):
        policy, _leads = self._name(1)
        with self.assertRaisesRegex(AccessError, "Keep or Approve"):
            policy.candidate_ids.with_user(self.officer).write({"verdict": "archived"})

    # ------------------------------------------------------------
    # Win-back e-mail
    # ------------------------------------------------------------

    def _winback(self, records, **values):
        kind = "lead" if records._name == "crm.lead" else "contact"
        template = self.env.ref(f"crm_archive_policy.mail_template_winback_{kind}")
        values.setdefault("winback_template_id", template.id)
        return self._propose(records, **values)

    def test_customer_is_written_to_once(self):
        lead = self.create_lead(
            "Boat",
            user_id=self.owner.id,
            email_from="a@example.com",
            contact_name="Ann",
        )
        contact = self.create_contact("Bob", email="bob@example.com")
        for record, address in ((lead, "a@example.com"), (contact, "bob@example.com")):
            with self.subTest(model=record._name):
                policy = self._winback(record)
                mail = self._get_mails(record)
                self.assertEqual(mail.email_to, address)
                self.assertFalse(mail.recipient_ids)
                self.assertEqual(mail.state, "outgoing", "the queue sends it")
                self.assertTrue(policy.candidate_ids.winback_date)
                self.run_policy(policy)
                self.assertEqual(len(self._get_mails(record)), 1)
        self.assertIn("Ann", self._get_mails(lead).subject)
        self.assertIn("Bob", self._get_mails(contact).subject)

    def test_one_mail_an_address_and_run(self):
        self.patch(crm_archive_run, "BATCH_SIZE", 2)
        leads = self.env["crm.lead"]
        for number in range(5):
            leads |= self.create_lead(f"L {number}", email_from="Same@Example.com")
        policy = self._winback(leads)
        self.assertEqual(len(self._get_mails(leads)), 1)
        self.assertEqual(len(policy.candidate_ids), 5)
        self.assertEqual(len(policy.candidate_ids.filtered("winback_date")), 1)

    def test_opt_out_is_respected(self):
        self.env["mail.blacklist"].create({"email": "no@example.com"})
        leads = self.create_lead("Out", email_from="Mr No <NO@example.com>")
        leads |= self.create_lead("Empty", email_from=False)
        leads |= self.create_lead(
            "Bounced", email_from="b@example.com", message_bounce=1
        )
        leads |= self.create_lead("No address", email_from="nonsense")
        policy = self._winback(leads)
        self.assertFalse(self._get_mails(leads))
        self.assertFalse(policy.candidate_ids.filtered("winback_date"))
        self.assertEqual(set(leads.mapped("archive_state")), {"pending"})

    def test_template_cannot_write_to_anybody_else(self):
        """What was checked against the blacklist is what is written to."""
        self.env["mail.blacklist"].create({"email": "no@example.com"})
        boss = self.create_contact("Boss", email="no@example.com")
        lead = self.create_lead("Lead", email_from="yes@example.com")
        template = self.env["mail.template"].create(
            {
                "name": "Own",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "subject": "Hi",
                "use_default_to": False,
                "email_cc": "no@example.com",
                "partner_to": str(boss.id),
                "body_html": "<p>Hi</p>",
            }
        )
        self._winback(lead, winback_template_id=template.id)
        mail = self._get_mails(lead)
        self.assertEqual(mail.email_to, "yes@example.com")
        self.assertFalse(mail.email_cc)
        self.assertFalse(mail.recipient_ids)

    def test_in_the_language_of_the_customer(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        template = self.env.ref("crm_archive_policy.mail_template_winback_contact")
        template.with_context(lang="fr_FR").subject = "Toujours là ?"
        french = self.create_contact("F", email="f@example.com", lang="fr_FR")
        other = self.create_contact("E", email="e@example.com", lang="en_US")
        for lang in (template.lang, False):
            with self.subTest(lang=lang):
                template.lang = lang
                self._winback(french | other)
                subjects = [self._get_mails(r)[0].subject for r in (french, other)]
                self.assertEqual(subjects[0], "Toujours là ?")
                self.assertIn("still in touch", subjects[1])
                (french | other)._set_pending(False)

    def test_own_mail_is_no_sign_of_life_but_the_answer_is(self):
        lead = self.create_lead("Boat", email_from="a@example.com")
        contact = self.create_contact("Bob", email="bob@example.com")
        for record in (lead, contact):
            with self.subTest(model=record._name):
                policy = self._winback(record)
                before = record.create_date
                self._get_mails(record).write({"state": "sent"})
                record.invalidate_recordset(["last_interaction_date"])
                self.assertEqual(record.last_interaction_date, before)
                self.run_policy(policy)
                self.assertEqual(record.archive_state, "pending")
                record.message_post(body="Yes, I am here", message_type="email")
                self.run_policy(policy)
                self.assertUntouched(record)
                self.assertEqual(policy.candidate_ids.verdict, "cancelled")

    def _send(self, mails):
        """Let the mail queue work, without a server at the other end."""
        with self.mock_mail_gateway():
            self.env["mail.mail"].process_email_queue(mails.ids)
            return [email["email_to"][0] for email in self._mails]

    def test_who_opts_out_meanwhile_is_not_written_to(self):
        """Between queueing and sending may lie an hour, or a broken mail server."""
        leads = self.create_lead("Out", email_from="Mr No <no@example.com>")
        leads |= self.create_lead("In", email_from="yes@example.com")
        policy = self._winback(leads)
        mails = self._get_mails(leads)
        self.assertEqual(len(mails), 2)
        self.env["mail.blacklist"].create({"email": "no@example.com"})
        self.assertEqual(self._send(mails), ["yes@example.com"])
        refused = mails.exists().filtered(lambda mail: mail.res_id == leads[0].id)
        self.assertRecordValues(
            refused, [{"state": "cancel", "failure_type": "mail_bl"}]
        )
        self.assertEqual(policy.winback_count, 1, "one was written to")
        # Nobody is written to by retrying it either.
        refused.state = "outgoing"
        self.assertFalse(self._send(refused))

    def test_who_is_kept_meanwhile_is_not_written_to(self):
        lead = self.create_lead("Boat", email_from="a@example.com")
        policy = self._winback(lead)
        policy.candidate_ids.with_user(self.officer).action_keep()
        mail = self._get_mails(lead)
        self.assertFalse(self._send(mail))
        self.assertEqual(mail.state, "cancel")
        self.assertFalse(policy.candidate_ids.winback_date)

    def test_other_mails_are_sent_as_ever(self):
        self.env["mail.blacklist"].create({"email": "no@example.com"})
        mail = self.env["mail.mail"].create(
            {"email_to": "no@example.com", "body_html": "<p>Your invoice</p>"}
        )
        self.assertEqual(self._send(mail), ["no@example.com"])

    def test_cost_of_notices_does_not_grow_with_the_records(self):
        def count(number):
            policy, _leads = self._name(0)
            leads = self.env["crm.lead"].create(
                [
                    {"name": f"{number} {i}", "user_id": self.owner.id}
                    for i in range(number)
                ]
            )
            self.age(leads, years=3)
            policy.domain = f"[('id', 'in', {leads.ids})]"
            self.env.flush_all()
            before = self.env.cr.sql_log_count
            self.run_policy(policy)
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        count(5)
        self.assertLess(count(200) - count(20), 20)

    def test_template_of_another_model_is_refused(self):
        template = self.env.ref("crm_archive_policy.mail_template_winback_contact")
        with self.assertRaisesRegex(ValidationError, "not written for"):
            self.create_policy(winback_template_id=template.id)

    # ------------------------------------------------------------
    # Timetable
    # ------------------------------------------------------------

    def test_timeline(self):
        category = self.env["crm.archive.category"].create(
            {"name": "Letters", "minimum_number": 6, "maximum_number": 7}
        )
        template = self.env.ref("crm_archive_policy.mail_template_winback_lead")
        policy = self.create_policy(
            mode="review",
            grace_days=30,
            category_id=category.id,
            winback_template_id=template.id,
        )
        titles = [step.title for step in policy._get_timeline()]
        self.assertEqual(
            titles,
            [
                "Named",
                "Owner told",
                "Win-back e-mail",
                "Grace",
                "Review",
                "Archived",
                "End of retention",
            ],
        )
        whens = [step.when for step in policy._get_timeline()]
        self.assertEqual(whens[0], "Day 0")
        self.assertEqual(whens[-2:], ["Day 30", "6 years later"])
        dates = policy._get_timeline(Date.to_date("2030-01-01"))
        self.assertEqual(dates[-2].when, "01/31/2030")
        self.assertEqual(dates[-1].when, "01/31/2036")
        self.assertIn("Letters, at most 7 years", policy.timeline_html)
        preview = self.env["crm.archive.preview"]._create_for(policy)
        self.assertNotIn("Day 30", preview.timeline_html)
        self.assertIn("<ol", preview.timeline_html)

    def test_timeline_shows_only_what_happens(self):
        policy = self.create_policy(grace_days=0)
        titles = [step.title for step in policy._get_timeline()]
        self.assertEqual(titles, ["Named", "Archived"])
        policy.name = "<script>alert(1)</script>"
        self.assertNotIn("<script", policy.timeline_html)
