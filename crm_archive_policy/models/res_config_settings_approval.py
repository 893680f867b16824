from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .crm_archive_approval_acts import (
    LIMIT_DEFAULT,
    LIMIT_PARAMETER,
    MODE_DEFAULT,
    PREFIX,
)

MODES = [
    ("auto", "From two managers on"),
    ("always", "Always"),
    ("never", "Never"),
]


class ResConfigSettings(models.TransientModel):
    """Which acts a second person approves."""

    _inherit = "res.config.settings"

    archive_approval_lift = fields.Selection(
        MODES,
        "Lifting a Legal Hold",
        default=MODE_DEFAULT,
        required=True,
        config_parameter=f"{PREFIX}lift",
    )
    archive_approval_retention = fields.Selection(
        MODES,
        "Shortening Retention",
        default=MODE_DEFAULT,
        required=True,
        config_parameter=f"{PREFIX}retention",
    )
    archive_approval_restore = fields.Selection(
        MODES,
        "Restoring Many Records",
        default=MODE_DEFAULT,
        required=True,
        config_parameter=f"{PREFIX}restore",
    )
    archive_approval_restore_limit = fields.Integer(
        "More than",
        default=LIMIT_DEFAULT,
        config_parameter=LIMIT_PARAMETER,
        help="Records that one person restores within 24 hours on his own.",
    )

    @api.constrains("archive_approval_restore_limit")
    def _check_archive_approval_restore_limit(self):
        if any(settings.archive_approval_restore_limit < 1 for settings in self):
            raise ValidationError(
                self.env._("One record at least is restored without an approval.")
            )
