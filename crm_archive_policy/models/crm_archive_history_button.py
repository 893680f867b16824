from odoo import models


class CrmArchiveMixin(models.AbstractModel):
    _inherit = "crm.archive.mixin"

    def action_archive_history(self):
        """Show what has happened to this record.

        :return: window action of the dialog
        :raise AccessError: for other people than officers, auditors and managers
        """
        return self.env["crm.archive.history"]._create_for(self)._get_action()


class CrmArchiveEntry(models.Model):
    _inherit = "crm.archive.entry"

    def action_archive_history(self):
        """Show what has happened to the record, live and in the vault.

        :return: window action of the dialog
        :raise AccessError: for other people than officers, auditors and managers
        """
        self.ensure_one()
        self.check_access("read")
        history = self.env["crm.archive.history"]._create_for(
            self, self.res_model, self.res_id
        )
        return history._get_action()
