import io
import json
import zipfile
from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, tagged

from .vault_purge_common import PurgeCase

NAME = "Zebulon Quux"
EMAIL = "zebulon.quux@example.org"


class SubjectCase(PurgeCase):
    """One person, known live, archived and in the vault; and somebody else."""

    def setUp(self):
        super().setUp()
        self.person = self.create_contact(
            NAME,
            email=EMAIL,
            phone="+32 470 99 88 77",
            country_id=self.country.id,
            archive_category_id=self.category.id,
            retention_date=self.today + timedelta(days=500),
        )
        self.person.message_post(body="He likes zeppelins")
        self.person.activity_schedule(
            "mail.mail_activity_data_todo",
            summary="Call about the airship",
            user_id=self.officer.id,
        )
        self.attach(self.person, "contract.txt", b"signed by Quux")
        self.old = self.create_lead(f"Old deal {NAME}", email_from=EMAIL)
        self.archive(self.old)
        self.cold = self.create_lead(f"Cold deal {NAME}", email_from=EMAIL)
        self.cold.message_post(body="From the freezer", email_from=EMAIL)
        self.attach(self.cold, "frozen.txt", b"frozen bytes")
        self.entry = self.vault(self.archive(self.cold))
        self.other = self.create_lead("Somebody else", email_from="other@example.org")
        self.other.message_post(body="I wrote this elsewhere", author_id=self.person.id)
        self.elsewhere = self.env["res.company"].create({"name": "Faraway Ltd"})
        self.foreign = self.create_contact(
            f"{NAME} of Faraway", email=EMAIL, company_id=self.elsewhere.id
        )
        self.env.flush_all()

    def attach(self, record, name, data):
        return self.env["ir.attachment"].create(
            {"name": name, "raw": data, "res_model": record._name, "res_id": record.id}
        )

    def open_for(self, record, user=None):
        record = record.with_user(user or self.officer)
        action = (
            record.action_subject_export()
            if record._name == "crm.archive.entry"
            else record.action_archive_subject_export()
        )
        wizard = self.env[action["res_model"]].with_user(user or self.officer)
        return wizard.browse(action["res_id"])

    def read_export(self, wizard):
        """:return: ``{name: bytes}``"""
        wizard.action_export()
        file, self.file_name = wizard._get_file()
        with file, zipfile.ZipFile(file) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


