from odoo import api, fields, models
from odoo.exceptions import UserError

#: A request is read by a person: more than this nobody looks through.
LINES_MAX = 100_000


class CrmArchivePurgeAsk(models.TransientModel):
    """Ask for the purge of records whose retention is over, with a reason."""

    _name = "crm.archive.purge.ask"
    _description = "Ask for a Purge"

    act = fields.Selection(
        [
            ("category", "As its category says"),
            ("anonymise", "Anonymise"),
            ("delete", "Delete"),
        ],
        "What Is Done",
        required=True,
        default="category",
        help="Anonymised: name, addresses, texts, chatter and files go; country, "
        "industry, source, revenue, dates, won or lost stay for statistics.",
    )
    reason = fields.Text(required=True)
    record_count = fields.Integer("Records", compute="_compute_counts")
    early_count = fields.Integer("Retention Not Over", compute="_compute_counts")
    review_count = fields.Integer("Without an Action", compute="_compute_counts")
    held_count = fields.Integer("On Legal Hold", compute="_compute_counts")

    @api.model
    def _get_action_for(self, records):
        """Return the window action that asks for the purge of records.

        :param records: contacts, leads or entries of the vault
        :raise AccessError: when the person may not ask, or not see them
        """
        self.env["crm.archive.purge"]._check_may_ask()
        records.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Ask for a Purge"),
            "res_model": self._name,
            "view_mode": "form",
            "target": "new",
            "context": {"active_model": records._name, "active_ids": records.ids},
        }

    @api.model
    def _get_records(self):
        """Return the chosen records: of one model, or lines of the vault's index."""
        name = self.env.context.get("active_model")
        lifecycle = self.env["crm.archive.policy"]._get_lifecycle_models()
        if name not in (*lifecycle, "crm.archive.entry"):
            raise UserError(self.env._("Only contacts and leads have a lifecycle."))
        chosen = self.env[name].with_context(active_test=False)
        chosen = chosen.browse(self.env.context.get("active_ids") or ()).exists()
        chosen.check_access("read")
        return chosen

    @api.depends("act")
    def _compute_counts(self):
        for wizard in self:
            records = wizard._get_records()
            due = wizard._filter_due(records)
            wizard.record_count = len(records)
            wizard.early_count = len(records - due)
            acts = [wizard._get_act(record) for record in due]
            wizard.review_count = acts.count(None)
            wizard.held_count = len(due.filtered("archive_on_hold"))

    @api.model
    def _filter_due(self, records):
        """Return the records whose retention is over, and that are out of use."""
        today = self.env["crm.archive.retention"]._get_retention_today()
        if records._name == "crm.archive.entry":
            records = records.filtered(lambda entry: entry.state == "vaulted")
        else:
            away = ("archived", "vaulted")
            records = records.filtered(lambda r: r.archive_state in away)
        return records.filtered(lambda r: r.retention_date and r.retention_date < today)

    def _get_act(self, record):
        """Return what is done with a record, ``None`` when nobody has said."""
        if self.act != "category":
            return self.act
        act = record.retention_action
        return act if act in ("delete", "anonymise") else None

    def action_ask(self):
        """Ask: the other archive managers are told.

        :return: action of the request
        :raise UserError: when a record is not due, or nobody has said what is done
        """
        self.ensure_one()
        records = self._get_records()
        if len(records) > LINES_MAX:
            raise UserError(
                self.env._("Ask for %(max)s records at most at once.", max=LINES_MAX)
            )
        if early := records - self._filter_due(records):
            raise UserError(
                self.env._(
                    "%(name)s is not at the end of its retention: it is still in use, "
                    "or has to be kept longer, or no day was set.",
                    name=early[0].display_name,
                )
            )
        if undecided := records.filtered(lambda r: not self._get_act(r)):
            raise UserError(
                self.env._(
                    "The category of %(name)s asks for a review. Look at it, then "
                    "choose whether it is anonymised or deleted.",
                    name=undecided[0].display_name,
                )
            )
        lines = [self._prepare_line(record) for record in records]
        purge = self.env["crm.archive.purge"]._ask("retention", self.reason, lines)
        return purge._get_action()

    def _prepare_line(self, record):
        values = {"act": self._get_act(record), "retention_date": record.retention_date}
        if record._name == "crm.archive.entry":
            return {
                **values,
                "res_model": record.res_model,
                "res_id": record.res_id,
                "entry_id": record.id,
                "category_id": record.category_id.id,
                "policy_id": record.policy_id.id,
            }
        entry = self.env["crm.archive.entry"]
        if record.archive_state == "vaulted":
            entry = entry._find_for(record._name, record.ids)
        return {
            **values,
            "res_model": record._name,
            "res_id": record.id,
            "entry_id": entry.id,
            "category_id": record.archive_category_id.id,
            "policy_id": record.sudo().archive_policy_id.id,
        }
