import os

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, tagged

from ..vault.space import TableSpace, _estimate
from .vault_upkeep_common import UpkeepRunCase


@tagged("post_install", "-at_install")
class TestUpkeepSettings(UpkeepRunCase):
    """Intervals, samples and grace are set in Settings."""

    def test_settings(self):
        with Form(self.env["res.config.settings"]) as settings:
            settings.archive_drill_sample = 7
            settings.archive_drill_interval_type = "days"
            settings.archive_verify_days = 30
            settings.archive_sweep_grace_days = 14
            settings.archive_sweep_active = False
        settings.record.execute()
        drill = self.env.ref("crm_archive_policy.ir_cron_drill")
        self.assertEqual(drill.interval_type, "days")
        self.assertFalse(self.env.ref("crm_archive_policy.ir_cron_sweep").active)
        stores = self.env["crm.archive.store"]
        self.assertEqual(stores._get_upkeep_setting("drill_sample"), 7)
        self.assertEqual(stores._get_upkeep_setting("verify_days"), 30)
        self.assertEqual(stores._get_upkeep_setting("sweep_grace_days"), 14)
        self.assertEqual(stores._get_upkeep_setting("sweep_restored_days"), 30)

    def test_nothing_is_swept_at_once(self):
        with self.assertRaises(ValidationError):
            self.env["res.config.settings"].create({"archive_sweep_grace_days": 0})
        self.env["ir.config_parameter"].set_param(
            "crm_archive_policy.sweep_grace_days", "0"
        )
        stores = self.env["crm.archive.store"]
        self.assertEqual(stores._get_upkeep_setting("sweep_grace_days"), 1)

    def test_copies_do_none_of_it(self):
        from odoo.modules.neutralize import get_neutralization_queries

        for query in get_neutralization_queries(["crm_archive_policy"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        for name in ("verify", "drill", "sweep"):
            self.assertFalse(self.env.ref(f"crm_archive_policy.ir_cron_{name}").active)


@tagged("post_install", "-at_install")
class TestSpace(UpkeepRunCase):
    """What was freed is told honestly."""

    def test_sizes_of_run_policy_and_store(self):
        policy = self.create_policy(store_id=self.store.id, vault_enabled=True)
        leads = self.archive_leads(4)
        run = self.env["crm.archive.run"].create(
            {"kind": "vault", "policy_id": policy.id}
        )
        written = self.env["crm.archive.bundle"]._write_records(leads, run)
        written.settle(written.take(leads))
        bundle = written.bundles
        self.assertEqual(bundle.size, os.path.getsize(self.get_path(bundle)))
        for record in (run, policy, self.store):
            with self.subTest(model=record._name):
                record = record.with_user(self.manager)
                self.assertEqual(record.stored_size, bundle.size)
                self.assertEqual(record.moved_size, bundle.content_size)
                self.assertRegex(record.size_summary, r"take .* in the store: \d+ %")
                self.assertAlmostEqual(
                    record.stored_ratio, bundle.size / bundle.content_size
                )
        entries = bundle.entry_ids
        moved = entries.mapped("place_size") + entries.mapped("place_blob_size")
        self.assertEqual(bundle.content_size, sum(moved))
        self.assertFalse(self.database_store.size_summary)

    def test_screen(self):
        self.vault(self.archive_leads(1))
        spaces = self.env["crm.archive.space"]
        for user in (self.manager, self.auditor):
            action = spaces.with_user(user)._open()
            space = spaces.with_user(user).browse(action["res_id"])
            self.assertIn("in the store", space.summary)
            self.assertIn("Nothing of the vault", space.database_note)
            self.assertIn("clean-up", space.file_note)
            tables = space.line_ids.mapped("table")
            self.assertLessEqual(
                {"crm_lead", "mail_message", "ir_attachment"}, set(tables)
            )
            self.assertTrue(all(space.line_ids.mapped("advice")))
            self.assertEqual(
                space.line_ids.mapped("total_size"),
                sorted(space.line_ids.mapped("total_size"), reverse=True),
            )
        for user in (self.officer, self.seller):
            with self.assertRaises(AccessError):
                spaces.with_user(user)._open()
        self.vault(self.archive_leads(1), self.database_store)
        space = spaces.browse(spaces._open()["res_id"])
        self.assertIn("in this database itself", space.database_note)

    def test_advice(self):
        """A rewrite is advised where it pays, and only there."""
        gigabyte = 1 << 30
        for values, advice in (
            ((gigabyte, 0, 10**6, 0, 100 << 20), "nothing"),
            ((10 << 20, 0, 10, 0, 9 << 20), "nothing"),
            ((gigabyte, 0, 10**6, 10**6, 500 << 20), "vacuum"),
            ((gigabyte, 0, 10**6, 100, None), "analyze"),
            ((gigabyte, 0, 10**6, 100, 100 << 20, 300 << 20), "reindex"),
            ((gigabyte, 0, 10**6, 100, 300 << 20, 300 << 20), "rewrite"),
            ((gigabyte, 0, 10**6, 100, 500 << 20), "rewrite"),
        ):
            with self.subTest(values=values):
                space = TableSpace("crm_lead", *values)
                self.assertEqual(space.advice, advice)
        text = self.env["crm.archive.space"]._describe_advice(space)
        self.assertIn("VACUUM FULL crm_lead", text)
        self.assertIn("500.00 Mb of 1.00 Gb", text)
        self.assertIn("524.00 Mb of free disk", text)

    def test_estimate(self):
        """Rows of 100 bytes: 75 a page, so that a tenth of the pages was needed."""
        self.assertEqual(_estimate(1000 * 8192, 0, 75 * 100, 0, 100), 900 * 8192)
        self.assertEqual(_estimate(8192, 0, 1000, 0, 100), 0, "never less than none")
        self.assertEqual(_estimate(8192, 100 * 2048, 75, 60, 100), 40 * 2048)
        self.assertIsNone(_estimate(8192, 0, 10, 0, None))
        self.assertEqual(_estimate(0, 0, 0, 0, None), 0)
