from odoo import models

from ..models.crm_archive_mixin import TRANSITION, Merge
from ..models.crm_archive_permit import PERMIT, Permit


class BasePartnerMergeAutomaticWizard(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    def _merge(self, partner_ids, dst_partner=None, extra_checks=True):
        """A merge deletes all contacts but one, so none of them may be on hold."""
        partners = self.env["res.partner"].browse(partner_ids).exists()
        partners._check_mergeable()
        merging = self.with_context(**{PERMIT: Permit(partners)})
        return super(BasePartnerMergeAutomaticWizard, merging)._merge(
            partner_ids, dst_partner, extra_checks
        )

    def _update_values(self, src_partners, dst_partner):
        """Core copies every stored field: not those of the lifecycle.

        The contact that remains is live or archived as it was, and is kept for as
        long as any of the merged ones had to be.
        """
        partners = src_partners | dst_partner
        retention = max(filter(None, partners.mapped("retention_date")), default=False)
        merging = dst_partner.with_context(**{TRANSITION: Merge(dst_partner)})
        result = super()._update_values(src_partners, merging)
        if retention:
            dst_partner._move({"retention_date": retention})
        # What comes back from the vault later follows.
        self.env["crm.archive.merge"].sudo()._remember(src_partners, dst_partner)
        return result
