import csv
import io
import tempfile

from odoo import fields, models
from odoo.fields import Domain

#: Lines read at once while they are exported.
EXPORT_BATCH = 1000

#: Begins what a spreadsheet would carry out.
FORMULA = ("=", "+", "-", "@", "\t", "\r")

COLUMNS = (
    "sequence",
    "date_utc",
    "user_id",
    "user",
    "action",
    "model",
    "record_ids",
    "company_id",
    "policy_id",
    "policy",
    "run_id",
    "reason_id",
    "reason",
    "details",
    "remote_address",
    "version",
    "previous",
    "digest",
)


class CrmArchiveLog(models.Model):
    """Writes lines to a CSV file."""

    _inherit = "crm.archive.log"

    def _export_csv(self, domain):
        """Write the lines that the user may see, and note that he took them.

        In batches to a file on disk: a log of any length takes little memory.

        :param domain: which lines
        :return: open binary file at its start
        :raise AccessError: for whoever may not read the audit log
        """
        self.check_access("read")
        file = tempfile.TemporaryFile()
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        count = last = 0
        while lines := self.search(
            Domain(domain) & Domain("sequence", ">", last),
            order="sequence",
            limit=EXPORT_BATCH,
        ):
            writer.writerows(lines._prepare_csv_rows())
            count, last = count + len(lines), lines[-1].sequence
            self.env.invalidate_all()
        text.detach()
        file.seek(0)
        self._append("export", self.browse(), {"lines": count})
        return file

    def _prepare_csv_rows(self):
        """Yield the cells of these lines, none of which is a formula."""
        # Names of what the lines refer to are part of the log.
        for line, ids in zip(self.sudo(), self._read_res_ids(), strict=True):
            cells = (
                line.sequence,
                fields.Datetime.to_string(line.date),
                line.user_id.id,
                line.user_id.name,
                line.action,
                line.res_model,
                " ".join(map(str, ids)),
                line.company_id.id,
                line.policy_id.id,
                line.policy_id.name,
                line.run_id.id,
                line.reason_id.id,
                line.reason_id.name,
                line.details,
                line.remote_address,
                line.version,
                line.previous,
                line.digest,
            )
            yield [_escape(cell) for cell in cells]

    def _read_res_ids(self):
        self.env.cr.execute(
            "SELECT id, res_ids FROM crm_archive_log WHERE id = ANY(%s)",
            [list(self.ids)],
        )
        ids = dict(self.env.cr.fetchall())
        return [ids[line.id] for line in self]


def _escape(cell):
    """Return a cell that a spreadsheet takes for text."""
    if cell is None or cell is False:
        return ""
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return cell
