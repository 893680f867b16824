from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain

OFFICER = "crm_archive_policy.group_archive_officer"

#: Lines of a record that are shown at once, the latest first.
MAX_LINES = 200

#: Who has looked at a record is for those who may read the audit log.
PRIVATE_ACTIONS = ("read", "export")


class CrmArchiveHistory(models.TransientModel):
    """What has happened to one record, out of the audit log."""

    _name = "crm.archive.history"
    _description = "Archive History"

    res_model = fields.Char("Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(model_field="res_model", readonly=True)
    res_name = fields.Char("Record", readonly=True)
    line_ids = fields.One2many("crm.archive.history.line", "history_id", readonly=True)
    can_open_log = fields.Boolean(compute="_compute_can_open_log")

    def _compute_can_open_log(self):
        self.can_open_log = self.env["crm.archive.log"].has_access("read")

    @api.model
    def _create_for(self, record, model_name=None, res_id=None):
        """Collect the history of a record that the person may see.

        Officers may not read the audit log: of what happened to a record that they
        may read they are told who did what, when and why, not who looked at it.

        :param record: one contact, lead or entry of the vault
        :param str model_name: what the lines are about, if it is not the record
        :param int res_id: likewise
        :return: the history
        :raise AccessError: outside the groups, or without the right to the record
        """
        log = self.env["crm.archive.log"]
        is_reader = log.has_access("read")
        if not is_reader and not self.env.user.has_group(OFFICER):
            raise AccessError(
                self.env._("Only archive officers, auditors and managers see this.")
            )
        record.ensure_one()
        record.check_access("read")
        model_name, res_id = model_name or record._name, res_id or record.id
        domain = Domain(
            [
                ("res_model", "=", model_name),
                ("res_id", "=", res_id),
                ("company_id", "in", [*self.env.companies.ids, False]),
            ]
        )
        if not is_reader:
            domain &= Domain("action", "not in", PRIVATE_ACTIONS)
        lines = log.sudo().search(domain, limit=MAX_LINES)
        return self.create(
            {
                "res_model": model_name,
                "res_id": res_id,
                "res_name": record.display_name,
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "date": line.date,
                            "user_name": line.user_id.name,
                            "action": line.action,
                            "policy_name": line.policy_id.name,
                            "reason_name": line.reason_id.name,
                            "with_others": line.res_count > 1,
                        },
                    )
                    for line in lines
                ],
            }
        )

    def _get_action(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Archive History"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_open_log(self):
        """Open the lines in the audit log.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.actions"]._for_xml_id(
            "crm_archive_policy.crm_archive_log_action"
        )
        domain = [("res_model", "=", self.res_model), ("res_id", "=", self.res_id)]
        return {**action, "domain": domain}


class CrmArchiveHistoryLine(models.TransientModel):
    """One thing that has happened."""

    _name = "crm.archive.history.line"
    _description = "Archive History Line"

    history_id = fields.Many2one("crm.archive.history", ondelete="cascade", index=True)
    date = fields.Datetime()
    user_name = fields.Char("Person")
    action = fields.Selection(
        selection=lambda self: (
            self.env["crm.archive.log"]
            ._fields["action"]
            ._description_selection(self.env)
        ),
        string="What",
    )
    policy_name = fields.Char("Policy")
    reason_name = fields.Char("Reason")
    with_others = fields.Boolean("Together with Others")
