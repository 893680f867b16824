from odoo import models

from ..vault.graph import OWNED_REFERENCES
from ..vault.owners import tie
from .crm_archive_policy import LIFECYCLE_MODELS


class CrmArchiveEntry(models.Model):
    """Nobody writes to a record that leaves its table at this moment."""

    _inherit = "crm.archive.entry"

    def init(self):
        """Make the triggers for models whose rows leave completely."""
        super().init()
        owners = [
            name for name in LIFECYCLE_MODELS if not self.env[name]._archive_keeps_row
        ]
        # External ids are written by module updates only, and by the thousand.
        tie(self.env, owners, OWNED_REFERENCES - {"ir.model.data"})
