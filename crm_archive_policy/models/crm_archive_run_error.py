from odoo import fields, models


class CrmArchiveRunError(models.Model):
    """A record that a run had to skip, with the reason."""

    _name = "crm.archive.run.error"
    _description = "Archive Run Error"

    run_id = fields.Many2one(
        "crm.archive.run", required=True, ondelete="cascade", index=True
    )
    res_model = fields.Char("Model", required=True)
    res_id = fields.Many2oneReference("Record", model_field="res_model", required=True)
    message = fields.Text(required=True)
