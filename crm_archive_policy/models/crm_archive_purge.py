from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools.misc import clean_context

#: Days that a request waits for its approval.
WAIT_DAYS = 14

#: Who may know what was asked for: asking and approving is up to managers.
PURGE_GROUPS = (
    "crm_archive_policy.group_archive_manager,crm_archive_policy.group_archive_auditor"
)


class CrmArchivePurge(models.Model):
    """A request to destroy personal data for good, which a second person approves.

    Nobody writes these rows directly: managers ask, approve, reject and cancel by the
    methods here, which look at who is asking. What is carried out, and how, is in
    ``crm_archive_purge_work``.
    """

    _name = "crm.archive.purge"
    _description = "Purge Request"
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    kind = fields.Selection(
        [("retention", "End of retention"), ("erasure", "Erasure of one person")],
        required=True,
        readonly=True,
        default="retention",
    )
    state = fields.Selection(
        [
            ("asked", "Waiting for approval"),
            ("approved", "Approved"),
            ("done", "Done"),
            ("rejected", "Rejected"),
            ("cancelled", "Withdrawn"),
            ("expired", "Expired"),
        ],
        required=True,
        readonly=True,
        default="asked",
        index=True,
    )
    reason = fields.Text(
        required=True, readonly=True, help="It stays: name no person here."
    )
    company_id = fields.Many2one(
        "res.company", readonly=True, default=lambda self: self.env.company
    )
    # who and when
    user_id = fields.Many2one(
        "res.users",
        "Asked by",
        required=True,
        readonly=True,
        default=lambda self: self.env.user,
    )
    ask_date = fields.Datetime(
        "Asked on", required=True, readonly=True, default=lambda self: self.env.cr.now()
    )
    expire_date = fields.Datetime(
        "Expires on",
        required=True,
        readonly=True,
        default=lambda self: self.env.cr.now() + timedelta(days=WAIT_DAYS),
        help="Without an approval until then the request is void.",
    )
    decide_user_id = fields.Many2one("res.users", "Decided by", readonly=True)
    decide_date = fields.Datetime("Decided on", readonly=True)
    done_date = fields.Datetime("Done on", readonly=True)
    # what
    line_ids = fields.One2many("crm.archive.purge.line", "purge_id", readonly=True)
    line_count = fields.Integer("Records", compute="_compute_counts")
    waiting_count = fields.Integer("Waiting", compute="_compute_counts")
    done_count = fields.Integer("Destroyed", compute="_compute_counts")
    kept_count = fields.Integer("Kept", compute="_compute_counts")
    identifiers = fields.Text(
        readonly=True,
        groups="crm_archive_policy.group_archive_manager",
        help="By what the person is known. Emptied as soon as the request is over.",
    )
    run_ids = fields.One2many("crm.archive.run", "purge_id", readonly=True)
    is_asker = fields.Boolean(compute="_compute_is_asker")
    certificate = fields.Json(
        readonly=True, help="What was done, for good, without personal data."
    )
    certificate_digest = fields.Char("SHA-256 of the Certificate", readonly=True)

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("kind")
    def _compute_name(self):
        for purge in self:
            if purge.kind == "erasure":
                name = self.env._("Erasure %(number)s", number=purge.id or "")
            else:
                name = self.env._("Purge %(number)s", number=purge.id or "")
            purge.name = name

    @api.depends("line_ids.state")
    def _compute_counts(self):
        counts = {}
        for purge, state, count in self.env["crm.archive.purge.line"]._read_group(
            [("purge_id", "in", self.ids)], ["purge_id", "state"], ["__count"]
        ):
            counts[purge.id, state] = count
        for purge in self:
            own = {state: n for (id_, state), n in counts.items() if id_ == purge.id}
            purge.line_count = sum(own.values())
            purge.done_count = own.get("done", 0)
            purge.kept_count = own.get("kept", 0)
            purge.waiting_count = own.get("waiting", 0) + own.get("decided", 0)

    @api.depends_context("uid")
    @api.depends("user_id")
    def _compute_is_asker(self):
        for purge in self:
            purge.is_asker = purge.user_id == self.env.user

    # ------------------------------------------------------------
    # ACCESS
    # ------------------------------------------------------------

    @api.model
    def _check_may_ask(self):
        """Only managers ask for personal data to be destroyed, and approve it.

        :raise AccessError: for anybody else
        """
        if not self.env.user.has_group("crm_archive_policy.group_archive_manager"):
            raise AccessError(
                self.env._("Only archive managers ask for a purge or approve one.")
            )

    def _check_may_decide(self):
        """Refuse whoever has asked, and what is not waiting any more.

        :raise AccessError: for the person who has asked, and for other people than
            managers
        :raise UserError: when it has been decided already or has expired
        """
        self.ensure_one()
        self._check_may_ask()
        self.check_access("read")
        self.sudo().lock_for_update(allow_referencing=True)
        self.invalidate_recordset(["state"])
        if self.user_id.id == self.env.uid:
            raise AccessError(
                self.env._(
                    "You have asked for this yourself. Another archive manager has to "
                    "approve or reject it."
                )
            )
        if self.state != "asked":
            raise UserError(self.env._("This request has been decided already."))
        if self.expire_date < self.env.cr.now():
            raise UserError(
                self.env._("This request has expired. Somebody has to ask again.")
            )

    # ------------------------------------------------------------
    # ASKING
    # ------------------------------------------------------------

    @api.model
    def _ask(self, kind, reason, lines, identifiers=None):
        """Write a request down, and tell those who may approve it.

        :param str kind: a value of ``kind``
        :param str reason: why
        :param list lines: values of ``crm.archive.purge.line``
        :param str identifiers: of the person, for an erasure
        :return: the request
        :raise AccessError: for other people than managers
        :raise UserError: without a reason or without records
        """
        self._check_may_ask()
        if not (reason or "").strip():
            raise UserError(self.env._("Say why the records are to be destroyed."))
        if not lines and not identifiers:
            raise UserError(self.env._("There is nothing to destroy."))
        # No defaults from the context, which a client may forge: a request begins
        # as one that waits.
        clean = self.with_env(
            self.env(su=True, context=clean_context(self.env.context))
        )
        purge = clean.create(
            {
                "kind": kind,
                "state": "asked",
                "reason": reason.strip(),
                "user_id": self.env.uid,
                "company_id": self.env.company.id,
                "identifiers": identifiers or False,
                "line_ids": [(0, 0, values) for values in lines],
            }
        )
        purge._log("create", {"records": len(lines), "kind": kind})
        purge._notify_approvers()
        return purge.sudo(self.env.su)

    def _notify_approvers(self):
        """Tell the other managers that a request waits for one of them."""
        group = self.env.ref("crm_archive_policy.group_archive_manager")
        people = group.sudo().all_user_ids.filtered(
            lambda user: (
                user.active
                and user != self.user_id
                and self.company_id in user.company_ids
            )
        )
        if people:
            self.env["mail.thread"].message_notify(
                model=self._name,
                res_id=self.id,
                partner_ids=people.partner_id.ids,
                subject=self.env._("%(name)s waits for your approval", name=self.name),
                body=self.env._(
                    "%(user)s asks for %(count)s records to be destroyed for good. "
                    "Please approve or reject it until %(date)s, under Archive → "
                    "Retention Ended → Purge Requests.",
                    user=self.user_id.name,
                    count=len(self.line_ids),
                    date=self.expire_date.date(),
                ),
            )

    def _log(self, action, details=None):
        """Append the audit line about the request itself."""
        self.env["crm.archive.log"]._append(action, self, details)

    # ------------------------------------------------------------
    # DECIDING
    # ------------------------------------------------------------

    def action_approve(self):
        """Approve the request of somebody else; the scheduled action carries it out.

        :return: whether it was approved
        :raise AccessError: for the person who has asked
        """
        self._check_may_decide()
        self._decide_as("approved")
        self._log("approve")
        self.sudo()._start_run()
        return True

    def action_reject(self):
        """Reject the request of somebody else.

        :raise AccessError: for the person who has asked
        """
        self._check_may_decide()
        self._decide_as("rejected")
        self._log("write", {"state": ["asked", "rejected"]})
        return True

    def action_withdraw(self):
        """Withdraw one's own request; other managers reject it.

        :raise AccessError: for other people than the one who has asked
        """
        self.ensure_one()
        self._check_may_ask()
        if self.user_id.id != self.env.uid:
            raise AccessError(
                self.env._("Only who has asked withdraws a request. Reject it instead.")
            )
        if self.state != "asked":
            raise UserError(self.env._("This request has been decided already."))
        self.sudo().write({"state": "cancelled"})
        self._forget_person()
        self._log("write", {"state": ["asked", "cancelled"]})
        return True

    def action_retry(self):
        """Carry out the rest of an approved request whose run has failed.

        :raise UserError: while a run is at it
        """
        self.ensure_one()
        self._check_may_ask()
        self.check_access("read")
        if self.state != "approved":
            raise UserError(self.env._("Only an approved request is carried out."))
        if self.sudo().run_ids.filtered(lambda r: r.state in ("waiting", "running")):
            raise UserError(self.env._("The scheduled action is at it already."))
        self.sudo()._start_run()
        return True

    def _decide_as(self, state):
        self.sudo().write(
            {
                "state": state,
                "decide_user_id": self.env.uid,
                "decide_date": self.env.cr.now(),
            }
        )
        if state != "approved":
            self._forget_person()

    def _forget_person(self):
        """Keep no longer than needed by what the person is known."""
        self.sudo().write({"identifiers": False})

    @api.model
    def _expire(self):
        """Void what nobody has approved in time."""
        late = self.sudo().search(
            [("state", "=", "asked"), ("expire_date", "<", self.env.cr.now())]
        )
        for purge in late:
            purge.write({"state": "expired"})
            purge._forget_person()
            purge._log("write", {"state": ["asked", "expired"]})

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def _get_action(self):
        """Return the action that shows this request."""
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_purge_action"
            ),
            "view_mode": "form",
            "views": [(False, "form")],
            "res_id": self.id,
        }

    def action_view_lines(self):
        """List the records of the request.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_purge_line_action"
            ),
            "domain": [("purge_id", "=", self.id)],
        }

    def action_print(self):
        """Print the certificate.

        :return: report action
        :raise UserError: before the request is done
        """
        self.check_access("read")
        if any(not purge.certificate for purge in self):
            raise UserError(
                self.env._("There is a certificate only when the request is done.")
            )
        report = self.env.ref("crm_archive_policy.crm_archive_purge_report")
        return report.report_action(self)
