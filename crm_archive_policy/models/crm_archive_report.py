import hashlib
from datetime import datetime, time, timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ..lib import canonical

#: Version of what a report holds.
REPORT_VERSION = 1

#: Anchors that a report lists; it tells how many there are.
MAX_ANCHORS = 31

#: What a draft lets people choose.
CHOICES = {"date_from", "date_to", "policy_id", "user_id"}


class CrmArchiveReport(models.Model):
    """What happened to archived data in a period, signed by whoever answers for it.

    Figures are taken when it is signed, with the names of that day, and stay: it can
    be printed years later. It counts the lines that the signer may see, and says of
    which companies they are.
    """

    _name = "crm.archive.report"
    _description = "Audit Report"
    _order = "date_from desc, id desc"

    name = fields.Char(compute="_compute_name")
    date_from = fields.Date(
        "From",
        required=True,
        default=lambda self: self._default_date_from(),
        help="Days are those of UTC, as in the audit log.",
    )
    date_to = fields.Date(
        "To", required=True, default=lambda self: self._default_date_to()
    )
    policy_id = fields.Many2one("crm.archive.policy", ondelete="restrict")
    user_id = fields.Many2one("res.users", "Person", ondelete="restrict")
    company_ids = fields.Many2many(
        "res.company",
        readonly=True,
        default=lambda self: self.env.companies,
        help="The companies whose lines are counted, and those of no company.",
    )
    state = fields.Selection(
        [("draft", "Draft"), ("signed", "Signed")],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
    )
    figures = fields.Json(readonly=True, copy=False)
    figures_html = fields.Html(
        "Figures as Text", compute="_compute_figures_html", sanitize=False
    )
    digest = fields.Char("SHA-256", readonly=True, copy=False)
    sign_user_id = fields.Many2one(
        "res.users", "Signed by", readonly=True, copy=False, ondelete="restrict"
    )
    sign_date = fields.Datetime("Signed on", readonly=True, copy=False)
    note = fields.Text("Remarks", help="What the signer has to say about it.")

    # ------------------------------------------------------------
    # DEFAULTS, COMPUTE, CONSTRAINTS
    # ------------------------------------------------------------

    @api.model
    def _default_date_from(self):
        return self._default_date_to().replace(day=1)

    @api.model
    def _default_date_to(self):
        """The last day of the month before."""
        return self.env.cr.now().date() + relativedelta(day=1, days=-1)

    @api.depends("date_from", "date_to")
    def _compute_name(self):
        for report in self:
            report.name = f"{report.date_from or ''} – {report.date_to or ''}"

    @api.depends("figures", "state", "note")
    @api.depends_context("lang")
    def _compute_figures_html(self):
        for report in self:
            report.figures_html = report.figures and self.env["ir.qweb"]._render(
                "crm_archive_policy.crm_archive_report_page", {"doc": report}
            )

    @api.constrains("date_from", "date_to")
    def _check_dates(self):
        if any(report.date_to < report.date_from for report in self):
            raise ValidationError(self.env._("The period ends before it begins."))

    # ------------------------------------------------------------
    # CRUD
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_chosen(vals)
        return super().create(vals_list)

    def write(self, vals):
        self._check_chosen(vals)
        if not self.env.su and "signed" in self.mapped("state"):
            raise AccessError(self.env._("A signed report stays as it is."))
        return super().write(vals)

    @api.model
    def _check_chosen(self, vals):
        if not self.env.su and vals.keys() - CHOICES - {"note"}:
            raise AccessError(
                self.env._("Only the period, its filters and remarks are written.")
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_signed(self):
        if "signed" in self.mapped("state"):
            raise UserError(self.env._("A signed report stays as it is."))

    # ------------------------------------------------------------
    # FIGURES
    # ------------------------------------------------------------

    def _get_lines_domain(self):
        """Return the domain of the lines that the report is about."""
        self.ensure_one()
        domain = self._get_period_domain()
        if self.policy_id:
            domain &= Domain("policy_id", "=", self.policy_id.id)
        if self.user_id:
            domain &= Domain("user_id", "=", self.user_id.id)
        return domain & Domain("company_id", "in", [*self.company_ids.ids, False])

    def _get_lines_file(self):
        """Return the lines as an open CSV file; that they were taken is noted.

        :raise AccessError: when the person may not see the report or the log
        """
        self.check_access("read")
        return self.env["crm.archive.log"]._export_csv(self._get_lines_domain())

    def _get_period_domain(self):
        """Return the domain of the period: days of UTC, wherever the reader lives.

        Given as dates, they would be days of the reader's own time zone.
        """
        start = datetime.combine(self.date_from, time.min)
        end = datetime.combine(self.date_to, time.min) + timedelta(days=1)
        return Domain("date", ">=", start) & Domain("date", "<", end)

    def _prepare_figures(self):
        """Count, verify, and return all of it as JSON values."""
        self.ensure_one()
        log = self.env["crm.archive.log"]
        verdict, report = log._verify()
        if not verdict.ok:
            self.env["crm.archive.incident"]._report(verdict)
        anchors, count = self._prepare_anchors()
        return {
            "version": REPORT_VERSION,
            "database": report.database_uuid,
            "companies": self.company_ids.mapped("name"),
            "from": fields.Date.to_string(self.date_from),
            "to": fields.Date.to_string(self.date_to),
            "policy": self.policy_id.name or None,
            "person": self.user_id.name or None,
            "actions": self._count_by("action"),
            "policies": self._count_by("policy_id"),
            "persons": self._count_by("user_id"),
            "by_company": self._count_by("company_id"),
            "chain": {
                "ok": verdict.ok,
                "trouble": verdict.trouble,
                "checked": verdict.checked,
                "first_bad_id": verdict.bad_key,
                "anchored": verdict.anchored,
                "compared": report.count,
                "unread": list(report.unread),
            },
            "head": {"sequence": verdict.sequence, "digest": verdict.digest},
            "anchors": anchors,
            "anchor_count": count,
        }

    def _count_by(self, name):
        """Count lines and the records they name.

        :param str name: field of ``crm.archive.log``
        :return: list of ``{'key', 'name', 'lines', 'records'}``, most records first
        """
        log = self.env["crm.archive.log"]
        query = log._search(self._get_lines_domain())
        rows = self.env.execute_query(
            SQL(
                "SELECT %s, count(*), coalesce(sum(cardinality(res_ids)), 0)"
                " FROM %s WHERE %s GROUP BY 1 ORDER BY 3 DESC, 2 DESC, 1",
                SQL.identifier(query.table, name),
                query.from_clause,
                query.where_clause or SQL("TRUE"),
            )
        )
        names = self._get_names(log._fields[name], [row[0] for row in rows])
        return [
            {
                "key": key,
                "name": names.get(key),
                "lines": int(lines),
                "records": int(records),
            }
            for key, lines, records in rows
        ]

    def _get_names(self, field, keys):
        """Return what the keys of a count are called, for whoever reads the log."""
        if field.type == "selection":
            return dict(field._description_selection(self.env))
        records = self.env[field.comodel_name].browse(filter(None, keys))
        return {record.id: record.sudo().display_name for record in records.exists()}

    def _prepare_anchors(self):
        """Return the last anchors of the period, and how many there are."""
        anchors = self.env["crm.archive.anchor"]
        domain = self._get_period_domain()
        found = anchors.search(domain, limit=MAX_ANCHORS)
        return [
            {
                "date": fields.Datetime.to_string(item.date),
                "sequence": item.sequence,
                "digest": item.digest,
                "key": item.key,
                "mailed": item.is_mailed,
            }
            for item in found
        ], anchors.search_count(domain)

    def _get_digest(self):
        """Return the digest of what was signed, by whom and when."""
        signature = {
            "figures": self.figures,
            "note": self.note or None,
            "user_id": self.sign_user_id.id,
            "user": self.figures.get("signer"),
            "date": fields.Datetime.to_string(self.sign_date),
        }
        return hashlib.sha256(canonical.dumps(signature)).hexdigest()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def _check_may_report(self):
        """Refuse whoever does not answer for the log, or is not in the companies.

        What is written afterwards goes past the rights on the report itself, whose
        figures nobody writes.

        :raise AccessError: for other people than auditors and managers
        """
        self.env["crm.archive.log"]._check_may_verify()
        self.check_access("write")

    def action_compute(self):
        """Take the figures of a draft, to look at them.

        :return: ``True``
        """
        for report in self.filtered(lambda report: report.state == "draft"):
            report._check_may_report()
            report.sudo().figures = report._prepare_figures()
        return True

    def action_sign(self):
        """Take the figures for good, in one's own name.

        :raise UserError: when the period is not over
        """
        for report in self.filtered(lambda report: report.state == "draft"):
            report._check_may_report()
            if report.date_to >= self.env.cr.now().date():
                raise UserError(
                    self.env._(
                        "The period is not over yet: what follows would be missing."
                    )
                )
            figures = {**report._prepare_figures(), "signer": self.env.user.name}
            signed = report.sudo()
            signed.write(
                {
                    "figures": figures,
                    "sign_user_id": self.env.uid,
                    "sign_date": fields.Datetime.now(),
                    "state": "signed",
                }
            )
            signed.digest = signed._get_digest()
            self.env["crm.archive.log"]._append(
                "sign", report, {"report": signed.digest}
            )
        return True

    def action_download_csv(self):
        """Download the lines themselves.

        :return: URL action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/crm_archive/report/{self.id}/lines.csv",
            "target": "download",
        }

    def action_view_lines(self):
        """Show the lines that the report counts.

        :return: window action
        """
        self.ensure_one()
        action = self.env["ir.actions.actions"]._for_xml_id(
            "crm_archive_policy.crm_archive_log_action"
        )
        return {**action, "domain": list(self._get_lines_domain())}
