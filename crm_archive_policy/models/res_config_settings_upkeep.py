from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .crm_archive_store_upkeep import DEFAULTS

INTERVALS = [
    ("hours", "Hours"),
    ("days", "Days"),
    ("weeks", "Weeks"),
    ("months", "Months"),
]

#: Scheduled actions that are set here; prefix of the fields → XML id.
CRONS = {
    "archive_verify": "crm_archive_policy.ir_cron_verify",
    "archive_drill": "crm_archive_policy.ir_cron_drill",
    "archive_sweep": "crm_archive_policy.ir_cron_sweep",
}

CRON_FIELDS = ("active", "interval_number", "interval_type")


class ResConfigSettings(models.TransientModel):
    """How often the vault is verified, rehearsed and swept."""

    _inherit = "res.config.settings"

    archive_verify_active = fields.Boolean("Verify What Is Stored")
    archive_verify_interval_number = fields.Integer("Verify Every", default=1)
    archive_verify_interval_type = fields.Selection(INTERVALS, default="days")
    archive_verify_days = fields.Integer(
        "Everything Within",
        default=DEFAULTS["verify_days"],
        config_parameter="crm_archive_policy.verify_days",
        help="Each time a part of every store is read again, so that within so many "
        "days all of it has been.",
    )
    archive_drill_active = fields.Boolean("Rehearse Restores")
    archive_drill_interval_number = fields.Integer("Rehearse Every", default=1)
    archive_drill_interval_type = fields.Selection(INTERVALS, default="weeks")
    archive_drill_sample = fields.Integer(
        "Records",
        default=DEFAULTS["drill_sample"],
        config_parameter="crm_archive_policy.drill_sample",
        help="Records of each store, chosen at random.",
    )
    archive_sweep_active = fields.Boolean("Sweep the Stores")
    archive_sweep_interval_number = fields.Integer("Sweep Every", default=1)
    archive_sweep_interval_type = fields.Selection(INTERVALS, default="days")
    archive_sweep_grace_days = fields.Integer(
        "Orphans After",
        default=DEFAULTS["sweep_grace_days"],
        config_parameter="crm_archive_policy.sweep_grace_days",
        help="Longer than the backups of the database are kept, if you want a backup "
        "to find everything that it refers to.",
    )
    archive_sweep_restored_days = fields.Integer(
        "Restored After",
        default=DEFAULTS["sweep_restored_days"],
        config_parameter="crm_archive_policy.sweep_restored_days",
        help="Days for which a bundle is kept after its last record was restored. One "
        "that holds values which could not come back is kept.",
    )

    @api.constrains(*(f"archive_{name}" for name in DEFAULTS))
    def _check_archive_upkeep(self):
        for settings in self:
            if any(settings[f"archive_{name}"] < 1 for name in DEFAULTS):
                raise ValidationError(
                    self.env._(
                        "Numbers of the vault's upkeep are at least 1: what is written "
                        "at this moment must not be swept."
                    )
                )

    @api.model
    def _get_archive_crons(self):
        """Return the scheduled actions that are set here.

        :return: ``{prefix of the fields: XML id}``
        """
        return CRONS

    @api.model
    def _get_archive_upkeep_cron(self, prefix):
        name = self._get_archive_crons()[prefix]
        cron = self.env.ref(name, raise_if_not_found=False)
        return cron.sudo() if cron else self.env["ir.cron"]

    @api.model
    def get_values(self):
        """Read the schedules from the scheduled actions themselves."""
        values = super().get_values()
        if not self.has_access("read"):
            return values
        for prefix in self._get_archive_crons():
            if cron := self._get_archive_upkeep_cron(prefix):
                values.update({f"{prefix}_{name}": cron[name] for name in CRON_FIELDS})
        return values

    def set_values(self):
        """Write back what was changed of the schedules."""
        result = super().set_values()
        if self.env.user.has_group("base.group_system"):
            for prefix in self._get_archive_crons():
                cron = self._get_archive_upkeep_cron(prefix)
                changed = {
                    name: self[f"{prefix}_{name}"]
                    for name in CRON_FIELDS
                    if cron and self[f"{prefix}_{name}"] != cron[name]
                }
                if changed:
                    cron.write(changed)
        return result
