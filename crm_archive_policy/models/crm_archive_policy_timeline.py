from datetime import timedelta
from typing import NamedTuple

from odoo import api, fields, models
from odoo.tools import format_date


class TimelineStep(NamedTuple):
    """One point of a policy's timetable, as people read it.

    :ivar icon: Font Awesome class, decoration only
    :ivar when: relative day or date, translated
    :ivar title: what happens
    :ivar text: the fine print, may be empty
    """

    icon: str
    when: str
    title: str
    text: str


class CrmArchivePolicy(models.Model):
    """The timetable of a policy, written out."""

    _inherit = "crm.archive.policy"

    timeline_html = fields.Html(
        "Timetable", compute="_compute_timeline_html", sanitize=False
    )

    @api.depends(lambda self: self._get_timeline_fields())
    @api.depends_context("lang")
    def _compute_timeline_html(self):
        for policy in self:
            policy.timeline_html = policy._render_timeline()

    @api.model
    def _get_timeline_fields(self):
        """Return the fields that the timetable is read from."""
        return [
            "mode",
            "trigger_summary",
            "grace_days",
            "notify_owner",
            "winback_template_id",
            "category_id",
            "vault_enabled",
            "vault_after_days",
            "store_id",
        ]

    def _render_timeline(self, start=False):
        """Return the timetable as HTML.

        :param date start: first day; without, days are counted from zero
        """
        self.ensure_one()
        return self.env["ir.qweb"]._render(
            "crm_archive_policy.crm_archive_policy_timeline",
            {"steps": self._get_timeline(start)},
        )

    def _get_timeline(self, start=False):
        """Return the steps of this policy in order.

        :param date start: first day; without, days are counted from zero
        :return: list of :class:`TimelineStep`
        """
        self.ensure_one()
        steps = [self._get_named_step(start)]
        if self.mode == "review" or self.grace_days:
            steps += self._get_waiting_steps(start)
        steps.append(self._get_archived_step(start))
        if self.vault_enabled:
            steps.append(self._get_vault_step(start))
        if self.category_id:
            steps.append(self._get_retention_step(start))
        return steps

    def _format_day(self, start, days=0):
        """Return a day of the timetable as a date, or counted from zero."""
        if start:
            return format_date(self.env, start + timedelta(days=days))
        return self.env._("Day %(number)s", number=days)

    def _get_named_step(self, start):
        day, title = self._format_day(start), self.env._("Named")
        return TimelineStep("fa-crosshairs", day, title, self.trigger_summary)

    def _get_waiting_steps(self, start):
        if self.notify_owner:
            yield TimelineStep(
                "fa-bell-o",
                self._format_day(start),
                self.env._("Owner told"),
                self.env._("One activity a run; the owner may keep the record"),
            )
        if self.winback_template_id:
            yield TimelineStep(
                "fa-envelope-o",
                self._format_day(start),
                self.env._("Win-back e-mail"),
                self.env._("An answer keeps the record"),
            )
        if self.grace_days:
            yield TimelineStep(
                "fa-hourglass-half",
                self.env._(
                    "%(first)s – %(last)s",
                    first=self._format_day(start),
                    last=self._format_day(start, self.grace_days),
                ),
                self.env._("Grace"),
                self.env._("Any sign of life or Keep cancels"),
            )
        if self.mode == "review":
            yield TimelineStep(
                "fa-check-square-o",
                self.env._("Any time"),
                self.env._("Review"),
                self.env._("An officer approves"),
            )

    def _get_archived_step(self, start):
        text = self.env._("Can be restored at any time")
        if self.mode == "review":
            text = self.env._("At the earliest, once approved")
        return TimelineStep(
            "fa-archive",
            self._format_day(start, self.grace_days),
            self.env._("Archived"),
            text,
        )

    def _get_vault_step(self, start):
        # Which store it is, a manager decides and everybody may know.
        store = self.store_id.sudo().name
        return TimelineStep(
            "fa-database",
            self._format_day(start, self.grace_days + self.vault_after_days),
            self.env._("To the vault"),
            self.env._("Read there, and brought back exactly")
            if not store
            else self.env._("%(store)s; brought back exactly", store=store),
        )

    def _get_retention_step(self, start):
        category = self.category_id
        period = self._format_period(category.minimum_number, category.minimum_unit)
        archived = start and start + timedelta(days=self.grace_days)
        if archived:
            when = format_date(self.env, category._get_retention_date(archived))
        elif category.minimum_number:
            when = self.env._("%(period)s later", period=period)
        else:
            when = self._format_day(start, self.grace_days)
        text = category.name
        if category.maximum_number:
            limit = self._format_period(category.maximum_number, category.maximum_unit)
            text = self.env._(
                "%(category)s, at most %(period)s", category=text, period=limit
            )
        return TimelineStep(
            "fa-flag-checkered", when, self.env._("End of retention"), text
        )

    def _format_period(self, number, unit):
        """Return a period in words, such as “1 year” or “6 months”."""
        units = {
            "days": (self.env._("1 day"), self.env._("%(n)s days", n=number)),
            "weeks": (self.env._("1 week"), self.env._("%(n)s weeks", n=number)),
            "months": (self.env._("1 month"), self.env._("%(n)s months", n=number)),
            "years": (self.env._("1 year"), self.env._("%(n)s years", n=number)),
        }
        one, several = units[unit]
        return one if number == 1 else several
