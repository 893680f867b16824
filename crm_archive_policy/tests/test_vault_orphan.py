from odoo.tests import new_test_user, tagged

from .vault_common import VaultCase


@tagged("post_install", "-at_install")
class TestVaultOrphan(VaultCase):
    """What belonged to a part that cannot come back stays away with it."""

    def test_file_of_an_activity_whose_person_is_gone(self):
        """No key ties a file to its activity: nothing would ever remove it again."""
        colleague = new_test_user(self.env, "leaver", groups="base.group_user")
        lead = self.create_lead("With a task")
        activity = lead.activity_schedule(
            "mail.mail_activity_data_todo", user_id=colleague.id
        )
        stays = lead.activity_schedule("mail.mail_activity_data_todo")
        lost, kept = (self.attach(task, "file", raw=b"1") for task in (activity, stays))
        entry = self.vault(lead)
        colleague.sudo().unlink()
        entry._restore()
        self.assertEqual(lead.activity_ids, stays)
        self.assertTrue(kept.exists())
        self.assertFalse(lost.exists())
        kinds = {(finding[0], finding[1]) for finding in entry.restore_report}
        self.assertEqual(
            kinds, {("row_gone", "mail_activity"), ("row_gone", "ir_attachment")}
        )

    def test_link_that_two_records_share(self):
        """It comes back once, which is no difference, and is proven like the rest."""
        leads = self.create_lead("Mail") | self.create_lead("File")
        file = self.attach(leads[1], "shared", raw=b"1")
        message = leads[0].message_post(body="See there")
        message.attachment_ids = file
        entries = self.vault(leads)
        entries._restore()
        self.assertEqual(entries.mapped("restore_report"), [False, False])
        self.assertEqual(message.attachment_ids, file)
