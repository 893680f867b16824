from datetime import timedelta

from odoo import api, fields, models

#: Two looks at the overview within so many minutes are one visit.
VISIT_MINUTES = 60

#: What a first visit looks back on.
FIRST_DAYS = 30


class ResUsersSettings(models.Model):
    """When somebody looked at the overview of the archive."""

    _inherit = "res.users.settings"

    archive_visit_date = fields.Datetime(
        "Archive Overview Opened on", help="The last time."
    )
    archive_seen_date = fields.Datetime(
        "Archive Overview Seen until",
        help="The end of the visit before: the overview tells what happened since.",
    )

    @api.model
    def _get_fields_blacklist(self):
        """The web client has no use for them."""
        dates = ["archive_visit_date", "archive_seen_date"]
        return [*super()._get_fields_blacklist(), *dates]

    @api.model
    def _note_archive_visit(self):
        """Note that the current user looks at the overview now.

        :return: since when it has to tell, and whether this is the first visit
        """
        now = self.env.cr.now()
        settings = self._find_or_create_for_user(self.env.user).sudo()
        before = settings.archive_visit_date
        values = {"archive_visit_date": now}
        if before and now - before > timedelta(minutes=VISIT_MINUTES):
            values["archive_seen_date"] = before
        settings.write(values)
        since = settings.archive_seen_date
        return since or now - timedelta(days=FIRST_DAYS), not since
