from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from odoo.addons.mail.tests.common import MailCase

from ..models.crm_archive_mixin import LIVE_VALUES
from .common import ArchiveCase

GATEWAY = "odoo.addons.mail.models.mail_thread"
MAIL = """Return-Path: <{sender}>
From: {sender}
To: {to}
Subject: {subject}
Message-Id: <{subject}@recontact.example.com>
Date: Mon, 23 Nov 2026 08:00:00 +0000
{extra}Content-Type: text/plain; charset=utf-8

Are you still there?
"""


class RecontactCase(ArchiveCase, MailCase):
    """An archived contact and an archived lead, by policies that say what to do."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recontact = cls.env["crm.archive.recontact"]
        cls.policy = cls.create_policy(
            "res.partner", name="Contacts", user_id=cls.officer.id
        )
        cls.lead_policy = cls.create_policy(name="Leads", user_id=cls.officer.id)
        cls.contact.write(
            {"email": "Ann@Example.com", "phone": "+32 475 12 34 56", "country_id": 20}
        )
        cls.lead.write({"email_from": "Bob <bob@example.com>"})

    @classmethod
    def archive(cls, record, policy, **values):
        record._archive({"archive_policy_id": policy.id, **values})
        cls.env.flush_all()
        return record

    def receive(self, sender, to="sales@test.example.com", subject="Hello", extra=""):
        """Let a mail come in, as the mail server's fetcher does."""
        mail = MAIL.format(sender=sender, to=to, subject=subject, extra=extra)
        gateway = self.env["mail.thread"].with_user(self.env.ref("base.user_root"))
        with self.mock_mail_gateway():
            gateway.sudo().message_process("crm.lead", mail)
        return self.env["crm.lead"].search([("name", "=", subject)])

    def lines(self, record=None):
        domain = [("archived_model", "=", record._name)] if record else []
        domain += [("archived_id", "=", record.id)] if record else []
        return self.recontact.search(domain)


