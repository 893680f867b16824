from odoo import fields, models


class CustomerCard(models.Model):
    _name = "customer.card"
    _inherit = ["mail.thread", "crm.archive.mixin"]
    _description = "Customer Card"

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one("res.company")
    partner_id = fields.Many2one("res.partner")
    points = fields.Integer()
