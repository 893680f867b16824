import logging
import os

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..lib import faults
from ..lib.stores import StoreError
from .vault_purge_common import PurgeCase

#: Nobody is called like this by chance.
MARKERS = ("Xylographius", "xylo@marker.example", "4477665544", "Markerstreet")


class Collector(logging.Handler):
    """Keeps everything that is logged, with what tracebacks say."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record):
        self.lines.append(self.format(record))


@tagged("post_install", "-at_install")
class TestNoPersonalData(PurgeCase):
    """Nothing personal in logs, kept errors, file names and object keys."""

    def setUp(self):
        super().setUp()
        name, email, phone, street = MARKERS
        values = {"phone": phone, "street": street}
        self.person = self.create_contact(name, email=email, **values)
        self.deal = self.create_lead(
            f"Deal of {name}", contact_name=name, email_from=email, **values
        )
        self.deal.message_post(body=f"Write to {email}, {street}")
        self.attachment = self.env["ir.attachment"].create(
            {
                "name": f"{name}.txt",
                "raw": email.encode(),
                "res_model": "crm.lead",
                "res_id": self.deal.id,
            }
        )
        self.env.flush_all()
        self.collector = Collector()
        logger = logging.getLogger("odoo.addons.crm_archive_policy")
        level = logger.level
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self.collector)
        self.addCleanup(logger.setLevel, level)
        self.addCleanup(logger.removeHandler, self.collector)

    def assertImpersonal(self, texts):
        for text in texts:
            for marker in MARKERS:
                self.assertNotIn(marker.lower(), str(text).lower())

    def read_kept(self):
        """Return what is kept of runs, requests and the log, as texts."""
        kept = []
        for model, names in (
            ("crm.archive.log", ["details"]),
            ("crm.archive.run", ["error", "restore_options"]),
            ("crm.archive.run.error", ["error"]),
            ("crm.archive.bundle", ["name", "state"]),
            ("crm.archive.approval", ["reason", "params", "outcome"]),
        ):
            fields_ = self.env[model]._fields
            names = [name for name in names if name in fields_]
            kept += self.env[model].search([]).read(names)
        return kept

    def test_all_the_way(self):
        records = self.deal
        entry = self.vault(self.archive(records))
        self.archive(self.person)
        paths = list(self.read_store())
        self.assertTrue(paths)
        self.assertImpersonal(paths)
        export = self.env["crm.archive.export"].with_user(self.manager)
        export = export.create({"scope": "all"})
        export._make_parts()
        file, name = export.part_ids[0]._get_file()
        file.close()
        subject = self.env["crm.archive.subject.export"].with_user(self.manager)
        subject = subject.create({"name": MARKERS[0]})
        subject.action_search()
        file, other = subject._get_file()
        file.close()
        self.assertImpersonal([name, other, subject.action_export()["url"]])
        entry._restore()
        self.person._restore()
        self.assertImpersonal(self.read_kept())
        self.assertImpersonal(self.collector.lines)

    def test_what_fails(self):
        self.archive(self.deal)
        entry = self.vault(self.deal)
        [path] = [path for path in self.read_store() if os.path.getsize(path) > 500]
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            file.write(b"\0" * 64)
        errors = []
        wizards = self.env["crm.archive.vault.restore"].with_user(self.manager)
        for act in (
            lambda: wizards._create_for(entry.with_user(self.manager)),
            lambda: entry.with_user(self.manager).get_content(),
        ):
            with self.assertRaises(UserError) as caught:
                act()
            errors.append(caught.exception)
        run = self.env["crm.archive.run"].with_user(self.manager)
        run = run._start_restore(entry, {}, {})
        self.run_cron()
        self.assertTrue(run.sudo().exists())
        self.assertImpersonal([*errors, *self.collector.lines, *self.read_kept()])

    def test_a_store_that_fails(self):
        def fail(name):
            if name.startswith("vault"):
                raise StoreError("the disk is full")

        self.archive(self.deal)
        self.patch(faults, "point", fail)
        with self.assertRaises(StoreError) as caught:
            self.deal.sudo()._vault()
        self.assertImpersonal([caught.exception, *self.collector.lines])
