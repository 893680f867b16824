import os
import tempfile
from datetime import timedelta

from odoo import models
from odoo.exceptions import AccessError, MissingError, UserError
from odoo.tools import SQL

from ..lib.bundle import BundleCorrupt, BundleForeign
from ..vault.reading import read_file, read_page
from .entry_content import EntryContent
from .vault_errors import vault_errors

#: Pictures in the page are part of the look that was noted this long ago at most.
LOOK_MINUTES = 30
_BLOCK = 1 << 20


class CrmArchiveEntry(models.Model):
    """Reading what is in the vault, without bringing anything back."""

    _inherit = "crm.archive.entry"

    # ------------------------------------------------------------
    # ACCESS
    # ------------------------------------------------------------

    def _check_may_read_content(self):
        """Refuse whoever may not read the content of this entry.

        The bundle is opened past the rights of the person afterwards: so the right is
        asked here, for exactly this entry. The rules on entries are those of the live
        records: one's own leads or all of them, and one's companies.

        :raise AccessError: outside the archive groups, the rules and the companies
        :raise UserError: when it is not in the vault any more
        """
        self.ensure_one()
        if not self.env.user.has_group("crm_archive_policy.group_archive_user"):
            raise AccessError(
                self.env._("Only the archive groups read what is in the vault.")
            )
        if not self.exists():
            raise MissingError(self.env._("This record is not in the vault."))
        self.check_access("read")
        if self.state == "restored":
            raise UserError(
                self.env._("This record was restored: open the record itself.")
            )
        if self.state != "vaulted":
            raise UserError(self.env._("The content of this record was removed."))

    def _note_look(self, details):
        """Append the audit line of a look, in the transaction of the look itself.

        :param dict details: JSON values
        """
        self.env["crm.archive.log"]._append(
            "read",
            self.env[self.res_model].browse(self.res_id),
            {"entry": self.id, **details},
            policy=self.policy_id.sudo(),
        )

    def _has_looked(self):
        """Tell whether this person's look at the content was noted a moment ago.

        That the entry was in a list, which is noted too, is no look at its content.
        """
        since = self.env.cr.now() - timedelta(minutes=LOOK_MINUTES)
        return bool(
            self.env.execute_query(
                SQL(
                    "SELECT 1 FROM crm_archive_log WHERE action = 'read'"
                    " AND user_id = %s AND date >= %s AND res_model = %s"
                    " AND res_ids && ARRAY[%s]"
                    " AND details::jsonb ->> 'entry' = %s LIMIT 1",
                    self.env.uid,
                    since,
                    self.res_model,
                    self.res_id,
                    str(self.id),
                )
            )
        )

    def _read_from_bundle(self, read):
        """Open the bundle of an entry that the reader was checked for.

        :param read: takes a function that returns a fresh reader of the record
        :return: what ``read`` returns
        :raise UserError: when the store or the bundle cannot be read, and why
        """
        self._check_may_read_content()
        # Checked: from here on the entry is read as the vault itself.
        entry = self.sudo()

        def open_and_read(thorough):
            with entry.bundle_id._open_reader(thorough) as reader:
                return read(lambda: reader.record(entry._get_ref()))

        with vault_errors(self.env):
            try:
                return open_and_read(thorough=False)
            except (BundleCorrupt, BundleForeign):
                if not entry.store_id.mirror_id:
                    raise
            # The mirror may hold what this side has lost, and heals it on the way.
            return open_and_read(thorough=True)

    # ------------------------------------------------------------
    # CONTENT
    # ------------------------------------------------------------

    def action_view_content(self):
        """Show the content of the entry, without restoring it.

        :return: client action
        :raise AccessError: for whoever may not read it
        """
        self._check_may_read_content()
        action = self.env["ir.actions.actions"]._for_xml_id(
            "crm_archive_policy.crm_archive_entry_content_action"
        )
        return {
            **action,
            "context": {"active_id": self.id, "active_model": self._name},
        }

    def get_content(self, before=None):
        """Return the content as HTML, and note the look in the audit log.

        :param int before: id of a message: only the page of older ones is returned
        :return: dict with the HTML of ``form``, ``beside`` and ``messages``, ``before``
            (for the next page, 0 at the end) and ``can_restore``
        :raise AccessError: for whoever may not read it
        :raise UserError: when it cannot be read, and why
        """
        self._check_may_read_content()
        before = int(before) if before else None
        table = self.env[self.res_model]._table
        digest = self.sudo().place_rows_digest
        reading = self._read_from_bundle(
            lambda get: read_page(get, self.res_model, table, digest, before)
        )
        self._note_look({"before": before} if before else {})
        content = EntryContent(self, reading)
        last = reading.messages[-1]["id"] if reading.has_more else 0
        officer = "crm_archive_policy.group_archive_officer"
        return {
            "form": "" if before else self._render_content("form", content),
            "beside": "" if before else self._render_content("beside", content),
            "messages": self._render_content("messages", content),
            "before": int(last),
            "can_restore": self.env.user.has_group(officer),
        }

    def _render_content(self, part, content):
        html = self.env["ir.qweb"]._render(
            f"crm_archive_policy.crm_archive_entry_{part}",
            {"entry": self, "content": content, "reading": content.reading},
        )
        return str(html)

    # ------------------------------------------------------------
    # ATTACHMENTS
    # ------------------------------------------------------------

    def _get_attachment_url(self, attachment_id):
        return f"/crm_archive/entry/{self.id}/attachment/{attachment_id}"

    def _spool_attachment(self, attachment_id, inline=False):
        """Copy an attachment out of the bundle into a temporary file, proven.

        Nothing is handed out before its last byte was checked.

        :param int attachment_id: its id when it was live
        :param bool inline: it is a picture of the page that the person looks at
        :return: ``(row, open file at its start, size)``
        :raise MissingError: when the record has no such attachment
        """
        self._check_may_read_content()
        digest = self.sudo().place_rows_digest

        def read(get_record):
            row, record, blob = read_file(
                get_record, self.res_model, attachment_id, digest
            )
            if row is None or (blob is None and not row.get("db_datas")):
                raise MissingError(self.env._("There is no such attachment."))
            file = tempfile.TemporaryFile()
            if blob is None:
                # bytea, as PostgreSQL prints it
                file.write(bytes.fromhex(row.pop("db_datas").removeprefix("\\x")))
                return row, file
            with record.open_blob(blob) as source:
                while data := source.read(_BLOCK):
                    file.write(data)
            return row, file

        row, file = self._read_from_bundle(read)
        if not (inline and self._has_looked()):
            self._note_look({"attachment": attachment_id})
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return row, file, size
