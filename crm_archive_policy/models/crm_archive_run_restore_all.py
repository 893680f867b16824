from odoo import api, models
from odoo.tools import SQL


class CrmArchiveRun(models.Model):
    """Bringing back everything: the way out before the add-on is uninstalled."""

    _inherit = "crm.archive.run"

    @api.model
    def _start_restore_all(self):
        """Leave the restore of all that the user sees to the scheduled action.

        One statement marks the entries, however many there are.

        :return: the run; the caller has checked the rights
        """
        entries = self.env["crm.archive.entry"]
        run = self._start_restore(entries, {"leaving": True}, {})
        self.env.flush_all()
        wanted = entries._search([("state", "=", "vaulted")])
        self.env.cr.execute(
            SQL(
                "UPDATE crm_archive_entry SET restore_run_id = %s WHERE id IN %s",
                run.id,
                wanted.subselect(),
            )
        )
        count = self.env.cr.rowcount
        self.env.invalidate_all(flush=False)
        run.sudo().total_count = count
        return run
