from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .crm_archive_candidate import OPEN_VERDICTS


class CrmArchivePolicy(models.Model):
    """What becomes of a policy's work when the policy itself changes or ends, or
    whoever answers for it leaves."""

    _inherit = "crm.archive.policy"

    def write(self, vals):
        """A policy that is switched off stops, and lets go of what it has named.

        :raise UserError: when a policy with a history is to be about another model
        """
        if "model_id" in vals:
            changed = self.filtered(lambda p: p.model_id.id != vals["model_id"])
            changed._check_model_unused()
        result = super().write(vals)
        if "active" in vals and not vals["active"]:
            self._stop()
        return result

    def _check_model_unused(self):
        """Its candidates and runs would be taken for records of the other model.

        :raise UserError: naming the policy and what to do instead
        """
        used = self.filtered(lambda policy: policy.sudo().run_ids)
        if used:
            raise UserError(
                self.env._(
                    "“%(name)s” has been run: what it applies to cannot be changed "
                    "any more. Archive it, and make another policy.",
                    name=used[0].name,
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        used = self.filtered(lambda policy: policy.sudo().run_ids)
        if used:
            raise UserError(
                self.env._(
                    "“%(name)s” has been run, and its history stays. Archive it "
                    "instead of deleting it.",
                    name=used[0].name,
                )
            )

    def _stop(self):
        """Cancel what is under way and what waits; the caller has checked the rights.

        Otherwise a run would go on, and records would stay announced for a day on
        which nothing happens, out of reach of every other policy.
        """
        policies = self.sudo()
        runs = policies.run_ids.filtered(lambda r: r.kind in ("archive", "vault"))
        runs.action_cancel()
        candidates = self.env["crm.archive.candidate"].sudo()
        candidates = candidates.search(
            Domain("policy_id", "in", self.ids) & Domain("verdict", "in", OPEN_VERDICTS)
        )
        for group in candidates.grouped("res_model").values():
            group._get_records().exists()._filter_pending()._set_pending(False)
        candidates.write(
            {
                "verdict": "cancelled",
                "note": self.env._("The policy was switched off."),
            }
        )

    def _is_responsible_inside(self):
        """Tell whether the responsible may see the policy's company."""
        self.ensure_one()
        companies = self.user_id._get_company_ids()
        return not self.company_id or self.company_id.id in companies

    def _check_responsible(self):
        """Refuse to look for records where the responsible sees none.

        :raise UserError: naming policy, person and company, and what to do
        """
        if not self._is_responsible_inside():
            raise UserError(self._describe_outside())

    def _describe_outside(self):
        names = self.sudo()  # of a company that may be nobody's any more
        return self.env._(
            "“%(policy)s” finds nothing: %(user)s, who is responsible for it, does not "
            "work for %(company)s, or that company is archived. Choose another "
            "responsible or another company.",
            policy=names.name,
            user=names.user_id.name,
            company=names.company_id.name,
        )
