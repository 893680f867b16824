from datetime import date, datetime, timedelta
from unittest.mock import patch

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from psycopg2 import IntegrityError

from odoo.exceptions import ValidationError
from odoo.fields import Date, Datetime
from odoo.sql_db import db_connect
from odoo.tests import new_test_user, tagged
from odoo.tools import SQL, mute_logger

from .common import ArchiveCase


class TriggerCase(ArchiveCase):
    """Policies of which the condition under test is the only one."""

    @classmethod
    def create_policy(cls, model="crm.lead", **values):
        return super().create_policy(model, **{"idle_number": 0, **values})

    def assertDue(self, policy, due, among):
        """The policy takes ``due`` out of ``among``; the batch asks the same."""
        self.env.flush_all()
        found = policy._find()
        self.assertEqual(found & among.with_env(found.env), due)
        self.assertEqual(policy._filter_due(among.ids), due)

    def set_dates(self, record, **dates):
        """Write columns that the ORM does not let anybody choose."""
        self.env.flush_all()
        for name, value in dates.items():
            self.env.cr.execute(
                SQL(
                    "UPDATE %s SET %s = %s WHERE id = %s",
                    SQL.identifier(record._table),
                    SQL.identifier(name),
                    value,
                    record.id,
                )
            )
        self.env.invalidate_all()

    def talk(self, record, times=1):
        """Give a record a history."""
        for _time in range(times):
            record.message_post(body="Hello", message_type="comment")


