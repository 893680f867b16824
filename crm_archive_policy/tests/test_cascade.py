from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestCascade(ArchiveCase):
    """What goes with a contact, and comes back with it."""

    def setUp(self):
        super().setUp()
        self.company = self.create_contact("Company", is_company=True)
        self.person = self.create_contact("Person", parent_id=self.company.id)
        self.office = self.create_contact("Office", parent_id=self.person.id)
        self.open_lead = self.create_lead("Open", partner_id=self.person.id)
        self.family = self.company | self.person | self.office

    def _policy(self, **values):
        return self.create_policy(
            "res.partner", domain=f"[('id', '=', {self.company.id})]", **values
        )

    def _states(self, records=None):
        return (records or self.family).mapped("archive_state")

    def test_nothing_goes_along_by_default(self):
        self.open_lead.action_set_lost()
        self.run_policy(self._policy())
        self.assertEqual(self._states(), ["archived", "live", "live"])

    def test_children_go_and_come_back(self):
        self.run_policy(self._policy(cascade_child=True, restrict_access=True))
        # The person has an open lead, which protects him.
        self.assertEqual(self._states(), ["archived", "live", "archived"])
        self.assertTrue(self.office.archive_restricted)
        self.assertEqual(self.office.archive_cascade_partner_id, self.company)
        self.company.action_archive_restore()
        self.assertEqual(self._states(), ["live"] * 3)
        self.assertFalse(self.office.archive_cascade_partner_id)

    def test_restore_brings_back_nothing_else(self):
        self.office.action_archive()
        policy = self._policy(cascade_child=True, cascade_lead="archive")
        self.run_policy(policy)
        self.assertEqual(self._states(), ["archived"] * 3)
        self.company.action_archive_restore()
        self.assertEqual(self._states(), ["live", "live", "archived"])

    def test_open_leads_protect_unless_they_go_along(self):
        domain = f"[('id', '=', {self.person.id})]"
        policy = self.create_policy("res.partner", domain=domain)
        self.run_policy(policy)
        self.assertUntouched(self.person)
        policy.cascade_lead = "archive"
        self.run_policy(policy)
        self.assertEqual(self.person.archive_state, "archived")
        self.assertEqual(self.open_lead.archive_state, "archived")

    def test_leads_are_lost_and_reopened_exactly(self):
        self.open_lead.write({"probability": 42.5})
        names = ["active", "probability", "automated_probability", "won_status"]
        names += ["date_closed", "lost_reason_id", "stage_id"]
        before = self.open_lead.read(names)
        frequencies = self.env["crm.lead.scoring.frequency"].search_read(
            [], ["variable", "value", "team_id", "lost_count"]
        )
        policy = self._policy(cascade_child=True, cascade_lead="lose")
        self.run_policy(policy)
        self.assertEqual(self._states(), ["archived"] * 3)
        self.assertRecordValues(
            self.open_lead,
            [{"archive_state": "live", "won_status": "lost", "active": False}],
        )
        self.company.action_archive_restore()
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(self.open_lead.read(names), before)
        self.assertFalse(self.open_lead.archive_snapshot)
        after = self.env["crm.lead.scoring.frequency"].search_read(
            [], ["variable", "value", "team_id", "lost_count"]
        )

        def key(frequency):
            return frequency["variable"], frequency["value"], frequency["team_id"]

        lost = {key(frequency): frequency["lost_count"] for frequency in frequencies}
        for frequency in after:
            # Core starts a new frequency at 0.1, so that nothing is ever 0.
            before_loss = lost.get(key(frequency), 0.1)
            self.assertAlmostEqual(frequency["lost_count"], before_loss)

    def test_reopening_costs_no_more_for_many(self):
        """Each has a probability of its own; that is no reason for a write each."""
        self.run_policy(self._policy(cascade_child=True, cascade_lead="lose"))
        self.company.action_archive_restore()
        counts = []
        for count in (5, 5, 30):  # the first one fills caches
            leads = self.env["crm.lead"].create(
                [
                    {
                        "name": f"Open {number}",
                        "partner_id": self.company.id,
                        "probability": 10 + number / 8,
                        "team_id": False,
                        "user_id": False,
                    }
                    for number in range(count)
                ]
            )
            before = leads.mapped("probability")
            leads._lose_by_cascade()
            leads._link_cascade(dict.fromkeys(leads.ids, self.company.id))
            self.env.flush_all()
            self.env.invalidate_all()
            start = self.env.cr.sql_log_count
            leads.with_context(active_test=False)._restore_cascaded()
            self.env.flush_all()
            counts.append(self.env.cr.sql_log_count - start)
            self.env.invalidate_all()
            self.assertEqual(leads.mapped("probability"), before)
            self.assertEqual(set(leads.mapped("won_status")), {"pending"})
        self.assertEqual(counts[1], counts[2])

    def test_a_reopened_lead_is_left_alone(self):
        self.run_policy(self._policy(cascade_child=True, cascade_lead="lose"))
        self.open_lead.action_unarchive()
        self.open_lead.probability = 77
        self.company.action_archive_restore()
        self.assertEqual(self.open_lead.probability, 77)

    def test_guarded_leads_stay(self):
        self.open_lead.archive_exempt = True
        self.run_policy(self._policy(cascade_child=True, cascade_lead="archive"))
        self.assertUntouched(self.open_lead)

    def test_wizard(self):
        action = self.company.with_user(self.officer).action_archive_wizard()
        form = Form(
            self.env[action["res_model"]]
            .with_user(self.officer)
            .with_context(**action["context"])
        )
        form.reason_id = self.reason
        form.is_child_included = True
        form.lead_cascade = "archive"
        form.save().action_archive()
        self.assertEqual(self._states(), ["archived"] * 3)
        self.assertEqual(self.open_lead.archive_state, "archived")
        self.company.with_user(self.officer).action_archive_restore()
        self.assertEqual(self._states(), ["live"] * 3)
        self.assertEqual(self.open_lead.archive_state, "live")

    def _archive_by_hand(self, **values):
        """Archive the company as the dialog does, with what goes along."""
        wizard = self.env["crm.archive.wizard"].create(
            {
                "res_model": "res.partner",
                "res_ids": self.company.ids,
                "reason_id": self.reason.id,
                "is_child_included": True,
                **values,
            }
        )
        return wizard.action_archive()

    def test_by_hand_nothing_protected_goes_along(self):
        """A person is told, where a policy would silently leave it out."""
        branch = self.env["res.company"].create({"name": "Branch"})
        branch.partner_id.parent_id = self.company
        refused = self.assertRaisesRegex(UserError, "Branch is one of your own")
        with refused, self.env.cr.savepoint():
            self._archive_by_hand()
        self.assertEqual(self._states(), ["live"] * 3)

    def test_by_hand_a_held_lead_does_not_go_along(self):
        self.open_lead._move({"archive_on_hold": True})
        for lead_cascade in ("archive", "lose"):
            with (
                self.subTest(lead_cascade=lead_cascade),
                self.assertRaisesRegex(UserError, "legal hold"),
                self.env.cr.savepoint(),
            ):
                self._archive_by_hand(lead_cascade=lead_cascade)
        self.assertEqual(self._states(), ["live"] * 3)
        self.assertUntouched(self.open_lead)
        self.assertTrue(self.open_lead.active)

    def test_what_is_closed_or_inactive_does_not_go_along(self):
        won = self.create_lead("Won", partner_id=self.office.id)
        won.action_set_won()
        lost = self.create_lead("Lost", partner_id=self.office.id)
        lost.action_set_lost()
        (won | lost).flush_recordset()
        self.age(won | lost, years=3)
        # Switched off long ago, before there was an archive.
        self.env.cr.execute(
            "UPDATE res_partner SET active = false WHERE id = %s", [self.office.id]
        )
        self.env.invalidate_all()
        for cascade_lead in ("archive", "lose"):
            with self.subTest(cascade_lead=cascade_lead):
                self.run_policy(
                    self._policy(cascade_child=True, cascade_lead=cascade_lead)
                )
                self.assertEqual(self._states(), ["archived", "archived", "live"])
                self.assertUntouched(won | lost)
                self.assertEqual(won.won_status, "won")
                self.assertEqual(lost.won_status, "lost")
                self.company.action_archive_restore()
                self.assertFalse(self.office.active, "it was not active before")

    def test_won_leads_of_what_goes_along_stay(self):
        won = self.create_lead("Won", partner_id=self.office.id)
        won.action_set_won()
        won.flush_recordset()
        self.age(won, years=3)
        for cascade_lead in ("archive", "lose"):
            with self.subTest(cascade_lead=cascade_lead):
                self.run_policy(
                    self._policy(cascade_child=True, cascade_lead=cascade_lead)
                )
                self.assertEqual(self._states(), ["archived"] * 3)
                self.assertUntouched(won)
                self.assertEqual(won.won_status, "won")
                self.company.action_archive_restore()
