import re

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

#: With fewer digits nearly every number matches.
DIGITS_MIN = 3


class CrmArchiveEntry(models.Model):
    """Finding somebody in the vault by what people remember of him."""

    _inherit = "crm.archive.entry"
    _rec_names_search = ["name", "email", "phone_search", "partner_name"]

    phone_search = fields.Char(
        "Phone Number",
        store=False,
        search="_search_phone_search",
        help="Found however it is written: spaces, signs and leading zeros are left "
        "out.",
    )

    _phone_digits_idx = models.Index(
        lambda registry: (
            r"USING gin (regexp_replace(phone, '\D', '', 'g') gin_trgm_ops)"
            if registry.has_trigram
            else ""
        )
    )

    def _search_phone_search(self, operator, value):
        if operator not in ("ilike", "like", "=ilike", "=like"):
            return NotImplemented
        digits = re.sub(r"\D", "", str(value)).lstrip("0")
        if len(digits) < DIGITS_MIN:
            return Domain.FALSE

        def has_digits(_model, alias, _query):
            return SQL(
                r"regexp_replace(%s, '\D', '', 'g') LIKE %s",
                SQL.identifier(alias, "phone"),
                f"%{digits}%",
            )

        return Domain.custom(to_sql=has_digits)
