"""Lay out what was read of an archived record as its form and its chatter."""

import json
from itertools import chain
from types import SimpleNamespace

from markupsafe import Markup

from .crm_archive_mixin_vault import KEPT_COLUMNS
from .entry_values import Values, clean_html, show_size

#: Shown as pictures in the page when they are one of these.
IMAGE_TYPES = frozenset(["image/png", "image/jpeg", "image/gif", "image/webp"])
_ADDRESS = ("street", "street2", "city", "state_id", "zip", "country_id")
_SKIPPED = KEPT_COLUMNS | {
    "archive_due_date",
    "automated_probability",
    "last_interaction_date",
    "name",
}


class EntryContent:
    """The content of one entry, for the template."""

    def __init__(self, entry, reading):
        """
        :param entry: ``crm.archive.entry`` of the reader, who has been checked
        :param reading: :class:`~..vault.reading.Reading`
        """
        self.entry, self.reading, self.env = entry, reading, entry.env
        self.model = self.env[entry.res_model]
        self.values = Values(self.env, entry.company_id)
        self._shown = set()

    # -- the form ----------------------------------------------------------------

    def get_sections(self):
        """Return the filled in fields as they are laid out in the record's form.

        :return: list of ``(title, [(label, value)])``
        """
        arch, _view = self.model.sudo()._get_view(view_type="form")
        sections = {}
        for title, name, label in self._walk(arch, ""):
            if line := self._show_field(name, label):
                sections.setdefault(title, []).append(line)
        return list(sections.items())

    def get_rest(self):
        """Return what the form of today does not show: also of fields that are gone.

        :return: list of ``(label, value)``
        """
        lines = []
        for name, text in self.reading.row.items():
            if name in self._shown or name in _SKIPPED or text in (None, "", "false"):
                continue
            field = self.model._fields.get(name)
            if field is None:
                lines.append((name, text))
            elif line := self._show_field(name, field._description_string(self.env)):
                lines.append(line)
        return lines

    def _walk(self, node, title):
        """Yield ``(title of the section, field, label)`` in the order of the form."""
        for child in node:
            if not isinstance(child.tag, str) or child.tag in ("chatter", "button"):
                continue
            groups = child.get("groups")
            if groups and not self.env.user.has_groups(groups):
                continue
            if child.tag == "field":
                if child.get("invisible") not in ("1", "True"):
                    yield title, child.get("name"), child.get("string")
                continue
            inner = child.get("string") if child.tag in ("page", "group") else None
            yield from self._walk(child, inner or title)

    def _show_field(self, name, label):
        field = self.model._fields.get(name)
        if field is None or name in self._shown or name in _SKIPPED:
            return None
        if not self.model._has_field_access(field, "read"):
            self._shown.add(name)
            return None
        self._shown.add(name)
        if name in _ADDRESS:
            return self._show_address()
        value = self._show_value(field)
        return (label or field._description_string(self.env), value) if value else None

    def _show_value(self, field):
        if field.type == "many2many" and field.store:
            return self._show_links(field)
        if field.type == "one2many":
            return self._show_lines(field)
        if not field.store:
            return ""
        return self.values.show(
            field, self.reading.row.get(field.name), self.reading.row
        )

    def _show_address(self):
        self._shown.update(_ADDRESS)
        row, fields_ = self.reading.row, self.model._fields
        shown = {
            name: self.values.show(fields_[name], row.get(name), row)
            for name in _ADDRESS
            if name in fields_
        }
        place = " ".join(filter(None, (shown.get("zip"), shown.get("city"))))
        lines = [shown.get("street"), shown.get("street2"), place]
        lines += [shown.get("state_id"), shown.get("country_id")]
        text = "\n".join(filter(None, lines))
        return (self.env._("Address"), text) if text else None

    def _show_links(self, field):
        rows = self.reading.parts.get(field.relation, ())
        names = [
            self.values.name(field.comodel_name, row[field.column2])
            for row in rows
            if row.get(field.column1) == str(self.entry.res_id)
        ]
        return ", ".join(names)

    def _show_lines(self, field):
        comodel = self.env[field.comodel_name]
        if comodel._table.startswith(("mail_", "ir_", "crm_archive_")):
            return ""
        rows = self.reading.parts.get(comodel._table, ())
        rec_name = comodel._rec_name_fallback()
        return "\n".join(
            row.get(rec_name) or f"#{row['id']}"
            for row in rows
            if row.get(field.inverse_name) == str(self.entry.res_id)
        )

    # -- beside the form ---------------------------------------------------------

    def get_picture(self):
        """:return: address of the contact's picture, ``None`` when it has none"""
        for row in self.reading.files.values():
            if row["res_field"] and row["mimetype"] in IMAGE_TYPES:
                return self.get_image_url(int(row["id"]))
        return None

    def get_followers(self):
        """:return: names of the followers"""
        rows = self.reading.parts.get("mail_followers", ())
        return [
            self.values.person(row["partner_id"])
            for row in rows
            if row["partner_id"] and row["res_model"] == self.entry.res_model
        ]

    def get_activities(self):
        """:return: list of the activities that were planned"""
        fields_ = self.env["mail.activity"]._fields
        return [
            SimpleNamespace(
                summary=row["summary"]
                or self.values.name("mail.activity.type", row["activity_type_id"]),
                date=self.values.show(
                    fields_["date_deadline"], row["date_deadline"], row
                ),
                user=self.values.name("res.users", row["user_id"]),
                note=clean_html(row["note"] or ""),
            )
            for row in self.reading.parts.get("mail_activity", ())
            if row["res_model"] == self.entry.res_model
        ]

    # -- attachments -------------------------------------------------------------

    def get_files(self):
        """:return: the attachments that are not shown with a message"""
        links = self.reading.of_message["message_attachment_rel"].values()
        linked = {int(row["attachment_id"]) for row in chain(*links)}
        return [
            self._show_file(row)
            for number, row in self.reading.files.items()
            if number not in linked and not row["res_field"]
        ]

    def get_image_url(self, attachment_id):
        """:return: address of a picture in the page"""
        return f"{self.entry._get_attachment_url(attachment_id)}?inline=1"

    def _show_file(self, row):
        number = int(row["id"])
        is_link = row["type"] == "url"
        url = row["url"] or "" if is_link else self.entry._get_attachment_url(number)
        return SimpleNamespace(
            name=row["name"] or f"#{number}",
            size="" if is_link else show_size(self.env, int(row["file_size"] or 0)),
            mimetype=row["mimetype"] or "application/octet-stream",
            url=url if not is_link or url.startswith(("http:", "https:")) else "",
            image=self.get_image_url(number)
            if row["mimetype"] in IMAGE_TYPES and not is_link
            else None,
        )

    # -- the chatter -------------------------------------------------------------

    def get_messages(self):
        """:return: the page of messages, newest first"""
        return [self._show_message(row) for row in self.reading.messages]

    def get_previous_day(self):
        """:return: the day of the message before the page, which is shown already"""
        row = self.reading.previous
        return self.values.day_and_time(row["date"])[0] if row else None

    def _show_message(self, row):
        number = int(row["id"])
        note = self.env.ref("mail.mt_note", raise_if_not_found=False)
        is_note = bool(note) and row["subtype_id"] == str(note.id)
        is_log = row["message_type"] in ("notification", "auto_comment")
        files = self.reading.of_message["message_attachment_rel"].get(number, ())
        body = clean_html(row["body"] or "", self.get_image_url)
        day, time = self.values.day_and_time(row["date"])
        return SimpleNamespace(
            author=self._show_author(row),
            author_id=int(row["author_id"] or 0),
            day=day,
            time=time,
            subject=row["subject"] if row["subject"] != self.entry.name else "",
            body=body if body.striptags() or "<img" in body else Markup(),
            subtype="" if body or is_note else self._show_subtype(row),
            is_email="email" in row["message_type"],
            is_note=is_note,
            bubble="" if is_note or is_log else "o_archive_bubble",
            trackings=self._show_trackings(number),
            files=[
                self._show_file(self.reading.files[int(link["attachment_id"])])
                for link in files
                if int(link["attachment_id"]) in self.reading.files
            ],
        )

    def _show_author(self, row):
        if row["author_id"]:
            return self.values.person(row["author_id"])
        return row["email_from"] or self.env._("Unknown")

    def _show_subtype(self, row):
        subtype = self.env["mail.message.subtype"].sudo()
        subtype = subtype.browse(int(row["subtype_id"] or 0)).exists()
        return subtype.description or subtype.name or ""

    def _show_trackings(self, message_id):
        shown = []
        rows = self.reading.of_message["mail_tracking_value"].get(message_id, ())
        for row in rows:
            field = self._get_tracked_field(row)
            if field is not None and not self.model._has_field_access(field, "read"):
                continue
            shown.append(
                SimpleNamespace(
                    label=self._get_tracking_label(row, field),
                    old=self._show_tracked(row, field, "old") or self.env._("None"),
                    new=self._show_tracked(row, field, "new") or self.env._("None"),
                )
            )
        return shown

    def _get_tracked_field(self, row):
        field = self.env["ir.model.fields"].sudo().browse(int(row["field_id"] or 0))
        name = field.exists() and field.name
        return self.model._fields.get(name) if name else None

    def _get_tracking_label(self, row, field):
        if field is not None:
            return field._description_string(self.env)
        info = json.loads(row["field_info"] or "{}")
        return info.get("desc") or info.get("name") or self.env._("Unknown")

    def _show_tracked(self, row, field, side):
        """Return the old or the new value, from the column that its type is kept in."""
        info = json.loads(row["field_info"] or "{}")
        kind = field.type if field is not None else info.get("type", "char")
        column = {
            "boolean": "integer",
            "date": "datetime",
            "monetary": "float",
            "datetime": "datetime",
            "float": "float",
            "integer": "integer",
            "text": "text",
        }.get(kind, "char")
        text = row.get(f"{side}_value_{column}")
        if kind == "boolean":
            text = "true" if text == "1" else "false"
            return self.env._("Yes") if text == "true" else self.env._("No")
        if field is None or column == "char" or text is None:
            return text or ""
        return self.values.show(field, text, row)
