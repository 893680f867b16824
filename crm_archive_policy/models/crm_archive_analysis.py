from odoo import api, fields, models
from odoo.tools import SQL, Query

#: Where each field is found: field → (on an archived record: the first path that the
#: model has, on an entry of the vault, in the figures of restores).
COLUMNS = {
    "company_id": (("company_id",), "company_id", "policy.company_id"),
    "policy_id": (("archive_policy_id",), "policy_id", "policy_id"),
    "reason_id": (("archive_reason_id",), "reason_id", "policy.reason_id"),
    "country_id": (("country_id",), "country_id", "country_id"),
    "industry_id": (("industry_id", "partner_id.industry_id"),) + ("industry_id",) * 2,
    "user_id": (("user_id",), "user_id", "user_id"),
    "source_id": (("source_id",), "source_id", "source_id"),
    "archive_date": (("archive_date",), "archive_date", None),
    "expected_revenue": (("expected_revenue",), "expected_revenue", None),
}


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

    #: What has to be in the database before it is read: all that is read of these.
    _depends = {  # noqa: RUF012 - as the ORM asks for it
        "res.partner": ["archive_state", "archive_date", "archive_policy_id"],
        "crm.lead": ["archive_state", "archive_date", "archive_policy_id"],
        "crm.archive.entry": ["state", "purge_date", "vault_date"],
        "crm.archive.restore.stat": ["date", "record_count"],
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
        names = self.env["crm.archive.policy"]._get_lifecycle_models()
        step = len(names) + 2
        parts = [
            self._get_archived_query(self.env[name], step, rest)
            for rest, name in enumerate(names)
        ]
        parts.append(
            SQL(
                """
                SELECT %s * record.id + %s AS id, record.state, record.res_model,
                       COALESCE(record.purge_date, record.vault_date) AS date,
                       1 AS record_count, %s
                  FROM crm_archive_entry record
                 WHERE record.state <> 'restored'
                """,
                step,
                step - 2,
                self._get_columns(1),
            )
        )
        parts.append(
            SQL(
                """
                SELECT %s * record.id + %s AS id, 'restored' AS state,
                       record.res_model, record.date::timestamp AS date,
                       record.record_count, %s
                  FROM crm_archive_restore_stat record
                  JOIN crm_archive_policy policy ON policy.id = record.policy_id
                """,
                step,
                step - 1,
                self._get_columns(2),
            )
        )
        return SQL(" UNION ALL ").join(parts)

    @api.model
    def _get_archived_query(self, model, step, rest):
        """Return the part of the records of one model that are archived."""
        query = Query(self.env, "record", SQL.identifier(model._table))
        columns = [
            SQL(
                "%s AS %s",
                self._get_record_column(model, query, paths[0], name),
                SQL.identifier(name),
            )
            for name, paths in COLUMNS.items()
        ]
        query.add_where("record.archive_state = 'archived'")
        return query.select(
            SQL("%s * record.id + %s AS id", step, rest),
            SQL("'archived' AS state"),
            SQL("%s AS res_model", model._name),
            SQL("record.archive_date AS date"),
            SQL("1 AS record_count"),
            *columns,
        )

    @api.model
    def _get_record_column(self, model, query, paths, name):
        """Return the column of the first path whose fields are stored, or NULL."""
        for path in paths:
            first, _dot, rest = path.partition(".")
            field = model._fields.get(first)
            if field and field.store:
                if not rest:
                    return SQL.identifier("record", first)
                comodel = self.env[field.comodel_name]
                if rest in comodel._fields and comodel._fields[rest].store:
                    alias = query.left_join("record", first, comodel._table, "id", rest)
                    return SQL.identifier(alias, rest)
        return self._get_null(name)

    @api.model
    def _get_columns(self, part):
        """Return the columns of entries or restores, in the order of the first part."""
        columns = []
        for name, sources in COLUMNS.items():
            source = sources[part]
            if source is None:
                column = self._get_null(name)
            else:
                table, _dot, field = source.rpartition(".")
                column = SQL.identifier(table or "record", field)
            columns.append(SQL("%s AS %s", column, SQL.identifier(name)))
        return SQL(", ").join(columns)

    @api.model
    def _get_null(self, name):
        return SQL("NULL::%s", SQL(self._fields[name].column_type[1]))
