from array import array

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from .query_tools import DOMAIN_ERRORS, as_domain, id_array, identifier_id, parse_domain

#: The models this add-on gives a lifecycle itself; other modules' join by inheriting
#: the mixin.
LIFECYCLE_MODELS = ("res.partner", "crm.lead")


class CrmArchivePolicy(models.Model):
    """The written rule: what is archived, when, how, and for how long."""

    _name = "crm.archive.policy"
    _description = "Archive Policy"
    _inherit = ["mail.thread", "mail.activity.mixin", "crm.archive.audit"]
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True, tracking=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one(
        "res.company",
        tracking=True,
        help="Only records of this company; empty: records of every company and "
        "those shared between companies.",
    )
    user_id = fields.Many2one(
        "res.users",
        "Responsible",
        required=True,
        default=lambda self: self.env.user,
        domain="[('share', '=', False)]",
        tracking=True,
        help="The policy finds what this person may see, and reports to them.",
    )
    # scope
    model_id = fields.Many2one(
        "ir.model",
        "Applies to",
        required=True,
        ondelete="cascade",
        domain=lambda self: [("model", "in", self._get_lifecycle_models())],
        tracking=True,
    )
    model_name = fields.Char(related="model_id.model", store=True)
    domain = fields.Char(
        "Records", default="[]", tracking=True, help="Which records it is about."
    )
    # timetable
    mode = fields.Selection(
        [("review", "Ask before archiving"), ("automatic", "Archive by itself")],
        default="review",
        required=True,
        tracking=True,
    )
    grace_days = fields.Integer(
        "Grace Period",
        tracking=True,
        help="Days between being named and being archived, in which anybody can "
        "keep the record and any sign of life cancels it.",
    )
    run_limit = fields.Integer(
        "At Most a Run",
        tracking=True,
        help="How many due records one run looks at; the rest waits for the next. "
        "0: all of them.",
    )
    # what happens to the records
    restrict_access = fields.Boolean(
        "Restrict Visibility",
        tracking=True,
        help="Archived records are visible to the archive groups only.",
    )
    reason_id = fields.Many2one(
        "crm.archive.reason", ondelete="restrict", tracking=True
    )
    tag_ids = fields.Many2many("crm.archive.tag")
    category_id = fields.Many2one(
        "crm.archive.category",
        "Retention Category",
        ondelete="restrict",
        tracking=True,
        help="Sets how long archived records are kept.",
    )
    # results
    run_ids = fields.One2many("crm.archive.run", "policy_id")
    candidate_ids = fields.One2many("crm.archive.candidate", "policy_id")
    last_run_date = fields.Datetime("Last Run", compute="_compute_last_run_date")
    archived_count = fields.Integer(
        compute="_compute_counts", help="Records this policy has archived."
    )
    pending_count = fields.Integer(
        compute="_compute_counts", help="Records waiting for review or grace."
    )

    _check_grace_days = models.Constraint(
        "CHECK(grace_days >= 0)", "The grace period cannot be negative."
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("run_ids.date_start")
    def _compute_last_run_date(self):
        dates = dict(
            self.env["crm.archive.run"]._read_group(
                [("policy_id", "in", self.ids)], ["policy_id"], ["date_start:max"]
            )
        )
        for policy in self:
            policy.last_run_date = dates.get(policy)

    @api.depends("candidate_ids.verdict", "model_name")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_counts(self):
        archived = self._count_archived()
        pending = {
            policy.id: count
            for policy, count in self.env["crm.archive.candidate"]._read_group(
                [
                    ("policy_id", "in", self.ids),
                    ("verdict", "in", ("pending", "approved")),
                ],
                ["policy_id"],
                ["__count"],
            )
        }
        for policy in self:
            policy.archived_count = archived.get(policy.id, 0)
            policy.pending_count = pending.get(policy.id, 0)

    def _count_archived(self):
        """Return how many records each policy has archived.

        The archive groups see figures over everything a policy took in their
        companies, as an auditor has no sales rights; others see those of the records
        they may read.

        :return: dict ``{policy id: number}``
        """
        counts = {}
        may_all = self.env.user.has_group("crm_archive_policy.group_archive_user")
        for name in set(self.mapped("model_name")) & set(self._get_lifecycle_models()):
            model = self.env[name].with_context(active_test=False)
            model = model.sudo() if may_all else model
            if not model.has_access("read"):
                continue
            groups = model._read_group(
                self._get_archived_domain(),
                ["archive_policy_id"],
                ["__count"],
            )
            counts.update({policy.id: count for policy, count in groups})
        return counts

    def _get_archived_domain(self):
        """Return what these policies have archived, in the user's companies."""
        companies = [False, *self.env.companies.ids]
        return (
            Domain("archive_policy_id", "in", self.ids)
            & Domain("archive_state", "=", "archived")
            & Domain("company_id", "in", companies)
        )

    # ------------------------------------------------------------
    # CONSTRAINTS
    # ------------------------------------------------------------

    @api.constrains("model_id")
    def _check_model_id(self):
        for policy in self:
            if policy.model_name not in self._get_lifecycle_models():
                raise ValidationError(
                    self.env._(
                        "“%(model)s” has no archive lifecycle. Choose one of: "
                        "%(models)s.",
                        model=policy.model_id.name,
                        models=", ".join(
                            self.env["ir.model"]._get(name).name
                            for name in self._get_lifecycle_models()
                        ),
                    )
                )

    @api.constrains("restrict_access")
    def _check_restrict_access(self):
        """What the policy is going to hide, the record rules hide from now on."""
        if any(policy.restrict_access for policy in self):
            self.env["ir.rule"]._enforce_archive_restriction()

    @api.constrains("domain", "model_id")
    def _check_domain(self):
        for policy in self:
            try:
                domain = policy._get_domain()
                domain.validate(policy._get_model())
            except DOMAIN_ERRORS as error:
                raise ValidationError(
                    self.env._(
                        "The records of the policy “%(name)s” cannot be found with "
                        "%(domain)s: %(error)s. Correct it with the domain editor.",
                        name=policy.name,
                        domain=(policy.domain or "")[:200],
                        error=str(error)[:500],
                    )
                ) from error

    def _get_domain(self):
        """Return the scope as a parsed domain; nothing in it is ever executed.

        :raise ValueError: when it is not a list of literals, or far too long
        """
        self.ensure_one()
        return parse_domain(self.env, self.domain)

    # ------------------------------------------------------------
    # FINDING
    # ------------------------------------------------------------

    @api.model
    def _get_lifecycle_models(self):
        """Return the names of the models that policies may be written for.

        Whatever inherits the mixin has joined: this add-on's own models first.
        """
        registry = self.env.registry
        joined = (
            name
            for name in registry.descendants(["crm.archive.mixin"], "_inherit")
            if not registry[name]._abstract and name not in LIFECYCLE_MODELS
        )
        return [*LIFECYCLE_MODELS, *sorted(joined)]

    def _get_model(self):
        """Return the model, as the responsible sees it in the policy's company.

        Record rules apply: a policy never reaches further than the person who
        answers for it. Inactive records are included, because a lost lead is one.
        """
        self.ensure_one()
        user = self.user_id
        companies = self.company_id or user.company_ids
        return (
            self.env[self.model_name]
            .with_user(user)
            .with_context(active_test=False, allowed_company_ids=companies.ids)
        )

    def _get_scope_domain(self):
        """Return which records the policy is about, whatever their age."""
        self.ensure_one()
        domain = self._get_domain()
        if self.company_id:
            domain &= Domain("company_id", "=", self.company_id.id)
        return domain

    def _get_trigger_domain(self, among=None):
        """Return when a record within the scope is due.

        :param among: ids that are asked about; only those are answered correctly
        """
        return Domain.TRUE

    def _get_due_domain(self, among=None):
        """Return the domain of the records that the policy would take today.

        :param among: ids that are asked about; only those are answered correctly
        """
        self.ensure_one()
        self._check_responsible()
        return (
            Domain("archive_state", "=", "live")
            & self._get_scope_domain()
            & self._get_trigger_domain(among)
            & as_domain(self._get_not_kept_condition())
        )

    def _get_not_kept_condition(self):
        """Return the SQL condition of records that nobody chose to keep.

        A keep lasts until its date; without a date until the next sign of life,
        from which the policy counts anew.
        """
        policy_id = self.id
        model = self.env[self.model_name]

        def is_not_kept(alias):
            return SQL(
                """NOT EXISTS (
                    SELECT 1 FROM crm_archive_candidate kept
                     WHERE kept.policy_id = %s
                       AND kept.res_id = %s
                       AND kept.verdict = 'kept'
                       AND (kept.keep_until > %s
                            OR (kept.keep_until IS NULL AND NOT %s))
                )""",
                policy_id,
                SQL.identifier(alias, "id"),
                fields.Date.today(),
                model._get_sign_after(alias, SQL("kept.decision_date")),
            )

        return is_not_kept

    def _find_ids(self, after_id=0, limit=None):
        """Find everything that is due in one query, cheap to hold: 4 bytes a record.

        A plan for the whole table beats one for every batch by far. What was found
        is asked again, batch by batch, when its turn comes (:meth:`_filter_due`).

        :param int after_id: only records with a higher id
        :param int limit: at most so many
        :return: ids in ascending order
        :rtype: array.array
        """
        domain = self._get_due_domain() & Domain("id", ">", after_id)
        query = self._get_model()._search(domain, order="id", limit=limit)
        [[ids]] = self.env.execute_query(
            SQL(
                "SELECT array_agg(due.id ORDER BY due.id) FROM (%s) due", query.select()
            )
        )
        return array("i", ids or ())

    def _find(self, limit=None):
        """Return the records that are due, in the order of their ids.

        :param int limit: at most so many
        """
        return self._get_model().browse(self._find_ids(limit=limit))

    def _filter_due(self, ids):
        """Return those of the records that are still due now.

        With what archiving is going to read of them: one query less.

        :param ids: ids of a batch
        """
        model = self._get_model()
        domain = as_domain(
            lambda alias: SQL("%s = ANY(%s)", identifier_id(alias), id_array(ids))
        ) & self._get_due_domain(ids)
        names = [
            name
            for name in model._get_archive_read_fields()
            if model._has_field_access(model._fields[name], "read")
        ]
        return model.search_fetch(domain, names, order="id")

    def _get_guards(self, model_name=None):
        """Return the guards that protect records from this policy.

        :param str model_name: other than the policy's own, for what goes along
        """
        self.ensure_one()
        return self.env["crm.archive.guard"]._get_awake(model_name or self.model_name)

    def _prepare_archive_values(self):
        """Return what the policy sets on a record that it archives."""
        self.ensure_one()
        values = {
            "archive_policy_id": self.id,
            "archive_reason_id": self.reason_id.id,
            "archive_restricted": self.restrict_access,
        }
        if self.tag_ids:
            values["archive_tag_ids"] = [(4, tag.id) for tag in self.tag_ids]
        if self.category_id:
            values["archive_category_id"] = self.category_id.id
        return values

    # ------------------------------------------------------------
    # STEPS OF A RUN, for the parts of a policy to hook into
    # ------------------------------------------------------------

    def _select_to_review(self, records):
        """Return those of the due records that a person has to decide on."""
        self.ensure_one()
        return records if self.mode == "review" else records.browse()

    def _select_to_propose(self, records):
        """Return those of the due records that wait: for review, or for grace."""
        self.ensure_one()
        return records if self.grace_days else self._select_to_review(records)

    def _after_propose(self, candidates):
        """Called once a batch, after records were named as candidates."""
        self.ensure_one()

    def _before_archive(self, records):
        """Called once a batch: return those of the records that may be archived."""
        self.ensure_one()
        return records

    def _prepare_archive_details(self, records):
        """Return what the audit line of a batch says, beside the records."""
        self.ensure_one()
        return {"policy": self.id}

    def _after_archive(self, records):
        """Called once a batch, after the policy has archived records."""
        self.ensure_one()

    # ------------------------------------------------------------
    # RUNNING
    # ------------------------------------------------------------

    @api.model
    def _cron_run(self):
        """Run every policy in batches, each committed with its progress."""
        self.env["crm.archive.run"]._run_all()

    def action_run(self):
        """Run the policies now, in this transaction.

        More than a few thousand records are handed to the scheduled action, which
        commits as it goes and can be watched and cancelled.

        :return: action that shows the runs
        """
        self._check_may_run()
        runs = self.env["crm.archive.run"]
        for policy in self:
            runs += self.env["crm.archive.run"]._start(policy)
        return runs._get_action()

    def _check_may_run(self):
        self.check_access("write")
        inactive = self.filtered(lambda policy: not policy.active)
        if inactive:
            raise UserError(
                self.env._(
                    "“%(name)s” is switched off. Switch it on before running it.",
                    name=inactive[0].name,
                )
            )

    def action_preview(self):
        """Show what the policy would do today. Nothing is changed.

        :return: window action of the preview
        """
        self.ensure_one()
        self.check_access("read")
        return self.env["crm.archive.preview"]._create_for(self)._get_action()

    def action_view_archived(self):
        """Show the records that this policy has archived.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return self._get_records_action(
            self.env._("Archived by %(policy)s", policy=self.name),
            [
                ("archive_policy_id", "=", self.id),
                ("archive_state", "=", "archived"),
            ],
        )

    def action_view_candidates(self):
        """Show the records that wait for review or for the end of grace.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_candidate_action"
            ),
            "domain": [("policy_id", "=", self.id)],
        }

    def action_view_runs(self):
        """Show the runs of this policy.

        :return: window action
        """
        return self.run_ids._get_action()

    def _get_records_action(self, name, domain):
        """Return the action that lists records of the policy's model."""
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": self.model_name,
            "view_mode": "list,form",
            "domain": domain,
            "context": {"active_test": False, "create": False},
        }
