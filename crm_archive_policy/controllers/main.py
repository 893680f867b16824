import os

from odoo import http
from odoo.http import request

from ..models.entry_content import IMAGE_TYPES
from .download import answer_errors, stream


class CrmArchiveController(http.Controller):
    """Downloads out of the vault; each asks the same as the screens do."""

    # Not read-only: a look is noted.
    @http.route(
        "/crm_archive/entry/<int:entry_id>/attachment/<int:attachment_id>",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=False,
    )
    def download_attachment(self, entry_id, attachment_id, inline=None):
        """Hand out an attachment of an archived record.

        :param int entry_id: ``crm.archive.entry``
        :param int attachment_id: id of the attachment when it was live
        :param inline: show a picture in the page; of harmless types only
        """
        entry = request.env["crm.archive.entry"].browse(entry_id)
        row, file, size = answer_errors(
            lambda: entry._spool_attachment(attachment_id, bool(inline))
        )
        is_picture = bool(inline) and row["mimetype"] in IMAGE_TYPES
        return stream(
            file,
            size,
            row["name"] or str(attachment_id),
            row["mimetype"] if is_picture else None,
            inline=is_picture,
        )

    @http.route(
        "/crm_archive/export/<int:part_id>",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=False,
    )
    def download_export(self, part_id):
        """Hand out a file of an export that the person has asked for.

        :param int part_id: ``crm.archive.export.part``
        """
        part = request.env["crm.archive.export.part"].browse(part_id)
        file, name = answer_errors(part._get_file)
        return stream(file, os.fstat(file.fileno()).st_size, name)
