from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import SQL, format_date, format_datetime

from .crm_archive_growth import GROWTH_MONTHS
from .crm_archive_sized import IN_STORE

USER = "crm_archive_policy.group_archive_user"
OFFICER = "crm_archive_policy.group_archive_officer"
AUDITOR = "crm_archive_policy.group_archive_auditor"
MANAGER = "crm_archive_policy.group_archive_manager"

#: Lists are counted exactly up to here; beyond, the last monthly count is told.
COUNT_MAX = 10_000

#: Ready-made policies that an empty archive offers.
STARTERS = ("lost_leads", "silent_contacts", "duplicate_contacts")

#: What the overview tells of the audit log, in this order: action → icon.
EVENTS = {
    "archive": "fa-archive",
    "restore": "fa-undo",
    "pend": "fa-hourglass-half",
    "keep": "fa-thumb-tack",
    "vault": "fa-database",
    "purge": "fa-eraser",
    "anonymise": "fa-user-secret",
    "erase": "fa-eraser",
}


class CrmArchiveOverview(models.AbstractModel):
    """The first screen of the app, put together on the server.

    Everything is read in a few queries over whole tables that stay small (runs,
    stores, monthly counts) or by an index: open candidates and entries by their
    partial unique indexes, archived contacts and leads by the partial index on
    ``archive_state`` and no further than :data:`COUNT_MAX`, lines of the audit log by
    the index on their day. Nothing here counts the contacts or leads of a database.

    Each part is there for whoever may open the list behind it.
    """

    _name = "crm.archive.overview"
    _description = "Archive Overview"

    @api.model
    def get_overview(self):
        """Return what the current user is shown, in the current companies.

        :return: dict, as the client action takes it
        :raise AccessError: for people who are not in the archive groups
        """
        if not self.env.user.has_group(USER):
            raise AccessError(
                self.env._("The overview of the archive is for the archive groups.")
            )
        since, is_first = self.env["res.users.settings"]._note_archive_visit()
        growth = self._get_growth()
        stock = self._get_stock(growth)
        staff = self._is_staff()
        return {
            "since": self.env._("The Last 30 Days")
            if is_first
            else self.env._(
                "Since Your Last Visit, %(date)s", date=self._format_time(since)
            ),
            "is_manager": self.env.user.has_group(MANAGER),
            "starters": self._get_starters(stock),
            "todo": self._get_todo(),
            "events": self._get_events(since) if staff else [],
            "stock": stock,
            "pending": self._get_pending() if staff else False,
            "growth": growth,
            "health": self._get_health() if staff else [],
            "reviews": self._get_reviews() if staff else [],
        }

    # ------------------------------------------------------------
    # HELPERS
    # ------------------------------------------------------------

    @api.model
    def _is_staff(self):
        """Tell whether the user answers for the archive, or audits it."""
        user = self.env.user
        return user.has_group(OFFICER) or user.has_group(AUDITOR)

    @api.model
    def _format_time(self, date):
        """Return a point of time as the user reads it, in their time zone."""
        return format_datetime(self.env, date, dt_format="short")

    @api.model
    def _get_company_domain(self):
        return Domain("company_id", "in", [False, *self.env.companies.ids])

    @api.model
    def _prepare_figure(self, label, count, icon, action, domain, **values):
        """Return a number and the list behind it.

        :param str label: what is counted, translated
        :param str action: XML id in this module of the action that lists it
        :param domain: domain of exactly what was counted
        :param values: ``context`` for the list, ``more`` when there are at least
            ``count``, ``is_size`` when they are bytes
        """
        context = values.pop("context", None)
        return {
            "label": label,
            "count": count,
            "icon": icon,
            "open": self._prepare_open(label, action, domain, context),
            **values,
        }

    @api.model
    def _prepare_open(self, name, action, domain, context=None):
        """Return how the client opens a list: an action and what it is narrowed to."""
        return {
            "xmlid": f"crm_archive_policy.{action}",
            "name": name,
            "domain": list(Domain(domain)),
            "context": context or {},
        }

    @api.model
    def _count(self, model_name, domain):
        """Count no further than :data:`COUNT_MAX`.

        :return: ``(number, whether there are more)``
        """
        model = self.env[model_name].with_context(active_test=False)
        count = model.search_count(domain, limit=COUNT_MAX + 1)
        return min(count, COUNT_MAX), count > COUNT_MAX

    # ------------------------------------------------------------
    # WAITING FOR ME
    # ------------------------------------------------------------

    @api.model
    def _get_todo(self):
        """Return what only waits for the current user's decision."""
        figures = [
            self._get_review_todo(),
            *self._get_list_todo(),
        ]
        return [figure for figure in figures if figure and figure["count"]]

    @api.model
    def _get_review_todo(self):
        """Officers review everything, everybody else what is theirs."""
        domain = Domain("verdict", "=", "pending") & Domain("is_automatic", "=", False)
        action = "crm_archive_candidate_action"
        label = self.env._("Candidates to review")
        if not self.env["crm.archive.candidate"].has_access("write"):
            domain = Domain("verdict", "=", "pending")
            domain &= Domain("owner_id", "=", self.env.uid)
            action = "crm_archive_candidate_own_action"
            label = self.env._("My records to be archived")
        count, more = self._count("crm.archive.candidate", domain)
        return self._prepare_figure(
            label, count, "fa-check-square-o", action, domain, more=more
        )

    @api.model
    def _get_list_todo(self):
        """Yield a figure for each list that the user may act on."""
        is_officer = self.env.user.has_group(OFFICER)
        proposed = Domain("state", "=", "proposed")
        if not is_officer:
            proposed &= Domain("user_id", "=", self.env.uid)
        lists = [
            (
                self.env._("Back in touch"),
                "fa-comments-o",
                "crm.archive.recontact",
                "crm_archive_recontact_action",
                proposed,
            )
        ]
        if self.env.user.has_group(MANAGER):
            asked = Domain("state", "=", "asked")
            lists += [
                (
                    self.env._("Purge requests to approve"),
                    "fa-eraser",
                    "crm.archive.purge",
                    "crm_archive_purge_action",
                    # Nobody approves what they have asked for themselves.
                    asked & Domain("user_id", "!=", self.env.uid),
                ),
                (
                    self.env._("Reviews of rights"),
                    "fa-users",
                    "crm.archive.access.review",
                    "crm_archive_access_review_action",
                    Domain("state", "=", "open"),
                ),
            ]
        for label, icon, model_name, action, domain in lists:
            count, more = self._count(model_name, domain)
            yield self._prepare_figure(label, count, icon, action, domain, more=more)

    # ------------------------------------------------------------
    # SINCE THE LAST VISIT
    # ------------------------------------------------------------

    @api.model
    def _get_events(self, since):
        """Return how many records were archived, restored and so on.

        Read from the audit log, which knows what people did as well as policies. Only
        numbers are told to officers, who do not read its lines: they are led to the
        records instead.
        """
        counts = defaultdict(int)
        for action, number in self._sum_log(since):
            counts[action] = number
        labels = dict(
            self.env["crm.archive.log"]
            ._fields["action"]
            ._description_selection(self.env)
        )
        may_read = self.env["crm.archive.log"].has_access("read")
        return [
            self._prepare_event(action, labels[action], counts[action], since, may_read)
            for action in EVENTS
            if counts[action] or action in ("archive", "restore", "pend")
        ]

    @api.model
    def _sum_log(self, since):
        """Return ``(action, number of records)`` of the companies' log lines."""
        self.env["crm.archive.log"].flush_model()
        return self.env.execute_query(
            SQL(
                """
                SELECT action, sum(cardinality(res_ids))
                  FROM crm_archive_log
                 WHERE date >= %s
                   AND action = ANY(%s)
                   AND res_model = ANY(%s)
                   AND (company_id IS NULL OR company_id = ANY(%s))
              GROUP BY action
                """,
                since,
                list(EVENTS),
                [
                    *self.env["crm.archive.policy"]._get_lifecycle_models(),
                    "crm.archive.entry",
                ],
                self.env.companies.ids,
            )
        )

    @api.model
    def _prepare_event(self, action, label, count, since, may_read):
        moment = fields.Datetime.to_string(since)
        models_ = self.env["crm.archive.policy"]._get_lifecycle_models()
        if may_read:
            return self._prepare_figure(
                label,
                count,
                EVENTS[action],
                "crm_archive_log_action",
                Domain("action", "=", action)
                & Domain("date", ">=", moment)
                & Domain("res_model", "in", [*models_, "crm.archive.entry"]),
            )
        lists = {
            "pend": ("crm_archive_candidate_action", "create_date"),
            "keep": ("crm_archive_candidate_action", "decision_date"),
            "vault": ("crm_archive_entry_action", "vault_date"),
        }
        name, field = lists.get(action, ("crm_archive_run_action", "date_start"))
        domain = Domain(field, ">=", moment)
        if action == "keep":
            domain &= Domain("verdict", "=", "kept")
        return self._prepare_figure(label, count, EVENTS[action], name, domain)

    # ------------------------------------------------------------
    # WHAT THERE IS
    # ------------------------------------------------------------

    @api.model
    def _get_stock(self, growth):
        """Return how much is archived and in the vault, as far as the user may see."""
        archived = Domain("archive_state", "=", "archived")
        lists = [
            (
                self.env._("Archived contacts"),
                "fa-address-book-o",
                "res.partner",
                "res_partner_archived_action",
                archived,
            ),
            (
                self.env._("Archived leads"),
                "fa-star-o",
                "crm.lead",
                "crm_lead_archived_action",
                archived,
            ),
            (
                self.env._("In the vault"),
                "fa-database",
                "crm.archive.entry",
                "crm_archive_entry_action",
                Domain("state", "=", "vaulted"),
            ),
        ]
        figures = []
        for label, icon, name, action, domain in lists:
            if self.env[name].has_access("read"):
                count, more = self._count(name, domain)
                if more and growth:
                    count = max(count, growth["totals"].get(name, 0))
                figures.append(
                    self._prepare_figure(
                        label,
                        count,
                        icon,
                        action,
                        domain,
                        more=more,
                        context={"active_test": False, "create": False},
                    )
                )
        if freed := self._get_freed():
            figures.append(freed)
        return figures

    @api.model
    def _get_freed(self):
        """Return how many bytes have left the live tables for the vault."""
        if not self._is_staff():
            return False
        domain = Domain(IN_STORE) & self._get_company_domain()
        # A bundle of no company may hold records of all: no part of it can be told.
        others = Domain("id", "not in", self.env.user.company_ids.ids)
        if self.env["res.company"].sudo().search(others, limit=1):
            domain &= Domain("company_id", "!=", False)
        # Figures for officers too, who are led to the runs instead of the bundles.
        bundles = self.env["crm.archive.bundle"].sudo()
        [[moved, stored]] = bundles._read_group(
            domain, [], ["content_size:sum", "size:sum"]
        )
        if not moved:
            return False
        action, shown = "crm_archive_run_action", Domain("kind", "=", "vault")
        if self.env["crm.archive.bundle"].has_access("read"):
            action, shown = "crm_archive_bundle_action", Domain(IN_STORE)
        return self._prepare_figure(
            self.env._("Left the live tables"),
            moved,
            "fa-leaf",
            action,
            shown,
            is_size=True,
            stored=stored or 0,
        )

    # ------------------------------------------------------------
    # GROWTH
    # ------------------------------------------------------------

    @api.model
    def _get_growth(self):
        """Return the monthly counts of the last year.

        :return: dict of a chart, ``False`` for people who may not see it
        """
        model = self.env["crm.archive.growth"]
        if not model.has_access("read"):
            return False
        measures = ("live_count", "archived_count", "vaulted_count")
        groups = model._read_group(
            self._get_company_domain(),
            ["date:month", "res_model"],
            [*(f"{name}:sum" for name in measures), "count_date:max"],
        )
        months = sorted({month for month, *_rest in groups})[-GROWTH_MONTHS:]
        series = {name: [0] * len(months) for name in measures}
        totals = defaultdict(int)
        counted = False
        for month, model_name, *numbers, date in groups:
            if month not in months:
                continue
            index = months.index(month)
            for name, number in zip(measures, numbers, strict=True):
                series[name][index] += number
            if month == months[-1]:
                totals[model_name] = numbers[1]
                totals["crm.archive.entry"] += numbers[2]
                counted = max(counted or date, date)
        return {
            "labels": [
                format_date(self.env, day, date_format="MMM y") for day in months
            ],
            "series": [
                {
                    "label": model._fields[name]._description_string(self.env),
                    "data": series[name],
                }
                for name in measures
            ],
            "totals": dict(totals),
            "counted": counted
            and self.env._(
                "Counted on %(date)s, once a day.", date=self._format_time(counted)
            ),
            "open": self._prepare_open(
                self.env._("Growth"), "crm_archive_growth_action", []
            ),
        }

    # ------------------------------------------------------------
    # POLICIES
    # ------------------------------------------------------------

    @api.model
    def _get_reviews(self):
        """Return the policies whose review is due."""
        today = fields.Date.context_today(self)
        policies = self.env["crm.archive.policy"].search(
            [("review_date", "<=", today)], order="review_date"
        )
        return [
            {
                "id": policy.id,
                "name": policy.name,
                "text": self.env._(
                    "since %(date)s", date=format_date(self.env, policy.review_date)
                ),
            }
            for policy in policies
        ]

    @api.model
    def _get_starters(self, stock):
        """Return the ready-made policies, while nothing has begun.

        :param stock: figures of what there is
        :return: list; ``False`` once a policy is switched on or anything is archived
        """
        policies = self.env["crm.archive.policy"]
        if any(figure["count"] for figure in stock) or policies.search_count(
            [], limit=1
        ):
            return False
        starters = policies.browse()
        for name in STARTERS:
            starters |= (
                self.env.ref(
                    f"crm_archive_policy.crm_archive_policy_{name}",
                    raise_if_not_found=False,
                )
                or policies.browse()
            )
        return [
            {"id": policy.id, "name": policy.name, "text": policy.trigger_summary}
            for policy in starters._filtered_access("read")
        ]
