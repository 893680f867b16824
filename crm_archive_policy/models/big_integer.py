from odoo import fields


class BigInteger(fields.Integer):
    """A whole number of 64 bits: bytes and places in files outgrow 2 GB."""

    _column_type = ("int8", "int8")
