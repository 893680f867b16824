from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools.misc import clean_context

#: Days that a request waits for its approval, as with a purge.
WAIT_DAYS = 14

MANAGER = "crm_archive_policy.group_archive_manager"

ACTIVITY = "crm_archive_policy.mail_activity_type_approval"


class CrmArchiveApproval(models.Model):
    """An act that one person asks for and another one approves.

    Nobody writes these rows directly: whoever may do the act asks by its dialog, a
    second archive manager approves or refuses by the methods here, which look at who
    is asking. Which acts there are, and what they do, is in
    ``crm_archive_approval_acts``.
    """

    _name = "crm.archive.approval"
    _description = "Approval by a Second Person"
    # Activities notify by the thread; the form shows no chatter.
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    kind = fields.Selection(
        [
            ("lift", "Lift a legal hold"),
            ("retention", "Shorten retention"),
            ("restore", "Restore many records"),
        ],
        "Act",
        required=True,
        readonly=True,
    )
    state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("granted", "Approved and done"),
            ("refused", "Refused"),
            ("withdrawn", "Withdrawn"),
            ("expired", "Expired"),
        ],
        required=True,
        readonly=True,
        index=True,
    )
    reason = fields.Text(
        required=True, readonly=True, help="It stays: name no person here."
    )
    company_id = fields.Many2one("res.company", readonly=True)
    # who and when
    user_id = fields.Many2one("res.users", "Asked by", required=True, readonly=True)
    ask_date = fields.Datetime("Asked on", required=True, readonly=True)
    expire_date = fields.Datetime(
        "Expires on",
        required=True,
        readonly=True,
        help="Without an approval until then the request is void.",
    )
    decide_user_id = fields.Many2one("res.users", "Decided by", readonly=True)
    decide_date = fields.Datetime("Decided on", readonly=True)
    decide_reason = fields.Text("Decided because", readonly=True)
    outcome = fields.Text(
        readonly=True, help="Why an approval was in vain, as far as it was."
    )
    is_asker = fields.Boolean(compute="_compute_may")
    may_decide = fields.Boolean(compute="_compute_may")
    # what
    summary = fields.Text("What Happens", compute="_compute_summary")
    res_model = fields.Char("Model", required=True, readonly=True)
    res_ids = fields.Json("Records", required=True, readonly=True, prefetch=False)
    res_count = fields.Integer("Count", readonly=True)
    params = fields.Json("How", readonly=True)
    fingerprint = fields.Char(
        readonly=True, help="Of what is concerned, as it was when it was asked for."
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("kind")
    @api.depends_context("lang")
    def _compute_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for approval in self:
            approval.name = f"{labels.get(approval.kind, '')} · {approval.id or ''}"

    @api.depends("name")
    def _compute_display_name(self):
        for approval in self:
            approval.display_name = approval.name

    @api.depends_context("uid")
    @api.depends("user_id", "state")
    def _compute_may(self):
        is_manager = self.env.user.has_group(MANAGER)
        for approval in self:
            approval.is_asker = approval.user_id == self.env.user
            approval.may_decide = (
                is_manager and not approval.is_asker and approval.state == "waiting"
            )

    @api.depends("kind", "res_model", "res_count", "params")
    @api.depends_context("uid", "lang", "allowed_company_ids")
    def _compute_summary(self):
        for approval in self:
            approval.summary = approval._get_act("describe")()

    # ------------------------------------------------------------
    # ASKING
    # ------------------------------------------------------------

    @api.model
    def _get_granters(self, company):
        """Return who else could approve what the user asks for.

        Technical look-up: names and rights of the other managers are needed, which
        the user need not see.

        :param company: of what is concerned; the user's own when there is none
        """
        group = self.env.ref(MANAGER).sudo()
        others = group.all_user_ids - self.env.ref("base.user_root") - self.env.user
        company = company or self.env.company
        return others.filtered(
            lambda user: (
                user.active and not user.share and company in user.sudo().company_ids
            )
        )

    @api.model
    def _ask(self, kind, reason, records, company=None, params=None):
        """Write a request down, and tell those who may approve it.

        The caller has checked that the user may do the act himself. Nothing is taken
        from defaults in the context, which a client may forge.

        :param str kind: a value of ``kind``
        :param str reason: why
        :param records: what is concerned
        :param company: of what is concerned
        :param dict params: JSON values that say how
        :return: the request
        :raise UserError: without a reason, or when the same is waiting already
        """
        if not (reason or "").strip():
            raise UserError(self.env._("Say why: a second person decides about it."))
        now = self.env.cr.now()
        approval = self.with_env(
            self.env(su=True, context=clean_context(self.env.context))
        )._create_request(
            {
                "kind": kind,
                "state": "waiting",
                "reason": reason.strip(),
                "company_id": (company or self.env.company).id,
                "user_id": self.env.uid,
                "ask_date": now,
                "expire_date": now + timedelta(days=WAIT_DAYS),
                "res_model": records._name,
                "res_ids": records.ids,
                "res_count": len(records),
                "params": {
                    **(params or {}),
                    "companies": self.env.companies.ids,
                },
            }
        )
        details = {"kind": kind, "records": len(records), "reason": approval.reason}
        approval._log("ask", details)
        approval._tell_granters()
        return approval.sudo(self.env.su)

    def _create_request(self, values):
        """Create a request; the context was cleaned, see :meth:`_ask`.

        :param dict values: of all its fields
        :raise UserError: when the same is waiting already
        """
        approval = self.create(values)
        approval.fingerprint = approval._get_fingerprint()
        same = self.search_count(
            [
                ("id", "!=", approval.id),
                ("state", "=", "waiting"),
                ("kind", "=", approval.kind),
                ("fingerprint", "=", approval.fingerprint),
            ],
            limit=1,
        )
        if same:
            raise UserError(
                self.env._(
                    "This has been asked for already and waits for an approval, see "
                    "Archive → Review → Approvals."
                )
            )
        return approval

    def _tell_granters(self):
        """Put the request on the list of what each of the other managers has to do."""
        for manager in self._get_granters(self.company_id):
            speaking = self.with_context(lang=manager.lang)
            speaking.activity_schedule(
                ACTIVITY,
                date_deadline=self.expire_date.date(),
                user_id=manager.id,
                summary=speaking.env._("Approve or refuse: %(name)s", name=self.name),
            )

    def _tell_asker(self):
        """Tell who has asked what came of it."""
        states = dict(self._fields["state"]._description_selection(self.env))
        self.env["mail.thread"].message_notify(
            model=self._name,
            res_id=self.id,
            partner_ids=self.sudo().user_id.partner_id.ids,
            subject=f"{self.name}: {states[self.state]}",
            body=self.outcome or self.decide_reason or states[self.state],
        )

    def _log(self, action, details=None):
        """Append the audit line about the request itself."""
        self.env["crm.archive.log"]._append(action, self, details)

    # ------------------------------------------------------------
    # DECIDING
    # ------------------------------------------------------------

    def _check_may_decide(self, reason):
        """Refuse whoever has asked, and what is not waiting any more.

        :param str reason: why it is approved or refused
        :raise AccessError: for who has asked, and for other people than managers
        :raise UserError: without a reason, or when it is not waiting any more
        """
        self.ensure_one()
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only archive managers decide about this."))
        self.check_access("read")
        self.sudo().lock_for_update(allow_referencing=True)
        self.invalidate_recordset()
        if self.user_id.id == self.env.uid:
            raise AccessError(
                self.env._(
                    "You have asked for this yourself. Another archive manager has to "
                    "approve or refuse it."
                )
            )
        if self.state != "waiting":
            raise UserError(self.env._("This request has been decided already."))
        if self.expire_date < self.env.cr.now():
            raise UserError(
                self.env._("This request has expired. Somebody has to ask again.")
            )
        if not (reason or "").strip():
            raise UserError(self.env._("Say why you approve or refuse it."))

    def _grant(self, reason):
        """Approve the request of somebody else, and do exactly what was asked for.

        What has changed since it was asked for is refused instead, and nothing done.

        :param str reason: why
        :return: whether it was done
        :raise AccessError: for who has asked
        :raise UserError: when the act itself is refused; the request goes on waiting
        """
        self._check_may_decide(reason)
        if change := self._find_change():
            self._decide("refused", reason, outcome=change)
            self._log("refuse", {"kind": self.kind, "changed": True})
            self._tell_asker()
            return False
        self._decide("granted", reason)
        self._log("grant", {"kind": self.kind, "reason": self.decide_reason})
        # Approved: from here on it is the asker who acts, with his own rights.
        self._get_act("do", self.sudo()._as_asker())()
        self._tell_asker()
        return True

    def _refuse(self, reason):
        """Refuse the request of somebody else.

        :param str reason: why
        :raise AccessError: for who has asked
        """
        self._check_may_decide(reason)
        self._decide("refused", reason)
        self._log("refuse", {"kind": self.kind, "reason": self.decide_reason})
        self._tell_asker()

    def _decide(self, state, reason, outcome=False):
        """Write the decision down; the caller has checked who decides."""
        self.sudo().write(
            {
                "state": state,
                "decide_user_id": self.env.uid,
                "decide_date": self.env.cr.now(),
                "decide_reason": reason.strip(),
                "outcome": outcome,
            }
        )
        self.sudo().activity_unlink([ACTIVITY])

    def _as_asker(self):
        """Return the request with the rights and companies of who has asked."""
        self.ensure_one()
        return self.with_user(self.user_id).with_context(
            allowed_company_ids=self.params["companies"], active_test=False
        )

    def action_withdraw(self):
        """Withdraw one's own request; other managers refuse it.

        :raise AccessError: for other people than the one who has asked
        :raise UserError: when it is not waiting any more
        """
        self.ensure_one()
        self.check_access("read")
        if self.user_id.id != self.env.uid:
            raise AccessError(
                self.env._("Only who has asked withdraws a request. Refuse it instead.")
            )
        self.sudo().lock_for_update(allow_referencing=True)
        self.invalidate_recordset()
        if self.state != "waiting":
            raise UserError(self.env._("This request has been decided already."))
        self.sudo().state = "withdrawn"
        self.sudo().activity_unlink([ACTIVITY])
        self._log("write", {"state": ["waiting", "withdrawn"]})
        return True

    @api.model
    def _cron_expire(self):
        """Void what nobody has approved in time."""
        late = self.search(
            [("state", "=", "waiting"), ("expire_date", "<", self.env.cr.now())]
        )
        for approval in late:
            approval.state = "expired"
            approval.activity_unlink([ACTIVITY])
            approval._log("expire", {"kind": approval.kind})
            approval._tell_asker()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_decide(self):
        """Open the dialog in which a second person approves or refuses.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Approve or Refuse"),
            "res_model": "crm.archive.approval.decide",
            "view_mode": "form",
            "target": "new",
            "context": {"default_approval_id": self.id},
        }

    def action_view_records(self):
        """List what is concerned, as far as the user may see it.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        action = {
            "type": "ir.actions.act_window",
            "name": self.name,
            "res_model": self.res_model,
            "context": {"active_test": False},
        }
        if self.res_count == 1:
            return {**action, "view_mode": "form", "res_id": self.res_ids[0]}
        return {
            **action,
            "view_mode": "list,form",
            "domain": [("id", "in", self.res_ids)],
        }

    def _get_action(self):
        """Return the action that shows this request."""
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_approval_action"
            ),
            "view_mode": "form",
            "views": [(False, "form")],
            "res_id": self.id,
        }
