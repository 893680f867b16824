from datetime import timedelta

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Date
from odoo.tests import Form, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestWizard(ArchiveCase):
    """Archiving by hand, with a reason."""

    def _open(self, records, user=None):
        action = records.with_user(user or self.officer).action_archive_wizard()
        return Form(
            self.env[action["res_model"]]
            .with_user(user or self.officer)
            .with_context(**action["context"])
        )

    def _archive(self, records, user=None, **values):
        form = self._open(records, user)
        form.reason_id = self.reason
        for name, value in values.items():
            setattr(form, name, value)
        return form.save().action_archive()

    def test_archive_with_reason(self):
        tag = self.env["crm.archive.tag"].create({"name": "By hand"})
        form = self._open(self.lead)
        form.reason_id = self.reason
        form.tag_ids.add(tag)
        form.retention_date = Date.today() + timedelta(days=5)
        form.is_restricted = True
        form.save().action_archive()
        self.assertRecordValues(
            self.lead,
            [
                {
                    "archive_state": "archived",
                    "archive_reason_id": self.reason.id,
                    "archive_tag_ids": tag.ids,
                    "archive_restricted": True,
                    "archive_user_id": self.officer.id,
                    "archive_policy_id": False,
                    "retention_date": Date.today() + timedelta(days=5),
                }
            ],
        )

    def test_reason_is_required(self):
        form = self._open(self.lead)
        with self.assertRaises(AssertionError):
            form.save()

    def test_seller_archives_and_restores(self):
        self._archive(self.lead, self.seller)
        self.assertEqual(self.lead.archive_state, "archived")
        action = self.lead.with_user(self.seller).action_archive_restore()
        self.assertEqual(action["params"]["type"], "success")
        self.assertUntouched(self.lead)

    def test_seller_cannot_restrict(self):
        form = self._open(self.lead, self.seller)
        self.assertFalse(form.can_restrict)
        form.reason_id = self.reason
        wizard = form.save()
        wizard.is_restricted = True
        with self.assertRaisesRegex(UserError, "officers"):
            wizard.action_archive()

    def test_what_else_is_affected(self):
        company = self.create_contact("Company", is_company=True)
        child = self.create_contact("Person", parent_id=company.id)
        self.create_lead("Open", partner_id=child.id)
        self.env["mail.activity"].create(
            {
                "res_model_id": self.env["ir.model"]._get_id("res.partner"),
                "res_id": company.id,
                "user_id": self.seller.id,
            }
        )
        form = self._open(company)
        self.assertEqual(
            (form.child_count, form.lead_count, form.activity_count), (1, 0, 1)
        )
        form.is_child_included = True
        self.assertEqual(form.lead_count, 1)
        form.reason_id = self.reason
        form.save().action_archive()
        self.assertEqual((company | child).mapped("archive_state"), ["archived"] * 2)

    def test_children_stay_unless_chosen(self):
        company = self.create_contact("Company", is_company=True)
        child = self.create_contact("Person", parent_id=company.id)
        self._archive(company)
        self.assertUntouched(child)

    def test_retention_in_the_past(self):
        form = self._open(self.lead)
        form.reason_id = self.reason
        form.retention_date = Date.today() - timedelta(days=1)
        with self.assertRaisesRegex(ValidationError, "in the past"):
            form.save()
        self.assertUntouched(self.lead)

    def test_archived_already(self):
        self.lead._archive()
        with self.assertRaisesRegex(UserError, "archived already"):
            self._archive(self.lead)

    def test_changed_meanwhile(self):
        form = self._open(self.lead)
        form.reason_id = self.reason
        wizard = form.save()
        wizard.opened_date = wizard.opened_date - timedelta(minutes=5)
        self.lead.with_user(self.seller).description = "Wait, they called!"
        self.env.flush_all()
        self.env.invalidate_all()
        with self.assertRaisesRegex(UserError, "changed by seller"):
            wizard.action_archive()
        self.assertUntouched(self.lead)

    def test_own_contact(self):
        with self.assertRaisesRegex(UserError, "own contact"):
            self._archive(self.officer.partner_id)

    def test_without_write_access(self):
        reader = self.auditor
        with self.assertRaises(AccessError):
            self.lead.with_user(reader).action_archive_wizard()
        wizard = (
            self.env["crm.archive.wizard"]
            .with_user(reader)
            .create(
                {
                    "res_model": "crm.lead",
                    "res_ids": self.lead.ids,
                    "reason_id": self.reason.id,
                }
            )
        )
        with self.assertRaises(AccessError):
            wizard.action_archive()
        self.assertUntouched(self.lead)

    def test_forged_model(self):
        wizard = (
            self.env["crm.archive.wizard"]
            .with_user(self.officer)
            .create(
                {
                    "res_model": "res.users",
                    "res_ids": self.seller.ids,
                    "reason_id": self.reason.id,
                }
            )
        )
        with self.assertRaisesRegex(UserError, "Only contacts and leads"):
            wizard.action_archive()
        self.assertTrue(self.seller.active)

    def test_contact_of_a_user(self):
        with self.assertRaisesRegex(UserError, "seller.* signs in with this contact"):
            self._archive(self.seller.partner_id)

    def test_children_need_rights_too(self):
        """Who may not change the contact persons does not archive them either."""
        company = self.create_contact("Company", is_company=True)
        self.create_contact("Person", parent_id=company.id)
        self.env["ir.rule"].create(
            {
                "name": "Nobody changes this person",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
                "domain_force": "[('name', '!=', 'Person')]",
                "perm_read": False,
                "perm_create": False,
                "perm_unlink": False,
            }
        )
        with self.assertRaises(AccessError), self.env.cr.savepoint():
            self._archive(company, self.seller, is_child_included=True)
        self.assertUntouched(company)
        self._archive(company, self.seller)
        self.assertEqual(company.archive_state, "archived")
