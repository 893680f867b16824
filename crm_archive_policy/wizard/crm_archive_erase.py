from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from ..models.crm_archive_purge_line import OUTCOMES


class CrmArchiveErase(models.TransientModel):
    """Erase one person on request: find everything, show what goes and what stays.

    GDPR Article 17, PIPL Article 47. What is carried out is a purge request, which a
    second person approves.
    """

    _name = "crm.archive.erase"
    _inherit = ["crm.archive.person.search"]
    _description = "Erase a Person"

    line_ids = fields.One2many("crm.archive.erase.line", "wizard_id")
    identifiers = fields.Text(
        "Known by",
        help="One name, e-mail address or phone number a line. Each is blotted out "
        "wherever else it is found: in other chatters, meetings and mails. Take out "
        "what other people share, such as the number of a company.",
    )
    reason = fields.Text(help="It stays: name no person here.")
    erased_count = fields.Integer(compute="_compute_counts")
    kept_count = fields.Integer(compute="_compute_counts")

    @api.depends("line_ids.is_chosen", "line_ids.outcome")
    def _compute_counts(self):
        for wizard in self:
            chosen = wizard.line_ids.filtered("is_chosen")
            wizard.kept_count = len(chosen.filtered("outcome"))
            wizard.erased_count = len(chosen) - wizard.kept_count

    def _search_person(self):
        """Fill the dialog with what there is about the person."""
        self.env["crm.archive.purge"]._check_may_ask()
        person = self.env["crm.archive.person"]
        found = person._find(self.name, self.email, self.phone)
        known = {self.name, self.email, self.phone} - {False}
        values = []
        for records in found:
            known |= person._get_identifiers(records, self.name, self.email, self.phone)
            values += self._prepare_lines(records)
        self.write(
            {
                "line_ids": [Command.clear(), *map(Command.create, values)],
                "identifiers": "\n".join(sorted(known)),
                "is_searched": True,
                "hidden_count": person._count_hidden(
                    found, self.name, self.email, self.phone
                ),
            }
        )

    def _prepare_lines(self, records):
        """Return the values of a line for each record, with what is to become of it."""
        if records._name == "crm.archive.entry":
            groups = records.grouped("res_model")
            held = records._get_held()
            untils = records._get_kept_until()
        else:
            groups = {records._name: records}
            held = records._get_held().with_env(self.env)
            untils = {record.id: record.sudo().retention_date for record in records}
        today = self.env["crm.archive.retention"]._get_retention_today()
        lines = []
        for model_name, group in groups.items():
            vaulted = group._name == "crm.archive.entry"
            ids = group.mapped("res_id") if vaulted else group.ids
            live = self.env[model_name].browse(ids)
            duties, users = live._find_archive_duties(), live._find_archive_users()
            for record, res_id in zip(group, ids, strict=True):
                until = untils[res_id]
                outcome = (
                    (record in held and "hold")
                    or (res_id in users and "user")
                    or (res_id in duties and "duty")
                    or (until and until >= today and "retention")
                )
                lines.append(
                    {
                        "res_model": model_name,
                        "res_id": res_id,
                        "entry_id": record.id if vaulted else False,
                        "res_name": record.display_name,
                        "place": self._get_place(record),
                        "outcome": outcome or False,
                        "retention_date": until,
                    }
                )
        return lines

    @api.model
    def _get_place(self, record):
        if record._name == "crm.archive.entry":
            return "vaulted"
        return "archived" if record.archive_state == "archived" else "live"

    def action_ask(self):
        """Ask for the erasure: the other archive managers are told.

        :return: action of the request
        :raise UserError: without a reason, or before anything was looked for
        """
        self.ensure_one()
        chosen = self.line_ids.filtered("is_chosen")
        lines = [line._prepare_purge_line() for line in chosen]
        purge = self.env["crm.archive.purge"]._ask(
            "erasure", self.reason, lines, self.identifiers
        )
        # The dialog forgets the person at once, not only when it is swept up.
        self.write(
            {
                "name": False,
                "email": False,
                "phone": False,
                "identifiers": False,
                "line_ids": [Command.clear()],
            }
        )
        return purge._get_action()


class CrmArchiveEraseLine(models.TransientModel):
    """One record about the person."""

    _name = "crm.archive.erase.line"
    _description = "Record About a Person"

    wizard_id = fields.Many2one("crm.archive.erase", required=True, ondelete="cascade")
    is_chosen = fields.Boolean("Erase", default=True)
    res_model = fields.Char("Model", readonly=True)
    res_id = fields.Integer(readonly=True)
    entry_id = fields.Many2one("crm.archive.entry", readonly=True, ondelete="cascade")
    res_name = fields.Char("Record", readonly=True)
    place = fields.Selection(
        [("live", "Live"), ("archived", "Archived"), ("vaulted", "In the vault")],
        readonly=True,
    )
    outcome = fields.Selection(OUTCOMES, "Stays because", readonly=True)
    retention_date = fields.Date("Kept until", readonly=True)

    def _prepare_purge_line(self):
        """Return the values of the request's line.

        Read again from the record: what the dialog shows comes from the client.
        """
        self.ensure_one()
        entry = self.entry_id
        if entry:
            entry.check_access("read")
            category, policy = entry.category_id, entry.policy_id
            res_model, res_id = entry.res_model, entry.res_id
        else:
            res_model, res_id = self.res_model, self.res_id
            if res_model not in self.env["crm.archive.policy"]._get_lifecycle_models():
                raise UserError(self.env._("Only contacts and leads have a lifecycle."))
            record = self.env[res_model].browse(res_id).exists()
            record.check_access("read")
            category = record.archive_category_id
            policy = record.sudo().archive_policy_id
        return {
            "res_model": res_model,
            "res_id": res_id,
            "entry_id": entry.id,
            "act": "anonymise",
            "category_id": category.id,
            "policy_id": policy.id,
            "retention_date": self.retention_date,
        }