@tagged("post_install", "-at_install")
class TestRecontact(RecontactCase):
    """Archived people who are back are recognised, whichever way they come."""

    # ------------------------------------------------------------
    # The mail gateway
    # ------------------------------------------------------------

    @mute_logger(GATEWAY)
    def test_mail_of_archived_contact_proposes(self):
        self.archive(self.contact, self.policy)
        lead = self.receive("Ann <ANN@example.com>")
        self.assertEqual(len(lead), 1)
        line = self.lines(self.contact)
        self.assertRecordValues(
            line,
            [
                {
                    "new_model": "crm.lead",
                    "new_id": lead.id,
                    "match_kind": "email",
                    "state": "proposed",
                    "policy_id": self.policy.id,
                    "user_id": self.officer.id,
                }
            ],
        )
        self.assertEqual(self.contact.archive_state, "archived")
        self.assertFalse(lead.partner_id)
        self.assertEqual(line.activity_ids.user_id, self.officer)
        # The officer restores it: the lead gets its customer, the question is closed.
        line.with_user(self.officer).action_restore()
        self.assertEqual(self.contact.archive_state, "live")
        self.assertEqual(lead.partner_id, self.contact)
        self.assertEqual(line.state, "restored")
        self.assertFalse(line.activity_ids)
        self.assertEqual(line.decision_user_id, self.officer)

    @mute_logger(GATEWAY)
    def test_mail_of_archived_contact_restores(self):
        self.policy.recontact = "restore"
        self.archive(self.contact, self.policy)
        lead = self.receive("ann@example.com")
        self.assertEqual(self.contact.archive_state, "live")
        self.assertTrue(self.contact.active)
        self.assertEqual(lead.partner_id, self.contact)
        line = self.lines(self.contact)
        self.assertEqual((line.state, line.policy_id), ("restored", self.policy))
        self.assertFalse(line.activity_ids, "nothing is left to decide")
        log = self.env["crm.archive.log"].search([("action", "=", "restore")], limit=1)
        self.assertEqual(log._get_details()["cause"], "came_back")

    @mute_logger(GATEWAY)
    def test_mail_of_archived_contact_is_ignored(self):
        self.policy.recontact = "ignore"
        self.archive(self.contact, self.policy)
        self.receive("ann@example.com")
        self.assertFalse(self.lines())
        self.assertEqual(self.contact.archive_state, "archived")

    @mute_logger(GATEWAY)
    def test_mail_of_archived_lead(self):
        self.archive(self.lead, self.lead_policy)
        lead = self.receive("bob@example.com")
        self.assertRecordValues(
            self.lines(self.lead),
            [{"new_id": lead.id, "is_duplicate": True, "state": "proposed"}],
        )

    def _reply(self, extra=""):
        message = self.lead.message_post(body="Our offer", message_type="comment")
        self.archive(self.lead, self.lead_policy)
        references = f"In-Reply-To: {message.message_id}\n{extra}"
        self.receive("bob@example.com", subject="Re offer", extra=references)
        self.assertIn("still there", self.lead.message_ids[0].body)

    @mute_logger(GATEWAY)
    def test_reply_proposes_once(self):
        self._reply()
        line = self.lines(self.lead)
        self.assertEqual((line.match_kind, line.state), ("reply", "proposed"))
        self.assertFalse(line.new_id)
        self.assertEqual(line.activity_ids.user_id, self.officer)
        self.lead.sudo().message_update({"author_id": False})
        self.assertEqual(self.lines(self.lead), line, "once is enough")

    @mute_logger(GATEWAY)
    def test_reply_restores(self):
        self.lead_policy.recontact = "restore"
        self._reply()
        self.assertEqual(self.lead.archive_state, "live")
        self.assertTrue(self.lead.active)

    @mute_logger(GATEWAY)
    def test_automatic_reply_is_no_sign_of_life(self):
        self.lead_policy.recontact = "restore"
        self._reply("Auto-Submitted: auto-replied\n")
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertFalse(self.lines())

    @mute_logger(GATEWAY)
    def test_automatic_mail_is_proposed_at_most(self):
        self.policy.recontact = "restore"
        self.archive(self.contact, self.policy)
        self.receive("ann@example.com", extra="Auto-Submitted: auto-generated\n")
        self.assertEqual(self.contact.archive_state, "archived")
        self.assertEqual(self.lines(self.contact).state, "proposed")

    def test_colleague_is_no_customer(self):
        self.archive(self.lead, self.lead_policy)
        self.lead.sudo().message_update({"author_id": self.seller.partner_id.id})
        self.assertFalse(self.lines())

    # ------------------------------------------------------------
    # Creation by hand and by forms
    # ------------------------------------------------------------

    def test_new_contact_with_the_same_address(self):
        self.archive(self.contact, self.policy)
        partners = self.env["res.partner"].with_user(self.seller)
        new = partners.create({"name": "Ann again", "email": "ann@example.com"})
        line = self.lines(self.contact)
        self.assertEqual((line.new_id, line.match_kind), (new.id, "email"))
        self.assertTrue(line.is_duplicate)
        with self.assertRaises(UserError):
            line.with_user(self.officer).action_merge()
        line.with_user(self.officer).action_restore()
        action = line.with_user(self.officer).action_merge()
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.officer)
            .with_context(**action["context"])
            .create({})
        )
        self.assertEqual(wizard.partner_ids, self.contact | new)

    def test_new_contact_with_the_same_phone(self):
        self.archive(self.contact, self.policy)
        new = self.env["res.partner"].create(
            {"name": "Ann again", "phone": "0475 123456", "country_id": 20}
        )
        self.assertEqual(new.phone_sanitized, self.contact.phone_sanitized)
        self.assertEqual(self.lines(self.contact).match_kind, "phone")

    def test_one_switchboard_two_people(self):
        self.archive(self.contact, self.policy)
        self.env["res.partner"].create(
            {"name": "Eve", "phone": self.contact.phone, "email": "eve@example.com"}
        )
        self.assertFalse(self.lines())

    def test_duplicate_is_named_when_restored_by_itself(self):
        self.policy.recontact = "restore"
        self.archive(self.contact, self.policy)
        new = self.env["res.partner"].create({"name": "A", "email": "ann@example.com"})
        self.assertEqual(self.contact.archive_state, "live")
        line = self.lines(self.contact)
        self.assertEqual((line.state, line.new_id), ("restored", new.id))
        self.assertTrue(new.exists(), "never merged in silence")
        self.assertEqual(line.activity_ids.user_id, self.officer, "somebody merges")

    def test_live_contact_needs_no_restore(self):
        """Archived as a duplicate, for example: the person is there already."""
        self.env["res.partner"].create({"name": "Live", "email": "ann@example.com"})
        self.archive(self.contact, self.policy)
        self.env["crm.lead"].create({"name": "L", "email_from": "ann@example.com"})
        self.assertFalse(self.lines())

    def test_archived_by_hand_is_proposed_to_a_manager(self):
        self.contact.action_archive()
        self.env["crm.lead"].create({"name": "L", "email_from": "ann@example.com"})
        user = self.lines(self.contact).user_id
        self.assertTrue(user.has_group("crm_archive_policy.group_archive_manager"))

    def test_owner_is_asked_first(self):
        self.contact.user_id = self.seller
        self.archive(self.contact, self.policy)
        self.env["crm.lead"].create({"name": "L", "email_from": "ann@example.com"})
        line = self.lines(self.contact)
        self.assertEqual(line.user_id, self.seller)
        activity = line.activity_ids.with_user(self.seller)
        activity.action_feedback(feedback="I am going to call her.")
        line.with_user(self.seller).action_restore()
        self.assertEqual(self.contact.archive_state, "live")

    def test_owner_who_may_not_see_it_is_not_asked(self):
        self.contact.user_id = self.seller
        self.archive(self.contact, self.policy, archive_restricted=True)
        self.env["crm.lead"].create({"name": "L", "email_from": "ann@example.com"})
        self.assertEqual(self.lines(self.contact).user_id, self.officer)

    def test_owner_who_left_is_not_asked(self):
        self.contact.user_id = self.seller
        self.archive(self.contact, self.policy)
        self.seller.active = False
        self.env["crm.lead"].create({"name": "L", "email_from": "ann@example.com"})
        self.assertEqual(self.lines(self.contact).user_id, self.officer)

    def test_one_activity_for_each_archived_record(self):
        self.archive(self.contact, self.policy)
        vals = {"name": "L", "email_from": "ann@example.com"}
        self.env["crm.lead"].create([dict(vals), dict(vals)])
        self.env["crm.lead"].create(dict(vals))
        lines = self.lines(self.contact)
        self.assertEqual(len(lines), 3)
        self.assertEqual(len(lines.activity_ids), 1)
        self.contact.with_user(self.seller).action_archive_restore()
        self.assertEqual(set(lines.mapped("state")), {"restored"}, "all closed")
        self.assertFalse(lines.activity_ids)

    def test_dismiss(self):
        self.archive(self.contact, self.policy)
        self.env["crm.lead"].create({"name": "L", "email_from": "ann@example.com"})
        line = self.lines(self.contact)
        line.with_user(self.officer).action_dismiss()
        self.assertEqual((line.state, line.activity_ids.ids), ("dismissed", []))
        self.assertEqual(self.contact.archive_state, "archived")
        with self.assertRaises(UserError):
            line.with_user(self.officer).action_restore()

    def test_restored_in_the_same_transaction(self):
        self.archive(self.contact, self.policy)
        self.contact.action_archive_restore()
        self.env["res.partner"].create({"name": "A", "email": "ann@example.com"})
        self.assertFalse(self.lines())
        # Also while the restore is still in the cache alone.
        self.archive(self.contact, self.policy)
        self.contact._move(dict(LIVE_VALUES))
        self.assertFalse(self.recontact._find_archived(["ann@example.com"], []))

    # ------------------------------------------------------------
    # Limits
    # ------------------------------------------------------------

    def test_other_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.contact.company_id = other
        self.archive(self.contact, self.policy)
        vals = {"name": "New", "email": "ann@example.com"}
        found = self.env["res.partner"]._find_or_create_from_emails([vals["email"]])
        self.assertNotEqual(found[0], self.contact)
        self.env["res.partner"].create({**vals, "company_id": self.env.company.id})
        self.env["res.partner"].create(dict(vals))
        self.assertFalse(self.lines())
        self.env["res.partner"].search([("email", "=", vals["email"])]).unlink()
        self.env["res.partner"].create({**vals, "company_id": other.id})
        self.assertEqual(len(self.lines()), 1)

    def test_restricted_contact_is_not_revealed(self):
        self.policy.recontact = "restore"
        self.archive(self.contact, self.policy, archive_restricted=True)
        leads = self.env["crm.lead"].with_user(self.seller)
        lead = leads.create({"name": "L", "email_from": "ann@example.com"})
        self.assertEqual(self.contact.archive_state, "archived", "proposed instead")
        self.assertFalse(lead.partner_id)
        line = self.lines(self.contact)
        self.assertEqual(line.state, "proposed")
        self.assertFalse(line.with_user(self.seller).search([]))
        with self.assertRaises(AccessError):
            line.with_user(self.seller).read(["archived_id"])
        with self.assertRaises(AccessError):
            line.with_user(self.seller).action_restore()
        found = (
            self.env["res.partner"]
            .with_user(self.seller)
            ._find_or_create_from_emails(["ann@example.com"])[0]
        )
        self.assertNotEqual(found, self.contact)

    def test_names_only_what_the_user_sees(self):
        self.archive(self.contact, self.policy, archive_restricted=True)
        self.env["crm.lead"].create({"name": "L", "email_from": "ann@example.com"})
        line = self.lines(self.contact)
        line.sudo().user_id = self.seller
        self.assertNotIn("Silent", line.with_user(self.seller).archived_name)
        self.assertIn("Silent", line.with_user(self.officer).archived_name)
        with self.assertRaises(AccessError):
            line.with_user(self.seller).action_restore()

    def test_nobody_writes_lines_by_hand(self):
        for user in (self.seller, self.officer, self.manager):
            lines = self.recontact.with_user(user)
            with self.assertRaises(AccessError):
                lines.create(
                    {
                        "archived_model": "res.partner",
                        "archived_id": self.contact.id,
                        "match_kind": "email",
                    }
                )

    def test_portal_sees_nothing(self):
        portal = new_test_user(self.env, "portal_r", groups="base.group_portal")
        with self.assertRaises(AccessError):
            self.recontact.with_user(portal).search([])

    def test_line_holds_no_personal_data(self):
        self.archive(self.contact, self.policy)
        self.receive("ann@example.com")
        self.env.flush_all()
        self.env.cr.execute("SELECT to_jsonb(r)::text FROM crm_archive_recontact r")
        for (row,) in self.env.cr.fetchall():
            self.assertNotIn("ann", row.lower())
            self.assertNotIn("475", row)

    # ------------------------------------------------------------
    # Imports, and what it costs
    # ------------------------------------------------------------

    def test_escape_hatches(self):
        self.archive(self.contact, self.policy)
        for context in ({"archive_recontact_skip": True}, {"install_mode": True}):
            partners = self.env["res.partner"].with_context(**context)
            partners.create({"name": "New", "email": "ann@example.com"}).unlink()
        self.assertFalse(self.lines())

    def test_import_is_quiet(self):
        self.policy.recontact = "restore"
        self.archive(self.contact, self.policy)
        partners = self.env["res.partner"].with_context(import_file=True)
        partners.create({"name": "New", "email": "ann@example.com"})
        line = self.lines(self.contact)
        self.assertEqual((line.state, len(line.activity_ids)), ("proposed", 0))
        self.assertEqual(self.contact.archive_state, "archived")

    def _count_create(self, model, vals_list, **context):
        """Return how many queries a creation takes."""
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        self.env[model].with_context(**context).create(vals_list)
        self.env.flush_all()
        return self.env.cr.sql_log_count - before

    def test_batch_costs_one_query(self):
        self.archive(self.contact, self.policy)
        for model, email in (("res.partner", "email"), ("crm.lead", "email_from")):
            with self.subTest(model=model):

                def batch(key, model=model, email=email):
                    return [
                        {"name": f"{key}{n}", email: f"{key}{n}@example.com"}
                        for n in range(200)
                    ]

                self._count_create(model, batch("warm"))
                without = self._count_create(
                    model, batch("a"), archive_recontact_skip=True
                )
                with_it = self._count_create(model, batch("b"))
                self.assertLessEqual(with_it, without + 1)

    def test_cost_of_matches_does_not_grow(self):
        """Recognising many in one import costs as much as recognising one."""
        archived = self.env["res.partner"].create(
            [{"name": f"Old {n}", "email": f"old{n}@example.com"} for n in range(60)]
        )
        self.archive(archived, self.policy)

        def cost(numbers):
            vals = [{"name": "New", "email": f"old{n}@example.com"} for n in numbers]
            skip = [{**v, "email": f"x{v['email']}"} for v in vals]
            context = {"import_file": True, "tracking_disable": True}
            without = self._count_create("res.partner", skip, **context)
            return self._count_create("res.partner", vals, **context) - without

        cost(range(5))
        one, many = cost([5]), cost(range(10, 60))
        self.assertEqual(len(self.lines()), 56)
        self.assertLessEqual(many, one + 2)

    # ------------------------------------------------------------
    # Core's find or create
    # ------------------------------------------------------------

    def _find(self, email="Ann <ann@example.com>", user=None, **kwargs):
        partners = self.env["res.partner"].with_user(user or self.seller)
        return partners._find_or_create_from_emails([email], **kwargs)[0]

    def test_find_or_create_takes_the_archived_contact(self):
        self.archive(self.contact, self.policy)
        count = self.env["res.partner"].with_context(active_test=False).search_count([])
        self.assertEqual(self._find(), self.contact)
        self.assertEqual(self._find(), self.contact)
        partners = self.env["res.partner"].with_user(self.seller)
        self.assertEqual(partners.find_or_create("ann@example.com"), self.contact)
        self.assertEqual(
            self.env["res.partner"].with_context(active_test=False).search_count([]),
            count,
        )
        self.assertEqual(self.contact.archive_state, "archived")
        self.assertEqual(len(self.lines(self.contact)), 1, "proposed, once")

    def test_find_or_create_restores(self):
        self.policy.recontact = "restore"
        self.archive(self.contact, self.policy)
        self.assertEqual(self._find(), self.contact)
        self.assertEqual(self.contact.archive_state, "live")

    def test_find_or_create_keeps_order_and_creates_the_others(self):
        self.archive(self.contact, self.policy)
        live = self.env["res.partner"].create({"name": "L", "email": "l@example.com"})
        emails = ["l@example.com", "new@example.com", "ann@example.com", "", "x"]
        found = self.env["res.partner"]._find_or_create_from_emails(emails)
        self.assertEqual(found[0], live)
        self.assertEqual(found[1].email, "new@example.com")
        self.assertEqual(found[2], self.contact)
        self.assertFalse(found[3])
        self.assertEqual(found[4].name, "x")

    def test_a_look_changes_nothing(self):
        """Suggested recipients only look: they get active contacts alone."""
        self.policy.recontact = "restore"
        self.archive(self.contact, self.policy)
        self.assertFalse(self._find(no_create=True))
        self.assertEqual(self.contact.archive_state, "archived")

    def test_live_contact_comes_first(self):
        live = self.env["res.partner"].create({"name": "L", "email": "ann@example.com"})
        self.archive(self.contact, self.policy)
        self.assertEqual(self._find(), live)
        self.assertEqual(
            self.env["res.partner"].find_or_create("ann@example.com"), live
        )

    def test_find_or_create_costs_one_query(self):
        self.archive(self.contact, self.policy)
        live = self.env["res.partner"].create({"name": "L", "email": "l@example.com"})
        emails = [live.email] * 20

        def cost(**context):
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.env["res.partner"].with_context(**context)._find_or_create_from_emails(
                emails
            )
            return self.env.cr.sql_log_count - before

        cost()
        self.assertLessEqual(cost(), cost(archive_recontact_skip=True) + 1)


