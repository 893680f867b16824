"""Reports, exports, the history of a record, and the review of rights."""

import csv
import io
from datetime import timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import HttpCase, tagged

from ..models import crm_archive_log_export
from .vault_common import VaultCase


class ReportCase(VaultCase):
    def setUp(self):
        super().setUp()
        self.log = self.env["crm.archive.log"]
        self.reports = self.env["crm.archive.report"].with_user(self.auditor)
        self.today = self.env.cr.now().date()
        self.policy = self.create_policy(name="=1+2 idle")
        leads = self.lead | self.create_lead("Second")
        leads.with_user(self.officer)._archive(
            {"archive_reason_id": self.reason.id, "archive_policy_id": self.policy.id},
            {"policy": self.policy.id},
        )
        self.contact.with_user(self.officer)._archive()
        self.create_contact("Third").with_user(self.seller)._archive()

    def create_report(self, user=None, **values):
        """Return a report on yesterday and today."""
        return self.reports.with_user(user or self.auditor).create(
            {"date_from": self.today - timedelta(days=1), "date_to": self.today}
            | values
        )

    def sign(self, report):
        """Sign a report of a period that is over."""
        now = self.env.cr.now() + timedelta(days=1)
        with patch.object(type(self.env.cr), "now", lambda _cr: now):
            report.action_sign()
        return report


@tagged("post_install", "-at_install")
class TestReport(ReportCase):
    """Figures, taken once, in somebody's name."""

    def count(self, rows, key):
        [row] = [row for row in rows if row["key"] == key]
        return row["lines"], row["records"]

    def test_figures(self):
        self.env["crm.archive.anchor"]._anchor()
        report = self.create_report(user_id=self.officer.id)
        report.action_compute()
        figures = report.figures
        self.assertEqual(self.count(figures["actions"], "archive"), (2, 3))
        self.assertEqual(self.count(figures["policies"], self.policy.id), (1, 2))
        self.assertEqual(self.count(figures["persons"], self.officer.id), (2, 3))
        company = self.env.company
        self.assertEqual(self.count(figures["by_company"], company.id), (2, 3))
        self.assertTrue(figures["chain"]["ok"])
        head = self.log.search([], limit=1)
        self.assertEqual(
            figures["head"], {"sequence": head.sequence, "digest": head.digest}
        )
        self.assertEqual(figures["anchors"][0]["sequence"], head.sequence)
        self.assertIn(self.officer.name, report.figures_html)

    def test_filters_and_period(self):
        report = self.create_report(policy_id=self.policy.id)
        report.action_compute()
        self.assertEqual(self.count(report.figures["actions"], "archive"), (1, 2))
        report.write({"date_from": "2001-01-01", "date_to": "2001-01-31"})
        report.action_compute()
        self.assertEqual(report.figures["actions"], [])
        self.assertIn("2001-01-31", report.figures_html)

    def test_days_of_utc(self):
        """F5: a day is the same day for everybody, wherever they live."""
        self.execute("ALTER TABLE crm_archive_log DISABLE TRIGGER USER")
        lines = self.log.search([("action", "=", "archive")], limit=3)
        for line, date in zip(
            lines,
            ("2024-02-28 23:59:59.9", "2024-02-29 00:00:00", "2024-02-29 23:59:59.9"),
            strict=True,
        ):
            self.execute(
                "UPDATE crm_archive_log SET date = %s WHERE id = %s", date, line.id
            )
        self.env.invalidate_all()
        for zone in ("UTC", "Pacific/Auckland", "Pacific/Honolulu"):
            self.auditor.tz = zone
            report = self.create_report(date_from="2024-02-29", date_to="2024-02-29")
            with self.subTest(zone=zone):
                report.with_context(tz=zone).action_compute()
                self.assertEqual(self.count(report.figures["actions"], "archive")[0], 2)

    def test_signed_stays(self):
        report = self.create_report()
        with self.assertRaisesRegex(UserError, "not over yet"):
            report.action_sign()
        report.note = "All is well"
        self.sign(report)
        self.assertEqual(report.sign_user_id, self.auditor)
        self.assertEqual(report.digest, report._get_digest())
        line = self.log.search([], limit=1)
        self.assertEqual(line.action, "sign")
        self.assertEqual(line._get_details(), {"report": report.digest})
        self.assertEqual(line.user_id, self.auditor)
        before = report.figures
        self.create_lead("later")._archive()
        report.action_compute()
        self.sign(report.with_user(self.manager))
        self.assertEqual(report.figures, before)
        self.assertEqual(report.sign_user_id, self.auditor)
        with self.assertRaises(AccessError):
            report.note = "x"
        with self.assertRaises(UserError):
            report.unlink()

    def test_nobody_writes_figures(self):
        report = self.create_report()
        for user in (self.auditor, self.manager):
            for values in (
                {"figures": {}},
                {"state": "signed"},
                {"sign_user_id": user.id},
                {"digest": "0"},
                {"company_ids": [(5,)]},
            ):
                with self.subTest(values=values), self.assertRaises(AccessError):
                    report.with_user(user).write(values)
                with self.subTest(values=values), self.assertRaises(AccessError):
                    self.create_report(user, **values)

    def test_who_reports(self):
        for user in (self.seller, self.officer):
            with self.assertRaises(AccessError):
                self.create_report(user)
        report = self.create_report()
        for user in (self.seller, self.officer):
            for name in ("action_compute", "action_sign", "action_download_csv"):
                with self.subTest(name=name), self.assertRaises(AccessError):
                    getattr(report.with_user(user), name)()

    def test_other_company(self):
        """Lines of a company are for whoever is in it."""
        other = self.env["res.company"].create({"name": "Other"})
        self.manager.company_ids += other
        manager = self.manager.with_context(allowed_company_ids=other.ids)
        self.create_lead("theirs").with_user(manager).with_company(other)._archive()
        report = self.create_report()
        report.action_compute()
        self.assertEqual(
            [row["key"] for row in report.figures["by_company"] if row["key"]],
            self.env.company.ids,
        )
        theirs = (
            self.reports.with_user(manager)
            .with_company(other)
            .with_context(allowed_company_ids=other.ids)
            .create({"date_from": self.today, "date_to": self.today})
        )
        self.assertEqual(theirs.company_ids, other)
        theirs.action_compute()
        self.assertEqual(self.count(theirs.figures["by_company"], other.id), (1, 1))
        with self.assertRaises(AccessError):
            theirs.with_user(self.auditor).with_context(allowed_company_ids=None).read(
                ["figures"]
            )

    def test_broken_chain_is_told(self):
        self.execute("ALTER TABLE crm_archive_log DISABLE TRIGGER USER")
        line = self.log.search([], limit=1, offset=1)
        self.execute(
            "UPDATE crm_archive_log SET action = 'keep' WHERE id = %s", line.id
        )
        self.env.invalidate_all()
        report = self.sign(self.create_report())
        self.assertEqual(report.figures["chain"]["first_bad_id"], line.id)
        self.assertIn("not intact", report.figures_html)
        self.assertTrue(self.env["crm.archive.incident"].search([]))

    def test_period(self):
        with self.assertRaises(ValidationError):
            self.create_report(date_to="2001-01-01")

    def test_printed(self):
        report = self.sign(self.create_report())
        html, _kind = self.env["ir.actions.report"]._render_qweb_html(
            "crm_archive_policy.crm_archive_report_document", report.ids
        )
        text = html.decode()
        for words in (self.auditor.name, report.digest, "The chain is intact"):
            self.assertIn(words, text)

    def test_csv(self):
        """Every line, in order, and nothing that a spreadsheet would carry out."""
        report = self.create_report()
        report.action_compute()
        with patch.object(crm_archive_log_export, "EXPORT_BATCH", 2):
            file = self.log.with_user(self.auditor)._export_csv(
                report._get_lines_domain()
            )
        rows = list(csv.DictReader(io.TextIOWrapper(file, "utf-8", newline="")))
        self.assertEqual(
            len(rows), sum(row["lines"] for row in report.figures["actions"])
        )
        numbers = [int(row["sequence"]) for row in rows]
        self.assertEqual(numbers, sorted(set(numbers)))
        [row] = [row for row in rows if row["policy"] and row["action"] == "archive"]
        self.assertEqual(row["policy"], "'=1+2 idle")
        self.assertEqual(len(row["record_ids"].split()), 2)
        for row, following in zip(rows, rows[1:], strict=False):
            self.assertEqual(following["previous"], row["digest"])
        line = self.log.search([], limit=1)
        self.assertEqual(line.action, "export")
        self.assertEqual(line._get_details(), {"lines": len(rows)})


