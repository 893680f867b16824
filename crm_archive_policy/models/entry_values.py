"""Turn the texts of a bundle's rows into what a person reads."""

import json
import re

from lxml import etree, html
from markupsafe import Markup

from odoo import fields
from odoo.tools import (
    format_amount,
    format_date,
    format_datetime,
    format_time,
    formatLang,
    html_sanitize,
)

#: Types that say nothing to a person, or are shown in a place of their own.
UNREADABLE = frozenset(["binary", "json", "image", "many2one_reference", "reference"])

_IMAGE = re.compile(r"(?:https?://[^/]+)?/web/(?:image|content)/(\d+)(?:[-/?].*)?$")


class Values:
    """Formats values in the reader's language, and names what they refer to."""

    def __init__(self, env, company):
        """
        :param env: environment of the reader
        :param company: the record's company, which its amounts are in
        """
        self.env, self.company = env, company or env.company
        self._names = {}

    # -- names -------------------------------------------------------------------

    def name(self, model_name, res_id):
        """Return the name of a record, if it is still there and may be seen.

        Names of contacts and leads are personal: the reader's own rights decide. The
        others are vocabulary (stages, teams, countries, users), and what was captured
        with the record is read with it.

        :param model_name: model, may be unknown by now
        :param res_id: id as text or number
        """
        if not res_id:
            return ""
        key = model_name, int(res_id)
        if key not in self._names:
            self._names[key] = self._find_name(*key)
        return self._names[key]

    def _find_name(self, model_name, res_id):
        number = self.env._("No. %(number)s", number=res_id)
        if model_name not in self.env:
            return number
        record = self.env[model_name].with_context(active_test=False).browse(res_id)
        if model_name in self.env["crm.archive.policy"]._get_lifecycle_models():
            return self._find_person_name(record) or number
        record = record.sudo().exists()
        return record.display_name if record else number

    def _find_person_name(self, record):
        entry = self.env["crm.archive.entry"].search(
            [
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
                ("state", "=", "vaulted"),
            ],
            limit=1,
        )
        if entry:
            return entry.name
        record = record.exists()
        if record and record.has_access("read"):
            return record.display_name
        return ""

    def person(self, res_id):
        """:return: a contact's own name, without that of its company"""
        name = self.name("res.partner", res_id)
        person = self.env["res.partner"].sudo().browse(int(res_id))
        # The reader's rights were asked for the longer name already.
        return person.name if name == person.exists().display_name else name

    # -- values ------------------------------------------------------------------

    def show(self, field, text, row):
        """Return a value as a person reads it.

        :param field: the field, in the registry of today
        :param text: the value as it is in the bundle
        :param row: its row, for the currency
        :return: text or markup, empty when there is nothing to show
        """
        if text is None or field.type in UNREADABLE:
            return ""
        try:
            if field.company_dependent or field.translate:
                text = self._pick(field, json.loads(text))
            show = getattr(self, f"_show_{field.type}", None)
            if text in (None, "", False):
                return ""
            return show(field, text, row) if show else str(text)
        except (ValueError, TypeError, LookupError):
            # The type has changed since: what it was is better than nothing.
            return str(text)

    def _pick(self, field, values):
        if field.company_dependent:
            return values.get(str(self.company.id))
        return values.get(self.env.lang) or values.get("en_US")

    def _show_boolean(self, _field, text, _row):
        return self.env._("Yes") if text in ("true", "t", True) else ""

    def _show_integer(self, _field, text, _row):
        number = int(text)
        return formatLang(self.env, number, digits=0) if number else ""

    def _show_float(self, field, text, _row):
        number = float(text)
        digits = field.get_digits(self.env)
        decimals = digits[1] if digits else 2
        # A probability is 40, not 40.00.
        decimals = 0 if number.is_integer() else decimals
        return formatLang(self.env, number, decimals) if number else ""

    def _show_monetary(self, field, text, row):
        number = float(text)
        if not number:
            return ""
        stored = row.get(field.get_currency_field(self.env[field.model_name]) or "")
        currency = self.env["res.currency"].sudo().browse(int(stored or 0)).exists()
        return format_amount(self.env, number, currency or self.company.currency_id)

    def _show_date(self, _field, text, _row):
        return format_date(self.env, fields.Date.to_date(text))

    def _show_datetime(self, _field, text, _row):
        return self.moment(text)

    def _show_selection(self, field, text, _row):
        labels = dict(field._description_selection(self.env))
        return labels.get(text, text)

    def _show_many2one(self, field, text, _row):
        return self.name(field.comodel_name, text)

    def _show_html(self, _field, text, _row):
        return clean_html(text)

    def _show_properties(self, field, text, row):
        definitions = self._get_definitions(field, row)
        shown = []
        for name, value in json.loads(text).items():
            definition = definitions.get(name, {})
            label = definition.get("string") or name
            if value := self._show_property(definition, value):
                shown.append(f"{label}: {value}")
        return "\n".join(shown)

    def _get_definitions(self, field, row):
        owner = self.env[field.model_name]._fields[field.definition_record]
        owner_id = int(row.get(field.definition_record) or 0)
        record = self.env[owner.comodel_name].sudo().browse(owner_id).exists()
        definitions = record[field.definition_record_field] if record else ()
        return {each["name"]: each for each in definitions or ()}

    def _show_property(self, definition, value):
        if value in (None, False, "", []):
            return ""
        if definition.get("comodel"):
            ids = value if isinstance(value, list) else [value]
            return ", ".join(self.name(definition["comodel"], each) for each in ids)
        if options := definition.get("selection") or definition.get("tags"):
            labels = {option[0]: option[1] for option in options}
            keys = value if isinstance(value, list) else [value]
            return ", ".join(str(labels.get(key, key)) for key in keys)
        return self.env._("Yes") if value is True else str(value)

    def moment(self, text):
        """:return: a timestamp of the bundle in the reader's zone"""
        return format_datetime(self.env, fields.Datetime.to_datetime(text[:19]))

    def day_and_time(self, text):
        """:return: the day and the time of a timestamp, in the reader's zone"""
        when = fields.Datetime.to_datetime(text[:19])
        local = fields.Datetime.context_timestamp(self.env.user, when)
        day = format_date(self.env, local.date(), date_format="long")
        return day, format_time(self.env, when, time_format="short")


