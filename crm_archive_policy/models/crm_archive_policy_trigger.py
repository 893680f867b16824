from datetime import datetime, time

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_archive_category import PERIOD_UNITS
from .query_tools import as_domain

#: Field of the policy that switches a data problem on: key of the duplicates.
DUPLICATE_PROBLEMS = {
    "find_duplicate_email": "email_normalized",
    "find_duplicate_phone": "phone_sanitized",
}

#: All fields that switch a data problem on; the first that applies is the reason.
DATA_PROBLEMS = (
    *DUPLICATE_PROBLEMS,
    "find_bounced",
    "find_blacklisted",
    "find_unreachable",
)

#: Field that a model needs for a data problem to be found.
PROBLEM_FIELDS = {
    **dict.fromkeys(DUPLICATE_PROBLEMS, "archive_duplicate_of_id"),
    "find_bounced": "message_bounce",
    "find_blacklisted": "is_blacklisted",
    "find_unreachable": "phone",
}

#: Dates that tell when a lead was closed, the best first: leads that were imported
#: or lost by other means than the button have no closing date.
CLOSED_DATES = ("date_closed", "date_last_stage_update", "create_date")


class CrmArchivePolicy(models.Model):
    """When a record is due: every condition that is set has to hold.

    Each condition has a name, an entry of :meth:`_get_conditions` that finds the
    records, and a method ``_explain_<name>`` that answers for one of them.
    """

    _inherit = "crm.archive.policy"

    # silence
    idle_number = fields.Integer(
        "Silent for",
        default=1,
        tracking=True,
        help="How long there has been no sign of life. 0: silence does not matter, "
        "the other conditions alone decide.",
    )
    idle_unit = fields.Selection(
        PERIOD_UNITS, default="years", required=True, tracking=True
    )
    # closed
    has_closing = fields.Boolean(
        compute="_compute_has_closing", help="Records of this model are won or lost."
    )
    closed_status = fields.Selection(
        [("lost", "Lost"), ("won", "Won"), ("closed", "Lost or won")],
        "Closed as",
        tracking=True,
        help="Only leads that were closed this way. Empty: it does not matter.",
    )
    closed_number = fields.Integer(
        "Closed for",
        tracking=True,
        help="How long ago. A lead without a closing date counts from its last "
        "change of stage.",
    )
    closed_unit = fields.Selection(
        PERIOD_UNITS, default="years", required=True, tracking=True
    )
    # a date of the record
    date_field_id = fields.Many2one(
        "ir.model.fields",
        "Date",
        domain="[('model_id', '=', model_id), ('store', '=', True), "
        "('ttype', 'in', ('date', 'datetime'))]",
        ondelete="cascade",
        tracking=True,
        help="A date of the record that has to be in the past. Records on which it "
        "is empty are left alone.",
    )
    date_number = fields.Integer(
        "Past for", tracking=True, help="How long ago that date has to be."
    )
    date_unit = fields.Selection(
        PERIOD_UNITS, default="days", required=True, tracking=True
    )
    # retention
    retention_reached = fields.Boolean(
        "Retention Is Over",
        tracking=True,
        help="The day until which the record has to be kept has come. Records "
        "without such a day are left alone.",
    )
    # data problems
    find_duplicate_email = fields.Boolean(
        "Same E-mail Address",
        tracking=True,
        help="Another active record has the same e-mail address. The one with the "
        "longest history is kept, the others are due. Contacts that use the address "
        "of their own company are no duplicates, nor are won leads.",
    )
    find_duplicate_phone = fields.Boolean(
        "Same Phone Number",
        tracking=True,
        help="Another active record has the same phone number, and this one has no "
        "e-mail address that tells them apart. The one with the longest history is "
        "kept.",
    )
    find_bounced = fields.Boolean(
        "E-mails Bounce", tracking=True, help="E-mails come back as undeliverable."
    )
    bounce_number = fields.Integer(
        "Bounced at Least",
        default=3,
        tracking=True,
        help="Number of e-mails that have come back since one last arrived.",
    )
    find_blacklisted = fields.Boolean(
        "E-mail Blacklisted",
        tracking=True,
        help="The e-mail address must not be written to any more.",
    )
    find_unreachable = fields.Boolean(
        "No Contact Data",
        tracking=True,
        help="No e-mail address, phone number, website or postal address, neither "
        "on the record nor on those it belongs to.",
    )
    trigger_summary = fields.Char("Due When", compute="_compute_trigger_summary")

    _check_idle_number = models.Constraint(
        "CHECK(idle_number >= 0)", "The period of silence cannot be negative."
    )
    _check_closed_number = models.Constraint(
        "CHECK(closed_number >= 0)",
        "The period since a lead was closed cannot be negative.",
    )
    _check_date_number = models.Constraint(
        "CHECK(date_number >= 0)", "The period after the date cannot be negative."
    )
    _check_bounce_number = models.Constraint(
        "CHECK(bounce_number > 0)",
        "At least one e-mail has to bounce before an address counts as bouncing.",
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("model_name")
    def _compute_has_closing(self):
        for policy in self:
            model = self.env.get(policy.model_name)
            policy.has_closing = model is not None and "won_status" in model._fields

    @api.depends(
        "model_id",
        "idle_number",
        "idle_unit",
        "closed_status",
        "closed_number",
        "closed_unit",
        "date_field_id",
        "date_number",
        "date_unit",
        "retention_reached",
        "bounce_number",
        *DATA_PROBLEMS,
    )
    @api.depends_context("lang")
    def _compute_trigger_summary(self):
        for policy in self:
            parts = policy._describe_conditions()
            policy.trigger_summary = (
                self.env._("Due when %(conditions)s.", conditions=self._join(parts))
                if parts
                else self.env._("Every record in the scope is due.")
            )

    def _describe_conditions(self):
        """Return the conditions in words, in the user's language."""
        parts = []
        if self.idle_number:
            period = self._format_period(self.idle_number, self.idle_unit)
            parts.append(
                self.env._("there was no sign of life for %(period)s", period=period)
            )
        if self.closed_status:
            parts.append(
                self.env._(
                    "closed (%(status)s) %(period)s ago",
                    status=self._get_label("closed_status"),
                    period=self._format_period(self.closed_number, self.closed_unit),
                )
            )
        if self.date_field_id:
            parts.append(
                self.env._(
                    "“%(field)s” is %(period)s ago",
                    field=self.date_field_id.field_description,
                    period=self._format_period(self.date_number, self.date_unit),
                )
            )
        if self.retention_reached:
            parts.append(self.env._("the retention is over"))
        if problems := self._get_problems():
            labels = [self._fields[p]._description_string(self.env) for p in problems]
            parts.append(self.env._("one of: %(problems)s", problems=", ".join(labels)))
        return parts

    def _join(self, parts):
        """Join parts of a sentence that all have to hold."""
        return self.env._(" and ").join(parts)

    def _get_label(self, name):
        """Return the label of a selection field's value, in the user's language."""
        return dict(self._fields[name]._description_selection(self.env))[self[name]]

    # ------------------------------------------------------------
    # CONSTRAINTS
    # ------------------------------------------------------------

    @api.onchange("model_id")
    def _onchange_model_id(self):
        if self.date_field_id.model_id != self.model_id:
            self.date_field_id = False
        if not self.has_closing:
            self.closed_status = False

    @api.constrains("date_field_id", "model_id", "user_id")
    def _check_date_field_id(self):
        for policy in self.filtered("date_field_id"):
            field = policy._get_model()._fields.get(policy.date_field_id.name)
            if (
                policy.date_field_id.model_id != policy.model_id
                or not field
                or not field.store
                or field.type not in ("date", "datetime")
            ):
                raise ValidationError(
                    self.env._(
                        "“%(field)s” is not a stored date of %(model)s. Choose "
                        "another date for the policy “%(policy)s”.",
                        field=policy.date_field_id.display_name,
                        model=policy.model_id.name,
                        policy=policy.name,
                    )
                )
            if not policy._get_model()._has_field_access(field, "read"):
                raise ValidationError(
                    self.env._(
                        "%(user)s, who is responsible for the policy “%(policy)s”, "
                        "may not read “%(field)s”.",
                        user=policy.user_id.name,
                        policy=policy.name,
                        field=policy.date_field_id.display_name,
                    )
                )

    @api.constrains("closed_status", "model_id")
    def _check_closed_status(self):
        for policy in self:
            if policy.closed_status and not policy.has_closing:
                raise ValidationError(
                    self.env._(
                        "%(model)s are never won or lost. Leave “Closed as” of the "
                        "policy “%(policy)s” empty.",
                        model=policy.model_id.name,
                        policy=policy.name,
                    )
                )

    @api.constrains("model_id", *DATA_PROBLEMS)
    def _check_data_problems(self):
        """Models of other modules need not have what these conditions look at."""
        for policy in self:
            known = policy._get_model()._fields
            for problem in policy._get_problems():
                if PROBLEM_FIELDS[problem] not in known:
                    raise ValidationError(
                        self.env._(
                            "“%(problem)s” cannot be found out about %(model)s. "
                            "Leave it empty in the policy “%(policy)s”.",
                            problem=policy._fields[problem]._description_string(
                                self.env
                            ),
                            model=policy.model_id.name,
                            policy=policy.name,
                        )
                    )

    # ------------------------------------------------------------
    # FINDING
    # ------------------------------------------------------------

    @api.model
    def _get_limit(self, number, unit):
        """Return the date-time (UTC) before which something is long enough ago.

        Counted from midnight, so that every batch and every run of one day finds
        the same records.
        """
        midnight = datetime.combine(fields.Date.today(), time.min)
        return midnight - relativedelta(**{unit: number})

    def _get_idle_date(self):
        """Return the date-time (UTC) since when a record has to be silent.

        :return: datetime, or False when silence does not matter
        """
        self.ensure_one()
        return bool(self.idle_number) and self._get_limit(
            self.idle_number, self.idle_unit
        )

    def _get_problems(self):
        """Return the names of the fields that switch a data problem on."""
        return [name for name in DATA_PROBLEMS if self[name]]

    def _get_duplicate_keys(self):
        """Return the fields by which this policy looks for duplicates."""
        return [key for name, key in DUPLICATE_PROBLEMS.items() if self[name]]

    def _get_conditions(self, among=None):
        """Return the conditions that are set; every one has to hold.

        :param among: ids that are asked about: makes the answer cheap
        :return: dict ``{name: domain}``
        """
        self.ensure_one()
        conditions = {}
        if idle_date := self._get_idle_date():
            conditions["idle"] = Domain("last_interaction_date", "<", idle_date)
        if self.closed_status:
            conditions["closed"] = self._get_closed_domain()
        if self.date_field_id:
            conditions["date"] = self._get_date_domain()
        if self.retention_reached:
            today = fields.Date.today()
            conditions["retention"] = Domain("retention_date", "<=", today)
        if problems := self._get_problems():
            conditions["problem"] = Domain.OR(
                self._get_problem_domain(problem, among) for problem in problems
            )
        return conditions

    def _get_closed_statuses(self):
        return (
            ["lost", "won"] if self.closed_status == "closed" else [self.closed_status]
        )

    def _get_closed_domain(self):
        model = self._get_model().sudo()
        limit = self._get_limit(self.closed_number, self.closed_unit)

        def is_old(alias):
            dates = [model._field_to_sql(alias, name) for name in CLOSED_DATES]
            return SQL("COALESCE(%s) < %s", SQL(", ").join(dates), limit)

        return Domain("won_status", "in", self._get_closed_statuses()) & as_domain(
            is_old
        )

    def _get_date_domain(self):
        """A date-time has to be past for the whole period, a date is it on its day."""
        limit = self._get_limit(self.date_number, self.date_unit)
        field = self.sudo().date_field_id
        if field.ttype == "date":
            return Domain(field.name, "<=", limit.date())
        return Domain(field.name, "<", limit)

    def _get_problem_domain(self, problem, among=None):
        """Return the domain of the records with one data problem.

        :param str problem: one of :data:`DATA_PROBLEMS`
        :param among: ids that are asked about
        """
        model = self._get_model()
        if problem in DUPLICATE_PROBLEMS:
            key = DUPLICATE_PROBLEMS[problem]
            return model._get_is_duplicate_domain(key, among)
        if problem == "find_bounced":
            return Domain("message_bounce", ">=", self.bounce_number)
        if problem == "find_blacklisted":
            return Domain("is_blacklisted", "=", True)
        return model._get_unreachable_domain()

    def _get_trigger_domain(self, among=None):
        """Return when a record within the scope is due.

        :param among: ids that are asked about; only those are answered correctly
        """
        return Domain.AND(self._get_conditions(among).values())

    # ------------------------------------------------------------
    # STEPS OF A RUN
    # ------------------------------------------------------------

    def _get_kept_duplicates(self, records):
        """Return for each of the records that is due as a duplicate: the one kept.

        :return: dict ``{id: id of the record that is kept}``
        """
        keys = self._get_duplicate_keys()
        return records._get_kept_duplicates(keys) if keys and records else {}

    def _after_propose(self, candidates):
        """Name which record is kept instead of a duplicate."""
        kept = self._get_kept_duplicates(candidates._get_records())
        for candidate in candidates:
            if kept_id := kept.get(candidate.res_id):
                candidate.duplicate_of_id = kept_id
        return super()._after_propose(candidates)

    def _before_archive(self, records):
        """Take a duplicate only while the record that is kept is held on to.

        It is left for the next run when somebody works on the other one, or when
        this batch is about to take that one for another reason.
        """
        records = super()._before_archive(records)
        kept = self._get_kept_duplicates(records)
        if not kept:
            return records
        held = records._lock_kept(set(kept.values())) - set(records.ids)
        records = records.filtered(lambda r: r.id not in kept or kept[r.id] in held)
        records._set_duplicate_of({r.id: kept[r.id] for r in records if r.id in kept})
        return records

    def _prepare_archive_details(self, records):
        details = super()._prepare_archive_details(records)
        if not self._get_duplicate_keys():
            return details
        records.fetch(["archive_duplicate_of_id"])
        if duplicates := records.filtered("archive_duplicate_of_id"):
            details["duplicate_of"] = {
                str(record.id): record.archive_duplicate_of_id.id
                for record in duplicates
            }
        return details
