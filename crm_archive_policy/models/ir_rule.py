from odoo import api, models


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
        for model_name in self.env["crm.archive.policy"]._get_lifecycle_models():
            rule = self.env[model_name]._get_restriction_rule()
            if rule and not rule.active:
                rule.active = True
