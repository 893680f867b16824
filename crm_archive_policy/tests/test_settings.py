from datetime import datetime

from odoo.tests import Form, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestSettings(ArchiveCase):
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
