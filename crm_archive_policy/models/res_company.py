from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    archive_store_id = fields.Many2one(
        "crm.archive.store",
        ondelete="set null",
        domain="[('company_id', 'in', (id, False))]",
        help="Where records of this company go; without one, the first store that is "
        "the company's own, or else everybody's.",
    )
