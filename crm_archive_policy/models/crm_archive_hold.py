from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from .query_tools import DOMAIN_ERRORS, parse_domain

#: A button deals with so many records itself; the scheduled action with the others.
INLINE_MAX = 20_000

#: Fields that list records by hand, by model.
LIST_FIELDS = {
    "res.partner": "partner_ids",
    "crm.lead": "lead_ids",
    "crm.archive.entry": "entry_ids",
}

#: What makes up a hold. Nothing of it changes once the hold is lifted.
DATA_FIELDS = {
    "name",
    "reference",
    "reason",
    "kind",
    "res_model",
    "domain",
    "partner_ids",
    "lead_ids",
    "entry_ids",
    "company_id",
    "user_id",
    "date_end",
}

#: Which records a hold covers; fixed when it starts.
SCOPE_FIELDS = {"kind", "res_model", "domain", "company_id"}

#: Set by starting and lifting, never by hand.
STATE_FIELDS = {
    "state",
    "date_start",
    "start_user_id",
    "lift_date",
    "lift_user_id",
    "lift_reason",
    "is_end_notified",
    "is_releasing",
    "error",
}


class CrmArchiveHold(models.Model):
    """A legal hold: what it covers is neither archived, nor deleted, nor merged.

    It goes from draft to active to lifted, and never back. Which records it covers
    is written down in ``crm.archive.hold.record``; ``archive_on_hold`` on the
    record says that at least one active hold covers it.
    """

    _name = "crm.archive.hold"
    _description = "Legal Hold"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"

    name = fields.Char("Matter", required=True, tracking=True)
    reference = fields.Char(
        tracking=True, help="Number of the case, order or investigation."
    )
    reason = fields.Text(required=True, tracking=True)
    user_id = fields.Many2one(
        "res.users",
        "Owner",
        required=True,
        default=lambda self: self.env.user,
        domain="[('share', '=', False)]",
        tracking=True,
        help="Answers for the hold, and is reminded at its planned end.",
    )
    company_id = fields.Many2one(
        "res.company",
        default=lambda self: self.env.company,
        tracking=True,
        help="A domain finds records of this company and shared ones; empty: those "
        "of every company that who starts the hold has access to.",
    )
    state = fields.Selection(
        [("draft", "Draft"), ("active", "In force"), ("lifted", "Lifted")],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        index=True,
        tracking=True,
    )
    # scope
    kind = fields.Selection(
        [("list", "Chosen records"), ("domain", "All that match")],
        "Covers",
        default="list",
        required=True,
        help="What comes to match later is held from then on.",
    )
    partner_ids = fields.Many2many(
        "res.partner",
        "crm_archive_hold_res_partner_rel",
        string="Contacts",
        context={"active_test": False},
        copy=False,
    )
    lead_ids = fields.Many2many(
        "crm.lead",
        "crm_archive_hold_crm_lead_rel",
        string="Leads",
        context={"active_test": False},
        copy=False,
    )
    res_model = fields.Selection(
        selection="_selection_res_model", string="Model", default="res.partner"
    )
    domain = fields.Char("Records", default="[]", tracking=True)
    record_count = fields.Integer("Held Records", compute="_compute_record_count")
    # course
    date_start = fields.Datetime("In force since", readonly=True, copy=False)
    start_user_id = fields.Many2one(
        "res.users", "Started by", readonly=True, copy=False
    )
    date_end = fields.Date(
        "Planned End",
        copy=False,
        tracking=True,
        help="The owner is reminded on that day. A hold never ends by itself.",
    )
    is_end_notified = fields.Boolean(readonly=True, copy=False)
    lift_date = fields.Datetime("Lifted on", readonly=True, copy=False)
    lift_user_id = fields.Many2one("res.users", "Lifted by", readonly=True, copy=False)
    lift_reason = fields.Text("Lifted because", readonly=True, copy=False)
    is_releasing = fields.Boolean(
        readonly=True,
        copy=False,
        help="Lifted, and some of its records are still to be released.",
    )
    error = fields.Text(
        "Failure",
        readonly=True,
        copy=False,
        help="Why new records cannot be found. Those already held stay held.",
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.model
    def _selection_res_model(self):
        return [
            (name, self.env["ir.model"]._get(name).name)
            for name in self.env["crm.archive.policy"]._get_lifecycle_models()
        ]

    def _compute_record_count(self):
        counts = dict(
            self.env["crm.archive.hold.record"]._read_group(
                [("hold_id", "in", self.ids)], ["hold_id"], ["__count"]
            )
        )
        for hold in self:
            hold.record_count = counts.get(hold, 0)

    @api.constrains("kind", "domain", "res_model")
    def _check_domain(self):
        for hold in self.filtered(lambda hold: hold.kind == "domain"):
            try:
                hold._get_domain().validate(self.env[hold.res_model])
            except DOMAIN_ERRORS as error:
                raise ValidationError(
                    self.env._(
                        "The records of the hold “%(name)s” cannot be found with "
                        "%(domain)s: %(error)s. Correct it with the domain editor.",
                        name=hold.name,
                        domain=(hold.domain or "")[:200],
                        error=str(error)[:500],
                    )
                ) from error

    def _get_domain(self):
        """Return the domain parsed; nothing in it is ever executed.

        :raise ValueError: when it is not a list of literals, or far too long
        """
        self.ensure_one()
        return parse_domain(self.env, self.domain)

    # ------------------------------------------------------------
    # ORM
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        defaults = {
            name: self.env.context[f"default_{name}"]
            for name in STATE_FIELDS
            if f"default_{name}" in self.env.context
        }
        for vals in [defaults, *vals_list]:
            self._check_state_fields(
                name
                for name in STATE_FIELDS & vals.keys()
                if vals[name] and (name, vals[name]) != ("state", "draft")
            )
        return super().create(vals_list)

    def write(self, vals):
        """A hold in force only grows, a lifted one stays what it was."""
        self._check_state_fields(STATE_FIELDS & vals.keys())
        active = self.filtered(lambda hold: hold.state == "active")
        if DATA_FIELDS & vals.keys() and any(hold.state == "lifted" for hold in self):
            raise UserError(
                self.env._("A lifted hold stays as it is. Start a new one instead.")
            )
        if active and SCOPE_FIELDS & vals.keys():
            raise UserError(
                self.env._(
                    "What a hold covers is fixed once it is in force. Start a new "
                    "hold, then lift this one."
                )
            )
        listed = {hold: hold._get_listed() for hold in active}
        result = super().write(vals)
        if "date_end" in vals:
            self._write_state({"is_end_notified": False})
        for hold, before in listed.items():
            if vals.keys() & set(LIST_FIELDS.values()):
                hold._take_added(before)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_started(self):
        if any(hold.state != "draft" for hold in self):
            raise UserError(
                self.env._(
                    "A hold that has been in force is never deleted: it says what was "
                    "held, and why. Lift it instead."
                )
            )

    def _check_state_fields(self, names):
        names = sorted(names)
        if names:
            raise AccessError(
                self.env._(
                    "“%(field)s” follows from starting and lifting the hold. Use the "
                    "buttons instead.",
                    field=self._fields[names[0]]._description_string(self.env),
                )
            )

    def _write_state(self, vals):
        """Write what :meth:`write` refuses; the caller has checked the rights."""
        return super().write(vals)

    @api.model
    def _get_list_field(self, model_name):
        """Return the name of the field that lists records of a model.

        :return: ``None`` for other modules' models, which are held by a domain
        """
        return LIST_FIELDS.get(model_name)

    def _get_listed(self):
        """Return the records listed by hand, as ``{model name: records}``."""
        self.ensure_one()
        return {
            model_name: self.sudo()[name].with_context(active_test=False)
            for model_name, name in LIST_FIELDS.items()
        }

    def _take_added(self, before):
        """Hold what was added to the list of an active hold.

        :param before: the records listed until now, ``{model name: records}``
        :raise UserError: when a record was taken off the list
        """
        for model_name, records in self._get_listed().items():
            if before[model_name] - records:
                raise UserError(
                    self.env._(
                        "A record leaves a hold only when the hold is lifted. Lift "
                        "it with a reason, and start a new one for what remains."
                    )
                )
            (records - before[model_name]).with_env(self.env).check_access("read")
        self._take()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def _check_may_decide(self):
        """Only managers start and lift holds.

        :raise AccessError: for anybody else
        """
        if not self.env.user.has_group("crm_archive_policy.group_archive_manager"):
            raise AccessError(
                self.env._("Only archive managers start and lift legal holds.")
            )
        self.check_access("write")

    def action_start(self):
        """Put the hold in force: from now on nothing takes its records away.

        A domain may match a million records. Those that are left to the scheduled
        action are covered already: see :meth:`_find_covered`.
        """
        self._check_may_decide()
        for hold in self:
            hold._check_startable()
            hold._write_state(
                {
                    "state": "active",
                    "date_start": self.env.cr.now(),
                    "start_user_id": self.env.uid,
                }
            )
            hold._log("hold", {"reference": hold.reference or None})
            if hold._take(INLINE_MAX) >= INLINE_MAX:
                hold._trigger_cron()
        return True

    def _check_startable(self):
        if self.state != "draft":
            raise UserError(
                self.env._(
                    "“%(name)s” has been started before. A hold is started once.",
                    name=self.name,
                )
            )
        listed = self._get_listed().values()
        if self.kind == "list" and not any(listed):
            raise UserError(
                self.env._(
                    "“%(name)s” covers nothing yet. Add contacts or leads first.",
                    name=self.name,
                )
            )
        for records in listed:
            records.with_env(self.env).check_access("read")

    def action_lift(self):
        """Open the dialog that lifts the hold.

        :return: window action
        """
        self.ensure_one()
        self._check_may_decide()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Lift the Hold"),
            "res_model": "crm.archive.hold.lift",
            "view_mode": "form",
            "target": "new",
            "context": {"default_hold_id": self.id},
        }

    def _check_liftable(self, reason):
        """Refuse what would not lift the hold.

        :param str reason: why
        :raise AccessError: for other people than managers
        :raise UserError: without a reason, or when the hold is not in force
        """
        self.ensure_one()
        self._check_may_decide()
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the hold is lifted."))
        if self.state != "active":
            raise UserError(self.env._("“%(name)s” is not in force.", name=self.name))

    def _lift(self, reason, details=None):
        """End the hold for good; what no other hold covers is free again.

        Whether a second person has to approve it is asked by whoever calls.

        :param str reason: why
        :param dict details: JSON values for the audit line
        :raise UserError: without a reason, or when the hold is not in force
        """
        self._check_liftable(reason)
        self._serialise()
        self._write_state(
            {
                "state": "lifted",
                "lift_date": self.env.cr.now(),
                "lift_user_id": self.env.uid,
                "lift_reason": reason.strip(),
                "is_releasing": True,
            }
        )
        self.activity_unlink(["mail.mail_activity_data_todo"])
        self._log("lift", details)
        if self._release(INLINE_MAX) >= INLINE_MAX:
            self._trigger_cron()

    def _trigger_cron(self):
        """Have the scheduled action go on at once; the rights are checked."""
        self.env.ref("crm_archive_policy.ir_cron_refresh_holds").sudo()._trigger()

    def action_view_records(self):
        """List what the hold covers, or covered.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_hold_record_action"
            ),
            "domain": [("hold_id", "=", self.id)],
        }
