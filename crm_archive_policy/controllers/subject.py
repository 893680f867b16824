import os

from odoo import http
from odoo.http import request

from .download import answer_errors, stream


class CrmArchiveSubjectController(http.Controller):
    """Download of everything about one person."""

    # Not read-only: that it was taken is noted.
    @http.route(
        "/crm_archive/subject/<int:export_id>",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=False,
    )
    def download_subject(self, export_id):
        """Hand out the file of an export that the person has asked for.

        :param int export_id: ``crm.archive.subject.export``
        """
        export = request.env["crm.archive.subject.export"].browse(export_id)
        file, name = answer_errors(export._get_file)
        return stream(file, os.fstat(file.fileno()).st_size, name)
