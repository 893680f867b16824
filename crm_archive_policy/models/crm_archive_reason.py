from odoo import fields, models


class CrmArchiveReason(models.Model):
    """Why a record was archived: the vocabulary of policies and people."""

    _name = "crm.archive.reason"
    _description = "Archive Reason"
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)

    _name_unique = models.UniqueIndex(
        "((name->>'en_US'))", "An archive reason with this name exists already."
    )