@tagged("post_install", "-at_install")
class TestDownload(ReportCase, HttpCase):
    """The file, through the door."""

    def get(self, user, report):
        self.authenticate(user.login, user.login.ljust(8, "x"))
        return self.url_open(report.action_download_csv()["url"])

    def test_download(self):
        response = self.get(self.auditor, self.create_report())
        self.assertEqual(response.status_code, 200)
        self.assertIn("attachment", response.headers["Content-Disposition"])
        self.assertEqual(response.headers["Cache-Control"], "private, no-store")
        self.assertIn(b"sequence,date_utc", response.content)
        self.assertIn(b",archive,crm.lead,", response.content)

    def test_not_for_others(self):
        report = self.create_report()
        for user in (self.seller, self.officer):
            self.assertEqual(self.get(user, report.sudo()).status_code, 404)
        self.authenticate(None, None)
        response = self.url_open(
            report.action_download_csv()["url"], allow_redirects=False
        )
        self.assertIn(response.status_code, (303, 404))


@tagged("post_install", "-at_install")
class TestHistory(ReportCase):
    """The history of one record, for whoever may read it."""

    ALL_LEADS = "sales_team.group_sale_salesman_all_leads"

    def get_history(self, record, user):
        action = record.with_user(user).action_archive_history()
        return self.env[action["res_model"]].with_user(user).browse(action["res_id"])

    def test_of_a_lead(self):
        lead = self.lead
        lead.with_user(self.officer)._restore()
        self.auditor.group_ids += self.env.ref(self.ALL_LEADS)
        for user in (self.officer, self.auditor, self.manager):
            history = self.get_history(lead, user)
            self.assertEqual(
                history.line_ids.sorted("id").mapped("action"), ["restore", "archive"]
            )
            archived = history.line_ids.filtered(lambda line: line.action == "archive")
            self.assertEqual(archived.policy_name, self.policy.name)
            self.assertEqual(archived.reason_name, self.reason.name)
            self.assertEqual(archived.user_name, self.officer.name)
            self.assertTrue(archived.with_others)

    def test_who_looked_is_for_auditors(self):
        self.auditor.group_ids += self.env.ref(self.ALL_LEADS)
        self.log.with_user(self.manager)._append("read", self.lead)
        self.assertNotIn(
            "read", self.get_history(self.lead, self.officer).line_ids.mapped("action")
        )
        history = self.get_history(self.lead, self.auditor)
        self.assertIn("read", history.line_ids.mapped("action"))
        self.assertTrue(history.can_open_log)
        found = self.log.search(history.action_open_log()["domain"])
        self.assertEqual(len(found), len(history.line_ids))
        self.assertFalse(self.get_history(self.lead, self.officer).can_open_log)

    def test_not_for_others(self):
        reader = self.seller
        reader.group_ids += self.env.ref("crm_archive_policy.group_archive_user")
        with self.assertRaises(AccessError):
            self.lead.with_user(reader).action_archive_history()
        other = self.env["res.company"].create({"name": "Other"})
        theirs = self.create_lead("Theirs", company_id=other.id)
        for user in (self.officer, self.auditor):
            with self.assertRaises(AccessError):
                theirs.with_user(user).action_archive_history()

    def test_of_an_entry(self):
        entry = self.vault(self.lead)
        history = self.get_history(entry, self.officer)
        self.assertEqual(
            history.line_ids.sorted("id").mapped("action"), ["vault", "archive"]
        )
        with self.assertRaises(AccessError):
            entry.with_user(self.seller).action_archive_history()


