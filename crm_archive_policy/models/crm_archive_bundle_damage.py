from contextlib import contextmanager

from odoo import models

from .crm_archive_bundle_verify import DAMAGES


class CrmArchiveBundle(models.Model):
    """Damage is noted by whoever meets it, not by the next verification only."""

    _inherit = "crm.archive.bundle"

    @contextmanager
    def _open_reader(self, thorough=False):
        try:
            with super()._open_reader(thorough) as reader:
                yield reader
        except DAMAGES as error:
            # With a mirror the caller reads again, thoroughly, and that may heal it.
            if thorough or not self.store_id.sudo().mirror_id:
                self._mark_damaged(error)
            raise
