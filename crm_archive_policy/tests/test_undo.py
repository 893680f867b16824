from odoo.exceptions import AccessError, UserError
from odoo.fields import Date
from odoo.tests import tagged

from .test_notice import NoticeCase


@tagged("post_install", "-at_install")
class TestUndo(NoticeCase):
    """What was done by a slip is undone by the button of its notification."""

    def press_undo(self, action, user):
        """Do what the client does when the button is pressed."""
        self.assertEqual(action["tag"], "crm_archive_undo")
        undo = action["params"]["undo"]
        records = self.env[undo["model"]].with_user(user).browse(undo["ids"])
        return getattr(records, undo["method"])()

    def test_keep(self):
        policy, leads = self._name(3, mode="review", grace_days=7)
        before = leads.mapped("archive_due_date")
        candidates = policy.candidate_ids.with_user(self.officer)
        action = candidates.action_keep()
        self.assertUntouched(leads)
        self.press_undo(action, self.officer)
        self.assertEqual(set(leads.mapped("archive_state")), {"pending"})
        self.assertEqual(leads.mapped("archive_due_date"), before)
        self.assertEqual(leads.archive_policy_id, policy)
        self.assertRecordValues(
            policy.candidate_ids,
            [{"verdict": "pending", "user_id": False, "decision_date": False}] * 3,
        )
        log = self.env["crm.archive.log"].search(
            [("res_model", "=", "crm.lead"), ("res_id", "=", leads[0].id)]
        )
        self.assertEqual(log.mapped("action"), ["pend", "keep", "pend"])
        with self.assertRaises(UserError, msg="nothing is left to undo"):
            self.press_undo(action, self.officer)

    def test_keep_from_the_record(self):
        _policy, lead = self._name(1, mode="review", user=self.colleague)
        action = lead.with_user(self.colleague).action_archive_keep()
        self.assertUntouched(lead)
        self.press_undo(action, self.colleague)
        self.assertEqual(lead.archive_state, "pending")

    def test_keep_of_others(self):
        policy, lead = self._name(1, mode="review", user=self.colleague)
        action = policy.candidate_ids.with_user(self.officer).action_keep()
        with self.assertRaises(UserError, msg="the officer has decided"):
            self.press_undo(action, self.colleague)
        for user in (self.seller, self.auditor):
            with self.assertRaises(AccessError):
                self.press_undo(action, user)
        self.assertUntouched(lead)

    def test_what_has_come_between_stays(self):
        policy, leads = self._name(2, mode="review")
        candidates = policy.candidate_ids.with_user(self.officer)
        action = candidates.action_keep()
        leads[0]._archive({})
        self.press_undo(action, self.officer)
        self.assertEqual(leads.mapped("archive_state"), ["archived", "pending"])

    def test_restored_records_are_no_undone_keep(self):
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        policy.action_run()
        self.lead.with_user(self.officer).action_archive_restore()
        kept = policy.candidate_ids.filtered(lambda c: c.verdict == "kept")
        self.assertTrue(kept)
        with self.assertRaises(UserError):
            kept.with_user(self.officer).action_undo_keep()
        self.assertUntouched(self.lead)

    def test_archive_with_the_contacts_of_a_company(self):
        company = self.create_contact("Company", is_company=True)
        child = self.create_contact("Child", parent_id=company.id)
        wizard = (
            self.env["crm.archive.wizard"]
            .with_user(self.seller)
            .with_context(active_model="res.partner", active_ids=company.ids)
            .create({"reason_id": self.reason.id, "is_child_included": True})
        )
        action = wizard.action_archive()
        self.assertEqual(set((company | child).mapped("archive_state")), {"archived"})
        self.press_undo(action, self.seller)
        self.assertUntouched(company | child)
        self.assertTrue(company.active and child.active)
        self.assertFalse(
            self.env["crm.archive.restore.stat"].search([("date", "=", Date.today())])
        )
