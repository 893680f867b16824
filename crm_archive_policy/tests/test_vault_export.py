import csv
import io
import json
import zipfile

from odoo.exceptions import AccessError, RedirectWarning, UserError
from odoo.tests import HttpCase, new_test_user, tagged

from .. import hooks
from ..lib.export import ExportZip
from ..wizard import crm_archive_export
from .test_vault_reading import ReadingCase


def read_zip(data):
    """:return: ``{name: bytes}``"""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_csv(data):
    return list(csv.DictReader(io.StringIO(data.decode())))


@tagged("post_install", "-at_install")
class TestExport(ReadingCase):
    """The content of the vault in files that anything reads."""

    def export(self, entries, user=None, **options):
        entries = entries.with_user(user or self.officer)
        options = {"jsonl": True, "csv": True, "blobs": True, **options}
        with entries._export(**options) as file:
            return read_zip(file.read())

    def get_lines(self):
        return self.env["crm.archive.log"].search([("action", "=", "export")])

    def test_everything_is_there(self):
        lead_id, contact_id = self.lead.id, self.contact.id
        entries = self.to_vault(self.lead) | self.to_vault(self.contact)
        files = self.export(entries)
        manifest = json.loads(files["manifest.json"])
        self.assertEqual(manifest["records"], {"crm.lead": 1, "res.partner": 1})
        self.assertEqual(manifest["errors"], [])
        rows = [json.loads(line) for line in files["records.jsonl"].splitlines()]
        [lead] = [r["row"] for r in rows if r.get("table") == "crm_lead"]
        self.assertEqual((lead["id"], lead["name"]), (str(lead_id), "Silent lead"))
        self.assertIn(
            ("res_partner", contact_id),
            {(row.get("table"), row["record"]) for row in rows},
        )
        [lead] = read_csv(files["tables/crm_lead.csv"])
        self.assertEqual(lead["partner_name"], "Lovelace & Sons")
        self.assertEqual(lead["record"], str(lead_id))
        names = {row["name"] for row in read_csv(files["index.csv"])}
        self.assertEqual(names, {"Silent lead", "Silent contact"})
        held = {row["name"]: row["file"] for row in read_csv(files["files.csv"])}
        self.assertEqual(files[held["Offer é.pdf"]], b"%PDF-1.4 an offer")

    def test_nothing_and_empty_differ(self):
        self.env.cr.execute(
            "UPDATE crm_lead SET partner_name = '', contact_name = NULL,"
            " name = 'Quoted \"name\", with a comma' WHERE id = %s",
            [self.lead.id],
        )
        self.env.invalidate_all()
        files = self.export(self.to_vault(self.lead))
        head, row = files["tables/crm_lead.csv"].decode().splitlines()[:2]
        self.assertIn('"Quoted ""name"", with a comma"', row)
        columns = [name.strip('"') for name in head.split(",")]
        # COPY tells them apart, Python's reader does not: ask PostgreSQL.
        self.env.cr.execute(
            "CREATE TEMPORARY TABLE back (%s) ON COMMIT DROP"
            % ", ".join(f'"{name}" text' for name in columns)
        )
        self.env.cr.copy_expert(
            "COPY back FROM STDIN WITH (FORMAT csv, HEADER)",
            io.BytesIO(files["tables/crm_lead.csv"]),
        )
        self.env.cr.execute("SELECT partner_name, contact_name FROM back")
        self.assertEqual(self.env.cr.fetchone(), ("", None))

    def test_what_is_left_out(self):
        entry = self.to_vault(self.lead)
        files = self.export(entry, jsonl=False, blobs=False)
        self.assertNotIn("records.jsonl", files)
        self.assertFalse([name for name in files if name.startswith("attachments/")])
        self.assertIn("tables/crm_lead.csv", files)
        self.assertFalse([n for n in self.export(entry, csv=False) if "tables/" in n])

    def test_a_damaged_record_is_named_and_not_exported(self):
        other = self.create_lead("Sound lead")
        entries = self.to_vault(self.lead) | self.to_vault(other)
        entries[0].place_rows_digest = "0" * 64
        files = self.export(entries)
        manifest = json.loads(files["manifest.json"])
        [error] = manifest["errors"]
        self.assertEqual(error["record"], entries[0].res_id)
        self.assertNotIn(b"Lovelace", files["records.jsonl"])
        self.assertIn(b"Sound lead", files["records.jsonl"])
        self.assertIn("unreadable", self.get_lines()[0].details)

    def test_attachments_cannot_leave_their_folder(self):
        self.offer.name = "../../etc/passwd"
        lead_id = self.lead.id
        files = self.export(self.to_vault(self.lead))
        for row in read_csv(files["files.csv"]):
            folder, _slash, _name = row["file"].rpartition("/")
            self.assertEqual(folder, f"attachments/crm.lead/{lead_id}")
            self.assertIn(row["file"], files)

    def test_it_is_noted(self):
        entries = self.to_vault(self.lead) | self.to_vault(self.contact)
        before = self.get_lines()
        self.export(entries, self.auditor)
        lines = self.get_lines() - before
        self.assertEqual(sorted(lines.mapped("res_model")), ["crm.lead", "res.partner"])
        self.assertEqual(lines.user_id, self.auditor)

    def test_who_may_not(self):
        entry = self.to_vault(self.lead)
        company = self.env["res.company"].create({"name": "Elsewhere"})
        elsewhere = self.to_vault(self.create_lead("Far", company_id=company.id))
        before = self.get_lines()
        for user, which in (
            (self.reader, entry),
            (self.seller, entry),
            (self.officer, elsewhere),
        ):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                self.export(which, user)
            with self.assertRaises(AccessError):
                which.with_user(user).action_export()
        self.assertEqual(self.get_lines(), before)

    # -- the dialog --------------------------------------------------------------

    def open_dialog(self, user=None, **values):
        exports = self.env["crm.archive.export"].with_user(user or self.officer)
        return exports.create(values)

    def test_scopes(self):
        self.age(self.lead, years=3)
        policy = self.create_policy()
        self.run_policy(policy)
        entry = self.to_vault(self.lead)
        other = self.to_vault(self.contact)
        for values, wanted in (
            ({"scope": "all"}, entry | other),
            ({"scope": "policy", "policy_id": policy.id}, entry),
            ({"scope": "store", "store_id": entry.store_id.id}, entry | other),
            ({"is_chosen": True, "chosen_domain": [["id", "=", other.id]]}, other),
            ({"is_chosen": True}, entry.browse()),
        ):
            export = self.open_dialog(**values)
            with self.subTest(values=values):
                found = self.env["crm.archive.entry"].search(export._get_domain())
                self.assertEqual(found & (entry | other), wanted)
        self.assertGreater(self.open_dialog(scope="all").content_size, 0)

    def test_much_comes_in_several_files(self):
        self.patch(crm_archive_export, "PART_RECORDS", 2)
        entries = self.env["crm.archive.entry"]
        for number in range(5):
            entries |= self.to_vault(self.create_lead(f"Part {number}"))
        export = self.open_dialog(
            is_chosen=True, chosen_domain=[["id", "in", entries.ids]]
        )
        export.action_export()
        self.assertEqual(export.part_ids.mapped("entry_count"), [2, 2, 1])
        names = []
        for part in export.part_ids:
            file, name = part._get_file()
            with file:
                index = read_csv(read_zip(file.read())["index.csv"])
            self.assertIn(f"-{part.number}.zip", name)
            names += [row["name"] for row in index]
        self.assertEqual(sorted(names), [f"Part {number}" for number in range(5)])

    def test_nothing_to_export(self):
        with self.assertRaises(UserError):
            self.open_dialog(is_chosen=True).action_export()

    def test_somebody_elses_export(self):
        self.to_vault(self.lead)
        export = self.open_dialog(scope="all")
        export.action_export()
        with self.assertRaises(AccessError):
            export.part_ids.with_user(self.auditor)._get_file()

    def test_a_zip_that_fails_is_not_completed(self):
        file = io.BytesIO()
        with self.assertRaises(ValueError), ExportZip(file) as out:
            out.add_index({"name": "x"})
            raise ValueError
        self.assertFalse(zipfile.is_zipfile(io.BytesIO(file.getvalue())))


