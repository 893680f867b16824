import os

from werkzeug.wsgi import FileWrapper

from odoo import http
from odoo.exceptions import AccessError, MissingError
from odoo.http import content_disposition, request


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

        Whether there is such a report is nobody's business who may not see it.

        :param int report_id: ``crm.archive.report``
        """
        report = request.env["crm.archive.report"].browse(report_id)
        try:
            report.check_access("read")
            file = request.env["crm.archive.log"]._export_csv(
                report._get_lines_domain()
            )
        except (AccessError, MissingError) as error:
            raise request.not_found() from error
        name = f"audit-log-{report.date_from}-{report.date_to}.csv"
        return request.make_response(
            FileWrapper(file, 1 << 18),
            [
                ("Content-Type", "text/csv; charset=utf-8"),
                ("Content-Length", str(os.fstat(file.fileno()).st_size)),
                ("Content-Disposition", content_disposition(name)),
                ("X-Content-Type-Options", "nosniff"),
                ("Cache-Control", "private, no-store"),
            ],
        )
