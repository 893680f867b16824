from odoo import api, models
from odoo.exceptions import RedirectWarning

ADDON = "crm_archive_policy"


class IrModuleModule(models.Model):
    """Uninstalling this add-on is refused while it holds somebody's records."""

    _inherit = "ir.module.module"

    @api.model
    def _count_vaulted(self):
        """Return how many records are in the vault, whoever asks: only the number."""
        entries = self.env["crm.archive.entry"].sudo()
        return entries.search_count([("state", "=", "vaulted")])

    def _check_vault_empty(self):
        """Refuse to remove the add-on, also with a module that it needs.

        :raise RedirectWarning: while records are in the vault; it leads to the dialog
            with the ways out
        """
        leaving = self + self.downstream_dependencies()
        if ADDON not in leaving.mapped("name"):
            return
        if count := self._count_vaulted():
            raise RedirectWarning(
                self._get_vault_refusal(count),
                self.env.ref("crm_archive_policy.crm_archive_leave_action").id,
                self.env._("Show the Ways Out"),
            )

    @api.model
    def _get_vault_refusal(self, count):
        """:return: why uninstalling is refused, and the ways out, in words"""
        return self.env._(
            "%(count)s records are in the vault, and only this app brings them back. "
            "It is not uninstalled while they are there. Restore everything, or export "
            "everything and purge it: Archive › Configuration › Leave the Vault.",
            count=count,
        )

    def write(self, vals):
        """Whatever way leads to the uninstallation passes through here."""
        if vals.get("state") == "to remove":
            self._check_vault_empty()
        return super().write(vals)

    def button_uninstall_wizard(self):
        """Say it before the dialog that asks whether one is sure."""
        self._check_vault_empty()
        return super().button_uninstall_wizard()
