from datetime import datetime, time, timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import format_date

from .crm_archive_policy_trigger import CLOSED_DATES, DUPLICATE_PROBLEMS
from .query_tools import as_domain


class CrmArchivePolicy(models.Model):
    """Answers for one record why a policy takes it, or not yet, or not at all."""

    _inherit = "crm.archive.policy"

    # ------------------------------------------------------------
    # EXPLAINING
    # ------------------------------------------------------------

    def _explain(self, record):
        """Tell whether this policy takes a record, why, and from which day on.

        :param record: one contact or lead
        :return: dict with ``applies``, ``date`` (False while nobody can tell) and
            ``text`` in the user's language
        """
        self.ensure_one()
        if not self._is_responsible_inside():
            text = self._describe_outside()
            return {"applies": False, "date": False, "text": text}
        record = record.sudo(False)
        model = self._get_model()
        this = Domain("id", "=", record.id)
        if not model.search_count(this & self._get_scope_domain()):
            text = self.env._("Not about this record: it is outside of the scope.")
            return {"applies": False, "date": False, "text": text}
        days, holding, missing = [], [], []
        for name, domain in self._get_conditions(record.ids).items():
            holds = bool(model.search_count(this & domain))
            day, text = getattr(self, f"_explain_{name}")(record, holds)
            days.append(day or (not holds and datetime.max.date()))
            (holding if holds else missing).append(text)
        day = max(filter(None, days), default=fields.Date.today())
        unknown = day == datetime.max.date()
        applies = not missing
        obstacle = self._explain_obstacle(record) if applies else False
        texts = [obstacle] if obstacle else []
        if missing:
            texts.append(self.env._("Not yet: %(reasons)s", reasons=" ".join(missing)))
        if holding:
            texts.append(
                self.env._("Fulfilled: %(reasons)s", reasons=" ".join(holding))
            )
        if not holding and not missing:
            texts.append(self.env._("Every record in the scope is due."))
        return {
            "applies": applies and not obstacle,
            "date": False if unknown or obstacle else day,
            "text": " ".join(texts),
        }

    def _explain_obstacle(self, record):
        """Return what keeps a record that fulfils every condition, or False."""
        state = record.sudo().archive_state
        if state in ("archived", "vaulted"):
            return self.env._("It is archived already.")
        if state == "pending" and record.sudo().archive_policy_id != self:
            return self.env._("Another policy has named it already.")
        not_kept = as_domain(self._get_not_kept_condition())
        if not self._get_model().search_count(Domain("id", "=", record.id) & not_kept):
            return self.env._("Somebody decided to keep it.")
        return False

    @api.model
    def _get_first_day(self, moment, number, unit):
        """Return the first day on which a moment is long enough ago.

        The exact counterpart of :meth:`_get_limit`: going back a month from the
        31st and going forward a month from the 28th are different things.

        :param datetime moment: in UTC
        """
        period = relativedelta(**{unit: number})
        day = (moment + period).date()
        while moment >= datetime.combine(day, time.min) - period:
            day += timedelta(days=1)
        return day

    def _explain_idle(self, record, holds):
        last = record.last_interaction_date
        if not last:
            return False, self.env._("There was never a sign of life.")
        text = (
            self.env._("No sign of life since %(date)s.")
            if holds
            else self.env._("The last sign of life was on %(date)s.")
        )
        day = self._get_first_day(last, self.idle_number, self.idle_unit)
        return day, text % {"date": format_date(self.env, last)}

    def _explain_closed(self, record, holds):
        lead = record.sudo()
        if lead.won_status not in self._get_closed_statuses():
            return False, self.env._(
                "It is not closed as “%(status)s”.",
                status=self._get_label("closed_status"),
            )
        date = next(filter(None, (lead[name] for name in CLOSED_DATES)))
        day = self._get_first_day(date, self.closed_number, self.closed_unit)
        return day, self.env._(
            "Closed since %(date)s.", date=format_date(self.env, date)
        )

    def _explain_date(self, record, holds):
        field = self.sudo().date_field_id
        # The name and value of a field that the reader may not see stay unsaid.
        definition = record._fields[field.name]
        if not record._has_field_access(definition, "read"):
            value = record.sudo()[field.name]
            text = self.env._("Depends on a date that you may not see.")
        elif value := record[field.name]:
            text = self.env._(
                "“%(field)s” is %(date)s.",
                field=field.field_description,
                date=format_date(self.env, value),
            )
        else:
            text = self.env._("“%(field)s” is empty.", field=field.field_description)
        if not value:
            return False, text
        if field.ttype == "date":
            value = datetime.combine(value, time.min) - timedelta(microseconds=1)
        return self._get_first_day(value, self.date_number, self.date_unit), text

    def _explain_retention(self, record, holds):
        date = record.retention_date
        if not date:
            return False, self.env._("There is no day until which it has to be kept.")
        return date, self.env._(
            "It has to be kept until %(date)s.", date=format_date(self.env, date)
        )

    def _explain_problem(self, record, holds):
        problems = self._get_problems()
        if not holds:
            labels = [self._fields[p]._description_string(self.env) for p in problems]
            return False, self.env._(
                "None of these problems is found: %(problems)s.",
                problems=", ".join(labels),
            )
        model = self._get_model()
        this = Domain("id", "=", record.id)
        texts = [
            self._explain_one_problem(record, problem)
            for problem in problems
            if model.search_count(this & self._get_problem_domain(problem, record.ids))
        ]
        return False, " ".join(texts)

    def _explain_one_problem(self, record, problem):
        if problem in DUPLICATE_PROBLEMS:
            kept = record._get_kept_duplicates([DUPLICATE_PROBLEMS[problem]])
            other = record.browse(kept[record.id])
            visible = other.sudo(False)._filtered_access("read")
            name = visible.display_name or self.env._("record %(id)s", id=other.id)
            if problem == "find_duplicate_email":
                return self.env._(
                    "%(name)s (ID %(id)s) has the same e-mail address and is kept.",
                    name=name,
                    id=other.id,
                )
            return self.env._(
                "%(name)s (ID %(id)s) has the same phone number and is kept.",
                name=name,
                id=other.id,
            )
        if problem == "find_bounced":
            return self.env._(
                "E-mails to it have bounced %(count)s times.",
                count=record.sudo().message_bounce,
            )
        if problem == "find_blacklisted":
            return self.env._("Its e-mail address is on the blacklist.")
        return self.env._("There is no way to reach anybody.")
