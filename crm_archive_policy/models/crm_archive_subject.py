"""Subject access: everything the database holds on one person, in one file."""

import tempfile

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import html2plaintext

from ..lib.export import blob_path
from ..vault.reading import read_page
from .entry_content import EntryContent
from .subject_file import SubjectFile

OFFICER = "crm_archive_policy.group_archive_officer"

#: Types of fields that are told; bytes are files, lines are records of their own.
TOLD_TYPES = frozenset(
    [
        "boolean",
        "char",
        "date",
        "datetime",
        "float",
        "html",
        "integer",
        "many2many",
        "many2one",
        "monetary",
        "selection",
        "text",
    ]
)

#: Of no meaning to a person: what the database needs for itself.
UNTOLD_PREFIXES = ("activity_", "message_", "archive_snapshot", "website_message")

#: Models that say nothing of their own about a person, found by Odoo's look-up.
UNTOLD_MODELS = ("crm.archive.", "ir.", "mail.", "privacy.", "bus.", "res.users")


class CrmArchiveSubject(models.AbstractModel):
    """Collects what there is about a person, with the rights of who collects it."""

    _name = "crm.archive.subject"
    _description = "Subject Access Export"

    @api.model
    def _check_may_export(self):
        """Refuse whoever may not hand out everything about a person.

        :raise AccessError: for other people than officers and managers
        """
        if not self.env.user.has_group(OFFICER):
            raise AccessError(
                self.env._("Only archive officers export all about a person.")
            )

    @api.model
    def _write_file(self, records_list, identity):
        """Write all that there is about a person into a zip on the disk.

        :param list records_list: recordsets of contacts, leads and entries
        :param dict identity: name, email and phone that were searched for
        :return: the open file at its start; it is removed when it is closed
        :raise AccessError: for whoever may not
        """
        self._check_may_export()
        for records in records_list:
            records.check_access("read")
        file = tempfile.TemporaryFile()
        with SubjectFile(file) as out:
            for records in records_list:
                if records._name == "crm.archive.entry":
                    self._add_entries(out, records)
                else:
                    out.records += [self._tell_live(out, r) for r in records]
                    self._note(records)
            out.elsewhere += self._tell_elsewhere(records_list, identity)
            about = self._prepare_about()
            out.close(about, self._render_cover(out, about))
        file.seek(0)
        return file

    @api.model
    def _prepare_about(self):
        return {
            "created": fields.Datetime.to_string(fields.Datetime.now()),
            "company": self.env.company.name,
            "legal_grounds": "GDPR Art. 15, 20; PIPL Art. 45",
        }

    @api.model
    def _render_cover(self, out, about):
        html = self.env["ir.qweb"]._render(
            "crm_archive_policy.crm_archive_subject_cover",
            {"records": out.records, "elsewhere": out.elsewhere, "about": about},
        )
        return f"<!DOCTYPE html>\n{html}"

    @api.model
    def _note(self, records):
        """Append the audit line, in the transaction of the export itself."""
        self.env["crm.archive.log"]._append(
            "export", records, {"records": len(records), "subject_access": True}
        )

    # ------------------------------------------------------------
    # LIVE AND ARCHIVED
    # ------------------------------------------------------------

    @api.model
    def _tell_live(self, out, record):
        """Return JSON values about a contact or lead."""
        domain = [("model", "=", record._name), ("res_id", "=", record.id)]
        messages = self.env["mail.message"].search(domain, order="id")
        return {
            **self._tell_record(record),
            "place": "archived" if record.archive_state == "archived" else "live",
            "retention": self._tell_retention(
                record.archive_category_id, record.retention_date
            ),
            "messages": [self._tell_message(message) for message in messages],
            "activities": [
                {
                    "date": fields.Date.to_string(activity.date_deadline),
                    "type": activity.activity_type_id.name,
                    "summary": activity.summary or "",
                    "note": html2plaintext(activity.note or ""),
                }
                for activity in self._find_on(record, "mail.activity")
            ],
            "attachments": [
                out.add_attachment(attachment)
                for attachment in self._find_on(
                    record,
                    "ir.attachment",
                    ["|", ("res_field", "=", False), ("res_field", "=", "image_1920")],
                )
            ],
        }

    @api.model
    def _find_on(self, record, model_name, domain=()):
        """Return rows that belong to a record, as far as the user may see them."""
        model = self.env[model_name].with_context(active_test=False)
        own = [("res_model", "=", record._name), ("res_id", "=", record.id)]
        return model.search([*own, *domain], order="id")

    @api.model
    def _tell_record(self, record):
        """Return what is filled in of a record, as the user would call it."""
        values = []
        for name, field in sorted(record._fields.items()):
            if (
                field.store
                and field.type in TOLD_TYPES
                and not name.startswith(UNTOLD_PREFIXES)
                and record._has_field_access(field, "read")
                and (text := self._tell_value(record, field))
            ):
                label = field._description_string(self.env)
                values.append({"field": name, "label": label, "value": text})
        return {
            "model": record._name,
            "kind": self.env["ir.model"]._get(record._name).name,
            "id": record.id,
            "name": record.display_name,
            "values": values,
        }

    @api.model
    def _tell_value(self, record, field):
        value = record[field.name]
        if field.relational:
            seen = value._filtered_access("read")
            return ", ".join(name or "" for name in seen.mapped("display_name"))
        if field.type == "boolean":
            return self.env._("yes") if value else ""
        if field.type == "html":
            return html2plaintext(value or "")
        if field.type == "selection" and value:
            return str(dict(field._description_selection(self.env)).get(value, value))
        return str(value) if value else ""

    @api.model
    def _tell_retention(self, category, date):
        """Return why and how long a record is kept."""
        return {
            "category": category.name or None,
            "keep_until": fields.Date.to_string(date) or None,
            "legal_basis": category.legal_basis or None,
        }

    @api.model
    def _tell_message(self, message):
        return {
            "date": fields.Datetime.to_string(message.date),
            "from": message.author_id.display_name or message.email_from or "",
            "subject": message.subject or "",
            "text": html2plaintext(message.body or ""),
            "about": message.record_name or "",
        }

    # ------------------------------------------------------------
    # IN THE VAULT
    # ------------------------------------------------------------

    @api.model
    def _add_entries(self, out, entries):
        """Add records of the vault: to be read, and their rows and files as they are.

        The export of the vault checks the rights once more, and notes itself.
        """
        for entry in entries:
            out.records.append(self._tell_entry(entry))
        with entries._export(jsonl=True, csv=False, blobs=True) as file:
            out.add_zip("vault", file)

    @api.model
    def _tell_entry(self, entry):
        pages, before = [], None
        while True:
            page = entry._read_page(before)
            pages.append(page)
            if not page.has_more:
                break
            before = int(page.messages[-1]["id"])
        content = EntryContent(entry, pages[0])
        lines = [line for _title, each in content.get_sections() for line in each]
        return {
            "model": entry.res_model,
            "kind": self.env["ir.model"]._get(entry.res_model).name,
            "id": entry.res_id,
            "name": entry.display_name,
            "place": "vaulted",
            "retention": self._tell_retention(entry.category_id, entry.retention_date),
            "values": [
                {"field": None, "label": label, "value": html2plaintext(str(value))}
                for label, value in (*lines, *content.get_rest())
            ],
            "messages": [
                {
                    "date": (message["date"] or "")[:19],
                    "from": message["email_from"] or "",
                    "subject": message["subject"] or "",
                    "text": html2plaintext(message["body"] or ""),
                }
                for page in pages
                for message in page.messages
            ],
            "activities": [],
            "attachments": [
                {
                    "name": row["name"],
                    "mimetype": row["mimetype"],
                    "file": f"vault/{blob_path(entry.res_model, entry.res_id, row)}",
                }
                for row in pages[0].files.values()
            ],
        }

    # ------------------------------------------------------------
    # ELSEWHERE
    # ------------------------------------------------------------

    @api.model
    def _tell_elsewhere(self, records_list, identity):
        """Return what else there is: written by the person, meetings, other records.

        :return: list of JSON values
        """
        partners = self.env["res.partner"].with_context(active_test=False)
        known = set()
        for records in records_list:
            if records._name == "crm.archive.entry":
                known |= {(entry.res_model, entry.res_id) for entry in records}
            else:
                known |= {(records._name, record.id) for record in records}
        partners = partners.browse(i for name, i in known if name == "res.partner")
        messages = self.env["mail.message"].search(
            [("author_id", "in", partners.ids)], order="id"
        )
        meetings = self.env["calendar.event"].with_context(active_test=False)
        meetings = meetings.search([("partner_ids", "in", partners.ids)], order="id")
        return [
            *(
                {"kind": self.env._("Message written"), **self._tell_message(message)}
                for message in messages
                if (message.model, message.res_id) not in known
            ),
            *(
                {
                    "kind": self.env._("Meeting"),
                    "date": fields.Datetime.to_string(meeting.start),
                    "subject": meeting.name,
                    "text": meeting.location or "",
                }
                for meeting in meetings
            ),
            *self._tell_looked_up(known, identity),
        ]

    @api.model
    def _tell_looked_up(self, known, identity):
        """Yield records of other apps that Odoo's privacy look-up finds, if installed.

        The look-up knows no rights and no companies: what it has found is told only
        as far as the user may read it.
        """
        email, name = identity.get("email"), identity.get("name")
        if "privacy.lookup.wizard" not in self.env or not email:
            return
        # Checked below, record by record.
        lookup = self.env["privacy.lookup.wizard"].sudo()
        lookup = lookup.new({"name": name or email, "email": email})
        found = {}
        for model_id, res_id, _active in self.env.execute_query(lookup._get_query()):
            found.setdefault(model_id, set()).add(res_id)
        for model_id, ids in found.items():
            model = self.env["ir.model"].sudo().browse(model_id).model
            if model not in self.env or model.startswith(UNTOLD_MODELS):
                continue
            if not self.env[model].has_access("read"):
                continue
            records = self.env[model].with_context(active_test=False)
            records = records.search([("id", "in", sorted(ids))], order="id")
            for record in records:
                if (model, record.id) not in known:
                    yield self._tell_record(record)


class CrmArchiveEntry(models.Model):
    _inherit = "crm.archive.entry"

    def _read_page(self, before=None):
        """Return a page of the content; the caller notes what it is read for.

        :param int before: id of a message: the page of older ones
        :return: :class:`~..vault.reading.Reading`
        :raise AccessError: for whoever may not read it
        """
        self._check_may_read_content()
        table = self.env[self.res_model]._table
        digest = self.sudo().place_rows_digest
        return self._read_from_bundle(
            lambda get: read_page(get, self.res_model, table, digest, before)
        )

    def action_subject_export(self):
        """Open the dialog that exports everything about the person.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return self.env["crm.archive.subject.export"]._get_action_for(
            self._get_identity()
        )

    def _get_identity(self):
        """Return how the person is known: dict with name, email and phone."""
        name = self.contact_name or (
            self.name if self.res_model == "res.partner" else self.partner_id.name
        )
        return {"name": name, "email": self.email, "phone": self.phone}


class CrmArchiveMixin(models.AbstractModel):
    _inherit = "crm.archive.mixin"

    def action_archive_subject_export(self):
        """Open the dialog that exports everything about the person.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return self.env["crm.archive.subject.export"]._get_action_for(
            self._get_archive_identity()
        )
