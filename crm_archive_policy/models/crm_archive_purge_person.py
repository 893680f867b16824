from odoo import fields, models

#: Rows that are looked through in one transaction; a larger table is one by itself.
ROWS_MAX = 100_000

#: A small table costs a statement all the same.
ROWS_MIN = 2000


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

        :return: list of lists of :class:`~..vault.mentions.Place`: a transaction each
        """
        identifiers = self._get_identifiers()
        if self.kind != "erasure" or not identifiers:
            return []
        mentions = self.env["crm.archive.person"]._get_mentions(identifiers)
        groups, size = [], ROWS_MAX
        for place in mentions.places() if mentions.pattern else ():
            size += max(place.rows, ROWS_MIN)
            if size > ROWS_MAX:
                groups.append([])
                size = max(place.rows, ROWS_MIN)
            groups[-1].append(place)
        return groups[::-1]

    def _erase_mentions(self, places):
        """Blot the person out of some tables, but for what has to stay.

        :param places: list of :class:`~..vault.mentions.Place`
        """
        person = self.env["crm.archive.person"]
        self.env.flush_all()
        kept = self.line_ids.filtered(
            lambda line: line.state == "kept" and line.outcome != "gone"
        )
        spared = person._find_spared(kept)
        mentions = person._get_mentions(self._get_identifiers())
        count = sum(
            mentions.erase(place, spared.get(place.table, ())) for place in places
        )
        self.env.invalidate_all(flush=False)
        self.mention_count += count
