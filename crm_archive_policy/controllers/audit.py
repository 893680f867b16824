import os

from odoo import http
from odoo.http import request

from .download import answer_errors, stream


class CrmArchiveAuditController(http.Controller):
    """Downloads of the audit log."""

    # Not read-only: that lines were taken is noted.
    @http.route(
        "/crm_archive/report/<int:report_id>/lines.csv",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=False,
    )
    def download_lines(self, report_id):
        """Hand out the lines of a report's period as CSV.

        :param int report_id: ``crm.archive.report``
        """
        report = request.env["crm.archive.report"].browse(report_id)
        file = answer_errors(report._get_lines_file)
        name = f"audit-log-{report.date_from}-{report.date_to}.csv"
        size = os.fstat(file.fileno()).st_size
        return stream(file, size, name, "text/csv; charset=utf-8")
