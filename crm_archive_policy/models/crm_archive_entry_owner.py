from odoo import models

from ..vault.graph import OWNED_REFERENCES
from ..vault.owners import tie


class CrmArchiveMixin(models.AbstractModel):
    """Nobody writes to a record that leaves its table at this moment."""

    _inherit = "crm.archive.mixin"

    def init(self):
        """Make the triggers for a model whose rows leave completely."""
        super().init()
        if self._auto and not self._abstract and not self._archive_keeps_row:
            # External ids are written by module updates only, and by the thousand.
            tie(self.env, [self._name], OWNED_REFERENCES - {"ir.model.data"})
