from odoo.tests import HttpCase, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestTours(ArchiveCase, HttpCase):
    """What people click, in a real browser."""

    def test_archive_a_contact_with_a_reason(self):
        company = self.create_contact("Tour company", is_company=True)
        self.create_contact("Tour person", parent_id=company.id)
        self.start_tour(
            f"/odoo/contacts/{company.id}", "crm_archive_contact", login="seller"
        )
        self.assertUntouched(company)
        self.assertTrue(company.active)
        actions = self.env["crm.archive.log"].search(
            [("res_model", "=", "res.partner"), ("res_id", "=", company.id)]
        )
        self.assertEqual(actions.mapped("action"), ["restore", "archive"])
        self.assertEqual(actions[1].reason_id, self.reason)
        self.assertEqual(actions.user_id, self.seller)

    def test_write_preview_run_and_restore(self):
        self.env["crm.lead"].with_context(active_test=False).search(
            [("id", "!=", self.lead.id)]
        ).archive_exempt = True
        self.env.cr.execute("UPDATE crm_lead SET create_date = now()")
        leads = self.lead | self.create_lead("Tour lead 2")
        self.lead.name = "Tour lead 1"
        self.create_lead("Tour lead exempt", archive_exempt=True)
        self.age(leads, years=3)
        self.start_tour("/odoo", "crm_archive_policy", login="manager")
        self.assertEqual(leads.mapped("archive_state"), ["live", "archived"])
        policy = self.env["crm.archive.policy"].search([("name", "=", "Tour policy")])
        self.assertEqual(policy.run_ids.archived_count, 2)
