from odoo import api, fields, models
from odoo.exceptions import ValidationError


class CrmArchiveKeep(models.TransientModel):
    """Keep candidates until a chosen day, and say why."""

    _name = "crm.archive.keep"
    _description = "Keep until"

    candidate_ids = fields.Json(required=True, readonly=True)
    record_count = fields.Integer("Records", compute="_compute_record_count")
    keep_until = fields.Date(
        help="The policy does not name the records again before this day. Empty: not "
        "before there has been a new sign of life."
    )
    note = fields.Char(string="Why")

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        values.setdefault("candidate_ids", self.env.context.get("active_ids") or [])
        return values

    @api.depends("candidate_ids")
    def _compute_record_count(self):
        for wizard in self:
            wizard.record_count = len(wizard.candidate_ids or [])

    @api.constrains("keep_until")
    def _check_keep_until(self):
        today = fields.Date.context_today(self)
        for wizard in self:
            if wizard.keep_until and wizard.keep_until <= today:
                raise ValidationError(
                    self.env._(
                        "“Keep until” is %(date)s, which is not in the future. Choose "
                        "a later day, or leave it empty.",
                        date=wizard.keep_until,
                    )
                )

    def action_keep(self):
        """Keep the candidates as chosen.

        :return: notification that says how many, with the way back
        """
        self.ensure_one()
        candidates = self.env["crm.archive.candidate"].browse(self.candidate_ids)
        candidates._check_may_keep()
        candidates._keep(self.keep_until, self.note)
        return candidates._get_kept_action()
