from datetime import datetime, timedelta

from odoo.fields import Datetime
from odoo.tests import tagged

from ..models.crm_archive_interaction import InteractionSource
from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestInteraction(ArchiveCase):
    """``last_interaction_date``: what is a sign of life, and what is not."""

    def assertAlive(self, record, message=None):
        """Compute and search agree that there was a sign of life of late."""
        self.env.flush_all()
        self.env.invalidate_all()
        limit = Datetime.now() - timedelta(days=30)
        self.assertGreater(record.last_interaction_date, limit, message)
        self.assertEqual(self._search(record, ">", limit), record, message)
        self.assertFalse(self._search(record, "<", limit), message)

    def assertSilent(self, record, message=None):
        self.env.flush_all()
        self.env.invalidate_all()
        limit = Datetime.now() - timedelta(days=30)
        self.assertLess(record.last_interaction_date, limit, message)
        self.assertEqual(self._search(record, "<", limit), record, message)
        self.assertFalse(self._search(record, ">=", limit), message)

    def _search(self, record, operator, value):
        return record.search(
            [("id", "=", record.id), ("last_interaction_date", operator, value)]
        )

    def test_write_date_is_no_sign_of_life(self):
        self.lead.write({"description": "recomputed by a robot"})
        self.contact.write({"comment": "mass update"})
        self.assertSilent(self.lead)
        self.assertSilent(self.contact)

    def test_automatic_note_is_no_sign_of_life(self):
        self.lead._message_log(body="Automatic note", message_type="notification")
        self.lead.user_id = self.seller  # tracked
        self.env.flush_all()
        self.assertSilent(self.lead)

    def test_comment_and_mail(self):
        for message_type in ("comment", "email"):
            with self.subTest(message_type=message_type):
                lead = self.create_lead(message_type)
                lead.message_post(body="Hello", message_type=message_type)
                self.assertAlive(lead)

    def test_mailing_is_no_sign_of_life(self):
        self.lead.message_post(body="Newsletter", message_type="email_outgoing")
        self.assertSilent(self.lead)

    def test_stage_move(self):
        self.env.cr.flush()
        stages = self.env["crm.stage"].search([("is_won", "=", False)])
        self.lead.stage_id = (stages - self.lead.stage_id)[0]
        self.env.cr.flush()
        self.assertAlive(self.lead)

    def test_activity_done(self):
        activity = self.env["mail.activity"].create(
            {
                "res_model_id": self.env["ir.model"]._get_id("res.partner"),
                "res_id": self.contact.id,
                "user_id": self.seller.id,
            }
        )
        self.assertSilent(self.contact, "a plan is not an act")
        activity.action_feedback(feedback="Called")
        self.assertAlive(self.contact)

    def test_meeting(self):
        now = datetime.now()
        event = self.env["calendar.event"].create(
            {
                "name": "Visit",
                "start": now - timedelta(days=2),
                "stop": now - timedelta(days=2),
                "partner_ids": [(4, self.contact.id)],
                "opportunity_id": self.lead.id,
            }
        )
        # Only the meeting counts, not the notes it leaves.
        self.age(self.lead | self.lead, years=3)
        self.age(self.contact, years=3)
        self.assertAlive(self.contact)
        self.assertAlive(self.lead)
        event.write({"start": now + timedelta(days=9), "stop": now + timedelta(days=9)})
        self.age(self.lead, years=3)
        self.age(self.contact, years=3)
        self.assertSilent(self.contact, "the future has not happened")

    def test_written_by_the_contact(self):
        self.lead.message_post(
            body="Are you there?",
            message_type="email",
            author_id=self.contact.id,
        )
        self.assertAlive(self.contact)

    def test_new_lead_of_the_contact(self):
        self.env["crm.lead"].create({"name": "New", "partner_id": self.contact.id})
        self.assertAlive(self.contact)

    def test_company_lives_with_its_contacts(self):
        company = self.create_contact("Company", is_company=True)
        child = self.create_contact("Person", parent_id=company.id)
        self.assertSilent(company)
        child.message_post(body="Hello", message_type="comment")
        self.assertAlive(company)

    def test_batch_takes_one_query(self):
        leads = self.lead | self.create_lead("a") | self.create_lead("b")
        self.env.flush_all()
        leads._get_last_interaction_dates()  # warm the caches of fields and models
        with self.assertQueryCount(1):
            leads._get_last_interaction_dates()

    def test_search_by_exact_date_and_emptiness(self):
        date = self.lead.last_interaction_date
        self.assertEqual(self._search(self.lead, "=", date), self.lead)
        self.assertFalse(self._search(self.lead, "=", False))
        self.assertEqual(self._search(self.lead, "!=", False), self.lead)

    def test_another_module_adds_a_source(self):
        """Followers as signs of life, and a model that is not installed."""
        model = self.env.registry["crm.lead"]
        original = model._get_interaction_sources

        def extended(records):
            return [
                *original(records),
                InteractionSource("not.installed", "res_id", "date", []),
                InteractionSource(
                    "mail.followers", "res_id", "partner_id.create_date", []
                ),
            ]

        self.lead.message_subscribe(self.seller.partner_id.ids)
        self.assertSilent(self.lead)
        self.patch(model, "_get_interaction_sources", extended)
        self.assertAlive(self.lead)
