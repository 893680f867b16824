from odoo.tests import HttpCase, tagged

from .test_recontact import RecontactCase


@tagged("post_install", "-at_install")
class TestWebForm(RecontactCase, HttpCase):
    """Whoever fills in the contact form of the website is recognised."""

    def setUp(self):
        super().setUp()
        if "website_form_access" not in self.env["ir.model"]._fields:
            self.skipTest("website_crm is not installed")

    def _fill_in(self, **values):
        """Send the form as a visitor does who is not signed in.

        :return: the lead that the website has made of it
        """
        response = self.url_open(
            "/website/form/crm.lead",
            data={"name": "From the website", "description": "Hello", **values},
        )
        self.assertEqual(response.status_code, 200)
        self.env.invalidate_all()
        lead = self.env["crm.lead"].browse(response.json()["id"])
        self.assertEqual(lead.name, "From the website")
        return lead

    def test_restore_is_proposed(self):
        self.archive(self.contact, self.policy)
        lead = self._fill_in(email_from="ann@example.com", contact_name="Ann")
        self.assertRecordValues(
            self.lines(self.contact),
            [
                {
                    "state": "proposed",
                    "match_kind": "email",
                    "new_model": "crm.lead",
                    "new_id": lead.id,
                    "user_id": self.officer.id,
                }
            ],
        )
        self.assertEqual(self.contact.archive_state, "archived")

    def test_recognised_by_the_phone_number(self):
        self.archive(self.contact, self.policy)
        self._fill_in(phone="+32 475 12 34 56", contact_name="Somebody")
        self.assertEqual(self.lines(self.contact).match_kind, "phone")

    def test_restored_by_itself(self):
        self.policy.recontact = "restore"
        self.archive(self.contact, self.policy, archive_restricted=True)
        lead = self._fill_in(email_from="ann@example.com", contact_name="Ann")
        self.assertUntouched(self.contact)
        self.assertEqual(self.lines(self.contact).state, "restored")
        self.assertEqual(lead.partner_id, self.contact)
        same = [("email_normalized", "=", "ann@example.com")]
        everybody = self.env["res.partner"].with_context(active_test=False)
        self.assertEqual(everybody.search(same), self.contact, "no duplicate")
