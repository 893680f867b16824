from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged

from ..models.crm_archive_mixin import TRANSITION, Transition
from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestLifecycle(ArchiveCase):
    """Archive and restore, whichever way they come in."""

    def _snapshot(self, lead):
        lead.invalidate_recordset()
        return lead.read(
            [
                "active",
                "won_status",
                "lost_reason_id",
                "date_closed",
                "probability",
                "automated_probability",
                "day_close",
                "stage_id",
                "activity_ids",
                "message_ids",
                "message_follower_ids",
                "date_last_stage_update",
                "tag_ids",
            ]
        )[0]

    def _lose(self, lead):
        reason = self.env["crm.lost.reason"].create({"name": "Too expensive"})
        lead.action_set_lost(lost_reason_id=reason.id)
        lead.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_lead SET date_closed = '2023-01-02 03:04:05' WHERE id = %s",
            [lead.id],
        )
        lead.invalidate_recordset()

    def _frequencies(self):
        return self.env["crm.lead.scoring.frequency"].search_read(
            [], ["variable", "value", "won_count", "lost_count", "team_id"]
        )

    def test_native_archive_and_unarchive(self):
        lead = self.lead.with_user(self.seller)
        before = self._snapshot(lead)
        lead.action_archive()
        self.assertEqual(lead.archive_state, "archived")
        self.assertFalse(lead.active)
        self.assertEqual(lead.archive_user_id, self.seller)
        self.assertTrue(lead.archive_date)
        lead.action_unarchive()
        self.assertEqual(lead.archive_state, "live")
        self.assertFalse(lead.archive_date)
        self.assertEqual(self._snapshot(lead), before)

    def test_contact_native_archive_and_unarchive(self):
        contact = self.contact.with_user(self.seller)
        contact.action_archive()
        self.assertRecordValues(
            contact,
            [{"active": False, "archive_state": "archived"}],
        )
        contact.action_unarchive()
        self.assertRecordValues(
            contact,
            [{"active": True, "archive_state": "live", "archive_date": False}],
        )

    def test_write_of_active_is_the_same_as_the_button(self):
        self.contact.write({"active": False, "comment": "gone"})
        self.assertEqual(self.contact.archive_state, "archived")
        self.assertIn("gone", self.contact.comment)
        self.contact.write({"active": True})
        self.assertEqual(self.contact.archive_state, "live")

    def test_lost_is_not_archived(self):
        self._lose(self.lead)
        self.assertRecordValues(
            self.lead,
            [{"active": False, "won_status": "lost", "archive_state": "live"}],
        )

    def test_lost_by_values_is_not_archived(self):
        self.lead.write({"active": False, "probability": 0})
        self.assertRecordValues(
            self.lead, [{"won_status": "lost", "archive_state": "live"}]
        )

    def test_lost_lead_comes_back_lost(self):
        self._lose(self.lead)
        self.env["mail.activity"].create(
            {
                "res_model_id": self.env["ir.model"]._get_id("crm.lead"),
                "res_id": self.lead.id,
                "user_id": self.seller.id,
            }
        )
        before, frequencies = self._snapshot(self.lead), self._frequencies()
        self.lead._archive()
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertEqual(self.lead.won_status, "lost")
        self.assertEqual(self._frequencies(), frequencies)
        self.lead.action_archive_restore()
        self.assertEqual(self._snapshot(self.lead), before)
        self.assertEqual(self._frequencies(), frequencies)

    def test_lost_lead_comes_back_lost_by_unarchive(self):
        self._lose(self.lead)
        before = self._snapshot(self.lead)
        self.lead._archive()
        self.lead.action_unarchive()
        self.assertEqual(self._snapshot(self.lead), before)

    def test_won_lead_keeps_its_closing_date(self):
        self.lead.action_set_won()
        self.lead.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_lead SET date_closed = '2023-01-02 03:04:05' WHERE id = %s",
            [self.lead.id],
        )
        before, frequencies = self._snapshot(self.lead), self._frequencies()
        self.lead._archive()
        self.assertEqual(
            {**self._snapshot(self.lead), "active": True}, before, "only hidden"
        )
        self.lead.action_archive_restore()
        self.assertEqual(self._snapshot(self.lead), before)
        self.assertEqual(self._frequencies(), frequencies)

    def test_probability_zero_is_not_lost_by_archiving(self):
        self.lead.probability = 0
        frequencies = self._frequencies()
        before = self._snapshot(self.lead)
        self.lead._archive()
        self.assertEqual(self.lead.won_status, "pending")
        self.assertEqual(self._frequencies(), frequencies)
        self.lead.action_archive_restore()
        self.assertEqual(self._snapshot(self.lead), before)

    def test_manual_probability_is_kept(self):
        self.lead.write({"probability": 37.5})
        before = self._snapshot(self.lead)
        self.lead.action_archive()
        self.lead.action_archive_restore()
        self.assertEqual(self._snapshot(self.lead), before)

    def test_lose_an_archived_lead(self):
        self.lead.action_archive()
        self.lead.action_set_lost()
        self.assertRecordValues(
            self.lead,
            [{"archive_state": "live", "active": False, "won_status": "lost"}],
        )

    def test_probability_zero_loses_an_archived_lead(self):
        self.lead.action_archive()
        self.lead.probability = 0
        self.assertRecordValues(
            self.lead,
            [{"archive_state": "live", "active": False, "won_status": "lost"}],
        )
        self.lead.action_unarchive()
        self.assertRecordValues(self.lead, [{"active": True, "won_status": "pending"}])

    def test_win_an_archived_lead(self):
        self.lead._archive()
        won = self.env["crm.stage"].search([("is_won", "=", True)], limit=1)
        self.lead.stage_id = won
        self.assertRecordValues(self.lead, [{"archive_state": "live", "active": True}])
        self.assertEqual(self.lead.won_status, "won")

    def test_batch_with_both_kinds(self):
        lost = self.create_lead("Lost one")
        self._lose(lost)
        both = self.lead | lost
        both._archive()
        self.assertEqual(both.mapped("archive_state"), ["archived"] * 2)
        both.action_archive_restore()
        self.assertEqual(both.mapped("active"), [True, False])

    def test_restore_what_is_not_archived(self):
        with self.assertRaisesRegex(UserError, "Silent lead"):
            self.lead.action_archive_restore()

    def test_lifecycle_fields_are_not_written_by_hand(self):
        lead = self.lead.with_user(self.manager)
        for vals in (
            {"archive_state": "archived"},
            {"archive_restricted": True},
            {"archive_on_hold": True},
            {"archive_snapshot": {"active": False}},
        ):
            with self.subTest(vals=vals), self.assertRaises(AccessError):
                lead.write(vals)
        with self.assertRaises(AccessError):
            lead.create({"name": "New", "archive_state": "vaulted"})

    def test_context_of_a_client_opens_no_back_door(self):
        lead = self.lead.with_user(self.seller)
        forged = lead.with_context(archive_transition=["move", {"active": True}])
        forged.write({"active": False})
        self.assertEqual(lead.archive_state, "archived")

    def test_hold_refuses_archiving_and_deletion(self):
        self.contact._move({"archive_on_hold": True})
        with self.assertRaisesRegex(UserError, "legal hold"):
            self.contact.action_archive()
        with self.assertRaisesRegex(UserError, "legal hold"):
            self.contact.unlink()

    def test_own_contact_and_company(self):
        seller = self.seller.partner_id.with_user(self.seller)
        with self.assertRaisesRegex(UserError, "active user"):
            seller.action_archive()  # core is faster, and says the same
        with self.assertRaisesRegex(UserError, "your own contact"):
            seller._check_archivable()
        company = self.env.company.partner_id.with_user(self.manager)
        with self.assertRaisesRegex(UserError, "your own companies"):
            company.action_archive()

    def test_copy_is_live(self):
        self.lead._archive({"archive_restricted": True})
        copy = self.lead.copy()
        self.assertRecordValues(
            copy, [{"archive_state": "live", "archive_restricted": False}]
        )

    def test_form_still_saves(self):
        with Form(self.lead) as form:
            form.name = "Renamed"
        with Form(self.env["res.partner"]) as form:
            form.name = "New contact"
        self.assertEqual(form.record.archive_state, "live")

    def test_archiving_writes_no_chatter(self):
        records = self.lead, self.contact
        self.env.cr.precommit.run()  # what was tracked so far is posted
        before = [len(record.message_ids) for record in records]
        for record in records:
            record._archive()
            self.env.cr.precommit.run()
            record._restore()
            self.env.cr.precommit.run()
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual([len(record.message_ids) for record in records], before)

    def test_what_is_written_on_the_way_is_not_archived(self):
        """The context travels to whatever other modules write meanwhile."""
        values = {"archive_state": "archived", "archive_restricted": True}
        other = self.create_lead("Other")
        transition = Transition(self.lead, values)
        for record in (other, self.lead | other):
            record.with_context(**{TRANSITION: transition}).write({"color": 3})
            self.assertUntouched(other)
            self.assertFalse(other.archive_restricted)
            self.assertEqual(other.color, 3)
        self.assertTrue(self.lead.archive_restricted)
        # A contact that happens to have the id of the lead.
        transition = Transition(self.env["crm.lead"].browse(self.contact.id), values)
        self.contact.with_context(**{TRANSITION: transition}).write({"color": 3})
        self.assertUntouched(self.contact)
        self.assertEqual(self.contact.color, 3)

    def test_inactive_contact_comes_back_inactive_by_unarchive(self):
        self.env.cr.execute(
            "UPDATE res_partner SET active = false WHERE id = %s", [self.contact.id]
        )
        self.env.invalidate_all()
        self.contact._archive()
        self.contact.action_unarchive()
        self.assertRecordValues(
            self.contact, [{"archive_state": "live", "active": False}]
        )
        self.contact.action_unarchive()
        self.assertTrue(self.contact.active)

    def test_refusal_names_nothing_to_those_who_may_not_write(self):
        """The reason why a lead stays is told to its colleagues only."""
        salesman = new_test_user(
            self.env, "own_leads", groups="sales_team.group_sale_salesman"
        )
        self.lead.user_id = self.seller
        self.lead._move({"archive_on_hold": True})
        with self.assertRaises(AccessError):
            self.lead.with_user(salesman).write({"active": False})
