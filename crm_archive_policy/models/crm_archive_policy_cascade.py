from odoo import fields, models

from .crm_archive_cascade import LEAD_CASCADE


class CrmArchivePolicy(models.Model):
    """What goes along when a contact is archived."""

    _inherit = "crm.archive.policy"

    cascade_child = fields.Boolean(
        "Contacts of a Company",
        tracking=True,
        help="The contact persons and addresses of a company are archived with it, "
        "and restored with it.",
    )
    cascade_lead = fields.Selection(
        LEAD_CASCADE,
        "Their Open Leads",
        default="keep",
        required=True,
        tracking=True,
        help="As long as open leads stay open, they protect their contact.",
    )

    def _get_guards(self, model_name=None):
        """Leads that go along are no reason to stay."""
        guards = super()._get_guards(model_name)
        if self.cascade_lead != "keep":
            guards -= (
                self.env.ref(
                    "crm_archive_policy.crm_archive_guard_partner_lead",
                    raise_if_not_found=False,
                )
                or self.env["crm.archive.guard"]
            )
        return guards

    def _after_archive(self, records):
        super()._after_archive(records)
        if records._name == "res.partner":
            records._cascade(
                self._prepare_archive_values(),
                self,
                children=self.cascade_child,
                leads=self.cascade_lead,
            )
