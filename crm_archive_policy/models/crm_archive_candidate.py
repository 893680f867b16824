from odoo import api, fields, models
from odoo.exceptions import UserError


class CrmArchiveCandidate(models.Model):
    """A record that a policy has named, and what became of it.

    Kept as history: a decision is a new value of ``verdict``, never a deletion.
    """

    _name = "crm.archive.candidate"
    _description = "Archive Candidate"
    _order = "due_date, id"
    _rec_name = "res_name"

    policy_id = fields.Many2one(
        "crm.archive.policy", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    run_id = fields.Many2one("crm.archive.run", readonly=True, index="btree_not_null")
    res_model = fields.Char("Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Record", model_field="res_model", required=True, readonly=True
    )
    res_name = fields.Char("Name", compute="_compute_res_name")
    last_interaction_date = fields.Datetime("Last Sign of Life", readonly=True)
    due_date = fields.Date("To Archive on", readonly=True)
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
    note = fields.Char(readonly=True, help="Why it was cancelled or failed.")
    user_id = fields.Many2one("res.users", "Decided by", readonly=True)
    decision_date = fields.Datetime(readonly=True)
    keep_until = fields.Date(
        readonly=True, help="Empty: kept until somebody changes it."
    )

    _record_policy_idx = models.Index("(res_id, policy_id)")
    _open_unique = models.UniqueIndex(
        "(policy_id, res_id) WHERE verdict IN ('pending', 'approved')",
        "This record waits for a decision on this policy already.",
    )

    @api.depends("res_model", "res_id")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_res_name(self):
        """Name only what the user may see."""
        names = {}
        for model_name, candidates in self.grouped("res_model").items():
            if model_name not in self.env:
                continue
            records = self.env[model_name].browse(candidates.mapped("res_id"))
            visible = records.exists()._filtered_access("read")
            names[model_name] = {record.id: record.display_name for record in visible}
        for candidate in self:
            candidate.res_name = names.get(candidate.res_model, {}).get(
                candidate.res_id
            ) or self.env._("Record %(id)s", id=candidate.res_id)

    def _get_records(self):
        """Return the records the candidates stand for; all of one model."""
        return self.env[self[:1].res_model or "crm.lead"].browse(self.mapped("res_id"))

    # ------------------------------------------------------------
    # DECISIONS
    # ------------------------------------------------------------

    def _check_may_decide(self):
        self.check_access("write")
        decided = self.filtered(lambda c: c.verdict not in ("pending", "approved"))
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

    def _decide(self, verdict, **values):
        """Set the verdict of these candidates.

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

    def action_keep(self):
        """Keep the records: the policy lets go of them."""
        self._check_may_decide()
        for _model, candidates in self.grouped("res_model").items():
            records = candidates._get_records().sudo().exists()
            records._set_pending(False)
            records._log_archive("keep", {"candidates": len(candidates)})
        self._decide("kept")
        return True

    def action_approve(self):
        """Approve archiving: at once, or when the grace period is over."""
        self._check_may_decide()
        self._decide("approved")
        for _model, candidates in self.grouped("res_model").items():
            candidates._get_records()._log_archive(
                "approve", {"candidates": len(candidates)}
            )
        due = self.filtered(lambda c: c.due_date <= fields.Date.today())
        for policy, candidates in due.grouped("policy_id").items():
            self.env["crm.archive.run"]._start(policy, candidates)
        return True

    def action_open_record(self):
        """Open the contact or lead.

        :return: window action
        """
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "view_mode": "form",
        }
