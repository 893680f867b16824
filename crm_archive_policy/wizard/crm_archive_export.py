from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

#: Records in one file; more are offered as several.
PART_RECORDS = 5000


class CrmArchiveExport(models.TransientModel):
    """Take the content of the vault out of Odoo: some records, or everything."""

    _name = "crm.archive.export"
    _description = "Export from the Vault"

    scope = fields.Selection(
        [
            ("policy", "What a policy has moved there"),
            ("store", "What is in a store"),
            ("all", "Everything"),
        ],
        "What",
        required=True,
        default="all",
    )
    is_chosen = fields.Boolean(readonly=True, help="Chosen records, no scope.")
    chosen_domain = fields.Json(readonly=True)
    policy_id = fields.Many2one("crm.archive.policy")
    store_id = fields.Many2one("crm.archive.store")
    with_jsonl = fields.Boolean("JSON Lines", default=True)
    with_csv = fields.Boolean("CSV", default=True)
    with_attachments = fields.Boolean("Attachments", default=True)
    entry_count = fields.Integer("Records", compute="_compute_entry_count")
    content_size = fields.Float("Size", compute="_compute_entry_count")
    part_ids = fields.One2many("crm.archive.export.part", "export_id", "Files")

    @api.depends("scope", "is_chosen", "policy_id", "store_id", "with_attachments")
    def _compute_entry_count(self):
        for export in self:
            [(count, rows, files)] = self.env["crm.archive.entry"]._read_group(
                export._get_domain(),
                aggregates=["__count", "place_size:sum", "place_blob_size:sum"],
            )
            export.entry_count = count
            export.content_size = (rows or 0) + (
                (files or 0) if export.with_attachments else 0
            )

    @api.model
    def _open_for(self, domain=None):
        """Return the dialog.

        :param list domain: of the chosen entries; without, the person says what
        """
        is_chosen = domain is not None
        export = self.create({"is_chosen": is_chosen, "chosen_domain": domain})
        return export._get_action()

    def _get_action(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Export from the Vault"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
            "target": "new",
        }

    def _get_domain(self):
        """Return which entries are exported, within the rights of the person."""
        domain = Domain("state", "=", "vaulted")
        if self.is_chosen:
            return domain & Domain(self.chosen_domain or Domain.FALSE)
        if self.scope == "policy":
            return domain & Domain("policy_id", "=", self.policy_id.id)
        if self.scope == "store":
            return domain & Domain("bundle_id.store_id", "=", self.store_id.id)
        return domain

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_export(self):
        """Download the file, or offer several when there is much.

        :return: the download, or this dialog with the list of files
        :raise AccessError: for others than officers and auditors
        :raise UserError: when there is nothing to export
        """
        self.ensure_one()
        self.env["crm.archive.entry"]._check_may_export()
        self._make_parts()
        if not self.part_ids:
            raise UserError(self.env._("There is nothing to export."))
        if len(self.part_ids) == 1:
            return self.part_ids.action_download()
        return self._get_action()

    def _make_parts(self):
        """Cut what is exported into files of a size that a server makes in time."""
        parts, last = [Command.clear()], 0
        entries = self.env["crm.archive.entry"]
        while True:
            ids = entries._search(
                self._get_domain() & Domain("id", ">", last),
                order="id",
                limit=PART_RECORDS,
            ).get_result_ids()
            if not ids:
                break
            values = {"first_id": ids[0], "last_id": ids[-1], "entry_count": len(ids)}
            parts.append(Command.create({**values, "number": len(parts)}))
            last = ids[-1]
        self.part_ids = parts

    def _get_options(self):
        return {
            "jsonl": self.with_jsonl,
            "csv": self.with_csv,
            "blobs": self.with_attachments,
        }


class CrmArchiveExportPart(models.TransientModel):
    """One file of an export."""

    _name = "crm.archive.export.part"
    _description = "File of an Export"
    _order = "number"

    export_id = fields.Many2one("crm.archive.export", required=True, ondelete="cascade")
    number = fields.Integer("File", readonly=True)
    entry_count = fields.Integer("Records", readonly=True)
    first_id = fields.Integer(readonly=True)
    last_id = fields.Integer(readonly=True)

    def action_download(self):
        """:return: the download of this file"""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/crm_archive/export/{self.id}",
            "target": "download",
        }

    def _get_file(self):
        """Make the file, of what the person may see of it at this moment.

        :return: ``(open file, name)``
        :raise AccessError: for whoever did not ask for this export
        """
        self.ensure_one()
        if not self.exists() or self.sudo().create_uid != self.env.user:
            raise AccessError(self.env._("This is somebody else's export."))
        export = self.export_id
        entries = self.env["crm.archive.entry"].search(
            export._get_domain()
            & Domain("id", ">=", self.first_id)
            & Domain("id", "<=", self.last_id),
            order="bundle_id, id",
        )
        file = entries._export(**export._get_options())
        today = fields.Date.context_today(self)
        number = f"-{self.number}" if len(export.part_ids) > 1 else ""
        return file, f"vault-{today}{number}.zip"
