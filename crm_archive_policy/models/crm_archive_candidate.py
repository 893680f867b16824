from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from . import crm_archive_run

#: Verdicts of candidates that still wait for something.
OPEN_VERDICTS = ("pending", "approved")

#: What only a decision or a run may write.
DECIDED_FIELDS = frozenset(
    ("verdict", "user_id", "decision_date", "keep_until", "note")
)


class CrmArchiveCandidate(models.Model):
    """A record that a policy has named, and what became of it.

    Kept as history: a decision is a new value of ``verdict``, never a deletion.

    Officers decide on every candidate. The owner of the record, who was told about
    it, sees his own candidates and may keep them, but never approve one.
    """

    _name = "crm.archive.candidate"
    _description = "Archive Candidate"
    _order = "due_date, id"
    _rec_name = "res_name"

    policy_id = fields.Many2one(
        "crm.archive.policy", required=True, readonly=True, ondelete="cascade"
    )
    reason_id = fields.Many2one(related="policy_id.reason_id")
    company_id = fields.Many2one(
        "res.company",
        compute="_compute_company_id",
        store=True,
        precompute=True,
        help="The company of the record when it was named, otherwise of the policy.",
    )
    run_id = fields.Many2one("crm.archive.run", readonly=True, index="btree_not_null")
    res_model = fields.Char("Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Record", model_field="res_model", required=True, readonly=True
    )
    res_name = fields.Char("Name", compute="_compute_res_name")
    owner_id = fields.Many2one(
        "res.users",
        compute="_compute_owner_id",
        store=True,
        precompute=True,
        index="btree_not_null",
        help="The salesperson of the record when it was named, otherwise the "
        "responsible of the policy. May keep the record.",
    )
    last_interaction_date = fields.Datetime("Last Sign of Life", readonly=True)
    due_date = fields.Date("To Archive on", readonly=True)
    # notices
    notice_id = fields.Many2one(
        "crm.archive.notice", readonly=True, index="btree_not_null"
    )
    winback_date = fields.Datetime(
        "Win-Back E-Mail", readonly=True, help="When the customer was written to."
    )
    # impact
    res_summary = fields.Char("Contact Details", compute="_compute_impact")
    message_count = fields.Integer("Messages", compute="_compute_impact")
    activity_count = fields.Integer("Open Activities", compute="_compute_impact")
    child_count = fields.Integer("Contacts", compute="_compute_impact")
    lead_count = fields.Integer("Open Leads", compute="_compute_impact")
    # decision
    verdict = fields.Selection(
        [
            ("pending", "Waiting"),
            ("approved", "Approved"),
            ("kept", "Kept"),
            ("archived", "Archived"),
            ("cancelled", "Cancelled"),
            ("failed", "Failed"),
        ],
        default="pending",
        required=True,
        readonly=True,
        index=True,
    )
    is_automatic = fields.Boolean(
        "By Itself",
        readonly=True,
        help="Archived when the grace period is over, without anybody's approval.",
    )
    note = fields.Char(
        readonly=True, help="Why it was kept, or why it was cancelled or failed."
    )
    user_id = fields.Many2one("res.users", "Decided by", readonly=True)
    decision_date = fields.Datetime(readonly=True)
    keep_until = fields.Date(
        readonly=True,
        help="The policy does not name the record again before this day. Empty: not "
        "before there has been a new sign of life.",
    )
    is_keep_over = fields.Boolean(
        compute="_compute_is_keep_over", help="The chosen day has come."
    )

    _record_policy_idx = models.Index("(res_id, policy_id)")
    _open_unique = models.UniqueIndex(
        "(policy_id, res_id) WHERE verdict IN ('pending', 'approved')",
        "This record waits for a decision on this policy already.",
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("res_model", "res_id")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_res_name(self):
        """Name only what the user may see."""
        names = {}
        for model_name, candidates in self.grouped("res_model").items():
            visible = candidates._get_visible_records()
            names[model_name] = {record.id: record.display_name for record in visible}
        for candidate in self:
            candidate.res_name = names.get(candidate.res_model, {}).get(
                candidate.res_id
            ) or self.env._("Record %(id)s", id=candidate.res_id)

    @api.depends("policy_id", "res_model", "res_id")
    def _compute_owner_id(self):
        """Owner at the time of naming: it says who was asked, and stays so."""
        for model_name, candidates in self.grouped("res_model").items():
            records = candidates._get_records().exists()
            has_owner = model_name and "user_id" in records._fields
            owners = {r.id: r.user_id for r in records} if has_owner else {}
            for candidate in candidates:
                owner = owners.get(candidate.res_id)
                if not candidate._is_reachable(owner):
                    owner = candidate.policy_id.user_id
                candidate.owner_id = owner if candidate._is_reachable(owner) else False

    @api.depends("policy_id", "res_model", "res_id")
    def _compute_company_id(self):
        """Who works for another company neither sees nor decides on it, even where
        the policy is for all of them."""
        for candidates in self.grouped("res_model").values():
            records = candidates._get_records().sudo().exists()
            companies = {record.id: record.company_id for record in records}
            for candidate in candidates:
                candidate.company_id = (
                    companies.get(candidate.res_id) or candidate.policy_id.company_id
                )

    @api.model
    def _is_reachable(self, user):
        """Tell whether a user can be asked: signs in here, and has not left."""
        return bool(user and user.active and not user.share)

    @api.depends("res_model", "res_id")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_impact(self):
        """Count what depends on each record: a few queries for the whole page."""
        impacts, summaries = {}, {}
        for model_name, candidates in self.grouped("res_model").items():
            visible = candidates._get_visible_records()
            impacts[model_name] = candidates._count_impact(visible)
            summaries[model_name] = {r.id: self._summarize(r) for r in visible}
        for candidate in self:
            key, res_id = candidate.res_model, candidate.res_id
            candidate.res_summary = summaries[key].get(res_id)
            for name, counts in impacts[key].items():
                candidate[name] = counts.get(res_id, 0)

    @api.model
    def _summarize(self, record):
        """Return how the person behind a record can be told from others."""
        names = ("email", "email_from", "phone", "city")
        values = (record[name] for name in names if name in record._fields)
        return " · ".join(value for value in values if value)

    @api.model
    def _count_impact(self, records):
        """Count what depends on records that the user may read.

        Only numbers leave this method, so what they count may be beyond the user's
        own rights: an activity of somebody else, an opportunity of another team.

        :return: dict ``{field name: {record id: number}}``
        """
        is_contact = records._name == "res.partner"
        sources = {
            "message_count": (
                "mail.message",
                "res_id",
                [
                    ("model", "=", records._name),
                    ("message_type", "!=", "user_notification"),
                ],
            ),
            "activity_count": (
                "mail.activity",
                "res_id",
                [("res_model", "=", records._name)],
            ),
            "child_count": ("res.partner", "parent_id", [("active", "=", True)]),
            "lead_count": ("crm.lead", "partner_id", [("won_status", "=", "pending")]),
        }
        counts = {}
        for name, (model, link, domain) in sources.items():
            counts[name] = {}
            if not records or (link != "res_id" and not is_contact):
                continue
            groups = (
                self.env[model]
                .sudo()
                ._read_group([(link, "in", records.ids), *domain], [link], ["__count"])
            )
            counts[name] = {
                target if isinstance(target, int) else target.id: count
                for target, count in groups
            }
        return counts

    @api.depends("verdict", "keep_until")
    def _compute_is_keep_over(self):
        today = fields.Date.today()
        for candidate in self:
            candidate.is_keep_over = bool(
                candidate.keep_until and candidate.keep_until <= today
            )

    # ------------------------------------------------------------
    # CRUD
    # ------------------------------------------------------------

    def write(self, vals):
        """Decisions are made by the buttons, which check and log them."""
        if DECIDED_FIELDS & vals.keys() and not self.env.su:
            raise AccessError(
                self.env._(
                    "A candidate is decided on with Keep or Approve, it cannot be "
                    "written directly."
                )
            )
        result = super().write(vals)
        if "verdict" in vals and vals["verdict"] not in OPEN_VERDICTS:
            self.sudo().notice_id._close_decided()
        return result

    # ------------------------------------------------------------
    # RECORDS
    # ------------------------------------------------------------

    def _get_records(self):
        """Return the records the candidates stand for; all of one model."""
        return self.env[self[:1].res_model or "crm.lead"].browse(self.mapped("res_id"))

    def _get_visible_records(self):
        """Return those of the records that exist and the user may read."""
        if self[:1].res_model not in self.env:
            return self.env["crm.lead"]
        return self._get_records().exists()._filtered_access("read")

    # ------------------------------------------------------------
    # DECISIONS
    # ------------------------------------------------------------

    def _check_open(self):
        """Refuse to decide twice.

        :raise UserError: naming a candidate that has been decided
        """
        decided = self.filtered(lambda c: c.verdict not in OPEN_VERDICTS)
        if decided:
            raise UserError(
                self.env._(
                    "“%(name)s” has been decided already: %(verdict)s. Reload the "
                    "list to see the current state.",
                    name=decided[0].res_name,
                    verdict=dict(
                        self._fields["verdict"]._description_selection(self.env)
                    )[decided[0].verdict],
                )
            )

    def _check_waiting(self):
        """Refuse to keep what does not wait any more, such as what is archived.

        :raise UserError: naming the candidate
        """
        for candidates in self.grouped("res_model").values():
            records = candidates._get_records().exists()
            gone = set(records.ids) - set(records._filter_pending().ids)
            late = candidates.filtered(lambda c, gone=gone: c.res_id in gone)
            if late:
                raise UserError(
                    self.env._(
                        "“%(name)s” was archived or restored meanwhile, so there is "
                        "nothing to keep it from. Take it out of the selection.",
                        name=late[0].res_name,
                    )
                )

    def _check_may_keep(self):
        """Officers keep what they see; owners keep their own records.

        :raise AccessError: for anybody else, auditors included
        """
        self.check_access("read")
        if self.has_access("write"):
            return
        foreign = self.filtered(lambda c: c.owner_id != self.env.user)
        if foreign:
            raise AccessError(
                self.env._(
                    "“%(name)s” is not yours to decide on. Ask its salesperson or an "
                    "archive officer.",
                    name=foreign[0].res_name,
                )
            )
        for candidates in self.grouped("res_model").values():
            candidates._get_records().exists().check_access("read")

    def _decide(self, verdict, **values):
        """Set the verdict of these candidates; the caller has checked the rights.

        :param str verdict: new value
        :param values: further fields
        """
        self.sudo().write(
            {
                "verdict": verdict,
                "user_id": self.env.uid,
                "decision_date": self.env.cr.now(),
                **values,
            }
        )

    def _keep(self, keep_until=False, note=False):
        """Let go of the records; the caller has checked the rights.

        :param date keep_until: first day on which the policy may name them again;
            without, not before a new sign of life
        :param str note: why
        """
        self._check_open()
        self._check_waiting()
        for policy, candidates in self.grouped("policy_id").items():
            records = candidates._get_records().sudo().exists()
            records._filter_pending()._set_pending(False)
            details = {"policy": policy.id, "candidates": len(candidates)}
            if keep_until:
                details["until"] = keep_until.isoformat()
            records._log_archive("keep", details)
        self._decide("kept", keep_until=keep_until, note=note)

    def action_keep(self):
        """Keep the records: the policy lets go of them."""
        self._check_may_keep()
        self._keep()
        return True

    def action_keep_until(self):
        """Ask until when, and why, before keeping the records.

        :return: window action of the dialog
        """
        self._check_may_keep()
        self._check_open()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Keep until…"),
            "res_model": "crm.archive.keep",
            "view_mode": "form",
            "target": "new",
            "context": {"active_model": self._name, "active_ids": self.ids},
        }

    def action_end_keep(self):
        """Let the policy have kept records again from its next run on."""
        self.check_access("write")
        kept = self.filtered(lambda c: c.verdict == "kept")
        kept.sudo().keep_until = fields.Date.today()
        for policy, candidates in kept.grouped("policy_id").items():
            records = candidates._get_records().sudo().exists()
            records._log_archive(
                "keep",
                {
                    "policy": policy.id,
                    "candidates": len(candidates),
                    "until": fields.Date.today().isoformat(),
                },
            )
        return True

    def action_approve(self):
        """Approve archiving: at once, or when the grace period is over."""
        self.check_access("write")
        self._check_open()
        self._decide("approved")
        for policy, candidates in self.grouped("policy_id").items():
            candidates._get_records()._log_archive(
                "approve", {"policy": policy.id, "candidates": len(candidates)}
            )
        due = self.filtered(lambda c: c.due_date <= fields.Date.today())
        if len(due) > crm_archive_run.INLINE_MAX:
            self.env.ref("crm_archive_policy.ir_cron_run_policies").sudo()._trigger()
            return True
        for policy, candidates in due.grouped("policy_id").items():
            self.env["crm.archive.run"]._start(policy, candidates)
        return True

    def action_open_record(self):
        """Open the contact or lead.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "view_mode": "form",
        }
