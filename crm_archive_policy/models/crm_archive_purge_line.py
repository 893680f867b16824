from odoo import api, fields, models

OUTCOMES = [
    ("hold", "A legal hold covers it"),
    ("retention", "Its retention is not over"),
    ("duty", "Invoices need it, which have to be kept by law"),
    ("user", "Somebody signs in with it"),
    ("changed", "It was restored or changed meanwhile"),
    ("gone", "It was deleted meanwhile"),
    ("failed", "It could not be done, see the run"),
    ("linked", "Other data refers to it, so it was anonymised"),
]


class CrmArchivePurgeLine(models.Model):
    """One record of a purge request: ids and outcomes, never a name."""

    _name = "crm.archive.purge.line"
    _description = "Record of a Purge Request"
    _order = "id"
    _rec_name = "res_name"

    purge_id = fields.Many2one(
        "crm.archive.purge",
        "Request",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(related="purge_id.company_id")
    res_model = fields.Char("Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Record", model_field="res_model", required=True, readonly=True
    )
    res_name = fields.Char("Name", compute="_compute_res_name")
    entry_id = fields.Many2one(
        "crm.archive.entry",
        "In the Vault",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    act = fields.Selection(
        [("delete", "Delete"), ("anonymise", "Anonymise")],
        "What Is Done",
        required=True,
        readonly=True,
    )
    category_id = fields.Many2one(
        "crm.archive.category", readonly=True, ondelete="restrict"
    )
    policy_id = fields.Many2one(
        "crm.archive.policy", readonly=True, ondelete="restrict"
    )
    retention_date = fields.Date("Kept until", readonly=True)
    state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("decided", "Being destroyed"),
            ("done", "Destroyed"),
            ("kept", "Kept"),
        ],
        required=True,
        readonly=True,
        default="waiting",
    )
    outcome = fields.Selection(OUTCOMES, "Because", readonly=True)
    date_done = fields.Datetime("Destroyed on", readonly=True)

    _record_idx = models.Index("(res_model, res_id)")

    @api.depends("res_model", "res_id")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_res_name(self):
        """Name only what the user may see, and what is still there."""
        for line in self:
            record = line.entry_id
            if not record and line.res_model in self.env:
                record = self.env[line.res_model].browse(line.res_id).exists()
            visible = record and record._filtered_access("read")
            line.res_name = (
                visible.display_name
                if visible
                else self.env._("Record %(id)s", id=line.res_id)
            )

    def _set_kept(self, outcome):
        """Say why records stay."""
        if self:
            self.write({"state": "kept", "outcome": outcome})

    def action_open_record(self):
        """Open the record, wherever it is.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        record = self.entry_id
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name if record else self.res_model,
            "res_id": record.id if record else self.res_id,
            "views": [(False, "form")],
        }
