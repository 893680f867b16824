from odoo import api, fields, models
from odoo.exceptions import UserError

#: Names that a dialog spells out; of more records it says how many.
NAMES_SHOWN = 3


class CrmArchiveRecords(models.AbstractModel):
    """A dialog about the contacts or leads that somebody has selected."""

    _name = "crm.archive.records"
    _description = "Selected Contacts or Leads"

    res_model = fields.Char(required=True, readonly=True)
    res_ids = fields.Json(required=True, readonly=True)
    record_count = fields.Integer("Records", compute="_compute_records")
    record_names = fields.Char("Names", compute="_compute_records")

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        context = self.env.context
        values.setdefault("res_model", context.get("active_model"))
        values.setdefault(
            "res_ids",
            context.get("active_ids")
            or ([context["active_id"]] if context.get("active_id") else []),
        )
        return values

    @api.depends("res_model", "res_ids")
    def _compute_records(self):
        for wizard in self:
            records = wizard._get_records()
            names = records[:NAMES_SHOWN].mapped("display_name")
            wizard.record_count = len(records)
            wizard.record_names = ", ".join(names) + (
                "…" if len(records) > NAMES_SHOWN else ""
            )

    def _get_records(self):
        """Return the records, inactive ones included.

        :raise UserError: for a model without a lifecycle
        """
        self.ensure_one()
        if self.res_model not in self.env["crm.archive.policy"]._get_lifecycle_models():
            raise UserError(self.env._("Only contacts and leads have a lifecycle."))
        model = self.env[self.res_model].with_context(active_test=False)
        return model.browse(self.res_ids).exists()
