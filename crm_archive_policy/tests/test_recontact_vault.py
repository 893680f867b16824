from odoo.tests import tagged

from .test_recontact import RecontactCase

ENTRY = "crm.archive.entry"


class VaultRecontactCase(RecontactCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.entries = cls.env[ENTRY]

    def vault(self, record, recontact="propose"):
        """Archive a record by a policy and move it to the vault.

        :return: its entry
        """
        policy = self.create_policy(record._name, recontact=recontact, mode="review")
        self.archive(record, policy)
        record._vault()
        self.env.invalidate_all()
        return self.entries._find_for(record._name, record.ids)

    def create_answered_lead(self):
        """Return a lead with a message, and the header of an answer to it."""
        lead = self.create_lead("Chairs", email_from="ann@customer.example.com")
        message = lead.message_post(body="Our offer", message_type="comment")
        return lead, f"References: {message.message_id}\n"


@tagged("post_install", "-at_install")
class TestVaultRecontact(VaultRecontactCase):
    """People whose record is in the vault are recognised when they are back."""

    def test_answer_goes_to_the_officer(self):
        lead, header = self.create_answered_lead()
        entry = self.vault(lead)
        new = self.receive("ann@customer.example.com", subject="Yes", extra=header)
        self.assertFalse(new, "no duplicate lead")
        line = self.lines(entry)
        self.assertEqual(line.state, "proposed")
        self.assertEqual(line.match_kind, "reply")
        self.assertIn("Yes", line.message_ids.mapped("subject"))
        self.assertTrue(line.activity_ids, "somebody is asked")
        # The second answer joins the first.
        self.receive("ann@customer.example.com", subject="Well?", extra=header)
        self.assertEqual(self.lines(entry), line)
        self.assertIn("Well?", line.message_ids.mapped("subject"))
        # Restoring gives the lead the mails that came in meanwhile.
        line.with_user(self.officer).action_restore()
        self.assertEqual(lead.exists().archive_state, "live")
        self.assertLessEqual({"Yes", "Well?"}, set(lead.message_ids.mapped("subject")))
        self.assertEqual((line.archived_model, line.archived_id), ("crm.lead", lead.id))
        self.assertEqual(line.state, "restored")

    def test_answer_restores_by_itself(self):
        lead, header = self.create_answered_lead()
        entry = self.vault(lead, "restore")
        new = self.receive("ann@customer.example.com", subject="Yes", extra=header)
        self.assertFalse(new)
        self.assertEqual(entry.state, "restored")
        self.assertEqual(lead.archive_state, "live")
        self.assertIn("Yes", lead.message_ids.mapped("subject"))

    def test_answer_to_a_policy_that_ignores_strangers(self):
        lead, header = self.create_answered_lead()
        entry = self.vault(lead, "ignore")
        self.assertFalse(self.receive("ann@customer.example.com", extra=header))
        self.assertEqual(self.lines(entry).state, "proposed")

    def test_automatic_answer_restores_nothing(self):
        lead, header = self.create_answered_lead()
        entry = self.vault(lead, "restore")
        header += "Auto-Submitted: auto-replied\n"
        self.assertFalse(self.receive("ann@customer.example.com", extra=header))
        self.assertEqual(entry.state, "vaulted")
        self.assertFalse(self.lines(entry))

    def test_mail_fetched_again_is_not_new(self):
        first = self.receive(
            "ann@customer.example.com", extra="Message-Id: <once@customer.example>\n"
        )
        self.assertEqual(len(first), 1)
        self.vault(first)
        again = self.receive(
            "ann@customer.example.com", extra="Message-Id: <once@customer.example>\n"
        )
        self.assertFalse(again)

    def test_new_lead_of_a_vaulted_contact(self):
        contact = self.create_contact("Ann", email="ann@customer.example.com")
        entry = self.vault(contact)
        lead = self.create_lead(email_from="ann@customer.example.com")
        line = self.lines(entry)
        self.assertEqual(line.new_id, lead.id)
        line.with_user(self.officer).action_restore()
        self.assertEqual(contact.archive_state, "live")
        self.assertEqual(contact.email, "ann@customer.example.com")
        self.assertEqual(lead.partner_id, contact)

    def test_new_lead_restores_a_vaulted_contact(self):
        contact = self.create_contact("Ann", email="ann@customer.example.com")
        entry = self.vault(contact, "restore")
        lead = self.create_lead(email_from="ann@customer.example.com")
        self.assertEqual(entry.state, "restored")
        self.assertEqual(contact.archive_state, "live")
        self.assertEqual(lead.partner_id, contact)
        self.assertEqual(self.lines(contact).state, "restored")

    def test_find_or_create_takes_the_vaulted_contact(self):
        contact = self.create_contact("Ann", email="ann@customer.example.com")
        entry = self.vault(contact)
        found = self.env["res.partner"].find_or_create("ann@customer.example.com")
        self.assertEqual(found, contact, "no duplicate")
        self.assertEqual(self.lines(entry).state, "proposed")

    def test_seller_without_the_group_learns_nothing(self):
        contact = self.create_contact("Ann", email="ann@customer.example.com")
        entry = self.vault(contact, "restore")
        leads = self.env["crm.lead"].with_user(self.seller)
        leads.create({"name": "New", "email_from": "ann@customer.example.com"})
        self.assertEqual(entry.state, "vaulted")
        line = self.lines(entry)
        self.assertEqual(line.state, "proposed")
        name = line.with_user(self.seller).sudo(False).archived_name
        self.assertNotIn("Ann", name)

    def test_damaged_bundle_is_proposed(self):
        lead, header = self.create_answered_lead()
        entry = self.vault(lead, "restore")
        entry.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_archive.chunk SET data = overlay(data placing '\\x00'::bytea"
            " from %s)",
            [entry.place_offset + 40],
        )
        with self.assertLogs("odoo.addons.crm_archive_policy", "WARNING"):
            self.receive("ann@customer.example.com", subject="Yes", extra=header)
        self.assertEqual(entry.state, "vaulted")
        self.assertIn("Yes", self.lines(entry).message_ids.mapped("subject"))
