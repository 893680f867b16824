from odoo import models
from odoo.exceptions import MissingError


class IrBinary(models.AbstractModel):
    """Files and pictures by their address."""

    _inherit = "ir.binary"

    def _find_record(self, *args, **kwargs):
        """No token opens what belongs to a restricted record.

        Some tokens are signed, not stored, so nobody can take them back; and core
        hands out public files and the pictures of authors without asking any rule.

        :raise MissingError: as if there were no such record
        """
        record = super()._find_record(*args, **kwargs)
        rules = self.env["ir.rule"]
        if rules._is_hiding_archived() and rules._filter_archive_hidden(record):
            raise MissingError(self.env._("There is no such file."))
        return record
