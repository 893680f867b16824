from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError


class CrmArchiveMixin(models.AbstractModel):
    """From what is left of a record to its entry in the vault."""

    _inherit = "crm.archive.mixin"

    archive_vault_date = fields.Datetime(
        "In the Vault since", compute="_compute_archive_vault_date"
    )

    @api.depends("archive_state")
    def _compute_archive_vault_date(self):
        vaulted = self.filtered(lambda record: record.archive_state == "vaulted")
        # Only the date, of records whose own row the person reads already.
        entries = self.env["crm.archive.entry"]._find_for(self._name, vaulted.ids)
        dates = {entry.res_id: entry.vault_date for entry in entries}
        for record in self:
            record.archive_vault_date = dates.get(record.id)

    def _get_archive_entries(self):
        """Return the entries of these records, as far as the person may see them.

        :raise AccessError: when there are some and none may be seen
        :raise UserError: when there are none
        """
        found = self.env["crm.archive.entry"]._find_for(self._name, self.ids)
        if not found:
            raise UserError(self.env._("This record is not in the vault."))
        entries = self.env["crm.archive.entry"].search([("id", "in", found.ids)])
        if not entries:
            raise AccessError(
                self.env._("You may not look at this record in the vault.")
            )
        return entries

    def action_archive_vault_read(self):
        """Show the content of a record that is in the vault.

        :return: client action
        """
        self.check_access("read")
        return self._get_archive_entries()[:1].action_view_content()

    def action_archive_vault_restore(self):
        """Open the dialog that brings records back from the vault.

        :return: window action
        """
        self.check_access("read")
        return self._get_archive_entries().action_restore()
