from collections import defaultdict
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from .query_tools import PREFETCH


class CrmArchiveRetention(models.AbstractModel):
    """How long a record is kept: a date that is only ever extended.

    Part of ``crm.archive.mixin``, whose ``write()`` calls the checks here. The one
    way to an earlier day is :meth:`_shorten_retention`.
    """

    _name = "crm.archive.retention"
    _description = "Retention of a Record"

    archive_category_id = fields.Many2one(
        "crm.archive.category",
        "Retention Category",
        copy=False,
        ondelete="restrict",
        prefetch=PREFETCH,
    )
    retention_date = fields.Date(
        "Keep until",
        copy=False,
        prefetch=PREFETCH,
        index="btree_not_null",
        help="The record is not deleted or anonymised before this day. It can be "
        "moved to a later day, but only an archive manager brings it forward.",
    )
    retention_action = fields.Selection(
        related="archive_category_id.end_action", string="Then"
    )

    # ------------------------------------------------------------
    # CHECKS
    # ------------------------------------------------------------

    def _check_retention_date(self, value):
        """Refuse to shorten or clear retention by a plain write, whoever it is.

        :param value: the new date, as in the values of a ``write()``
        :raise UserError: naming the record, the date and who can help
        """
        self.check_access("write")  # the message names the record
        date = fields.Date.to_date(value)
        records = self.sudo()
        longer = records.filtered(
            lambda r: r.retention_date and (not date or date < r.retention_date)
        )
        if longer:
            raise UserError(
                self.env._(
                    "%(name)s has to be kept until %(date)s, which can only be "
                    "extended. Ask an archive manager to shorten it, with a reason.",
                    name=longer[0].display_name,
                    date=longer[0].retention_date,
                )
            )
        if date and not all(record.retention_date for record in records):
            self._check_retention_ahead(date)

    @api.model
    def _check_retention_ahead(self, value):
        """Refuse a first date that has passed already, when set by a person.

        It has passed when it has in UTC and in the user's time zone.

        :raise UserError: naming the date
        """
        date = fields.Date.to_date(value)
        today = self._get_retention_today()
        if (
            date
            and date < min(today, fields.Date.context_today(self))
            and not self.env.su
        ):
            raise UserError(
                self.env._(
                    "“Keep until” is %(date)s, which is in the past. Choose a day "
                    "from today on, or leave it empty.",
                    date=date,
                )
            )

    @api.model
    def _get_retention_today(self):
        """Return the current day in UTC, by the clock of the database."""
        return self.env.cr.now().date()

    def _split_by_retention(self, values):
        """Divide records by which of the values would weaken their retention.

        :param dict values: what the lifecycle is about to write
        :return: list of ``(records, values)``; later dates and stricter categories
            stay as they are
        """
        date = fields.Date.to_date(values.get("retention_date"))
        category = self.env["crm.archive.category"].browse(
            values.get("archive_category_id")
        )
        groups = defaultdict(list)
        for record in self.sudo():
            kept = set()
            if "retention_date" in values and record.retention_date:
                if not date or date < record.retention_date:
                    kept.add("retention_date")
            if "archive_category_id" in values and record.archive_category_id:
                if record.archive_category_id._is_stricter_than(category):
                    kept.add("archive_category_id")
            groups[frozenset(kept)].append(record.id)
        return [
            (self.browse(ids), {k: v for k, v in values.items() if k not in kept})
            for kept, ids in groups.items()
        ]

    # ------------------------------------------------------------
    # EXTENDING
    # ------------------------------------------------------------

    def _extend_retention(self, category=None):
        """Set how long the records are kept; a date is only ever extended.

        The strictest rule wins: of the record's own category and of the one given.

        :param category: a further retention category that applies to all of them
        """
        dates = self._get_retention_dates(category)
        groups = defaultdict(list)
        for record in self.sudo().browse(dates):
            until = dates[record.id]
            if not record.retention_date or record.retention_date < until:
                groups[until].append(record.id)
        for until, ids in groups.items():
            self.browse(ids)._move({"retention_date": until})

    def _get_retention_dates(self, category=None):
        """Return until when categories say that the records are kept.

        A period that is over already ends today: a rule never dates back.

        :return: dict ``{id: date}``
        """
        dates, today = {}, self._get_retention_today()
        by_rule = {}
        if self.sudo().archive_category_id:  # by far faster than grouping by none
            by_rule = self.sudo().grouped("archive_category_id")
        if category:
            by_rule[category.sudo()] = self
        for rule, records in by_rule.items():
            if not rule:
                continue
            starts = records._get_retention_starts(rule.start_event)
            for res_id, start in starts.items():
                until = rule._get_planned_date(start)
                if until:
                    dates[res_id] = max(dates.get(res_id, today), until)
        return dates

    def _get_retention_starts(self, event):
        """Return the day on which the period of each record starts.

        :param str event: a value of ``crm.archive.category.start_event``
        :return: dict ``{id: date in UTC}``; records whose period has not started
            are left out
        """
        records = self.sudo()
        if event == "creation":
            dates = {r.id: r.create_date for r in records}
        elif event == "interaction":
            dates = records._get_last_interaction_dates()
        else:
            dates = {r.id: r.archive_date for r in records}
        return {res_id: date.date() for res_id, date in dates.items() if date}

    # ------------------------------------------------------------
    # SHORTENING
    # ------------------------------------------------------------

    def _check_may_shorten(self, date, reason):
        """Refuse what would not change retention.

        :param date: the new day from today on, or False for none
        :param str reason: why
        :raise AccessError: for anybody but archive managers
        :raise UserError: without a reason, or for a day in the past
        """
        if not self.env.user.has_group("crm_archive_policy.group_archive_manager"):
            raise AccessError(
                self.env._("Only archive managers change until when a record is kept.")
            )
        self.check_access("write")
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the retention is changed."))
        if date and date < self._get_retention_today():
            raise UserError(
                self.env._("“Keep until” cannot be in the past: choose today or later.")
            )

    def _is_shortened_by(self, date):
        """Tell whether one of the records would be kept for a shorter time.

        :param date: the new day, or False for none
        """
        old = filter(None, self.mapped("retention_date"))
        return any(not date or date < each for each in old)

    def _shorten_retention(self, date, reason, details=None):
        """Bring the end of retention forward: managers only, and never silently.

        Whether a second person has to approve it is asked by whoever calls.

        :param date: the new day from today on, or False for none
        :param str reason: why; it goes to the audit log with the old and new date
        :param dict details: further JSON values for the audit log
        :raise AccessError: for anybody but archive managers
        :raise UserError: without a reason, or for a day in the past
        """
        self._check_may_shorten(date, reason)
        for old, records in self.grouped("retention_date").items():
            records._move({"retention_date": date}, shortens=True)
            records._log_archive(
                "retention",
                {
                    "old": old.isoformat() if old else None,
                    "new": date.isoformat() if date else None,
                    "reason": reason.strip(),
                    **(details or {}),
                },
            )

    def action_archive_retention(self):
        """Open the dialog that changes until when the records are kept.

        :return: window action
        """
        self.check_access("write")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Change Retention"),
            "res_model": "crm.archive.retention.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"active_model": self._name, "active_ids": self.ids},
        }

    # ------------------------------------------------------------
    # SCHEDULED
    # ------------------------------------------------------------

    @api.model
    def _get_retention_ended_domain(self):
        """Return the records whose retention is over and who are not in use.

        A period that starts with archiving says nothing about a restored record.
        """
        return Domain("retention_date", "<", self._get_retention_today()) & (
            Domain("archive_state", "in", ("archived", "vaulted"))
            | ~Domain("archive_category_id.start_event", "=", "archive")
        )

    @api.model
    def _extend_ended_retention(self, after_id=0, limit=1000):
        """Ask the categories again about records whose retention has ended.

        Somebody may have been in contact since, or the rule was made stricter.

        :param int after_id: only records with a higher id (keyset)
        :return: id of the last record looked at, False when there are no more
        """
        yesterday = self._get_retention_today() - timedelta(days=1)
        records = (
            self.sudo()
            .with_context(active_test=False)
            .search(
                Domain("id", ">", after_id)
                & Domain("retention_date", "<=", yesterday)
                & Domain("archive_category_id", "!=", False),
                order="id",
                limit=limit,
            )
        )
        records._extend_retention_ahead()
        return records[-1:].id

    def _extend_retention_ahead(self):
        """Extend retention where a rule now says a day that is still to come."""
        today = self._get_retention_today()
        dates = self._get_retention_dates()
        ahead = self.filtered(lambda r: dates.get(r.id, today) > today)
        ahead._extend_retention()
