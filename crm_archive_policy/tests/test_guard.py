from datetime import datetime, timedelta

from odoo.exceptions import ValidationError
from odoo.tests import new_test_user, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestGuard(ArchiveCase):
    """Reasons not to archive."""

    def _kept_reason(self, record):
        """Run a policy over one record; return why it was kept, or None."""
        policy = self.create_policy(
            record._name, domain=f"[('id', '=', {record.id})]", idle_number=0
        )
        run = self.run_policy(policy)
        self.assertEqual(run.error_count, 0)
        if record.archive_state == "archived":
            return None
        self.assertEqual(run.kept_count, 1)
        return run._get_kept_by_reason()[0][0]

    def test_nothing_protects(self):
        self.assertIsNone(self._kept_reason(self.contact))
        self.assertIsNone(self._kept_reason(self.lead))

    def test_user(self):
        user = new_test_user(self.env, "guarded", groups="base.group_portal")
        self.assertIn("signs in", self._kept_reason(user.partner_id))
        user.active = False
        self.assertIn("deactivated", self._kept_reason(user.partner_id))

    def test_own_company(self):
        company = self.env["res.company"].create({"name": "Branch"})
        self.assertIn("own companies", self._kept_reason(company.partner_id))

    def test_odoobot_and_templates_stay(self):
        policy = self.create_policy("res.partner", idle_number=0)
        self.run_policy(policy)
        system = self.env["res.users"].with_context(active_test=False).search([])
        self.assertUntouched(system.partner_id)

    def test_exempt(self):
        self.contact.archive_exempt = True
        self.assertIn("Never Archive", self._kept_reason(self.contact))
        self.lead.archive_exempt = True
        self.assertIn("Never Archive", self._kept_reason(self.lead))

    def test_hold(self):
        self.lead._move({"archive_on_hold": True})
        self.assertIn("legal hold", self._kept_reason(self.lead))

    def test_open_opportunity(self):
        lead = self.create_lead("Open", partner_id=self.contact.id)
        self.assertIn("open lead", self._kept_reason(self.contact))
        lead.action_set_lost()
        self.assertIsNone(self._kept_reason(self.contact))

    def test_planned_activity(self):
        activity = self.env["mail.activity"].create(
            {
                "res_model_id": self.env["ir.model"]._get_id("crm.lead"),
                "res_id": self.lead.id,
                "user_id": self.seller.id,
            }
        )
        self.assertIn("activity", self._kept_reason(self.lead))
        activity.date_deadline = datetime.now() - timedelta(days=300)
        self.assertIsNone(self._kept_reason(self.lead), "forgotten long ago")

    def test_activity_of_a_contact_with_the_same_id(self):
        """A link by model and id must not take one model for another."""
        self.env["mail.activity"].create(
            {
                "res_model_id": self.env["ir.model"]._get_id("res.partner"),
                "res_id": self.contact.id,
                "user_id": self.seller.id,
            }
        )
        guards = self.env["crm.archive.guard"]._get_awake("crm.lead")
        lead = self.env["crm.lead"].browse(self.contact.id)
        self.assertFalse(guards._get_verdicts(lead))

    def test_meeting_ahead(self):
        tomorrow = datetime.now() + timedelta(days=1)
        self.env["calendar.event"].create(
            {
                "name": "Visit",
                "start": tomorrow,
                "stop": tomorrow,
                "partner_ids": [(4, self.contact.id)],
                "opportunity_id": self.lead.id,
            }
        )
        self.assertIn("meeting", self._kept_reason(self.contact))
        self.assertIn("meeting", self._kept_reason(self.lead))

    def test_guard_of_a_model_that_is_not_installed_sleeps(self):
        guard = self.env["crm.archive.guard"].create(
            {
                "name": "Spaceship",
                "model_name": "space.ship",
                "link_field": "captain_id",
                "domain": "[('in_orbit', '=', True)]",
                "message": "In orbit.",
            }
        )
        self.assertTrue(guard.is_sleeping)
        self.assertIsNone(self._kept_reason(self.contact))

    def test_guard_over_a_path(self):
        """Contacts whose leads belong to a certain team are kept."""
        self.env["crm.archive.guard"].create(
            {
                "name": "Children of customers",
                "model_name": "res.partner",
                "link_field": "parent_id.parent_id",
                "domain": "[('name', '=', 'Grandchild')]",
                "message": "There is a grandchild.",
            }
        )
        child = self.create_contact("Child", parent_id=self.contact.id)
        self.create_contact("Grandchild", parent_id=child.id)
        self.assertEqual(self._kept_reason(self.contact), "There is a grandchild.")

    def test_bad_guards_are_refused(self):
        guard = {"name": "Bad", "message": "Bad", "model_name": "crm.lead"}
        for values in (
            {"link_field": "no_such_field"},
            {"link_field": "partner_id.no_such_field"},
            {"link_field": "name"},
            {"link_field": "partner_id", "domain": "[('no_such_field', '=', 1)]"},
            {"link_field": "partner_id", "domain": "__import__('os')"},
        ):
            with self.subTest(values=values), self.assertRaises(ValidationError):
                self.env["crm.archive.guard"].create({**guard, **values})

    def test_one_query_a_guard_whatever_the_number(self):
        leads = self.lead | self.create_lead("a") | self.create_lead("b")
        guards = self.env["crm.archive.guard"]._get_awake("crm.lead")
        guards._get_verdicts(leads)
        with self.assertQueryCount(len(guards)):
            guards._get_verdicts(leads)


@tagged("post_install", "-at_install")
class TestGuardDocuments(ArchiveCase):
    """Open documents protect their partner, where the documents exist."""

    def _is_kept(self, record):
        guards = self.env["crm.archive.guard"]._get_awake(record._name)
        return record.id in guards._get_verdicts(record)

    def test_open_order(self):
        if "sale.order" not in self.env:
            self.skipTest("sale is not installed")
        delivery = self.create_contact("Delivery address")
        order = self.env["sale.order"].create(
            {"partner_id": self.contact.id, "partner_shipping_id": delivery.id}
        )
        self.assertTrue(self._is_kept(self.contact))
        self.assertTrue(self._is_kept(delivery))
        order._action_cancel()
        self.env.flush_all()
        self.assertFalse(self._is_kept(self.contact))
        self.assertFalse(self._is_kept(delivery))

    def test_unpaid_invoice(self):
        if "account.move" not in self.env:
            self.skipTest("account is not installed")
        self.assertFalse(self._is_kept(self.contact))
        move = self.env["account.move"].create(
            {"move_type": "out_invoice", "partner_id": self.contact.id}
        )
        self.assertTrue(self._is_kept(self.contact))
        move.button_cancel()
        self.env.flush_all()
        self.assertFalse(self._is_kept(self.contact))
