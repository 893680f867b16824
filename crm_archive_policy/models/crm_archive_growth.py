from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.tools import SQL

#: Months that are worked out when nothing has been counted yet, this one included.
GROWTH_MONTHS = 12


class CrmArchiveGrowth(models.Model):
    """How many records were live, archived and in the vault, month by month.

    Numbers only, a few rows a month. The scheduled action counts them once a day, so
    that no screen ever counts a table of a million records. Months from before the
    first count are worked out from the records there are today: by the days on which
    they were created, archived and moved to the vault. What was deleted since, and
    what was archived and came back, is not seen in those.
    """

    _name = "crm.archive.growth"
    _description = "Growth of Live and Archived Data"
    _log_access = False
    _order = "date desc, res_model, company_id"
    _rec_name = "date"

    date = fields.Date(
        "Month", required=True, readonly=True, help="The first day of the month."
    )
    res_model = fields.Selection(
        "_get_model_selection", "Kind of Record", required=True, readonly=True
    )
    company_id = fields.Many2one("res.company", readonly=True, ondelete="cascade")
    live_count = fields.Integer("Live", readonly=True)
    archived_count = fields.Integer("Archived", readonly=True)
    vaulted_count = fields.Integer("In the Vault", readonly=True)
    count_date = fields.Datetime("Counted on", readonly=True, aggregator="max")

    _month_unique = models.UniqueIndex("(date, res_model, COALESCE(company_id, 0))")

    @api.model
    def _get_model_selection(self):
        names = self.env["crm.archive.policy"]._get_lifecycle_models()
        return [(name, self.env[name]._description) for name in names]

    @api.model
    def _cron_count(self):
        """Count this month anew, and the months that were never counted."""
        for name in self.env["crm.archive.policy"]._get_lifecycle_models():
            self._count_model(self.env[name])

    @api.model
    def _count_model(self, model):
        """Write the rows of one model, in one pass over its table.

        :param model: a model with a lifecycle
        """
        this_month = fields.Date.today().replace(day=1)
        months = [this_month - relativedelta(months=n) for n in range(GROWTH_MONTHS)]
        known = self.search(
            [
                ("res_model", "=", model._name),
                ("date", "in", months),
                ("date", "!=", this_month),
            ]
        )
        # Months between two counts are as missing as those before the first.
        wanted = [month for month in months if month not in known.mapped("date")]
        self.search(
            [("res_model", "=", model._name), ("date", "=", this_month)]
        ).unlink()
        self.env.flush_all()
        rows = self.env.execute_query(self._get_count_query(model, wanted))
        now = self.env.cr.now()
        self.create(
            [
                {
                    "date": month,
                    "res_model": model._name,
                    "company_id": company_id,
                    "live_count": live,
                    "archived_count": archived,
                    "vaulted_count": vaulted,
                    "count_date": now,
                }
                for month, company_id, live, archived, vaulted in rows
            ]
        )

    @api.model
    def _get_count_query(self, model, months):
        """Return the query of ``(month, company id, live, archived, vaulted)``.

        Records in the vault are counted by their entries: a contact may leave a
        nameless row behind, a lead leaves none.
        """
        company = model._fields.get("company_id")
        has_company = bool(company and company.store)
        return SQL(
            """
            WITH item AS (
                SELECT %(company)s AS company_id,
                       date_trunc('month', create_date) AS born,
                       CASE WHEN archive_state = 'archived'
                            THEN date_trunc('month', archive_date)
                       END AS archived,
                       NULL::timestamp AS vaulted,
                       count(*) AS number
                  FROM %(table)s
                 WHERE archive_state <> 'vaulted'
              GROUP BY 1, 2, 3
             UNION ALL
                SELECT company_id,
                       date_trunc('month', COALESCE(record_date, vault_date)),
                       date_trunc('month', COALESCE(archive_date, vault_date)),
                       date_trunc('month', vault_date),
                       count(*)
                  FROM crm_archive_entry
                 WHERE state = 'vaulted' AND res_model = %(model)s
              GROUP BY 1, 2, 3, 4
            )
            SELECT month.date,
                   item.company_id,
                   COALESCE(sum(number) FILTER (
                       WHERE archived IS NULL OR archived > month.date), 0),
                   COALESCE(sum(number) FILTER (
                       WHERE archived <= month.date
                         AND (vaulted IS NULL OR vaulted > month.date)), 0),
                   COALESCE(sum(number) FILTER (WHERE vaulted <= month.date), 0)
              FROM unnest(%(months)s) AS month(date)
              JOIN item ON item.born <= month.date
          GROUP BY month.date, item.company_id
            """,
            table=SQL.identifier(model._table),
            company=SQL("company_id" if has_company else "NULL::integer"),
            model=model._name,
            months=months,
        )