@tagged("post_install", "-at_install")
class TestAccessReview(ReportCase):
    """Managers are asked who should have which right."""

    def ask(self):
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_archive_policy.ir_cron_review_access"
            ).method_direct_trigger()
        self.env.invalidate_all()
        return self.env["crm.archive.access.review"].search([("state", "=", "open")])

    def get_activities(self, review, user):
        return review.activity_ids.filtered(lambda item: item.user_id == user)

    def test_list_and_reminder(self):
        review = self.ask()
        rights = {line.user_id: line._get_rights() for line in review.line_ids}
        self.assertEqual(rights[self.officer], ["officer", "user"])
        self.assertEqual(rights[self.auditor], ["auditor", "user"])
        self.assertNotIn(self.seller, rights)
        activity = review.activity_ids.filtered(
            lambda item: item.user_id == self.manager
        )
        self.assertEqual(len(activity), 1)
        self.assertIn(self.officer.name, activity.note)
        self.assertFalse(
            review.activity_ids.user_id & (self.officer | self.auditor | self.seller)
        )
        self.assertEqual(self.ask(), review, "one question at a time")
        self.assertEqual(
            len(
                review.activity_ids.filtered(lambda item: item.user_id == self.manager)
            ),
            1,
        )

    def test_reviewed(self):
        review = self.ask().with_user(self.manager)
        review.note = "As it should be"
        review.action_reviewed()
        self.assertEqual(review.review_user_id, self.manager)
        self.assertFalse(review.sudo().activity_ids)
        line = self.log.search([], limit=1)
        self.assertEqual((line.action, line.user_id), ("review", self.manager))
        rights = line._get_details()["rights"]
        self.assertEqual(rights[str(self.officer.id)], ["officer", "user"])
        with self.assertRaises(AccessError):
            review.note = "Later"
        self.assertNotEqual(self.ask(), review)

    def test_changed_meanwhile(self):
        review = self.ask().with_user(self.manager)
        self.seller.group_ids += self.env.ref(
            "crm_archive_policy.group_archive_officer"
        )
        with self.assertRaisesRegex(UserError, "have changed"):
            review.action_reviewed()
        review.action_ask()
        self.assertIn(self.seller, review.line_ids.user_id)
        review.action_reviewed()
        self.assertEqual(review.state, "done")

    def test_both_acts_and_audits(self):
        self.officer.group_ids += self.env.ref(
            "crm_archive_policy.group_archive_auditor"
        )
        lines = self.ask().line_ids
        self.assertTrue(
            lines.filtered(lambda line: line.user_id == self.officer).is_both
        )
        self.assertFalse(
            lines.filtered(lambda line: line.user_id == self.auditor).is_both
        )

    def test_who_reviews(self):
        review = self.ask()
        for user in (self.seller, self.officer, self.auditor):
            for name in ("action_reviewed", "action_ask"):
                with self.assertRaises(AccessError):
                    getattr(review.with_user(user), name)()
        with self.assertRaises(AccessError):
            review.with_user(self.manager).write({"state": "done"})
        with self.assertRaises(AccessError):
            review.line_ids.with_user(self.manager).unlink()
