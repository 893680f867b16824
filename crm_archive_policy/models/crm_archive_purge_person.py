from odoo import fields, models


class CrmArchivePurge(models.Model):
    """The erasure of one person: beside the records, every mention of the person."""

    _inherit = "crm.archive.purge"

    mention_count = fields.Integer(
        "Mentions", readonly=True, help="Rows of other data that named the person."
    )

    def _get_identifiers(self):
        return [line for line in (self.identifiers or "").splitlines() if line.strip()]

    def _plan_mentions(self):
        """Return the places that are to be looked through, the last first.

        :return: list of :class:`~..vault.mentions.Place`
        """
        identifiers = self._get_identifiers()
        if self.kind != "erasure" or not identifiers:
            return []
        mentions = self.env["crm.archive.person"]._get_mentions(identifiers)
        return mentions.places()[::-1] if mentions.pattern else []

    def _erase_mentions(self, place):
        """Blot the person out of one table, but for what has to stay.

        :param place: :class:`~..vault.mentions.Place`
        """
        person = self.env["crm.archive.person"]
        self.env.flush_all()
        kept = self.line_ids.filtered(
            lambda line: line.state == "kept" and line.outcome != "gone"
        )
        spared = person._find_spared(kept).get(place.table, ())
        mentions = person._get_mentions(self._get_identifiers())
        count = mentions.erase(place, spared)
        self.env.invalidate_all(flush=False)
        self.mention_count += count
