from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.modules.db import FunctionStatus

from .big_integer import BigInteger

#: What people remember of somebody.
SEARCHED_COLUMNS = ("name", "email", "phone", "partner_name")


def _get_search_index(registry):
    """Return one trigram index over every text, built like core's own.

    A batch of entries is written in one statement, and four indexes would cost it as
    much again.
    """
    if not registry.has_trigram:
        return ""
    indexable = registry.has_unaccent == FunctionStatus.INDEXABLE
    columns = (
        map(registry.unaccent, SEARCHED_COLUMNS) if indexable else SEARCHED_COLUMNS
    )
    return f"USING gin ({', '.join(f'{column} gin_trgm_ops' for column in columns)})"


class CrmArchiveEntry(models.Model):
    """The index of the vault: one line a record, found without opening a bundle."""

    _name = "crm.archive.entry"
    _description = "Archived Record"
    _order = "id desc"
    _rec_names_search = ["name", "email", "phone", "partner_name"]

    # what it is
    name = fields.Char(readonly=True)
    res_model = fields.Char("Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Record", model_field="res_model", required=True, readonly=True
    )
    state = fields.Selection(
        [
            ("vaulted", "In the vault"),
            ("restored", "Restored"),
            ("purged", "Purged"),
        ],
        required=True,
        readonly=True,
        default="vaulted",
    )
    email = fields.Char(readonly=True)
    phone = fields.Char(readonly=True)
    contact_name = fields.Char("Contact", readonly=True)
    partner_name = fields.Char("Company Name", readonly=True)
    partner_id = fields.Many2one(
        "res.partner", "Customer", readonly=True, index="btree_not_null"
    )
    user_id = fields.Many2one("res.users", "Salesperson", readonly=True)
    country_id = fields.Many2one("res.country", readonly=True)
    industry_id = fields.Many2one("res.partner.industry", readonly=True)
    source_id = fields.Many2one("utm.source", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    tag_ids = fields.Many2many("crm.archive.tag", readonly=True)
    expected_revenue = fields.Float(readonly=True)
    won_status = fields.Selection(
        [("won", "Won"), ("lost", "Lost"), ("pending", "Pending")], readonly=True
    )
    record_date = fields.Datetime("Record Created on", readonly=True)
    # why and when
    archive_date = fields.Datetime("Archived on", readonly=True)
    archive_user_id = fields.Many2one("res.users", "Archived by", readonly=True)
    vault_date = fields.Datetime("In the Vault since", readonly=True)
    restore_date = fields.Datetime("Restored on", readonly=True)
    policy_id = fields.Many2one(
        "crm.archive.policy", readonly=True, ondelete="restrict", index="btree_not_null"
    )
    reason_id = fields.Many2one(
        "crm.archive.reason", readonly=True, ondelete="restrict"
    )
    category_id = fields.Many2one(
        "crm.archive.category", readonly=True, ondelete="restrict"
    )
    retention_date = fields.Date("Keep until", readonly=True, index="btree_not_null")
    is_restricted = fields.Boolean("Restricted", readonly=True)
    run_id = fields.Many2one(
        "crm.archive.run", readonly=True, ondelete="set null", index="btree_not_null"
    )
    restore_run_id = fields.Many2one(
        "crm.archive.run",
        readonly=True,
        ondelete="set null",
        index="btree_not_null",
        help="The run that is going to restore it.",
    )
    # where
    bundle_id = fields.Many2one(
        "crm.archive.bundle", required=True, readonly=True, ondelete="restrict"
    )
    store_id = fields.Many2one(related="bundle_id.store_id")
    keeps_row = fields.Boolean(
        "Keeps Its Row",
        readonly=True,
        help="Too much refers to the record: an empty row with its number stays.",
    )
    place_offset = BigInteger(readonly=True, aggregator=None)
    place_length = BigInteger(readonly=True, aggregator=None)
    place_digest = fields.Char(readonly=True)
    place_rows_digest = fields.Char(readonly=True)
    place_rows = fields.Integer("Rows", readonly=True)
    place_size = BigInteger("Bytes of Rows", readonly=True)
    place_blob_size = BigInteger("Bytes of Files", readonly=True)
    place_stored = BigInteger("Bytes in the Store", readonly=True)
    restore_report = fields.Json(
        readonly=True, help="What was not as before when it was restored."
    )

    # What recognises people who get in touch again takes entries for records.
    archive_state = fields.Selection(related="state", string="Archive State")
    archive_policy_id = fields.Many2one(related="policy_id", string="Archive Policy")
    archive_restricted = fields.Boolean(
        related="is_restricted", string="Archive Restricted"
    )
    email_normalized = fields.Char(readonly=True, index="btree_not_null")
    phone_sanitized = fields.Char(readonly=True, index="btree_not_null")

    _record_unique = models.UniqueIndex(
        "(res_model, res_id) WHERE state = 'vaulted'",
    )
    _bundle_idx = models.Index("(bundle_id)")
    _search_idx = models.Index(_get_search_index)

    # ------------------------------------------------------------
    # ACCESS
    # ------------------------------------------------------------

    def _check_may_restore(self):
        """Refuse whoever may not bring these records back.

        Restoring writes in the live tables as the database itself does, past the
        rights of the person: so the right is asked here, for exactly these entries.

        :raise AccessError: for other people than officers, and outside their companies
        """
        if not self.env.su:
            if not self.env.user.has_group("crm_archive_policy.group_archive_officer"):
                raise AccessError(
                    self.env._(
                        "Only archive officers bring records back from the vault."
                    )
                )
            self.check_access("read")

    # ------------------------------------------------------------
    # FINDING
    # ------------------------------------------------------------

    @api.model
    def _find_for(self, model_name, ids):
        """Return the entries of records that are in the vault, as superuser.

        :param str model_name: model
        :param ids: record ids
        """
        return self.sudo().search(
            [
                ("res_model", "=", model_name),
                ("res_id", "in", list(ids)),
                ("state", "=", "vaulted"),
            ]
        )

    def _get_records(self):
        """Return the records of these entries, which are of one model.

        :raise UserError: when they are of several models
        """
        # Else one of these would read the whole index line of each entry.
        self.fetch(["res_model", "res_id"])
        names = set(self.mapped("res_model"))
        if len(names) != 1:
            raise UserError(self.env._("Choose either contacts or leads."))
        return self.env[names.pop()].browse(self.mapped("res_id"))

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_restore(self):
        """Show what would come back and how, then restore.

        :return: window action of the dialog
        :raise AccessError: for other people than officers
        """
        vaulted = self.filtered(lambda entry: entry.state == "vaulted")
        vaulted._check_may_restore()
        if not vaulted:
            raise UserError(
                self.env._("Nothing to restore: these records are not in the vault.")
            )
        return self.env["crm.archive.vault.restore"]._create_for(vaulted)._get_action()

    def action_open_record(self):
        """Open the live record of a restored entry, or of one that keeps its row.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "views": [(False, "form")],
        }