@tagged("post_install", "-at_install")
class TestExportHttp(ReadingCase, HttpCase):
    """The download over HTTP."""

    def test_download(self):
        self.to_vault(self.lead)
        export = self.env["crm.archive.export"].with_user(self.officer).create({})
        url = export.action_export()["url"]
        self.authenticate("officer", "officer")
        answer = self.url_open(url)
        self.assertEqual(answer.status_code, 200)
        self.assertIn("records.jsonl", read_zip(answer.content))
        self.assertTrue(answer.headers["Content-Disposition"].startswith("attachment"))
        for login in ("auditor", "seller", "reader"):
            self.authenticate(login, login)
            self.assertEqual(self.url_open(url).status_code, 404)


@tagged("post_install", "-at_install")
class TestLeaving(ReadingCase):
    """The add-on is not uninstalled while only it can bring records back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.admin = new_test_user(
            cls.env,
            "leaver",
            groups="base.group_system,crm_archive_policy.group_archive_manager",
        )
        cls.module = cls.env["ir.module.module"].search(
            [("name", "=", "crm_archive_policy")]
        )

    def test_refused_with_the_ways_out(self):
        self.to_vault(self.lead)
        module = self.module.with_user(self.admin)
        base = module.search([("name", "=", "crm")])
        action = self.env.ref("crm_archive_policy.crm_archive_leave_action")
        for call in (
            lambda: module.button_uninstall(),
            lambda: module.button_uninstall_wizard(),
            lambda: base.button_uninstall(),
            lambda: module.write({"state": "to remove"}),
        ):
            with self.assertRaises(RedirectWarning) as caught:
                call()
            self.assertEqual(caught.exception.args[1], action.id)
        self.assertEqual(module.state, "installed")
        with self.assertRaises(UserError):
            hooks.uninstall_hook(self.env)

    def test_others_are_free_to_go(self):
        self.to_vault(self.lead)
        others = self.module.search([("state", "=", "installed")])
        other = next(
            other
            for other in others
            if self.module not in (other | other.downstream_dependencies())
        )
        other.with_user(self.admin).button_uninstall()
        self.assertEqual(other.state, "to remove")

    def test_empty_is_free_to_go(self):
        entry = self.to_vault(self.lead)
        entry._restore()
        self.module.with_user(self.admin).button_uninstall()
        self.assertEqual(self.module.state, "to remove")

    def test_what_stays_outside_is_told(self):
        """Uninstalling empties this database, not somebody's bucket."""
        entry = self.to_vault(self.lead)
        entry._restore()
        leave = self.env["crm.archive.leave"].with_user(self.admin)
        self.assertFalse(leave.create({}).outside_names)
        mirror, outside = self.env["crm.archive.store"].create(
            [
                {"name": name, "kind": "fsspec", "url": f"s3://{name.lower()}/x"}
                for name in ("Mirror", "Offsite")
            ]
        )
        bundle = entry.bundle_id
        bundle.store_id.mirror_id = mirror
        self.assertEqual(leave.create({}).outside_names, "Mirror")
        bundle.store_id = outside
        self.assertEqual(leave.create({}).outside_names, "Offsite")
        bundle.state = "removed"
        self.assertFalse(leave.create({}).outside_names)

    def test_restore_everything(self):
        lead_id = self.lead.id
        entries = self.to_vault(self.lead) | self.to_vault(self.contact)
        leave = self.env["crm.archive.leave"].with_user(self.admin).create({})
        self.assertEqual((leave.entry_count, leave.hidden_count), (2, 0))
        run = self.env["crm.archive.run"].browse(leave.action_restore_all()["res_id"])
        self.assertEqual((run.kind, run.total_count), ("restore", 2))
        self.run_cron()
        self.assertEqual(run.restored_count, 2)
        self.assertEqual(set(entries.mapped("state")), {"restored"})
        self.assertEqual(self.env["crm.lead"].browse(lead_id).name, "Silent lead")
        self.assertEqual(self.module._count_vaulted(), 0)

    def test_other_companies_are_counted_and_not_touched(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        entry = self.to_vault(self.create_lead("Far", company_id=company.id))
        leave = self.env["crm.archive.leave"].with_user(self.admin).create({})
        self.assertEqual((leave.entry_count, leave.hidden_count), (0, 1))
        leave.action_restore_all()
        self.assertFalse(entry.restore_run_id)
        with self.assertRaises(RedirectWarning):
            self.module.with_user(self.admin).button_uninstall()

    def test_who_may_not(self):
        leave = self.env["crm.archive.leave"].sudo().create({})
        for user in (self.officer, self.auditor, self.seller):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                leave.with_user(user).action_restore_all()