@tagged("post_install", "-at_install")
class TestTrigger(TriggerCase):
    """When a record is due."""

    def test_date_field(self):
        field = self.env["ir.model.fields"]._get("crm.lead", "date_deadline")
        policy = self.create_policy(
            date_field_id=field.id, date_number=10, date_unit="days"
        )
        today = Date.today()
        exactly = self.create_lead("ten", date_deadline=today - timedelta(days=10))
        early = self.create_lead("nine", date_deadline=today - timedelta(days=9))
        empty = self.create_lead("empty")
        self.assertDue(policy, exactly, exactly | early | empty)
        policy.date_number = 0
        early.date_deadline = today
        exactly.date_deadline = today + timedelta(days=1)
        self.assertDue(policy, early, exactly | early | empty)

    def test_datetime_field_waits_for_the_whole_period(self):
        field = self.env["ir.model.fields"]._get("crm.lead", "date_open")
        policy = self.create_policy(
            date_field_id=field.id, date_number=1, date_unit="weeks"
        )
        limit = datetime.combine(Date.today(), datetime.min.time())
        limit -= timedelta(weeks=1)
        exactly, before = self.create_lead("exactly"), self.create_lead("before")
        self.set_dates(exactly, date_open=limit)
        self.set_dates(before, date_open=limit - timedelta(microseconds=1))
        self.assertDue(policy, before, exactly | before)

    def test_retention_reached(self):
        policy = self.create_policy("res.partner", retention_reached=True)
        today = Date.today()
        over = self.create_contact("over", retention_date=today)
        later = self.create_contact("later", retention_date=today + timedelta(days=1))
        self.assertDue(policy, over, over | later | self.contact)

    def test_closed(self):
        lost, won = self.create_lead("lost"), self.create_lead("won")
        lost.action_set_lost()
        won.action_set_won()
        old = datetime.now() - relativedelta(years=2)
        both = lost | won
        for status, due in (("lost", lost), ("won", won), ("closed", both)):
            with self.subTest(status=status):
                policy = self.create_policy(closed_status=status, closed_number=1)
                self.set_dates(lost, date_closed=datetime.now())
                self.set_dates(won, date_closed=datetime.now())
                self.assertDue(policy, due.browse(), both | self.lead)
                self.set_dates(lost, date_closed=old)
                self.set_dates(won, date_closed=old)
                self.assertDue(policy, due, both | self.lead)

    def test_closed_without_a_closing_date(self):
        """Imported as lost: the last change of stage tells, else the creation."""
        policy = self.create_policy(closed_status="lost", closed_number=1)
        lead = self.create_lead("imported")
        lead.action_set_lost()
        now, old = datetime.now(), datetime.now() - relativedelta(years=2)
        self.set_dates(lead, date_closed=None, date_last_stage_update=now)
        self.assertDue(policy, lead.browse(), lead)
        self.set_dates(lead, date_last_stage_update=old)
        self.assertDue(policy, lead, lead)
        self.set_dates(lead, date_last_stage_update=None, create_date=now)
        self.assertDue(policy, lead.browse(), lead)

    def test_every_condition_has_to_hold(self):
        today = Date.today()
        over = self.create_contact("over", retention_date=today, message_bounce=9)
        self.create_contact("not over", message_bounce=9)
        recent = self.create_contact(
            "recent", years=0, retention_date=today, message_bounce=9
        )
        fine = self.create_contact("fine", retention_date=today)
        policy = self.create_policy(
            "res.partner",
            idle_number=1,
            retention_reached=True,
            find_bounced=True,
            find_unreachable=False,
        )
        self.assertDue(policy, over, over | recent | fine | self.contact)

    def test_one_data_problem_is_enough(self):
        bounced = self.create_contact("b", email="b@b.example", message_bounce=3)
        alone = self.create_contact("nobody")
        fine = self.create_contact("fine", phone="+32 2 290 34 90")
        policy = self.create_policy(
            "res.partner", find_bounced=True, find_unreachable=True
        )
        self.assertDue(policy, bounced | alone, bounced | alone | fine)

    def test_bounce_threshold(self):
        twice = self.create_contact("2", message_bounce=2)
        thrice = self.create_contact("3", message_bounce=3)
        policy = self.create_policy("res.partner", find_bounced=True)
        self.assertDue(policy, thrice, twice | thrice)

    def test_blacklisted(self):
        listed = self.create_lead("x", email_from="No More <no.more@mail.example>")
        fine = self.create_lead("y", email_from="fine@mail.example")
        policy = self.create_policy(find_blacklisted=True)
        self.assertDue(policy, listed.browse(), listed | fine)
        self.env["mail.blacklist"]._add("no.more@mail.example")
        self.assertDue(policy, listed, listed | fine)

    def test_unreachable_contact(self):
        policy = self.create_policy("res.partner", find_unreachable=True)
        nobody = self.create_contact("nobody", email="", comment="x")
        reachable = self.contact.browse()
        for values in (
            {"email": "a@b.example"},
            {"phone": "1234"},
            {"street": "Rue 1"},
            {"city": "Ghent"},
            {"website": "example.com"},
        ):
            reachable |= self.create_contact("reachable", **values)
        company = self.create_contact("company", is_company=True)
        child = self.create_contact("by way of the company", parent_id=company.id)
        self.assertDue(policy, nobody, nobody | reachable | company | child)
        child.active = False
        self.assertDue(policy, company, company | child)

    def test_unreachable_lead(self):
        policy = self.create_policy(find_unreachable=True)
        of_contact = self.create_lead("of a contact", partner_id=self.contact.id)
        by_phone = self.create_lead("by phone", phone="12345")
        self.assertDue(policy, self.lead, self.lead | of_contact | by_phone)

    # ------------------------------------------------------------
    # Bad input
    # ------------------------------------------------------------

    @mute_logger("odoo.sql_db")
    def test_negative_periods_are_refused(self):
        for name in ("idle_number", "closed_number", "date_number"):
            with (
                self.subTest(name=name),
                self.assertRaises(IntegrityError),
                self.env.cr.savepoint(),
            ):
                self.create_policy(**{name: -1})
        with self.assertRaises(IntegrityError), self.env.cr.savepoint():
            self.create_policy(bounce_number=0)

    def test_bad_date_fields_are_refused(self):
        get = self.env["ir.model.fields"]._get
        for model, name in (
            ("res.partner", "retention_date"),
            ("crm.lead", "name"),
            ("crm.lead", "last_interaction_date"),
        ):
            with (
                self.subTest(name=name),
                self.assertRaisesRegex(ValidationError, "not a stored date"),
            ):
                self.create_policy(date_field_id=get(model, name).id)
        policy = self.create_policy(date_field_id=get("crm.lead", "date_open").id)
        with self.assertRaisesRegex(ValidationError, "not a stored date"):
            policy.model_id = self.env["ir.model"]._get("res.partner")

    def test_date_that_the_responsible_may_not_read(self):
        field = self.env["ir.model.fields"]._get("crm.lead", "date_open")
        with (
            patch.object(
                self.env["crm.lead"]._fields["date_open"], "groups", "base.group_system"
            ),
            self.assertRaisesRegex(ValidationError, "may not read"),
        ):
            self.create_policy(date_field_id=field.id, user_id=self.seller.id)

    def test_contacts_are_not_won(self):
        with self.assertRaisesRegex(ValidationError, "never won or lost"):
            self.create_policy("res.partner", closed_status="lost")

    # ------------------------------------------------------------
    # In words
    # ------------------------------------------------------------

    def test_summary(self):
        self.assertEqual(
            self.create_policy().trigger_summary, "Every record in the scope is due."
        )
        policy = self.create_policy(
            idle_number=2, closed_status="lost", closed_number=1, find_bounced=True
        )
        for words in (
            "no sign of life for 2 years",
            "(Lost) 1 year ago",
            "E-mails Bounce",
        ):
            self.assertIn(words, policy.trigger_summary)

    def explain(self, policy, record):
        self.env.flush_all()
        return policy._explain(record)

    def test_explained_date_is_the_first_day_on_which_it_is_due(self):
        """Also around months of different lengths and leap days."""
        get = self.env["ir.model.fields"]._get
        deadline, opened = (
            get("crm.lead", "date_deadline"),
            get("crm.lead", "date_open"),
        )
        lead = self.create_lead("leap")
        for start in (date(2024, 2, 29), date(2025, 1, 31), date(2025, 2, 28)):
            moment = datetime.combine(start, datetime.min.time())
            self.set_dates(lead, date_deadline=start, create_date=moment)
            self.set_dates(lead, date_open=moment + timedelta(hours=5))
            for field in (deadline, opened, None):
                for unit in ("months", "years"):
                    policy = self.create_policy(
                        date_field_id=field and field.id,
                        date_number=1,
                        date_unit=unit,
                        idle_number=0 if field else 1,
                        idle_unit=unit,
                        domain=f"[('id', '=', {lead.id})]",
                    )
                    with self.subTest(start=start, field=field, unit=unit):
                        day = self.explain(policy, lead)["date"]
                        with freeze_time(datetime.combine(day, datetime.min.time())):
                            self.assertEqual(policy._find(), lead)
                        day -= timedelta(days=1)
                        with freeze_time(datetime.combine(day, datetime.max.time())):
                            self.assertFalse(policy._find())
                    policy.active = False

    def test_explain_each_condition(self):
        today = Date.today()
        policy = self.create_policy(
            idle_number=1, retention_reached=True, find_unreachable=True
        )
        lead = self.create_lead(
            "x", years=0, retention_date=today + timedelta(days=900)
        )
        answer = self.explain(policy, lead)
        self.assertFalse(answer["applies"])
        self.assertEqual(answer["date"], lead.retention_date, "the last to hold")
        self.assertIn("last sign of life was on", answer["text"])
        self.assertIn("to be kept until", answer["text"])
        self.assertIn("Fulfilled: There is no way to reach anybody.", answer["text"])
        lead.phone = "12345"
        answer = self.explain(policy, lead)
        self.assertFalse(answer["date"], "nobody knows when it becomes unreachable")
        self.assertIn("None of these problems", answer["text"])

    def test_explain_obstacles(self):
        policy = self.create_policy(mode="review")
        self.assertTrue(self.explain(policy, self.lead)["applies"])
        self.run_policy(policy)
        other = self.create_policy()
        self.assertIn("Another policy", self.explain(other, self.lead)["text"])
        candidate = policy.candidate_ids.filtered(lambda c: c.res_id == self.lead.id)
        candidate.with_user(self.officer).action_keep()
        answer = self.explain(policy, self.lead)
        self.assertFalse(answer["applies"])
        self.assertIn("decided to keep", answer["text"])
        self.lead._archive()
        self.assertIn("archived already", self.explain(other, self.lead)["text"])

    def test_explain_closed_and_empty_date(self):
        field = self.env["ir.model.fields"]._get("crm.lead", "date_deadline")
        policy = self.create_policy(closed_status="lost", date_field_id=field.id)
        answer = self.explain(policy, self.lead)
        self.assertEqual((answer["applies"], answer["date"]), (False, False))
        self.assertIn("not closed as “Lost”", answer["text"])
        self.assertIn("is empty", answer["text"])
        self.lead.action_set_lost()
        self.lead.date_deadline = "2020-01-01"
        self.assertIn("Closed since", self.explain(policy, self.lead)["text"])

    # ------------------------------------------------------------
    # Ready-made policies
    # ------------------------------------------------------------

    def test_ready_made_policies(self):
        old = datetime.now() - relativedelta(years=2)
        lost = self.create_lead("lost", email_from="x@y.example")
        lost.action_set_lost()
        self.set_dates(lost, date_closed=old)
        self.age(lost, years=3)
        self.create_contact("kept", email="twice@mail.example")
        twice = self.create_contact("twice", email="Twice@mail.example")
        bounced = self.create_contact("bounced", email="b@b.example", message_bounce=3)
        for name, expected in (
            ("lost_leads", lost),
            ("silent_contacts", self.contact | twice | bounced),
            ("duplicate_contacts", twice),
            ("bounced_contacts", bounced),
            ("unreachable_leads", self.lead),
        ):
            with self.subTest(name=name):
                policy = self.env.ref(f"crm_archive_policy.crm_archive_policy_{name}")
                self.assertEqual((policy.active, policy.mode), (False, "review"))
                policy.user_id = self.manager
                self.env.flush_all()
                preview = self.env["crm.archive.preview"]._create_for(policy)
                self.assertGreaterEqual(preview.matched_count, len(expected))
                listed = preview.action_view_records()["domain"]
                model = self.env[policy.model_name].with_context(active_test=False)
                found = model.search(listed)
                self.assertLessEqual(expected, found)
                fresh = self.create_lead("f", 0) | self.create_lead("f", 0, phone="1")
                if fresh._name == found._name:
                    self.assertFalse(found & fresh)


