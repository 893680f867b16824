from random import randint

from odoo import fields, models


class CrmArchiveTag(models.Model):
    """A label on archived records, to find and analyse them by."""

    _name = "crm.archive.tag"
    _description = "Archive Tag"
    _order = "name"

    name = fields.Char(required=True, translate=True)
    color = fields.Integer(default=lambda self: randint(1, 11))
    active = fields.Boolean(default=True)

    _name_unique = models.UniqueIndex(
        "((name->>'en_US'))", "An archive tag with this name exists already."
    )
