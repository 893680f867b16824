from odoo import api, fields, models
from odoo.exceptions import AccessError


class CrmArchiveLeave(models.TransientModel):
    """What to do before the add-on is uninstalled: the ways out of the vault."""

    _name = "crm.archive.leave"
    _inherit = ["crm.archive.approval.asking"]
    _description = "Leave the Vault"

    entry_count = fields.Integer("Records in the Vault", compute="_compute_counts")
    hidden_count = fields.Integer(compute="_compute_counts")
    outside_names = fields.Char(
        "Stores Outside",
        compute="_compute_outside_names",
        help="Stores outside this database that still hold bundles.",
    )

    @api.depends_context("uid", "allowed_company_ids")
    def _compute_counts(self):
        entries = self.env["crm.archive.entry"]
        domain = [("state", "=", "vaulted")]
        for leave in self:
            leave.entry_count = entries.search_count(domain)
            total = self.env["ir.module.module"]._count_vaulted()
            leave.hidden_count = total - leave.entry_count

    def _compute_outside_names(self):
        bundles = self.env["crm.archive.bundle"].sudo()
        groups = bundles._read_group([("state", "!=", "removed")], ["store_id"])
        stores = bundles.store_id.union(*(store for (store,) in groups))
        stores |= stores.mirror_id
        names = stores.filtered(lambda s: s.kind != "database").mapped("name")
        self.outside_names = ", ".join(names)

    def action_restore_all(self):
        """Bring everything back that this person sees, in the background.

        :return: the run, or the request for an approval
        :raise AccessError: for other people than archive managers
        """
        if not self.env.user.has_group("crm_archive_policy.group_archive_manager"):
            raise AccessError(
                self.env._("Only archive managers bring everything back at once.")
            )
        if self._is_approval_needed():
            entries = self.env["crm.archive.entry"].search([("state", "=", "vaulted")])
            approvals = self.env["crm.archive.approval"]
            details = {"leaving": True}
            asked = approvals._ask_restore(entries, self.approval_reason, details)
            return asked._get_action()
        return self.env["crm.archive.run"]._start_restore_all()._get_action()

    @api.depends("entry_count")
    def _compute_is_approval_needed(self):
        super()._compute_is_approval_needed()

    def _is_approval_needed(self):
        approvals = self.env["crm.archive.approval"]
        return approvals._is_restore_needed(self.entry_count)

    def action_export_all(self):
        """:return: the dialog that exports everything"""
        self.env["crm.archive.entry"]._check_may_export()
        return self.env["crm.archive.export"]._open_for()
