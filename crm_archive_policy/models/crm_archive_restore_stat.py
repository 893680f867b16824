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

#: Columns of the table that tell restores apart: one row for each combination.
DIMENSIONS = (
    "policy_id",
    "restore_cause",
    "is_early",
    "res_model",
    "month_count",
    "country_id",
    "industry_id",
    "user_id",
    "source_id",
)

#: A restore within so many days after archiving says something about the policy.
EARLY_DAYS = 90


class CrmArchiveRestoreStat(models.Model):
    """How many records of a policy came back, when and why.

    Numbers only: they name no record, and outlive the purge of the records, as what
    the vault keeps of a purged record for statistics does. One act writes one row for
    each combination of what is told apart; rows of past days are added up to one a
    month, so the table stays small after a million restores too.
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
    res_model = fields.Selection(
        lambda self: self.env["crm.archive.growth"]._get_model_selection(),
        "Kind of Record",
        readonly=True,
    )
    month_count = fields.Integer(
        "Months in the Archive",
        readonly=True,
        aggregator="avg",
        help="Whole months between archiving and restoring.",
    )
    country_id = fields.Many2one("res.country", readonly=True, ondelete="set null")
    industry_id = fields.Many2one(
        "res.partner.industry", readonly=True, ondelete="set null"
    )
    user_id = fields.Many2one(
        "res.users", "Salesperson", readonly=True, ondelete="set null"
    )
    source_id = fields.Many2one("utm.source", readonly=True, ondelete="set null")
    record_count = fields.Integer("Records", required=True, readonly=True)

    @api.model
    def _count_restored(self, records, cause=None):
        """Count records that are about to be restored.

        :param records: archived records; those archived by hand belong to no policy
            and are not counted
        :param str cause: one of :data:`RESTORE_CAUSES`, or ``None``
        """
        now = self.env.cr.now()
        counts = Counter(
            self._get_dimensions(record, cause or False, now)
            for record in records.sudo()
            if record.archive_policy_id and record.archive_date
        )
        self._create_counts(counts)

    @api.model
    def _get_dimensions(self, record, cause, now):
        """Return what tells the restore of one record from others.

        :return: values of :data:`DIMENSIONS`, in their order
        """
        date = record.archive_date
        months = 12 * (now.year - date.year) + now.month - date.month
        if (now.day, now.time()) < (date.day, date.time()):
            months -= 1  # not yet whole
        customer = record
        if "industry_id" not in record._fields and "partner_id" in record._fields:
            customer = record.partner_id
        return (
            record.archive_policy_id.id,
            cause,
            date >= now - timedelta(days=EARLY_DAYS),
            record._name,
            months,
            self._get_link(record, "country_id"),
            self._get_link(customer, "industry_id"),
            self._get_link(record, "user_id"),
            self._get_link(record, "source_id"),
        )

    @api.model
    def _get_link(self, record, name):
        """Return the id that a link of the record holds, if its model has one."""
        return record[name].id if name in record._fields else False

    def _create_counts(self, counts):
        """Write the rows; people who restore have no rights on this table.

        :param counts: ``{values of DIMENSIONS: number}``
        """
        today = fields.Date.today()
        self.sudo().create(
            [
                {
                    **dict(zip(DIMENSIONS, values, strict=True)),
                    "date": today,
                    "record_count": count,
                }
                for values, count in counts.items()
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
                     WHERE date < %(today)s
                 RETURNING date, record_count, %(dimensions)s
                )
                INSERT INTO crm_archive_restore_stat
                       (date, record_count, %(dimensions)s)
                SELECT date_trunc('month', date)::date, sum(record_count),
                       %(dimensions)s
                  FROM past
                 GROUP BY date_trunc('month', date), %(dimensions)s
                """,
                today=fields.Date.today(),
                dimensions=SQL(", ").join(map(SQL.identifier, DIMENSIONS)),
            )
        )
        self.env.invalidate_all()