@tagged("post_install", "-at_install")
class TestTriggerDuplicate(TriggerCase):
    """Duplicates: one is always kept, the one with the longest history."""

    def policy(self, model="res.partner", **values):
        return self.create_policy(model, **{"find_duplicate_email": True, **values})

    def create_copies(self, count=3, **values):
        values.setdefault("email", "same@mail.example")
        copies = self.contact.browse()
        for number in range(count):
            copies |= self.create_contact(f"Copy {number}", **values)
        return copies

    def test_same_address(self):
        copies = self.create_copies(2)
        copies[1].email = "The Same <SAME@mail.example>"
        other = self.create_contact("Other", email="other@mail.example")
        self.assertDue(self.policy(), copies[1], copies | other | self.contact)

    def test_longest_history_is_kept(self):
        copies = self.create_copies()
        self.talk(copies[0])
        self.talk(copies[2], 2)
        policy = self.policy()
        self.assertDue(policy, copies[0] | copies[1], copies)
        answer = policy._explain(copies[0])
        self.assertTrue(answer["applies"])
        self.assertIn(f"Copy 2 (ID {copies[2].id})", answer["text"])
        self.assertFalse(policy._explain(copies[2])["applies"])

    def test_leads_and_orders_are_history(self):
        copies = self.create_copies(2)
        self.create_lead("Order", partner_id=copies[1].id)
        self.assertDue(self.policy(), copies[0], copies)

    def test_one_of_many_stays_however_often_it_runs(self):
        copies = self.create_copies(5)
        policy = self.policy()
        run = self.run_policy(policy)
        self.assertEqual(run.archived_count, 4)
        self.assertUntouched(copies[0])
        second = self.policy(find_duplicate_phone=True)
        for again in (policy, second, policy):
            self.assertFalse(self.run_policy(again).archived_count)
        self.assertUntouched(copies[0])

    def test_kept_one_is_named(self):
        copies = self.create_copies(2)
        self.run_policy(self.policy())
        self.assertEqual(copies[1].archive_duplicate_of_id, copies[0])
        line = self.env["crm.archive.log"].search(
            [("res_id", "=", copies[1].id), ("action", "=", "archive")]
        )
        named = {str(copies[1].id): copies[0].id}
        self.assertEqual(line._get_details()["duplicate_of"], named)
        copies[1].action_archive_restore()
        self.assertFalse(copies[1].archive_duplicate_of_id)

    def test_candidate_names_the_kept_one(self):
        copies = self.create_copies(2)
        policy = self.policy(mode="review")
        self.run_policy(policy)
        candidate = policy.candidate_ids.filtered(lambda c: c.res_id == copies[1].id)
        self.assertEqual(candidate.duplicate_of_id, copies[0].id)
        self.assertEqual(candidate.duplicate_of_name, "Copy 0")

    def test_candidate_is_let_go_when_the_kept_one_is_gone(self):
        copies = self.create_copies(2)
        policy = self.policy(mode="review")
        self.run_policy(policy)
        copies[0]._archive()
        candidate = policy.candidate_ids.filtered(lambda c: c.res_id == copies[1].id)
        candidate.with_user(self.officer).action_approve()
        self.assertUntouched(copies[1])
        self.assertEqual(candidate.verdict, "cancelled")

    def test_one_that_is_about_to_go_is_not_the_kept_one(self):
        copies = self.create_copies(2)
        copies[0]._set_pending(self.create_policy("res.partner"), Date.today())
        self.assertDue(self.policy(), copies.browse(), copies)

    def test_inactive_copies_do_not_count(self):
        copies = self.create_copies(2)
        copies[0].action_archive()
        self.assertDue(self.policy(), copies.browse(), copies)
        off = self.create_contact("Off", email=copies[1].email, active=False)
        self.talk(off)
        self.assertDue(self.policy(), copies.browse(), copies | off)

    def test_two_conditions_do_not_take_both(self):
        """The kept one is taken for bouncing, in the same batch."""
        copies = self.create_copies(2)
        copies[0].message_bounce = 9
        self.run_policy(self.policy(find_bounced=True))
        self.assertEqual(copies[0].archive_state, "archived")
        self.assertUntouched(copies[1])

    def test_kept_one_lives_on_for_its_duplicate(self):
        """Else a policy of silence took the last one of somebody who is in touch."""
        copies = self.create_copies(2)
        self.talk(copies[0], 2)
        self.age(copies[0], years=3)
        self.talk(copies[1])
        silent = self.create_policy("res.partner", idle_number=1)
        self.assertDue(silent, copies[0], copies)
        self.run_policy(self.policy())
        self.assertEqual(copies[1].archive_state, "archived")
        self.assertDue(silent, copies.browse(), copies)

    def _duplicate_of_committed(self):
        """Return a copy whose better half other transactions can see."""
        kept = self.env.ref("base.partner_admin")
        copy = self.create_copies(2)[1]
        policy = self.policy(domain=f"[('id', '=', {copy.id})]")
        named = patch.object(
            type(policy), "_get_kept_duplicates", lambda *args: {copy.id: kept.id}
        )
        self.startPatcher(named)
        return policy, copy, kept

    def test_somebody_works_on_the_kept_one(self):
        """Another transaction holds it and may be archiving it: leave the copy."""
        policy, copy, kept = self._duplicate_of_committed()
        with db_connect(self.env.cr.dbname).cursor() as other:
            other.execute(
                "SELECT 1 FROM res_partner WHERE id = %s FOR NO KEY UPDATE", [kept.id]
            )
            self.assertFalse(self.run_policy(policy).archived_count)
            self.assertUntouched(copy)
        self.assertEqual(self.run_policy(policy).archived_count, 1)

    def test_kept_one_is_held_to_the_end(self):
        """While a copy is being archived nobody archives the other one."""
        policy, _copy, kept = self._duplicate_of_committed()
        self.assertEqual(self.run_policy(policy).archived_count, 1)
        with db_connect(self.env.cr.dbname).cursor() as other:
            other.execute(
                "SELECT 1 FROM res_partner WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED",
                [kept.id],
            )
            self.assertFalse(other.fetchall())

    # ------------------------------------------------------------
    # Who is compared with whom
    # ------------------------------------------------------------

    def test_companies(self):
        ours, theirs = self.env.company, self.env["res.company"].create({"name": "O"})
        user = new_test_user(
            self.env,
            "both",
            groups="base.group_partner_manager,crm_archive_policy.group_archive_manager",
            company_ids=[(6, 0, (ours | theirs).ids)],
            company_id=ours.id,
        )
        policy = self.policy(user_id=user.id)
        copies = self.create_copies(4)
        copies[0].company_id = ours
        copies[1].company_id = theirs
        copies[2].company_id = theirs
        copies[3].company_id = False
        self.assertDue(policy, copies[2], copies)
        self.talk(copies[3])
        self.assertDue(policy, copies[:3], copies)

    def test_one_company_needs_no_distinction(self):
        """Whether a contact is shared says nothing where there is one company."""
        self.env["res.company"].search([]).filtered(
            lambda c: c != self.env.company
        ).active = False
        copies = self.create_copies(2)
        copies[0].company_id = self.env.company
        model = type(self.env["res.company"])
        with patch.object(model, "search_count", lambda *args, **kwargs: 1):
            self.assertDue(self.policy(), copies[1], copies)

    def test_contacts_with_the_address_of_their_company(self):
        company = self.create_contact("C", is_company=True, email="info@mail.example")
        people = self.contact.browse()
        for name in ("Ada", "Bea"):
            people |= self.create_contact(
                name, parent_id=company.id, email=company.email
            )
        self.talk(people[0], 3)
        family = company | people
        self.assertDue(self.policy(), family.browse(), family)
        stray = self.create_contact("Stray", email=company.email)
        self.assertDue(self.policy(), stray, family | stray)

    def test_colleagues_entered_twice(self):
        company = self.create_contact("C", is_company=True, email="info@mail.example")
        copies = self.create_copies(2, parent_id=company.id)
        self.assertDue(self.policy(), copies[1], company | copies)

    def test_further_addresses_are_no_duplicates(self):
        copies = self.create_copies(2)
        copies[1].write({"parent_id": self.contact.id, "type": "delivery"})
        self.assertDue(self.policy(), copies.browse(), copies)

    def test_phone(self):
        country = self.env.ref("base.be").id
        policy = self.policy(find_duplicate_email=False, find_duplicate_phone=True)
        first = self.create_contact(
            "F", phone="+32 2 290 34 90", country_id=country, email="f@mail.example"
        )
        same = self.create_contact("S", phone="02 290 34 90", country_id=country)
        family = self.create_contact(
            "M", phone="+3222903490", country_id=country, email="m@mail.example"
        )
        self.assertEqual(same.phone_sanitized, first.phone_sanitized)
        self.assertDue(policy, same, first | same | family)
        answer = policy._explain(same)
        self.assertIn(f"ID {first.id}) has the same phone number", answer["text"])

    def test_kept_for_its_number_is_no_duplicate_by_its_address(self):
        """Else the copy by number would name one that goes in the same run."""
        phone = {"phone": "+32 2 290 34 90", "country_id": self.env.ref("base.be").id}
        best = self.create_contact("Best", email="one@mail.example")
        middle = self.create_contact("Middle", email="one@mail.example", **phone)
        last = self.create_contact("Last", **phone)
        policy = self.policy(find_duplicate_phone=True)
        self.assertDue(policy, middle, best | middle | last)
        by_phone = self.policy(find_duplicate_email=False, find_duplicate_phone=True)
        self.assertDue(by_phone, last.browse(), best | middle | last)

    def test_leads(self):
        first, second, won, lost = (
            self.create_lead(name, email_from="lead@mail.example")
            for name in ("first", "second", "won", "lost")
        )
        won.action_set_won()
        lost.action_set_lost()
        leads = first | second | won | lost
        self.assertDue(self.policy("crm.lead"), second, leads)

    def test_kept_one_may_lie_outside_of_the_scope(self):
        copies = self.create_copies(2)
        policy = self.policy(domain="[('name', '=', 'Copy 1')]")
        self.assertDue(policy, copies[1], copies)

    def test_explain_does_not_disclose_the_kept_one(self):
        theirs = self.env["res.company"].create({"name": "Other company"})
        copies = self.create_copies(2, company_id=theirs.id)
        copies[0].name = "Secret name"
        policy = self.policy()
        policy.user_id.company_ids = [(4, theirs.id)]
        self.env.flush_all()
        with patch.object(
            type(copies), "_filtered_access", lambda records, op: records.browse()
        ):
            text = policy._explain(copies[1].with_user(self.seller).sudo())["text"]
        self.assertIn(str(copies[0].id), text)
        self.assertNotIn("Secret name", text)

    def test_batch_asks_about_its_own_keys_only(self):
        """Asking about a batch costs the same number of queries, whatever its size."""
        copies = self.create_copies(6)
        self.env.flush_all()
        copies[:1]._get_kept_duplicates(["email_normalized"])  # warm the caches
        for batch in (copies[:2], copies):
            self.env.invalidate_all()
            with self.assertQueryCount(3):
                batch._get_kept_duplicates(["email_normalized"])

    def test_sign_of_life_date_is_unused_here(self):
        """A message in the future is no history."""
        copies = self.create_copies(2)
        self.talk(copies[1])
        message = copies[1].message_ids.filtered(lambda m: m.message_type == "comment")
        message.date = Datetime.now() + timedelta(days=3)
        self.assertDue(self.policy(), copies[1], copies)
