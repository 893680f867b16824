from odoo.tests import tagged

from .vault_purge_common import PurgeCase


@tagged("post_install", "-at_install")
class TestVaultPurge(PurgeCase):
    """The end of retention: asked, approved by another, carried out, certified."""

    def test_vaulted_lead_is_deleted(self):
        lead = self.create_lead(
            "Zebulon deal", email_from="zebulon@example.com", phone="+32 470 11 22 33"
        )
        other = self.create_lead("Other deal")
        entries = self.vault(self.archive(lead + other))
        entry = entries.filtered(lambda e: e.res_id == lead.id)
        self.assertEqual(entry.name, "Zebulon deal")
        old = entry.bundle_id
        purge = self.approve(self.ask(entry))
        self.assertEqual(purge.state, "done")
        self.assertEqual(purge.line_ids.state, "done")
        self.assertEqual(entry.state, "purged")
        for name in ("name", "email", "phone", "partner_name", "country_id"):
            self.assertFalse(entry[name], name)
        self.assertEqual(old.state, "removed")
        self.assertFalse([p for p in self.read_store() if old.name in p])
        # The other one is still there, whole.
        (entries - entry)._restore()
        self.assertTrue(other.exists())
        self.assertFalse(lead.exists())
