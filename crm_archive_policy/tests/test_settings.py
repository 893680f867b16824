from datetime import datetime
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from odoo.addons.mail.tests.common import MailCase

from ..lib.stores import Health
from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestSettings(ArchiveCase, MailCase):
    """The schedule is set in Settings."""

    def setUp(self):
        super().setUp()
        self.cron = self.env.ref("crm_archive_policy.ir_cron_run_policies")

    def test_interval_next_run_and_activity(self):
        next_call = datetime(2031, 5, 6, 7, 8, 9)
        with Form(self.env["res.config.settings"]) as settings:
            settings.archive_cron_interval_number = 3
            settings.archive_cron_interval_type = "hours"
            settings.archive_cron_nextcall = next_call
        settings.record.execute()
        self.assertRecordValues(
            self.cron,
            [
                {
                    "interval_number": 3,
                    "interval_type": "hours",
                    "nextcall": next_call,
                    "active": True,
                }
            ],
        )
        with Form(self.env["res.config.settings"]) as settings:
            settings.archive_cron_active = False
        settings.record.execute()
        self.assertFalse(self.cron.active)
        with Form(self.env["res.config.settings"]) as settings:
            self.assertFalse(settings.archive_cron_active)
            settings.archive_cron_active = True
        settings.record.execute()
        self.assertTrue(self.cron.active)

    def test_every_schedule_of_the_app_is_on_the_page(self):
        settings = self.env["res.config.settings"]
        shown = {
            self.env.ref(name)
            for name in (
                "crm_archive_policy.ir_cron_run_policies",
                "crm_archive_policy.ir_cron_check_stores",
                # Nothing to set: a request that is late cannot be approved anyway.
                "crm_archive_policy.ir_cron_expire_approvals",
                *settings._get_archive_crons().values(),
            )
        }
        own = self.env["ir.model.data"].search(
            [("module", "=", "crm_archive_policy"), ("model", "=", "ir.cron")]
        )
        crons = self.env["ir.cron"].browse(own.mapped("res_id"))
        self.assertEqual(shown, set(crons))
        view = settings.get_views([(False, "form")])["views"]["form"]["arch"]
        for prefix in [*settings._get_archive_crons(), "archive_health"]:
            for name in ("active", "interval_number", "interval_type", "nextcall"):
                self.assertIn(f'name="{prefix}_{name}"', view)

    def test_interval_of_another_schedule(self):
        cron = self.env.ref("crm_archive_policy.ir_cron_refresh_holds")
        with Form(self.env["res.config.settings"]) as settings:
            self.assertEqual(settings.archive_holds_nextcall, cron.nextcall)
            settings.archive_holds_interval_number = 6
        settings.record.execute()
        self.assertEqual(cron.interval_number, 6)

    def test_try_it_out(self):
        self.env.user.email = "tester@example.com"
        settings = self.env["res.config.settings"].create({})
        for name in ("stores", "mail", "log"):
            with self.subTest(name=name), self.mock_mail_gateway():
                done = getattr(settings, f"action_archive_test_{name}")()
                self.assertEqual(done["params"]["type"], "success", done)
        mail = self.env["mail.mail"].search([], order="id desc", limit=1)
        self.assertIn("tester@example.com", mail.email_to)
        silent = Health(False, "It does not answer", "StoreTemporary")
        with patch.object(self.env.registry["crm.archive.store"], "_probe") as probe:
            probe.return_value = silent
            done = settings.action_archive_test_stores()
        self.assertEqual(done["params"]["type"], "danger")
        with self.assertRaises(UserError, msg="nothing is in the vault"):
            settings.action_archive_test_drill()
        review = settings.action_archive_test_rights()
        self.assertEqual(review["res_model"], "crm.archive.access.review")

    def test_only_managers_try_it_out(self):
        settings = self.env["res.config.settings"].create({}).with_user(self.seller)
        for name in ("stores", "mail", "verify", "drill", "log", "anchor", "rights"):
            with self.subTest(name=name), self.assertRaises(AccessError):
                getattr(settings, f"action_archive_test_{name}")()
