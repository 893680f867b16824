from odoo import api, fields, models


class CrmArchiveHoldRecord(models.Model):
    """One record under one legal hold. Rows are added, and stay.

    Written in SQL by :meth:`CrmArchiveHold._insert_members`, since a hold over a
    domain may cover a million records.
    """

    _name = "crm.archive.hold.record"
    _description = "Record on Legal Hold"
    _order = "id"
    _rec_name = "res_name"
    _log_access = False

    hold_id = fields.Many2one(
        "crm.archive.hold", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(related="hold_id.company_id")
    state = fields.Selection(related="hold_id.state")
    res_model = fields.Char("Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Record", model_field="res_model", required=True, readonly=True
    )
    res_name = fields.Char("Name", compute="_compute_res_name")
    date = fields.Datetime("Held since", required=True, readonly=True)

    _hold_unique = models.UniqueIndex("(hold_id, res_model, res_id)")
    _record_idx = models.Index("(res_model, res_id)")

    @api.depends("res_model", "res_id")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_res_name(self):
        """Name only what the user may see."""
        names = {}
        for model_name, members in self.grouped("res_model").items():
            if model_name not in self.env:
                continue
            records = self.env[model_name].browse(members.mapped("res_id"))
            visible = records.exists()._filtered_access("read")
            names[model_name] = {record.id: record.display_name for record in visible}
        for member in self:
            member.res_name = names.get(member.res_model, {}).get(
                member.res_id
            ) or self.env._("Record %(id)s", id=member.res_id)

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
