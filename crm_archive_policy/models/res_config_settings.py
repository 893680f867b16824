from odoo import api, fields, models

#: Settings field → field of the scheduled action.
CRON_FIELDS = {
    "archive_cron_active": "active",
    "archive_cron_interval_number": "interval_number",
    "archive_cron_interval_type": "interval_type",
    "archive_cron_nextcall": "nextcall",
}


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    archive_cron_active = fields.Boolean("Run Policies by Schedule")
    archive_cron_interval_number = fields.Integer("Every", default=1)
    archive_cron_interval_type = fields.Selection(
        [
            ("minutes", "Minutes"),
            ("hours", "Hours"),
            ("days", "Days"),
            ("weeks", "Weeks"),
            ("months", "Months"),
        ],
        default="days",
    )
    archive_cron_nextcall = fields.Datetime("Next Run")
    archive_window = fields.Boolean(
        "Off-Hours Only", config_parameter="crm_archive_policy.window"
    )
    archive_window_start = fields.Float(
        "Between",
        default=20.0,
        config_parameter="crm_archive_policy.window_start",
        help="Hour of the day, in the time zone of the scheduled action's user.",
    )
    archive_window_stop = fields.Float(
        "And", default=6.0, config_parameter="crm_archive_policy.window_stop"
    )

    @api.model
    def _get_archive_cron(self):
        return self.env.ref(
            "crm_archive_policy.ir_cron_run_policies", raise_if_not_found=False
        )

    @api.model
    def get_values(self):
        """Read the schedule from the scheduled action itself."""
        values = super().get_values()
        cron = self._get_archive_cron()
        if cron and self.has_access("read"):
            cron = cron.sudo()
            values.update({name: cron[field] for name, field in CRON_FIELDS.items()})
        return values

    def set_values(self):
        """Write back only what was changed: the scheduled action may have moved on."""
        result = super().set_values()
        cron = self._get_archive_cron()
        if cron and self.env.user.has_group("base.group_system"):
            shown = {name: cron.sudo()[field] for name, field in CRON_FIELDS.items()}
            changed = {
                CRON_FIELDS[name]: self[name]
                for name, value in shown.items()
                if self[name] != value
            }
            if changed:
                cron.sudo().write(changed)
        return result

    def action_open_archive_cron(self):
        """Open the scheduled action.

        :return: window action
        """
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": "ir.cron",
            "res_id": self._get_archive_cron().id,
            "view_mode": "form",
        }