def show_size(env, size):
    """Return a number of bytes as people say it.

    :param env: environment, for the language
    :param int size: bytes
    """
    units = env._("bytes"), "kB", "MB", "GB", "TB"
    power = 0
    while size >= 1000 and power < len(units) - 1:
        size /= 1000
        power += 1
    digits = 1 if power and size < 100 else 0
    return f"{formatLang(env, size, digits)} {units[power]}"


def clean_html(text, get_image_url=None):
    """Return HTML of the bundle so that it can do no harm in the page.

    It was cleaned when it was written; but what comes out of a store is foreign until
    it is proven otherwise. Without classes and but for harmless styles, it cannot
    paint over the page either.

    :param str text: HTML
    :param get_image_url: for the id of an attachment, the address of its image in the
        archive, or ``None`` when it is not there
    :return: markup
    """
    clean = html_sanitize(
        text, sanitize_attributes=True, sanitize_style=True, strip_classes=True
    )
    if not clean or ("<img" not in clean and "<a" not in clean):
        return Markup(clean or "")  # noqa: S704 - cleaned
    root = html.fragment_fromstring(str(clean), create_parent="div")
    for image in root.iter("img"):
        _point_image(image, get_image_url)
    for link in root.iter("a"):
        link.attrib.update({"target": "_blank", "rel": "noopener noreferrer"})
    inner = etree.tostring(root, encoding="unicode", method="html")
    return Markup(inner)  # noqa: S704 - cleaned


def _point_image(image, get_image_url):
    """Let an inline image come out of the archive; others tell nobody of the reader."""
    image.attrib.update({"loading": "lazy", "referrerpolicy": "no-referrer"})
    found = _IMAGE.match(image.get("src", ""))
    if not found:
        return
    url = get_image_url and get_image_url(int(found[1]))
    if url:
        image.set("src", url)
    else:
        # An address of the live attachments, with what was perhaps a token.
        del image.attrib["src"]
