from importlib.util import find_spec

from markupsafe import Markup

from odoo import api, fields, models

#: Settings field → field of the scheduled action.
CRON_FIELDS = {
    "archive_health_active": "active",
    "archive_health_interval_number": "interval_number",
    "archive_health_interval_type": "interval_type",
}


class ResConfigSettings(models.TransientModel):
    """Where archived records go, and what the server could do better."""

    _inherit = "res.config.settings"

    archive_store_id = fields.Many2one(
        related="company_id.archive_store_id", readonly=False, string="Default Store"
    )
    archive_store_encrypt = fields.Boolean(
        related="archive_store_id.encrypt", readonly=False, string="Encrypt new bundles"
    )
    archive_health_active = fields.Boolean("Check Stores by Schedule")
    archive_health_interval_number = fields.Integer("Check Every", default=1)
    archive_health_interval_type = fields.Selection(
        [
            ("minutes", "Minutes"),
            ("hours", "Hours"),
            ("days", "Days"),
            ("weeks", "Weeks"),
        ],
        default="hours",
    )
    archive_packages = fields.Html(
        "Optional Packages", compute="_compute_archive_packages", sanitize=False
    )

    @api.depends_context("lang")
    def _compute_archive_packages(self):
        rows = Markup().join(
            Markup("<li><i class='fa fa-fw %s'></i> <code>%s</code>: %s</li>")
            % (
                "fa-check text-success" if find_spec(name) else "fa-times text-muted",
                name,
                benefit,
            )
            for name, benefit in self._get_archive_packages().items()
        )
        self.archive_packages = Markup("<ul class='list-unstyled mb-0'>%s</ul>") % rows

    @api.model
    def _get_archive_packages(self):
        """Return the optional Python packages, and what each would bring.

        :return: dict ``{import name: benefit}``
        """
        return {
            "zstandard": self.env._("smaller bundles, faster than with zlib"),
            "cryptography": self.env._("encrypted bundles"),
            "fsspec": self.env._("stores elsewhere, with one of the following"),
            "s3fs": self.env._("Amazon S3 and what speaks its language (s3://)"),
            "gcsfs": self.env._("Google Cloud Storage (gs://)"),
            "adlfs": self.env._("Azure Blob Storage (abfs://)"),
            "paramiko": self.env._("SFTP servers (sftp://)"),
        }

    @api.model
    def _get_archive_health_cron(self):
        return self.env.ref(
            "crm_archive_policy.ir_cron_check_stores", raise_if_not_found=False
        )

    @api.model
    def get_values(self):
        """Read the schedule from the scheduled action itself."""
        values = super().get_values()
        cron = self._get_archive_health_cron()
        if cron and self.has_access("read"):
            cron = cron.sudo()
            values.update({name: cron[field] for name, field in CRON_FIELDS.items()})
        return values

    def set_values(self):
        """Write back what was changed of the schedule."""
        result = super().set_values()
        cron = self._get_archive_health_cron()
        if cron and self.env.user.has_group("base.group_system"):
            changed = {
                field: self[name]
                for name, field in CRON_FIELDS.items()
                if self[name] != cron.sudo()[field]
            }
            if changed:
                cron.sudo().write(changed)
        return result
