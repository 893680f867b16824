from odoo import Command
from odoo.tests import tagged

from .vault_common import VaultCase


@tagged("post_install", "-at_install")
class TestVaultModules(VaultCase):
    """What other apps hang on leads and contacts, where they are installed."""

    def create_documents(self, lead, partner):
        """Create an order, a registration for an event, a visitor and an invoice.

        :return: the records by model; the test is skipped where an app is missing
        """
        for name in ("sale.order", "event.registration", "website.visitor"):
            if name not in self.env:
                self.skipTest(f"{name} is not installed")
        event = self.env["event.event"].create(
            {
                "name": "Fair",
                "date_begin": "2020-03-28 10:00:00",
                "date_end": "2020-03-30 10:00:00",
            }
        )
        journal = self.env["account.journal"].create(
            {"name": "Sales", "type": "sale", "code": "XSAL"}
        )
        product = self.env["product.product"].create({"name": "Thing"})
        documents = {
            "sale.order": {
                "partner_id": partner.id,
                "opportunity_id": lead.id,
                "order_line": [Command.create({"product_id": product.id})],
            },
            "event.registration": {
                "event_id": event.id,
                "partner_id": partner.id,
                "name": "Joan",
                "email": "joan@secret.example",
                "lead_ids": [Command.link(lead.id)],
            },
            "website.visitor": {
                "access_token": "0123456789abcdef" * 2,
                "lead_ids": [Command.link(lead.id)],
            },
            "account.move": {
                "move_type": "out_invoice",
                "partner_id": partner.id,
                "journal_id": journal.id,
            },
        }
        records = {
            name: self.env[name].create(values) for name, values in documents.items()
        }
        self.env.flush_all()
        return records

    def test_lead(self):
        lead = self.create_rich_lead()
        documents = self.create_documents(lead, lead.partner_id)
        links = [
            documents[name]._fields["lead_ids"].relation
            for name in ("event.registration", "website.visitor")
        ]
        self.assertExactRoundTrip(lead, ["sale_order", "mail_message", *links])
        self.assertEqual(documents["sale.order"].opportunity_id, lead)

    def test_contact(self):
        contact = self.create_rich_contact()
        lead = self.create_lead("Of the contact", partner_id=contact.id)
        documents = self.create_documents(lead, contact)
        self.assertExactRoundTrip(contact, ["res_partner_bank", "mail_message"])
        for document in documents.values():
            self.assertTrue(document.exists())

    def test_documents_of_a_shell(self):
        """Orders and invoices are there as before while their customer is away."""
        contact = self.create_rich_contact()
        lead = self.create_lead("Of the contact", partner_id=contact.id)
        documents = self.create_documents(lead, contact)
        before = self.dump()
        self.vault(contact)
        after = self.dump()
        for name in ("sale_order", "sale_order_line", "account_move", "crm_lead"):
            self.assertEqual(before[name], after[name], name)
        self.assertEqual(documents["sale.order"].partner_id, contact)
