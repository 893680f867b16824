from odoo import api, fields, models

from .crm_archive_anchor import MAIL_PARAMETER
from .res_config_settings_upkeep import INTERVALS

#: Scheduled actions that are set here; prefix of the fields → XML id.
AUDIT_CRONS = {
    "archive_anchor": "crm_archive_policy.ir_cron_anchor",
    "archive_log": "crm_archive_policy.ir_cron_verify_log",
    "archive_rights": "crm_archive_policy.ir_cron_review_access",
}


class ResConfigSettings(models.TransientModel):
    """How often the audit log is anchored and verified, and rights are reviewed."""

    _inherit = "res.config.settings"

    archive_anchor_active = fields.Boolean("Anchor the Audit Log")
    archive_anchor_interval_number = fields.Integer("Anchor Every", default=1)
    archive_anchor_interval_type = fields.Selection(INTERVALS, default="days")
    archive_anchor_mail = fields.Boolean(
        "By E-Mail to the Auditors", config_parameter=MAIL_PARAMETER
    )
    archive_log_active = fields.Boolean("Verify the Audit Log")
    archive_log_interval_number = fields.Integer("Verify Log Every", default=1)
    archive_log_interval_type = fields.Selection(INTERVALS, default="days")
    archive_rights_active = fields.Boolean("Review Archive Rights")
    archive_rights_interval_number = fields.Integer("Review Every", default=3)
    archive_rights_interval_type = fields.Selection(INTERVALS, default="months")

    @api.model
    def _get_archive_crons(self):
        return {**super()._get_archive_crons(), **AUDIT_CRONS}
