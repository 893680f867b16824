from odoo import api, fields, models


class CrmArchiveExplanation(models.TransientModel):
    """Why a record is, or is not, going to be archived: every policy, every guard."""

    _name = "crm.archive.explanation"
    _description = "Archive Explanation"

    res_model = fields.Char(required=True, readonly=True)
    res_id = fields.Many2oneReference(model_field="res_model", readonly=True)
    res_name = fields.Char("Record", readonly=True)
    summary = fields.Char(compute="_compute_summary")
    last_interaction_date = fields.Datetime("Last Sign of Life", readonly=True)
    line_ids = fields.One2many("crm.archive.explanation.line", "explanation_id")

    @api.depends("line_ids")
    def _compute_summary(self):
        for explanation in self:
            lines = explanation.line_ids
            guards = lines.filtered(lambda line: line.kind == "guard" and line.applies)
            due = lines.filtered(lambda line: line.kind == "policy" and line.applies)
            if guards:
                explanation.summary = guards[0].text
            elif due:
                explanation.summary = self.env._(
                    "Due: the policy “%(policy)s” is going to take it.",
                    policy=due[0].name,
                )
            else:
                explanation.summary = self.env._("No policy takes this record today.")

    @api.model
    def _create_for(self, record):
        """Ask every policy and guard about a record.

        :param record: one contact or lead that the user may read
        :return: the explanation
        """
        return self.create(
            {
                "res_model": record._name,
                "res_id": record.id,
                "res_name": record.display_name,
                "last_interaction_date": record.last_interaction_date,
                "line_ids": [
                    (0, 0, values)
                    for values in (
                        *self._prepare_hold_lines(record),
                        *self._prepare_policy_lines(record),
                        *self._prepare_guard_lines(record),
                    )
                ],
            }
        )

    def _prepare_policy_lines(self, record):
        """Ask the policies that the user may know, those of other companies not."""
        policies = self.env["crm.archive.policy"].search(
            [("model_name", "=", record._name)]
        )
        for policy in policies.sudo():
            yield {"kind": "policy", "name": policy.name, **policy._explain(record)}

    def _prepare_hold_lines(self, record):
        """Name the holds that cover the record, to those who may know them."""
        holds = record._get_holds()
        known = holds.with_env(self.env)._filtered_access("read")
        for hold in holds:
            yield {
                "kind": "hold",
                "name": hold.name if hold in known else self.env._("Legal hold"),
                "applies": True,
                "date": hold.date_start.date(),
                "text": self.env._(
                    "In force: the record is not archived, merged or deleted."
                ),
            }

    def _prepare_guard_lines(self, record):
        guards = self.env["crm.archive.guard"]._get_awake(record._name)
        for guard in guards:
            applies = record.id in guard._get_verdicts(record)
            yield {
                "kind": "guard",
                "name": guard.name,
                "applies": applies,
                "text": guard.message if applies else self.env._("Does not apply."),
            }

    def _get_action(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Why is it archived, or not?"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }


class CrmArchiveExplanationLine(models.TransientModel):
    """The answer of one policy or guard."""

    _name = "crm.archive.explanation.line"
    _description = "Archive Explanation Line"
    _order = "kind desc, id"

    explanation_id = fields.Many2one("crm.archive.explanation", ondelete="cascade")
    kind = fields.Selection(
        [("policy", "Policy"), ("guard", "Guard"), ("hold", "Legal hold")],
        required=True,
    )
    name = fields.Char(required=True)
    applies = fields.Boolean()
    date = fields.Date("From")
    text = fields.Char("Answer")
