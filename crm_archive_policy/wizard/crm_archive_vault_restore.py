from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from ..models.crm_archive_approval_acts import INLINE_MAX
from ..models.crm_archive_restore_stat import RESTORE_CAUSES
from ..models.vault_errors import VAULT_ERRORS, vault_error
from ..models.vault_findings import describe, describe_refused, find_model_name
from ..vault.report import REFUSALS, RestoreRefused

#: So many records are rehearsed before the dialog opens.
REHEARSED_MAX = 500


class CrmArchiveVaultRestore(models.TransientModel):
    """Bring records back from the vault: first what would happen, then do it."""

    _name = "crm.archive.vault.restore"
    _inherit = ["crm.archive.approval.asking"]
    _description = "Restore from the Vault"

    entry_ids = fields.Many2many("crm.archive.entry", readonly=True)
    policy_id = fields.Many2one(
        "crm.archive.policy", "Everything of", readonly=True, ondelete="cascade"
    )
    run_id = fields.Many2one(
        "crm.archive.run", "Everything of the Run", readonly=True, ondelete="cascade"
    )
    entry_count = fields.Integer("Records", compute="_compute_entry_count")
    entry_names = fields.Char("Restore", compute="_compute_entry_count")
    line_ids = fields.One2many("crm.archive.vault.restore.line", "wizard_id")
    is_refused = fields.Boolean(compute="_compute_is_refused")
    has_replacements = fields.Boolean(compute="_compute_is_refused")
    is_sampled = fields.Boolean(
        readonly=True, help="Only the first records were rehearsed."
    )

    @api.depends("entry_ids", "policy_id", "run_id")
    def _compute_entry_count(self):
        for wizard in self:
            domain = wizard._get_source_domain()
            wizard.entry_count = (
                wizard.entry_ids.search_count(domain)
                if domain
                else len(wizard.entry_ids)
            )
            wizard.entry_names = ", ".join(wizard.entry_ids[:5].mapped("display_name"))

    @api.depends("line_ids.kind", "line_ids.replacement_id")
    def _compute_is_refused(self):
        for wizard in self:
            wizard.is_refused = any(
                line.kind in REFUSALS and not line.replacement_id
                for line in wizard.line_ids
            )
            wizard.has_replacements = any(wizard.line_ids.mapped("target_model"))

    @api.depends("entry_count")
    def _compute_is_approval_needed(self):
        super()._compute_is_approval_needed()

    def _is_approval_needed(self):
        approvals = self.env["crm.archive.approval"]
        return approvals._is_restore_needed(self.entry_count)

    @api.model
    def _create_for(self, entries):
        """Rehearse the restore of entries and show the outcome.

        :param entries: ``crm.archive.entry`` that the user may restore
        :return: the dialog
        """
        entries._get_records()  # of one model
        return self._create_rehearsed(
            {
                "entry_ids": [Command.set(entries.ids)],
                "is_sampled": len(entries) > REHEARSED_MAX,
            }
        )

    @api.model
    def _create_for_source(self, policy=None, run=None):
        """Rehearse the restore of all that a policy or a run has moved to the vault.

        :param policy: the policy, or
        :param run: the run
        :return: the dialog
        :raise AccessError: for other people than officers
        :raise UserError: when nothing of it is in the vault
        """
        self.env["crm.archive.entry"]._check_may_restore()
        source = {
            "policy_id": policy.id if policy else False,
            "run_id": run.id if run else False,
        }
        domain = self.new(source)._get_source_domain()
        entries = self.env["crm.archive.entry"].search(domain, limit=REHEARSED_MAX + 1)
        if not entries:
            raise UserError(self.env._("Nothing of it is in the vault."))
        return self._create_rehearsed(
            {
                **source,
                "entry_ids": [Command.set(entries[:REHEARSED_MAX].ids)],
                "is_sampled": len(entries) > REHEARSED_MAX,
            }
        )

    def _create_rehearsed(self, values):
        wizard = self.create(values)
        wizard._rehearse()
        return wizard

    def _get_source_domain(self):
        """Return what of a policy or a run is in the vault, ``None`` for a selection
        of records."""
        self.ensure_one()
        domain = [("state", "=", "vaulted")]
        if self.run_id:
            return [*domain, ("run_id", "=", self.run_id.id)]
        if self.policy_id:
            return [*domain, ("policy_id", "=", self.policy_id.id)]
        return None

    def _get_entries(self):
        """Return what is restored: of a policy or a run all, not only the rehearsed."""
        domain = self._get_source_domain()
        return self.entry_ids.search(domain) if domain else self.entry_ids

    def _rehearse(self):
        """Do everything and take it back: what is shown is what would happen."""
        entries, replacements = self.entry_ids[:REHEARSED_MAX], self._get_replacements()
        try:
            found = entries._rehearse(replacements)
            findings = [(None, finding) for each in found.values() for finding in each]
        except RestoreRefused:
            refused = entries._find_refused(replacements)
            findings = [(entry, f) for entry, each in refused.items() for f in each]
        except VAULT_ERRORS as error:
            raise vault_error(self.env, error) from error
        self.line_ids = [
            Command.clear(),
            *(
                Command.create(v)
                for e, f in findings
                for v in self._prepare_lines(f, e)
            ),
        ]

    def _prepare_lines(self, finding, entry=None):
        """Return the values of a line, one for each target that can be replaced.

        :param entry: the record that was refused, when there are several
        """
        name = f"{entry.display_name}: " if entry and len(self.entry_ids) > 1 else ""
        values = {
            "kind": finding.kind,
            "message": name + describe(self.env, finding),
            "is_refusal": finding.refuses,
        }
        if finding.kind not in ("target_gone", "required_gone", "target_replaced"):
            return [values]
        return [
            {
                **values,
                "message": name
                + describe(self.env, finding._replace(ids=(target_id,))),
                "target_table": finding.target,
                "target_model": find_model_name(self.env, finding.target),
                "target_id": target_id,
            }
            for target_id in finding.ids
        ]

    def _get_replacements(self):
        """Return what the person has chosen, see ``crm.archive.entry._restore``.

        :raise AccessError: when it is something that the person may not see
        """
        replacements = {}
        for line in self.line_ids.filtered("replacement_id"):
            self.env[line.target_model].browse(line.replacement_id).check_access("read")
            replacements[line.target_table, line.target_id] = line.replacement_id
        return replacements

    def action_rehearse(self):
        """Rehearse once more, with what the person has chosen meanwhile.

        What was chosen stays in sight, also where it settles the matter.

        :return: this dialog
        :raise AccessError: for other people than officers
        """
        self.ensure_one()
        self.entry_ids._check_may_restore()
        chosen = self._get_replacements()
        self._rehearse()
        for line in self.line_ids.filtered("target_id"):
            line.replacement_id = chosen.get((line.target_table, line.target_id), 0)
        return self._get_action()

    def _get_action(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Restore from the Vault"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }

    def action_restore(self):
        """Restore for the cause that the clicked button has put in the context.

        :return: notification, the run that does it in the background, or the request
            for an approval
        :raise UserError: when it cannot be done; nothing is changed
        """
        self.ensure_one()
        cause = self.env.context.get("restore_cause")
        if cause not in dict(RESTORE_CAUSES):
            raise UserError(self.env._("Say why the records are restored."))
        entries = self._get_entries()
        entries._check_may_restore()
        details = {"cause": cause}
        replacements = self._get_replacements()
        approvals = self.env["crm.archive.approval"]
        if approvals._is_restore_needed(len(entries)):
            return approvals._ask_restore(
                entries, self.approval_reason, details, replacements
            )._get_action()
        if len(entries) > INLINE_MAX:
            runs = self.env["crm.archive.run"]
            return runs._start_restore(entries, details, replacements)._get_action()
        records = self._restore_entries(entries, replacements, details)
        if not records:
            raise UserError(
                self.env._("Somebody was faster: these records are restored already.")
            )
        action = records._get_restored_action()
        if len(records) == 1:
            action["params"]["next"] = entries.action_open_record()
        return action

    @api.model
    def _restore_entries(self, entries, replacements, details):
        """Restore, and say in words why it cannot be done.

        :return: the records
        :raise UserError: when it cannot be done; nothing is changed
        """
        try:
            return entries._restore(replacements, details)
        except RestoreRefused as error:
            refused = entries._find_refused(replacements)
            raise UserError(describe_refused(self.env, refused)) from error
        except VAULT_ERRORS as error:
            raise vault_error(self.env, error) from error


class CrmArchiveVaultRestoreLine(models.TransientModel):
    """One difference that the restore meets, and what becomes of it."""

    _name = "crm.archive.vault.restore.line"
    _description = "Difference Met by a Restore"

    wizard_id = fields.Many2one(
        "crm.archive.vault.restore", required=True, ondelete="cascade"
    )
    kind = fields.Char(readonly=True)
    message = fields.Text(readonly=True)
    is_refusal = fields.Boolean(readonly=True)
    target_table = fields.Char(readonly=True)
    target_model = fields.Char(readonly=True)
    target_id = fields.Integer(readonly=True)
    replacement_id = fields.Many2oneReference("Use Instead", model_field="target_model")