@tagged("post_install", "-at_install")
class TestRecontactMailings(RecontactCase):
    """Archived contacts are left alone; documents still show and find them."""

    def _notified(self):
        message = self.document.message_post(
            body="News", message_type="comment", subtype_xmlid="mail.mt_comment"
        )
        return message.notification_ids.res_partner_id

    def _is_mailed(self, address):
        return any(address in (m.email_to or "").lower() for m in self._new_mails)

    def setUp(self):
        super().setUp()
        self.document = self.create_lead("Document", partner_id=self.contact.id)
        self.document.message_subscribe(self.contact.ids)

    def test_follower_is_not_notified_until_restored(self):
        with self.mock_mail_gateway():
            self.assertIn(self.contact, self._notified())
            self.archive(self.contact, self.policy)
            self.assertNotIn(self.contact, self._notified())
            followers = self.document.message_follower_ids
            self.assertIn(self.contact, followers.partner_id, "the row is kept")
            self.contact.action_archive_restore()
            self.assertIn(self.contact, self._notified())

    def test_whoever_is_named_is_reached(self):
        """Core drops inactive recipients without a word; that loses letters."""
        self.archive(self.contact, self.policy)
        with self.mock_mail_gateway():
            self.document.with_user(self.seller).message_post(
                body="Dear Ann", message_type="comment", partner_ids=self.contact.ids
            )
        self.assertTrue(self._is_mailed("ann@example.com"))

    def test_whoever_was_archived_by_hand_is_as_in_core(self):
        self.contact.action_archive()
        with self.mock_mail_gateway():
            self.document.message_post(
                body="Dear Ann", message_type="comment", partner_ids=self.contact.ids
            )
        self.assertFalse(self._is_mailed("ann@example.com"))

    def test_documents_show_and_find_them(self):
        self.archive(self.contact, self.policy, archive_restricted=True)
        document = self.document.with_user(self.seller)
        shown = document.web_read({"partner_id": {"fields": {"display_name": {}}}})
        self.assertEqual(shown[0]["partner_id"]["display_name"], "Silent contact")
        found = self.env["crm.lead"].with_user(self.officer)
        for domain in (
            [("partner_id", "ilike", "Silent contact")],
            [("partner_id.name", "=", "Silent contact")],
            [("partner_id", "=", self.contact.id)],
            [("partner_id", "child_of", self.contact.id)],
        ):
            with self.subTest(domain=domain):
                self.assertIn(self.document, found.search(domain))

    def test_new_documents_do_not_offer_them(self):
        self.archive(self.contact, self.policy)
        offered = self.env["res.partner"].with_user(self.officer)
        self.assertFalse(offered.name_search("Silent contact"))

    def test_mailing_leaves_them_out(self):
        if "mailing.mailing" not in self.env:
            self.skipTest("mass_mailing is not installed")
        mailing = self.env["mailing.mailing"].create(
            {
                "subject": "News",
                "mailing_model_id": self.env["ir.model"]._get_id("res.partner"),
                "mailing_domain": "[('email', 'ilike', 'example.com')]",
            }
        )
        self.assertIn(self.contact.id, mailing._get_recipients())
        self.archive(self.contact, self.policy)
        self.assertNotIn(self.contact.id, mailing._get_recipients())
        self.contact.action_archive_restore()
        self.assertIn(self.contact.id, mailing._get_recipients())

    def test_invoices_and_orders_find_them(self):
        found = False
        for model in ("account.move", "sale.order"):
            if model in self.env:
                found = True
                values = {"partner_id": self.contact.id}
                if model == "account.move":
                    values["move_type"] = "out_invoice"
                self.contact.action_unarchive()
                order = self.env[model].create(values)
                self.archive(self.contact, self.policy)
                for domain in (
                    [("partner_id", "ilike", "Silent contact")],
                    [("partner_id", "child_of", self.contact.ids)],
                ):
                    self.assertIn(order, self.env[model].search(domain))
        if not found:
            self.skipTest("neither sale nor account is installed")


@tagged("post_install", "-at_install")
class TestRecontactKeeping(RecontactCase):
    """Lines are forgotten when they are of no use any more."""

    def test_decided_lines_are_forgotten(self):
        self.archive(self.contact, self.policy)
        with freeze_time("2024-01-01"):
            self.env["crm.lead"].create(
                [{"name": "L", "email_from": "ann@example.com"}] * 2
            )
        dismissed, proposed = self.lines(self.contact)
        dismissed._decide("dismissed")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_archive_recontact SET write_date = '2024-01-01'"
        )
        self.env.invalidate_all()
        self.recontact._gc_decided()
        self.assertEqual(self.lines(self.contact), proposed)

    @mute_logger(GATEWAY)
    def test_reply_to_a_contact_proposes(self):
        """Somebody answers a letter that was written from the contact itself."""
        message = self.contact.message_post(body="Dear Ann", message_type="comment")
        self.archive(self.contact, self.policy)
        references = f"In-Reply-To: {message.message_id}\n"
        self.receive("ann@example.com", subject="Re: Dear Ann", extra=references)
        self.assertIn("still there", self.contact.message_ids[0].body)
        self.assertRecordValues(
            self.lines(self.contact), [{"match_kind": "reply", "state": "proposed"}]
        )
