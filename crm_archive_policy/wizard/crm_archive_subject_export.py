from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError


class CrmArchiveSubjectExport(models.TransientModel):
    """Hand out everything about one person: GDPR Articles 15 and 20, PIPL Article 45.

    Find the person, look at what was found, leave out who only has the same name,
    and download.
    """

    _name = "crm.archive.subject.export"
    _inherit = ["crm.archive.person.search"]
    _description = "Export All About a Person"

    line_ids = fields.One2many("crm.archive.subject.export.line", "wizard_id")

    def _search_person(self):
        self.env["crm.archive.subject"]._check_may_export()
        person = self.env["crm.archive.person"]
        match = self.name, self.email, self.phone
        found = person._find(*match)
        lines = [
            Command.create(self._prepare_line(record))
            for records in found
            for record in records
        ]
        # That there is more elsewhere is for managers to know, as with an erasure.
        is_manager = self.env.user.has_group("crm_archive_policy.group_archive_manager")
        self.write(
            {
                "line_ids": [Command.clear(), *lines],
                "is_searched": True,
                "hidden_count": (
                    person._count_hidden(found, *match) if is_manager else 0
                ),
            }
        )

    @api.model
    def _prepare_line(self, record):
        if record._name == "crm.archive.entry":
            return {
                "res_model": record._name,
                "res_id": record.id,
                "res_name": record.display_name,
                "kind": self.env["ir.model"]._get(record.res_model).name,
                "place": "vaulted",
                "retention_date": record.retention_date,
                "category_id": record.category_id.id,
            }
        return {
            "res_model": record._name,
            "res_id": record.id,
            "res_name": record.display_name,
            "kind": self.env["ir.model"]._get(record._name).name,
            "place": "archived" if record.archive_state == "archived" else "live",
            "retention_date": record.retention_date,
            "category_id": record.archive_category_id.id,
        }

    def action_export(self):
        """Download the file.

        :return: the download
        :raise UserError: when nothing is chosen
        """
        self.ensure_one()
        self.env["crm.archive.subject"]._check_may_export()
        if not self.line_ids.filtered("is_chosen"):
            raise UserError(self.env._("There is nothing to export."))
        return {
            "type": "ir.actions.act_url",
            "url": f"/crm_archive/subject/{self.id}",
            "target": "download",
        }

    def _get_file(self):
        """Make the file, of what the person may see of it at this moment.

        What the lines say comes from the client: the records are asked again.

        :return: ``(open file, name)``; the name says nothing about anybody
        :raise AccessError: for whoever did not ask for this export
        """
        self.ensure_one()
        if not self.exists() or self.sudo().create_uid != self.env.user:
            raise AccessError(self.env._("This is somebody else's export."))
        models_ = (
            *self.env["crm.archive.policy"]._get_lifecycle_models(),
            "crm.archive.entry",
        )
        chosen = self.line_ids.filtered("is_chosen").grouped("res_model")
        records_list = []
        for model_name in models_:
            lines = chosen.get(model_name, self.line_ids.browse())
            model = self.env[model_name].with_context(active_test=False)
            records = model.browse(lines.mapped("res_id")).exists()
            records.check_access("read")
            if model_name == "crm.archive.entry":
                records = records.filtered(lambda entry: entry.state == "vaulted")
            if records:
                records_list.append(records)
        identity = {"name": self.name, "email": self.email, "phone": self.phone}
        file = self.env["crm.archive.subject"]._write_file(records_list, identity)
        return file, f"subject-access-{fields.Date.context_today(self)}.zip"


class CrmArchiveSubjectExportLine(models.TransientModel):
    """One record about the person."""

    _name = "crm.archive.subject.export.line"
    _description = "Record About a Person to Export"

    wizard_id = fields.Many2one(
        "crm.archive.subject.export", required=True, ondelete="cascade"
    )
    is_chosen = fields.Boolean("Export", default=True)
    res_model = fields.Char("Model", readonly=True)
    res_id = fields.Integer(readonly=True)
    res_name = fields.Char("Record", readonly=True)
    kind = fields.Char(readonly=True)
    place = fields.Selection(
        [("live", "Live"), ("archived", "Archived"), ("vaulted", "In the vault")],
        readonly=True,
    )
    category_id = fields.Many2one("crm.archive.category", "Kept as", readonly=True)
    retention_date = fields.Date("Kept until", readonly=True)
