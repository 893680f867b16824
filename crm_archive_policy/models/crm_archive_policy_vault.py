from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain


class CrmArchivePolicy(models.Model):
    """The vault's part of the timetable."""

    _inherit = "crm.archive.policy"

    vault_enabled = fields.Boolean(
        "Move to the Vault",
        tracking=True,
        help="Archived records leave the live tables for separate storage. They can "
        "be searched there, read and brought back.",
    )
    vault_after_days = fields.Integer(
        "After", tracking=True, default=90, help="Days in the archive before that."
    )
    store_id = fields.Many2one(
        "crm.archive.store",
        ondelete="restrict",
        check_company=True,
        tracking=True,
        help="Empty: the default store of the company.",
    )
    vaulted_count = fields.Integer(compute="_compute_vaulted_count")

    _check_vault_after_days = models.Constraint(
        "CHECK(vault_after_days >= 0)", "The days in the archive cannot be negative."
    )

    @api.depends("run_ids.state")
    def _compute_vaulted_count(self):
        counts = dict(
            self.env["crm.archive.entry"]._read_group(
                [("policy_id", "in", self.ids), ("state", "=", "vaulted")],
                ["policy_id"],
                ["__count"],
            )
            if self.env["crm.archive.entry"].has_access("read")
            else ()
        )
        for policy in self:
            policy.vaulted_count = counts.get(policy, 0)

    def _get_vault_domain(self):
        """Return which records are due for the vault today."""
        self.ensure_one()
        self._check_responsible()
        limit = self.env.cr.now() - timedelta(days=self.vault_after_days)
        model = self._get_model()
        return (
            Domain(model._get_vaultable_domain())
            & Domain("archive_policy_id", "=", self.id)
            & Domain("archive_date", "<=", limit)
        )

    def _find_vault_ids(self, after=0, limit=None):
        """Return the ids of what is due for the vault, ascending."""
        self.ensure_one()
        domain = Domain("id", ">", after) & self._get_vault_domain()
        return (
            self._get_model()._search(domain, order="id", limit=limit).get_result_ids()
        )

    def action_run(self):
        """First the vault's turn, so that what is archived now does not go at once."""
        self._check_may_run()
        runs = self.env["crm.archive.run"]
        for policy in self.filtered("vault_enabled"):
            runs += self.env["crm.archive.run"]._start_vault(policy)
        action = super().action_run()
        if runs:
            runs += self.run_ids.browse(action.get("res_id") or ())
            if not action.get("res_id"):
                runs += self.run_ids.filtered_domain(action["domain"])
            return runs._get_action()
        return action

    def action_view_vaulted(self):
        """Show what this policy has moved to the vault.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_entry_action"
            ),
            "domain": [("policy_id", "=", self.id)],
        }

    def action_restore_vaulted(self):
        """Show what would come back of all that this policy has moved to the vault.

        :return: window action of the dialog
        :raise AccessError: for other people than officers
        """
        self.ensure_one()
        wizards = self.env["crm.archive.vault.restore"]
        return wizards._create_for_source(policy=self)._get_action()
