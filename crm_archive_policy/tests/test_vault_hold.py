from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged

from .vault_purge_common import PurgeCase


@tagged("post_install", "-at_install")
class TestVaultHold(PurgeCase):
    """A legal hold stops every step, also in the vault."""

    def _hold(self, **values):
        hold = (
            self.env["crm.archive.hold"]
            .with_user(self.manager)
            .create({"name": "Case 7", "reason": "Suit", "company_id": False, **values})
        )
        hold.action_start()
        return hold

    def _assert_held(self, purge, entry):
        self.assertEqual(purge.line_ids.mapped("state"), ["kept"])
        self.assertEqual(purge.line_ids.outcome, "hold")
        self.assertEqual(entry.state, "vaulted")
        self.assertTrue(entry.name)

    def test_listed_entry(self):
        entry = self.vault(self.archive(self.lead))
        action = entry.with_user(self.manager).action_archive_hold()
        entry_ids = action["context"]["default_entry_ids"]
        purge = self.ask(entry)
        hold = self._hold(entry_ids=entry_ids)
        self.assertTrue(entry.archive_on_hold)
        self.assertIn(entry, entry.search([("archive_on_hold", "=", True)]))
        self.assertEqual(hold.record_count, 1)
        self.approve(purge)
        self._assert_held(purge, entry)
        # Restored, it is held as well, and lifting frees it.
        entry._restore()
        self.assertTrue(self.lead.archive_on_hold)
        with self.assertRaisesRegex(UserError, "legal hold"):
            self.lead.sudo().unlink()
        hold._lift("Settled")
        self.assertFalse(self.lead.archive_on_hold)

    def test_lifted_hold_lets_go(self):
        entry = self.vault(self.archive(self.lead))
        hold = self._hold(entry_ids=[(6, 0, entry.ids)])
        hold._lift("Settled")
        entry.invalidate_recordset()
        self.assertFalse(entry.archive_on_hold)
        self.approve(self.ask(entry))
        self.assertEqual(entry.state, "purged")

    def test_domain_is_asked_of_the_record_itself(self):
        """By what the index does not know: the description."""
        lead = self.create_lead("One", description="<p>asbestos</p>")
        other = self.create_lead("Two", description="<p>paint</p>")
        entries = self.vault(self.archive(lead + other))
        entry = entries.filtered(lambda e: e.res_id == lead.id)
        purge = self.ask(entries)
        hold = self._hold(
            kind="domain",
            res_model="crm.lead",
            domain="[('description', 'ilike', 'asbestos')]",
        )
        self.assertFalse(entry.archive_on_hold)
        self.approve(purge)
        line = purge.line_ids.filtered(lambda line: line.res_id == lead.id)
        self.assertEqual((line.state, line.outcome), ("kept", "hold"))
        self.assertEqual(entry.state, "vaulted")
        self.assertEqual((entries - entry).state, "purged")
        self.assertFalse(lead.exists())
        # From now on it is on record.
        self.assertTrue(entry.archive_on_hold)
        self.assertEqual(hold.record_count, 1)

    def test_domain_over_a_shell(self):
        contact = self.create_contact("Zebulon Pike", email="zebulon@example.com")
        entry = self.vault(self.archive(contact))
        purge = self.ask(entry)
        self._hold(
            kind="domain",
            res_model="res.partner",
            domain="[('email', '=', 'zebulon@example.com')]",
        )
        other = self.create_contact("Other")
        with self.assertRaisesRegex(UserError, "legal hold"):
            self.env["base.partner.merge.automatic.wizard"]._merge(
                (contact + other).ids, other
            )
        self.approve(purge)
        self._assert_held(purge, entry)

    def test_what_cannot_be_asked_is_held(self):
        """Nothing is destroyed on a guess."""
        entry = self.vault(self.archive(self.lead))
        self._hold(
            kind="domain", res_model="crm.lead", domain="[('name', '=', 'Nobody')]"
        )
        purge = self.ask(entry)
        for path, data in self.read_store().items():
            if entry.bundle_id.name in path:
                with open(path, "wb") as file:
                    file.write(data[: len(data) // 2])
        self.approve(purge)
        self._assert_held(purge, entry)

    def test_asked_though_no_row_has_changed(self):
        """The last question before the rows go, behind the comparison of versions.

        Of a contact nothing is deleted: no other check stands behind this one.
        """
        for record in (self.lead, self.contact):
            archived = self.archive(record)
            written = self.env["crm.archive.bundle"]._write_records(archived)
            with (
                self.subTest(model=record._name),
                patch.object(type(record), "_get_held", lambda records: records),
                self.assertRaisesRegex(UserError, "legal hold"),
            ):
                written.take(archived)
            self.assertEqual(written.take(archived), archived)

    def test_live_record_under_a_domain(self):
        self.archive(self.lead)
        purge = self.ask(self.lead)
        self._hold(
            kind="domain", res_model="crm.lead", domain="[('name', 'ilike', 'Silent')]"
        )
        self.lead._move({"archive_on_hold": False})  # the scheduled action is late
        self.approve(purge)
        self.assertEqual(purge.line_ids.outcome, "hold")
        self.assertTrue(self.lead.exists())
