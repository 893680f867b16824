from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import format_date

from .crm_archive_candidate import OPEN_VERDICTS

#: How far the overview looks ahead.
WEEKS = 4


class CrmArchiveOverview(models.AbstractModel):
    """What is going to happen in the next weeks."""

    _inherit = "crm.archive.overview"

    @api.model
    def _get_pending(self):
        """Return what is going to be archived, week by week, and what ends."""
        today = fields.Date.context_today(self)
        open_ = Domain("verdict", "in", OPEN_VERDICTS)
        rows = self._get_weeks(today)
        candidates = self.env["crm.archive.candidate"]
        last = today + timedelta(weeks=WEEKS)
        for day, verdict, by_itself, count in candidates._read_group(
            open_, ["due_date:day", "verdict", "is_automatic"], ["__count"]
        ):
            row = next(row for row in rows if _is_in(row, day))
            waits = verdict == "pending" and not by_itself
            row["review" if waits else "planned"] += count
        if not (rows[-1]["review"] or rows[-1]["planned"]):
            rows.pop()
        for row in rows:
            start, until = row.pop("start"), row.pop("until")
            domain = open_
            if start:
                domain &= Domain("due_date", ">=", fields.Date.to_string(start))
            if until:
                domain &= Domain("due_date", "<=", fields.Date.to_string(until))
            row["open"] = self._prepare_open(
                row["label"], "crm_archive_candidate_action", domain
            )
        return {
            "rows": rows,
            "ends": self._get_ends(last),
            "next": self._get_next_run(),
        }

    @api.model
    def _get_weeks(self, today):
        """Return the rows to fill: what is due, four weeks, and what is later."""

        def prepare(label, start, until):
            return {
                "label": label,
                "start": start,
                "until": until,
                "review": 0,
                "planned": 0,
            }

        rows = [prepare(self.env._("Due now"), False, today)]
        for week in range(WEEKS):
            start = today + timedelta(days=7 * week + 1)
            until = start + timedelta(days=6)
            label = f"{self._format_day(start)} – {self._format_day(until)}"
            rows.append(prepare(label, start, until))
        return [
            *rows,
            prepare(self.env._("Later"), rows[-1]["until"] + timedelta(days=1), False),
        ]

    @api.model
    def _format_day(self, day):
        return format_date(self.env, day, date_format="d MMM")

    @api.model
    def _get_ends(self, last):
        """Return what has to be decided on because its retention ends."""
        domain = Domain("retention_date", "<=", fields.Date.to_string(last))
        kept = domain & Domain("archive_state", "in", ("archived", "vaulted"))
        lists = [
            (
                self.env._("Contacts whose retention ends"),
                "res.partner",
                "res_partner_retention_action",
                kept,
            ),
            (
                self.env._("Leads whose retention ends"),
                "crm.lead",
                "crm_lead_retention_action",
                kept,
            ),
            (
                self.env._("In the vault, retention ends"),
                "crm.archive.entry",
                "crm_archive_entry_retention_action",
                domain & Domain("state", "=", "vaulted"),
            ),
        ]
        if not self.env["crm.archive.purge"].has_access("read"):
            return []
        figures = []
        for label, name, action, shown in lists:
            if self.env[name].has_access("read"):
                count, more = self._count(name, shown)
                figures.append(
                    self._prepare_figure(
                        label,
                        count,
                        "fa-flag-checkered",
                        action,
                        shown,
                        more=more,
                        context={"active_test": False, "create": False},
                    )
                )
        return [figure for figure in figures if figure["count"]]

    @api.model
    def _get_next_run(self):
        """Return in words when policies run next by schedule."""
        cron = self._get_cron("ir_cron_run_policies")
        if not cron.active:
            return self.env._("Policies do not run by schedule.")
        return self.env._(
            "Policies run next on %(date)s.",
            date=self._format_time(cron.nextcall),
        )


def _is_in(row, day):
    """Tell whether a day is not later than the end of a row; rows are in order."""
    return not day or not row["until"] or day <= row["until"]