@tagged("post_install", "-at_install")
class TestSubject(SubjectCase):
    """Everything about one person in one file (GDPR Art. 15, 20; PIPL Art. 45)."""

    def test_everything_is_there(self):
        files = self.read_export(self.open_for(self.person))
        data = json.loads(files["data.json"])
        records = {(r["model"], r["id"]): r for r in data["records"]}
        self.assertEqual(
            {key: record["place"] for key, record in records.items()},
            {
                ("res.partner", self.person.id): "live",
                ("crm.lead", self.old.id): "archived",
                ("crm.lead", self.entry.res_id): "vaulted",
            },
        )
        contact = records["res.partner", self.person.id]
        values = {v["field"]: v["value"] for v in contact["values"]}
        self.assertEqual(values["email"], EMAIL)
        self.assertEqual(values["country_id"], "Belgium")
        self.assertEqual(
            contact["retention"],
            {
                "category": "Prospects",
                "keep_until": str(self.today + timedelta(days=500)),
                "legal_basis": "Commercial code, section 257",
            },
        )
        self.assertIn("zeppelins", str(contact["messages"]))
        self.assertIn("airship", str(contact["activities"]))
        [file] = contact["attachments"]
        self.assertEqual(files[file["file"]], b"signed by Quux")
        cold = records["crm.lead", self.entry.res_id]
        self.assertIn("From the freezer", str(cold["messages"]))
        self.assertIn(EMAIL, str(cold["values"]))
        [file] = cold["attachments"]
        self.assertEqual(files[file["file"]], b"frozen bytes")
        self.assertIn("vault/records.jsonl", files)
        self.assertIn("I wrote this elsewhere", str(data["elsewhere"]))
        self.assertNotIn("Somebody else", str(data["records"]))
        cover = files["index.html"].decode()
        for text in (
            NAME,
            "zeppelins",
            "From the freezer",
            "Commercial code, section 257",
            "contract.txt",
        ):
            self.assertIn(text, cover)

    def test_from_the_vault_and_from_a_lead(self):
        for record in (self.entry, self.old):
            wizard = self.open_for(record)
            found = {(line.res_model, line.res_id) for line in wizard.line_ids}
            self.assertIn(("crm.archive.entry", self.entry.id), found)
            self.assertIn(("crm.lead", self.old.id), found)

    def test_only_what_is_chosen(self):
        wizard = self.open_for(self.person)
        for line in wizard.line_ids:
            line.is_chosen = line.res_model == "crm.lead"
        data = json.loads(self.read_export(wizard)["data.json"])
        self.assertEqual([r["id"] for r in data["records"]], [self.old.id])
        wizard.line_ids.is_chosen = False
        with self.assertRaisesRegex(UserError, "nothing to export"):
            wizard.action_export()

    def test_no_code_of_others_in_the_cover(self):
        self.person.function = "<script>alert(1)</script>"
        cover = self.read_export(self.open_for(self.person))["index.html"]
        self.assertNotIn(b"<script>", cover)

    def test_other_companies_stay_out(self):
        wizard = self.open_for(self.person)
        self.assertNotIn(self.foreign.id, wizard.line_ids.mapped("res_id"))
        self.assertFalse(wizard.hidden_count)
        files = self.read_export(wizard)
        self.assertNotIn(b"Faraway", b"".join(files.values()))
        # A forged line is asked again.
        wizard.line_ids[0].write(
            {"res_model": "res.partner", "res_id": self.foreign.id}
        )
        with self.assertRaises(AccessError):
            wizard._get_file()
        # A manager is told that there is more, and no more than that.
        wizard = self.open_for(self.person, self.manager)
        self.assertEqual(wizard.hidden_count, 1)

    def test_who_may(self):
        for user in (self.seller, self.auditor):
            with self.assertRaises(AccessError):
                self.open_for(self.person, user)
            with self.assertRaises(AccessError):
                self.env["crm.archive.subject"].with_user(user)._write_file([], {})
        self.open_for(self.person, self.manager)

    def test_it_is_noted_and_names_nobody(self):
        self.read_export(self.open_for(self.person))
        self.assertRegex(self.file_name, r"^subject-access-\d{4}-\d\d-\d\d\.zip$")
        lines = self.env["crm.archive.log"].search([("action", "=", "export")])
        noted = {(line.res_model, line.res_id) for line in lines}
        self.assertEqual(
            noted,
            {
                ("res.partner", self.person.id),
                ("crm.lead", self.old.id),
                ("crm.lead", self.entry.res_id),
            },
        )
        self.assertEqual(lines.user_id, self.officer)
        for text in (NAME, EMAIL, "Quux"):
            self.assertNotIn(text, str(lines.mapped("details")))

    def test_what_privacy_lookup_finds_besides(self):
        if "privacy.lookup.wizard" not in self.env:
            self.skipTest("privacy_lookup is not installed")
        lead = self.create_lead("Found by its address")
        lead.partner_id = self.person
        wizard = self.open_for(self.person)
        wizard.line_ids.filtered(lambda line: line.res_id == lead.id).unlink()
        data = json.loads(self.read_export(wizard)["data.json"])
        self.assertIn("Found by its address", str(data["elsewhere"]))
        self.assertNotIn("Faraway Ltd", str(data))


@tagged("post_install", "-at_install")
class TestSubjectHttp(SubjectCase, HttpCase):
    """The download, through the door."""

    def test_download(self):
        wizard = self.open_for(self.person)
        url = wizard.action_export()["url"]
        self.authenticate("officer", "officerx")
        answer = self.url_open(url)
        self.assertEqual(answer.status_code, 200)
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            self.assertIn("index.html", archive.namelist())
        disposition = answer.headers["Content-Disposition"]
        self.assertTrue(disposition.startswith("attachment"))
        self.assertNotIn("Quux", disposition)
        for login in ("manager", "auditor", "seller"):
            self.authenticate(login, login.ljust(8, "x"))
            self.assertEqual(self.url_open(url).status_code, 404, login)
        self.authenticate(None, None)
        answer = self.url_open(url, allow_redirects=False)
        self.assertIn(answer.status_code, (303, 404))
