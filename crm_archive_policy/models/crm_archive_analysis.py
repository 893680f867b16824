from odoo import api, fields, models
from odoo.tools import SQL

#: What archived records, entries of the vault and restores are told apart by, and how
#: each is found: field → (archived contact, archived lead, entry, restore).
COLUMNS = {
    "company_id": ("company_id", "company_id", "company_id", "policy.company_id"),
    "policy_id": ("archive_policy_id", "archive_policy_id", "policy_id", "policy_id"),
    "reason_id": (
        "archive_reason_id",
        "archive_reason_id",
        "reason_id",
        "policy.reason_id",
    ),
    "country_id": ("country_id", "country_id", "country_id", "country_id"),
    "industry_id": (
        "industry_id",
        "partner.industry_id",
        "industry_id",
        "industry_id",
    ),
    "user_id": ("user_id", "user_id", "user_id", "user_id"),
    "source_id": (None, "source_id", "source_id", "source_id"),
    "archive_date": ("archive_date", "archive_date", "archive_date", None),
    "expected_revenue": (None, "expected_revenue", "expected_revenue", None),
}


def _names(part):
    """Return the fields of one kind of row, without those of what it is linked to."""
    sources = (source[part] for source in COLUMNS.values())
    return [source for source in sources if source and "." not in source]


class CrmArchiveAnalysis(models.Model):
    """What was archived, moved to the vault, restored and purged, to learn from.

    One row a record that is in the archive or was purged, and the monthly figures of
    what came back: of restored records nothing else is left to tell. Only what says
    nothing about a person is here, so it is read by everybody who answers for the
    archive, whoever's the leads are.
    """

    _name = "crm.archive.analysis"
    _description = "Archive Analysis"
    _auto = False
    _order = "archive_date desc"

    #: What has to be in the database before it is read.
    _depends = {  # noqa: RUF012 - as the ORM asks for it
        "res.partner": ["archive_state", *_names(0)],
        "crm.lead": ["archive_state", "partner_id", *_names(1)],
        "crm.archive.entry": ["res_model", "state", "purge_date", *_names(2)],
        "crm.archive.restore.stat": ["res_model", "date", "record_count", *_names(3)],
        "crm.archive.policy": ["company_id", "reason_id"],
    }

    state = fields.Selection(
        [
            ("archived", "Archived"),
            ("vaulted", "In the vault"),
            ("restored", "Restored"),
            ("purged", "Purged"),
        ],
        readonly=True,
    )
    res_model = fields.Selection(
        lambda self: self.env["crm.archive.growth"]._get_model_selection(),
        "Kind of Record",
        readonly=True,
    )
    company_id = fields.Many2one("res.company", readonly=True)
    policy_id = fields.Many2one(
        "crm.archive.policy", readonly=True, help="Empty: archived by hand."
    )
    reason_id = fields.Many2one("crm.archive.reason", readonly=True)
    country_id = fields.Many2one("res.country", readonly=True)
    industry_id = fields.Many2one("res.partner.industry", readonly=True)
    user_id = fields.Many2one("res.users", "Salesperson", readonly=True)
    source_id = fields.Many2one("utm.source", readonly=True)
    archive_date = fields.Datetime("Archived on", readonly=True)
    date = fields.Datetime(
        "Since", readonly=True, help="Since when it is in this state."
    )
    expected_revenue = fields.Float(readonly=True)
    record_count = fields.Integer("Records", readonly=True)

    @property
    def _table_query(self):
        """One part for each kind of row; ids differ by their remainder."""
        return SQL(
            " UNION ALL ".join(["%s"] * 4),
            SQL(
                """
                SELECT 4 * record.id AS id, 'archived' AS state,
                       'res.partner' AS res_model, record.archive_date AS date,
                       1 AS record_count, %s
                  FROM res_partner record
                 WHERE record.archive_state = 'archived'
                """,
                self._get_columns(0),
            ),
            SQL(
                """
                SELECT 4 * record.id + 1, 'archived', 'crm.lead', record.archive_date,
                       1, %s
                  FROM crm_lead record
             LEFT JOIN res_partner partner ON partner.id = record.partner_id
                 WHERE record.archive_state = 'archived'
                """,
                self._get_columns(1),
            ),
            SQL(
                """
                SELECT 4 * record.id + 2, record.state, record.res_model,
                       COALESCE(record.purge_date, record.vault_date), 1, %s
                  FROM crm_archive_entry record
                 WHERE record.state <> 'restored'
                """,
                self._get_columns(2),
            ),
            SQL(
                """
                SELECT 4 * record.id + 3, 'restored', record.res_model,
                       record.date::timestamp, record.record_count, %s
                  FROM crm_archive_restore_stat record
                  JOIN crm_archive_policy policy ON policy.id = record.policy_id
                """,
                self._get_columns(3),
            ),
        )

    @api.model
    def _get_columns(self, part):
        """Return the columns of one part of the query, in the order of the first."""
        columns = []
        for name, sources in COLUMNS.items():
            source = sources[part]
            if source is None:
                column = SQL("NULL::%s", SQL(self._fields[name].column_type[1]))
            else:
                table, _dot, field = source.rpartition(".")
                column = SQL.identifier(table or "record", field)
            columns.append(SQL("%s AS %s", column, SQL.identifier(name)))
        return SQL(", ").join(columns)
