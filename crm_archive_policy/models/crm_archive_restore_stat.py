from collections import Counter
from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

#: Why a record was brought back, as people say it in one click.
RESTORE_CAUSES = [
    ("came_back", "Came back"),
    ("too_early", "Archived too early"),
    ("mistake", "Mistake"),
    ("audit", "Audit"),
]

#: A restore within so many days after archiving says something about the policy.
EARLY_DAYS = 90


class CrmArchiveRestoreStat(models.Model):
    """How many records of a policy came back, when and why.

    Numbers only: they tell nothing about anybody, and outlive the purge of the
    records. One act writes one row for each policy; rows of past days are added up
    to one a month, so the table stays small after a million restores too.
    """

    _name = "crm.archive.restore.stat"
    _description = "Archive Restore Statistics"
    _log_access = False
    _order = "date desc, id desc"
    _rec_name = "date"

    policy_id = fields.Many2one(
        "crm.archive.policy",
        required=True,
        readonly=True,
        ondelete="cascade",
        index=True,
    )
    company_id = fields.Many2one(related="policy_id.company_id")
    date = fields.Date(
        required=True, readonly=True, help="The day; of past months, the first day."
    )
    restore_cause = fields.Selection(
        RESTORE_CAUSES, "Cause", readonly=True, help="Empty: nobody said why."
    )
    is_early = fields.Boolean(
        "Within 90 Days", readonly=True, help="Archived not more than 90 days before."
    )
    record_count = fields.Integer("Records", required=True, readonly=True)

    @api.model
    def _count_restored(self, records, cause=None):
        """Count records that are about to be restored.

        :param records: archived records; those archived by hand belong to no policy
            and are not counted
        :param str cause: one of :data:`RESTORE_CAUSES`, or ``None``
        """
        limit = self.env.cr.now() - timedelta(days=EARLY_DAYS)
        counts = Counter()
        for policy, own in records.sudo().grouped("archive_policy_id").items():
            if policy:
                dates = filter(None, own.mapped("archive_date"))
                counts.update((policy.id, date >= limit) for date in dates)
        self._create_counts(counts, cause)

    def _create_counts(self, counts, cause):
        """Write the rows; people who restore have no rights on this table.

        :param counts: ``{(policy id, is early): number}``
        """
        today = fields.Date.today()
        self.sudo().create(
            [
                {
                    "policy_id": policy_id,
                    "date": today,
                    "restore_cause": cause or False,
                    "is_early": early,
                    "record_count": count,
                }
                for (policy_id, early), count in counts.items()
            ]
        )

    @api.model
    def _compact(self):
        """Add up the rows of past days, month by month; the sums stay the same."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                WITH past AS (
                    DELETE FROM crm_archive_restore_stat
                     WHERE date < %s
                 RETURNING policy_id, date, restore_cause, is_early, record_count
                )
                INSERT INTO crm_archive_restore_stat
                       (policy_id, date, restore_cause, is_early, record_count)
                SELECT policy_id, date_trunc('month', date)::date, restore_cause,
                       is_early, sum(record_count)
                  FROM past
                 GROUP BY 1, 2, 3, 4
                """,
                fields.Date.today(),
            )
        )
        self.env.invalidate_all()
