from odoo import api, fields, models

from ..vault.report import RestoreRefused
from .vault_errors import VAULT_ERRORS, concerns_all, vault_error
from .vault_findings import describe

#: Records restored in one transaction.
RESTORE_BATCH = 1000


class CrmArchiveRun(models.Model):
    """Runs that bring many records back from the vault."""

    _inherit = "crm.archive.run"

    kind = fields.Selection(
        selection_add=[("restore", "Restore from the vault")],
        ondelete={"restore": "cascade"},
    )
    restored_count = fields.Integer("Restored", readonly=True)
    restore_options = fields.Json(readonly=True)

    @api.depends("kind")
    def _compute_name(self):
        super()._compute_name()
        for run in self.filtered(lambda run: run.kind == "restore"):
            run.name = self.env._("Restore · run %(number)s", number=run.id or "")

    @api.model
    def _start_restore(self, entries, details, replacements):
        """Leave the restore of many records to the scheduled action.

        :param entries: ``crm.archive.entry``; the caller has checked the rights
        :param dict details: JSON values for the audit lines
        :param dict replacements: chosen by the person, see ``_restore``
        :return: the run
        """
        run = self.sudo().create(
            {
                "kind": "restore",
                "user_id": self.env.uid,
                "total_count": len(entries),
                "restore_options": {
                    "details": details,
                    "replacements": [
                        [*key, value] for key, value in replacements.items()
                    ],
                },
            }
        )
        entries.sudo().restore_run_id = run
        self.env.ref("crm_archive_policy.ir_cron_run_policies").sudo()._trigger()
        return run.sudo(self.env.su)

    def _find_due_ids(self):
        if self.kind != "restore":
            return super()._find_due_ids()
        domain = [
            ("restore_run_id", "=", self.id),
            ("state", "=", "vaulted"),
            ("id", ">", max(self.cursor, 0)),
        ]
        return list(
            self.env["crm.archive.entry"]._search(domain, order="bundle_id, id")
        )

    def _count_open(self, limit=None):
        return 0 if self.kind == "restore" else super()._count_open(limit)

    def _step(self, plan):
        if self.kind != "restore":
            return super()._step(plan)
        self.ensure_one()
        if self.state != "running":
            return True
        ids = plan[:RESTORE_BATCH]
        entries = self.env["crm.archive.entry"].browse(ids)
        entries = entries.with_user(self.user_id).sudo()
        self._each(entries.with_context(archive_run_id=self.id), self._restore_batch)
        self._count(done_count=len(ids))
        # Last: a conflict with somebody else's changes tries this batch again.
        del plan[:RESTORE_BATCH]
        if plan:
            return False
        self._finish()
        return True

    def _restore_batch(self, entries):
        options = self.restore_options or {}
        replacements = {
            (table, gone): instead
            for table, gone, instead in options.get("replacements", ())
        }
        records = entries._restore(replacements, options.get("details"))
        self._count(restored_count=len(records))
        return entries

    def _get_progress(self):
        """Records that are refused are looked at again at each attempt."""
        return (
            self.restored_count if self.kind == "restore" else super()._get_progress()
        )

    def _concerns_all(self, error):
        """A key or a store that is not there is told once, not for each record."""
        if self.kind == "restore" and concerns_all(error):
            return True
        return super()._concerns_all(error)

    def _note_error(self, record, error):
        """Say what a refused restore means, in words."""
        if record._name == "crm.archive.entry":
            if isinstance(error, RestoreRefused):
                error = "\n".join(
                    describe(self.env, f) for f in error.findings if f.refuses
                )
            elif isinstance(error, VAULT_ERRORS):
                error = vault_error(self.env, error)
        super()._note_error(record, error)

    def _notify_failure(self):
        """Tell whoever started a restore, and the archive managers."""
        if self.kind != "restore":
            super()._notify_failure()
            return
        managers = self.env.ref("crm_archive_policy.group_archive_manager").all_user_ids
        people = (managers | self.user_id).filtered("active")
        self.env["mail.thread"].message_notify(
            partner_ids=people.partner_id.ids,
            subject=self.env._("Restoring failed: %(run)s", run=self.name),
            body=self.env._(
                "Records could not be brought back from the vault: %(error)s They are "
                "there still.",
                error=self.error,
            ),
        )

    def _fail(self, error):
        """Say in words what a store or a bundle could not do."""
        if isinstance(error, VAULT_ERRORS):
            error = vault_error(self.env, error)
        super()._fail(error)

    def action_restore_vaulted(self):
        """Show what would come back of all that this run has moved to the vault.

        :return: window action of the dialog
        :raise AccessError: for other people than officers
        """
        self.ensure_one()
        wizards = self.env["crm.archive.vault.restore"]
        return wizards._create_for_source(run=self)._get_action()
