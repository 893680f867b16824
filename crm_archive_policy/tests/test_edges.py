from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestEdges(ArchiveCase):
    """Two people act on the same record, or a rule changes under its own work."""

    def name_lead(self, **values):
        """Have a policy name the lead.

        :return: the policy and its candidate
        """
        policy = self.create_policy(
            domain=f"[('id', '=', {self.lead.id})]", grace_days=10, **values
        )
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_state, "pending")
        return policy, policy.candidate_ids

    # -- archived by hand while a policy waits -------------------------------------

    def test_no_keep_of_what_was_archived_by_hand(self):
        """A late Keep left the lead inactive, yet called it live."""
        _policy, candidate = self.name_lead()
        self.lead.action_archive()
        with self.assertRaisesRegex(UserError, "archived or restored meanwhile"):
            candidate.with_user(self.officer).action_keep()
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertTrue(self.lead.archive_date)
        self.lead.action_archive_restore()
        self.assertEqual((self.lead.archive_state, self.lead.active), ("live", True))

    def test_archived_by_hand_is_not_the_policy_s(self):
        """By the menu as by the dialog: no figure and no vault of the policy."""
        policy, _candidate = self.name_lead(vault_enabled=True, vault_after_days=0)
        self.lead.action_archive()
        self.assertFalse(self.lead.archive_policy_id)
        self.assertFalse(policy.archived_count)
        self.assertFalse(policy._find_vault_ids())

    # -- the policy changes ----------------------------------------------------------

    def test_switched_off(self):
        """Nothing stays announced, and other policies may have it."""
        policy, candidate = self.name_lead()
        run = self.env["crm.archive.run"].create({"policy_id": policy.id})
        policy.with_user(self.manager).active = False
        self.assertEqual((candidate.verdict, run.state), ("cancelled", "cancelled"))
        self.assertTrue(candidate.note)
        self.assertUntouched(self.lead)
        self.assertFalse(self.lead.archive_due_date)
        other = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        self.run_policy(other)
        self.assertEqual(self.lead.archive_state, "archived")

    def test_switched_off_keeps_what_is_decided(self):
        policy, candidate = self.name_lead()
        candidate.action_keep()
        policy.active = False
        self.assertEqual(candidate.verdict, "kept")

    def test_another_model(self):
        policy, _candidate = self.name_lead()
        contacts = self.env["ir.model"]._get_id("res.partner")
        policy.model_id = policy.model_id  # as a form saves it
        with self.assertRaisesRegex(UserError, "make another policy"):
            policy.write({"model_id": contacts, "domain": "[]"})
        fresh = self.create_policy()
        fresh.write({"model_id": contacts})
        self.assertEqual(fresh.model_name, "res.partner")

    def test_deleted(self):
        policy, _candidate = self.name_lead()
        with self.assertRaisesRegex(UserError, "Archive it instead"):
            policy.unlink()
        self.create_policy().unlink()

    # -- its responsible -------------------------------------------------------------

    def test_responsible_leaves_the_company(self):
        company = self.env["res.company"].create({"name": "Branch"})
        self.manager.company_ids += company
        lead = self.create_lead("Theirs", company_id=company.id)
        policy = self.create_policy(company_id=company.id, user_id=self.manager.id)
        self.manager.company_ids -= company
        for act in (policy.action_run, policy.action_preview):
            with self.assertRaisesRegex(UserError, "manager.*Branch.*another resp"):
                act()
        answer = policy._explain(lead)
        self.assertFalse(answer["applies"])
        self.assertIn("Branch", answer["text"])

    def test_company_archived(self):
        company = self.env["res.company"].create({"name": "Branch"})
        self.manager.company_ids += company
        policy = self.create_policy(company_id=company.id, user_id=self.manager.id)
        company.active = False
        self.run_cron()
        run = policy.run_ids
        self.assertEqual((run.state, run.try_count), ("waiting", 1))
        self.assertIn("Branch", run.error)

    # -- cascades --------------------------------------------------------------------

    def lose_with_contact(self):
        """Archive the contact, whose open lead is lost with it.

        :return: the lead
        """
        lead = self.create_lead("Of the contact", partner_id=self.contact.id)
        self.run_policy(
            self.create_policy(
                "res.partner",
                cascade_lead="lose",
                domain=f"[('id', '=', {self.contact.id})]",
            )
        )
        self.assertEqual((self.contact.archive_state, lead.active), ("archived", False))
        return lead

    def test_reopened_and_lost_again(self):
        """What somebody has decided since is not undone when the contact returns."""
        lead = self.lose_with_contact()
        lead.action_unarchive()
        reason = self.env["crm.lost.reason"].create({"name": "Too dear"})
        lead.action_set_lost(lost_reason_id=reason.id)
        self.contact.action_archive_restore()
        self.assertEqual((lead.active, lead.lost_reason_id), (False, reason))

    def test_reopened_and_archived(self):
        lead = self.lose_with_contact()
        lead.action_unarchive()
        lead.action_archive()
        self.contact.action_archive_restore()
        self.assertEqual(lead.archive_state, "archived")
        lead.action_archive_restore()
        self.assertEqual((lead.active, lead.won_status), (True, "pending"))
