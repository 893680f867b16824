import logging

from odoo import api, models
from odoo.tools import SQL
from odoo.tools.mail import unfold_references

from ..lib.bundle import BundleError
from ..lib.stores import StoreError
from ..vault.report import RestoreRefused
from .crm_archive_recontact_match import Match
from .mail_thread import is_automatic

_logger = logging.getLogger(__name__)

ENTRY = "crm.archive.entry"

#: What may keep a record from coming back by itself: it is proposed instead.
_TROUBLES = RestoreRefused, BundleError, StoreError


class CrmArchiveRecontact(models.Model):
    """People whose record is in the vault are recognised like those in the archive."""

    _inherit = "crm.archive.recontact"

    # ------------------------------------------------------------
    # RECOGNISING
    # ------------------------------------------------------------

    @api.model
    def _get_archived_queries(self, emails, phones):
        yield from super()._get_archived_queries(emails, phones)
        yield SQL(
            "SELECT %s, id, res_model, email_normalized, phone_sanitized, company_id,"
            " policy_id, archive_date FROM crm_archive_entry WHERE state = 'vaulted'"
            " AND (email_normalized = ANY(%s) OR phone_sanitized = ANY(%s))",
            ENTRY,
            emails,
            phones,
        )

    @api.model
    def _get_contacts(self, rows):
        """Return which contact each row is about.

        :param rows: list of :class:`Archived`, all about contacts
        :return: dict ``{row: contact id}``; one in the vault has the id of its shell
        """
        entries = self._browse_archived(rows, ENTRY)
        ids = {entry.id: entry.res_id for entry in entries}
        return {row: ids[row.id] if row.model == ENTRY else row.id for row in rows}

    # ------------------------------------------------------------
    # RESTORING
    # ------------------------------------------------------------

    @api.model
    def _restore_by_itself(self, archived):
        if archived._name != ENTRY:
            return super()._restore_by_itself(archived)
        visible = archived if archived.env.su else archived._filtered_access("read")
        details = {"cause": "came_back", "how": "recontact"}
        restored = []
        for entry in visible.sudo():
            try:
                with self.env.cr.savepoint():
                    entry._restore(details=details)
                restored.append((entry._name, entry.id))
            except _TROUBLES as error:
                # Somebody who knows what to do decides: it is proposed.
                _logger.warning(
                    "Entry %s could not be restored by itself: %s",
                    entry.id,
                    type(error).__name__,
                )
        return restored

    @api.model
    def _point_at_records(self, entries):
        """Let proposals about entries be about the records that are back now.

        What the person has written meanwhile moves into the record's history.

        :param entries: ``crm.archive.entry``, just restored
        """
        lines = self.sudo().search(self._get_archived_domain(ENTRY, entries.ids))
        by_id = {entry.id: entry for entry in entries}
        for line in lines:
            entry = by_id[line.archived_id]
            line._move_mails(entry)
            line.write({"archived_model": entry.res_model, "archived_id": entry.res_id})

    def _move_mails(self, entry):
        """Move the mails that came in on a proposal to the record they were for."""
        mails = self.message_ids.filtered(lambda m: m.message_type == "email")
        place = {"res_id": entry.res_id}
        mails.attachment_ids.filtered(
            lambda a: a.res_model == self._name and a.res_id == self.id
        ).write({"res_model": entry.res_model, **place})
        mails.write({"model": entry.res_model, **place})

    def _link_restored(self):
        """Lines about entries that came back by themselves first learn where."""
        back = self.filtered(lambda line: line.archived_model == ENTRY)
        entries = self.env[ENTRY].sudo().browse(back.mapped("archived_id"))
        self._point_at_records(entries.filtered(lambda e: e.state == "restored"))
        return super()._link_restored()

    def _check_may_decide(self):
        """For records in the vault, officers decide; the entry itself checks that."""
        vaulted = self.filtered(lambda line: line.archived_model == ENTRY)
        if not vaulted:
            return super()._check_may_decide()
        entries = vaulted._get_records("archived")
        entries._check_may_restore()
        others = super(CrmArchiveRecontact, self - vaulted)._check_may_decide()
        return [*others, entries]

    # ------------------------------------------------------------
    # MAILS
    # ------------------------------------------------------------

    @api.model
    def _find_answered(self, message_dict):
        """Return the entry of the record in the vault that a mail answers, if any.

        :param dict message_dict: the parsed mail
        """
        references = message_dict["references"] or message_dict["in_reply_to"]
        found = unfold_references(references or "")
        messages = self.env["mail.message"].sudo()
        if not found or messages.search_count([("message_id", "in", found)], limit=1):
            return self.env[ENTRY]
        return self.env[ENTRY]._find_by_messages(found)[:1]

    @api.model
    def _receive_mail(self, entry):
        """Somebody has answered a message that is in the vault.

        :param entry: the record's entry
        :return: the proposal that is to take the mail, empty when the record is back
        """
        mode = entry.policy_id.recontact
        self.sudo()._receive(
            [
                Match(
                    self.env[entry.res_model].browse(),
                    entry,
                    "reply",
                    # “Ignore” is about strangers with a known address, not answers.
                    "propose" if mode in (False, "ignore") else mode,
                )
            ]
        )
        entry.invalidate_recordset(["state"])
        if entry.state != "vaulted":
            return self.browse()
        return self.sudo().search(
            [
                ("archived_model", "=", ENTRY),
                ("archived_id", "=", entry.id),
                ("state", "=", "proposed"),
            ],
            limit=1,
        )


class MailThread(models.AbstractModel):
    _inherit = "mail.thread"

    @api.model
    def message_route(
        self, message, message_dict, model=None, thread_id=None, custom_values=None
    ):
        """An answer to a message in the vault finds its record, or its officer.

        Core looks for the message that is answered, does not find it, and would make
        a new lead of it. A mail that is fetched once more is not a new one either.
        """
        if not message_dict.get("is_bounce"):
            entries = self.env[ENTRY]
            if entries._find_by_messages([message_dict["message_id"]]):
                return []
            recontact = self.env["crm.archive.recontact"]
            entry = recontact._find_answered(message_dict)
            if entry and is_automatic(message):
                return []  # nobody is there
            line = recontact._receive_mail(entry) if entry else recontact
            if line:
                return [(line._name, line.id, None, self.env.uid, None)]
        return super().message_route(
            message, message_dict, model, thread_id, custom_values
        )
