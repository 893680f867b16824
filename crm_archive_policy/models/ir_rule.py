from odoo import api, models

#: The global rules that hide restricted records from everybody else.
RESTRICTION_RULES = (
    "crm_archive_policy.crm_lead_rule_archive_restricted",
    "crm_archive_policy.res_partner_rule_archive_restricted",
)


class IrRule(models.Model):
    """Switches the rules on restricted records on before there is one."""

    _inherit = "ir.rule"

    @api.model
    def _enforce_archive_restriction(self):
        """Put the rules that hide restricted records in force.

        A rule on a column costs every list a few percent, so nobody pays while there
        is nothing to hide. A policy that is going to restrict access puts them in
        force when it is saved, and so does whatever restricts a record. Nothing takes
        them out of force again.
        """
        for name in RESTRICTION_RULES:
            rule = self.sudo().env.ref(name, raise_if_not_found=False)
            if rule and not rule.active:
                rule.active = True
