from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_archive_interaction import InteractionSource
from .query_tools import as_domain, id_array, identifier_id

#: Fields that say that two records are the same person or company.
DUPLICATE_KEYS = ("email_normalized", "phone_sanitized")


class CrmArchiveDataQuality(models.AbstractModel):
    """Knows which records repeat another one, or lead to nobody.

    Of the active, unarchived records with the same e-mail address or number, the
    one with the longest history stays (:meth:`_get_interaction_sources` counted;
    the oldest among equals). Whoever is kept has to stand in for the others
    wherever they are seen, so it belongs to the same company or to all of them.

    The order is a strict one and standing in is transitive, hence the record that
    is kept is never a duplicate itself: no policy, and no two of them, take the
    last one.
    """

    _name = "crm.archive.data.quality"
    _inherit = ["crm.archive.interaction"]
    _description = "Data Quality"

    @api.model
    def _has_contact_keys(self):
        """Tell whether the model has what tells duplicates and people who return:
        the fields of ``mail.thread.blacklist`` and ``mail.thread.phone``."""
        return {*DUPLICATE_KEYS, "archive_duplicate_of_id"} <= self._fields.keys()

    @api.model
    def _get_interaction_sources(self):
        """Whoever was kept lives on for its duplicate as well: they may have been
        in touch with that one only."""
        sources = super()._get_interaction_sources()
        if not self._has_contact_keys():
            return sources
        return [
            *sources,
            InteractionSource(
                self._name,
                "archive_duplicate_of_id",
                "archive_date",
                [("archive_duplicate_of_id", "!=", False)],
            ),
        ]

    # ------------------------------------------------------------
    # NOBODY TO REACH
    # ------------------------------------------------------------

    @api.model
    def _get_contact_data_fields(self):
        """Return the fields of which any is a way to reach somebody."""
        email = getattr(self, "_primary_email", "email")
        names = [email, "phone", "website", "street", "city", "zip"]
        return [name for name in names if name in self._fields]

    @api.model
    def _get_unreachable_domain(self):
        """Return the domain of records without any way to reach somebody."""
        return Domain.AND(
            Domain(name, "=", False) for name in self._get_contact_data_fields()
        )

    # ------------------------------------------------------------
    # DUPLICATES
    # ------------------------------------------------------------

    @api.model
    def _get_duplicate_domain(self):
        """Return which records are compared with each other at all."""
        return Domain("active", "=", True) & Domain(
            "archive_state", "in", ("live", "pending")
        )

    def _exclude_from_duplicates(self, query, key):
        """Add conditions to the query of the records that are compared.

        :param query: :class:`~odoo.tools.Query` of the model
        :param str key: one of :data:`DUPLICATE_KEYS`
        """

    @api.model
    def _get_is_duplicate_domain(self, key, among=None):
        """Return the domain of the records that repeat one that is kept.

        :param str key: one of :data:`DUPLICATE_KEYS`
        :param among: ids that are asked about; only those are answered correctly
        """
        if among is not None:
            return Domain("id", "in", list(self.browse(among)._get_duplicates(key)))
        query = self._get_duplicate_query(key)
        return as_domain(
            lambda alias: SQL(
                "%s IN (SELECT id FROM (%s) duplicate)", identifier_id(alias), query
            )
        )

    def _get_kept_duplicates(self, keys):
        """Return for each of these records that repeats another: the one kept.

        :param keys: some of :data:`DUPLICATE_KEYS`
        :return: dict ``{id: id of the record that is kept}``
        """
        kept = {}
        for key in keys:
            duplicates = self._get_duplicates(key)
            for res_id in self.ids:
                if res_id in duplicates:
                    kept.setdefault(res_id, duplicates[res_id])
        return kept

    def _get_duplicates(self, key):
        """Return the duplicates among all records that share a key with these.

        The records are fetched first: with their ids at hand the planner goes by
        the indexes, where it would read every message for a batch.

        :param str key: one of :data:`DUPLICATE_KEYS`
        :return: dict ``{id: id of the record that is kept}``
        """
        query, column = self._get_comparable_query(key)
        query.add_where(
            SQL(
                "%s IN (SELECT %s FROM %s asked WHERE id = ANY(%s))",
                column,
                SQL.identifier("asked", key),
                SQL.identifier(self._table),
                id_array(self.ids),
            )
        )
        ids = [res_id for (res_id,) in self.env.execute_query(query.select())]
        if key != "email_normalized":
            repeated = self.browse(ids)._get_duplicates("email_normalized")
            ids = [res_id for res_id in ids if res_id not in repeated]
        if not ids:
            return {}
        query, _column = self._get_comparable_query(key)
        compared = id_array(ids)
        query.add_where(SQL("%s = ANY(%s)", identifier_id(query.table), compared))
        judged = self._judge_duplicates(
            key, query, lambda link: SQL("%s = ANY(%s)", link, compared)
        )
        return dict(self.env.execute_query(judged))

    @api.model
    def _get_duplicate_query(self, key):
        """Return the query of all duplicates: ``(id, kept_id)``.

        :param str key: one of :data:`DUPLICATE_KEYS`
        """
        twins, column = self._get_comparable_query(key, is_exact=False)
        shared = SQL("%s GROUP BY %s HAVING count(*) > 1", twins.select(column), column)
        query, column = self._get_comparable_query(key)
        query.add_where(SQL("%s IN (%s)", column, shared))
        if key != "email_normalized":
            query.add_where(
                SQL(
                    "%s NOT IN (SELECT id FROM (%s) repeated)",
                    identifier_id(query.table),
                    self._get_duplicate_query("email_normalized"),
                )
            )
        return self._judge_duplicates(
            key, query, lambda link: SQL("%s IN (SELECT id FROM member)", link)
        )

    def _get_comparable_query(self, key, is_exact=True):
        """Return the query of the records that are compared by a key, and the key.

        Record rules are bypassed on purpose: that the responsible of a policy does
        not see the better copy makes this one no less a duplicate.

        :param bool is_exact: leave :meth:`_exclude_from_duplicates` out when false
        """
        model = self.sudo().with_context(active_test=False)
        query = model._search(self._get_duplicate_domain() & Domain(key, "!=", False))
        if is_exact:
            self._exclude_from_duplicates(query, key)
        return query, model._field_to_sql(query.table, key, query)

    def _judge_duplicates(self, key, query, limit_to_members):
        """Return the query that ranks records and names those that are repeated.

        Two records with one number and two addresses are two people, a family or
        a switchboard: a number only tells on records without an address. And the
        record kept for its number must not be a duplicate by its address.

        :param str key: one of :data:`DUPLICATE_KEYS`
        :param query: query of the records that are compared
        :param limit_to_members: callable that turns the SQL of a link to the
            records into the condition that it is one of them
        """
        return SQL(
            """
            WITH member AS MATERIALIZED (%(members)s),
            history AS (
                SELECT res_id, count(*) AS signs FROM (%(signs)s) sign GROUP BY res_id
            ), ranked AS (
                SELECT member.*,
                       ARRAY[-COALESCE(history.signs, 0), member.id] AS place
                  FROM member LEFT JOIN history ON history.res_id = member.id
            ), judged AS (
                SELECT id, place, is_told, LEAST(
                    min(place) FILTER (WHERE is_live)
                         OVER (PARTITION BY key, company_id),
                    min(place) FILTER (WHERE is_live AND company_id IS NULL)
                         OVER (PARTITION BY key)
                ) AS best FROM ranked
            )
            SELECT id, best[2]::int AS kept_id FROM judged
             WHERE best < place AND is_told
            """,
            members=self._select_members(key, query),
            signs=self._select_signs(limit_to_members),
        )

    def _select_members(self, key, query):
        """Return the query of what is looked at of each record that is compared.

        :param str key: one of :data:`DUPLICATE_KEYS`
        :param query: query of the records that are compared
        """
        table = query.table
        # Where there is one company, being shared or not says nothing.
        is_alone = self.env["res.company"].sudo().search_count([], limit=2) < 2
        company = SQL("NULL::int") if is_alone else SQL.identifier(table, "company_id")
        is_live = SQL("%s = 'live'", SQL.identifier(table, "archive_state"))
        has_no_email = SQL("%s IS NULL", SQL.identifier(table, "email_normalized"))
        is_told = SQL("(%s OR %s)", key == "email_normalized", has_no_email)
        return query.select(
            SQL("%s AS id", identifier_id(table)),
            SQL("%s AS key", SQL.identifier(table, key)),
            SQL("%s AS company_id", company),
            SQL("%s AS is_live", is_live),
            SQL("%s AS is_told", is_told),
        )

    def _select_signs(self, limit_to_members):
        """Return the query of the signs of life of the records that are compared."""
        signs = []
        for sign, link, _date in self._get_interaction_queries():
            sign.add_where(limit_to_members(link))
            signs.append(sign.select(SQL("%s AS res_id", link)))
        return SQL(" UNION ALL ").join(signs)

    def _lock_kept(self, kept_ids):
        """Hold the records that are kept until the end of the transaction.

        Nobody can archive or change them meanwhile. One that somebody has changed
        since this transaction began fails as any concurrent update does.

        :return: set of the ids that could be locked at once
        """
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM %s WHERE id = ANY(%s) FOR SHARE SKIP LOCKED",
                SQL.identifier(self._table),
                id_array(kept_ids),
            )
        )
        return {kept_id for (kept_id,) in rows}

    def _set_duplicate_of(self, kept):
        """Note on archived records which one was kept in their place.

        In SQL: a value of its own for each record, in a column that nothing
        depends on.

        :param dict kept: ``{id: id of the record that was kept}``
        """
        if not kept:
            return
        self.env.execute_query(
            SQL(
                """
                UPDATE %(table)s record SET archive_duplicate_of_id = pair.kept_id
                  FROM unnest(%(ids)s, %(kept_ids)s) AS pair(id, kept_id)
                 WHERE record.id = pair.id
             RETURNING record.id
                """,
                table=SQL.identifier(self._table),
                ids=id_array(kept),
                kept_ids=id_array(kept.values()),
            )
        )
        self.browse(kept).invalidate_recordset(["archive_duplicate_of_id"], flush=False)
