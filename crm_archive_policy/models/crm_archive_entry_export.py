import tempfile

from odoo import fields, models
from odoo.exceptions import AccessError

from ..lib.bundle import BundleError
from ..lib.export import ExportZip
from .vault_errors import vault_error, vault_errors

#: Columns of the index of an export.
INDEX_FIELDS = (
    "name",
    "res_model",
    "res_id",
    "email",
    "phone",
    "contact_name",
    "partner_name",
    "record_date",
    "archive_date",
    "vault_date",
    "retention_date",
)


class CrmArchiveEntry(models.Model):
    """Taking the content of the vault out of Odoo, in a form that anything reads."""

    _inherit = "crm.archive.entry"

    def _check_may_export(self):
        """Refuse whoever may not take the content of these entries along.

        The bundles are opened past the rights of the person afterwards: so the right
        is asked here, for exactly these entries.

        :raise AccessError: for others than officers and auditors, outside the rules
            and the companies
        """
        if not self.env.user.has_groups(
            "crm_archive_policy.group_archive_officer,"
            "crm_archive_policy.group_archive_auditor"
        ):
            raise AccessError(
                self.env._("Only archive officers and auditors export from the vault.")
            )
        self.check_access("read")

    def action_export(self):
        """Open the dialog that exports the content of these entries.

        :return: window action
        :raise AccessError: for others than officers and auditors
        """
        self._check_may_export()
        return self.env["crm.archive.export"]._open_for([("id", "in", self.ids)])

    def _export(self, **options):
        """Write the content of entries into a zip on the disk.

        :param options: what is in it, see :class:`~..lib.export.ExportZip`
        :return: the open file at its start; it is removed when it is closed
        :raise AccessError: for whoever may not
        :raise UserError: when a store cannot be reached
        """
        self._check_may_export()
        file = tempfile.TemporaryFile()
        with vault_errors(self.env), ExportZip(file, **options) as out:
            # Checked: the bundles are read as the vault itself.
            for bundle, entries in self.sudo().grouped("bundle_id").items():
                entries._export_from(bundle, out)
            out.close(self._prepare_manifest())
        self._note_export(out, options)
        file.seek(0)
        return file

    def _export_from(self, bundle, out):
        """Add the entries of one bundle; what is damaged is named in the manifest."""
        try:
            with bundle._open_reader() as reader:
                for entry in self:
                    entry._export_one(reader, out)
        except BundleError as error:
            # The bundle does not open at all: the others are exported nevertheless.
            for entry in self:
                out.refuse(entry.res_model, entry.res_id, _describe(self.env, error))

    def _export_one(self, reader, out):
        try:
            same = out.add(
                self.res_model,
                lambda: reader.record(self._get_ref()),
                self.place_rows_digest,
            )
            trouble = "" if same else "the rows are not those that were captured"
        except BundleError as error:
            trouble = _describe(self.env, error)
        if trouble:
            out.refuse(self.res_model, self.res_id, trouble)
        else:
            out.add_index(self._prepare_index_line())

    def _prepare_index_line(self):
        return {name: str(self[name] or "") or None for name in INDEX_FIELDS}

    def _prepare_manifest(self):
        parameters = self.env["ir.config_parameter"].sudo()
        return {
            "producer": self.env["crm.archive.bundle"]._get_producer(),
            "database": parameters.get_param("database.uuid"),
            "created": fields.Datetime.to_string(fields.Datetime.now()),
            "entries": len(self),
        }

    def _note_export(self, out, options):
        """Append the audit lines, a line a model, in the transaction of the export."""
        for model_name, entries in self.grouped("res_model").items():
            refused = [e for e in out.errors if e["model"] == model_name]
            details = {"records": len(entries), **options}
            if refused:
                details["unreadable"] = len(refused)
            self.env["crm.archive.log"]._append(
                "export", self.env[model_name].browse(entries.mapped("res_id")), details
            )


def _describe(env, error):
    return str(vault_error(env, error))
