from datetime import timedelta
from typing import NamedTuple

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .query_tools import as_domain, id_array, identifier_id, path_to_sql, search_links

#: Messages a person wrote or received an answer in. Notifications, automatic
#: replies and mailings say nothing about whether somebody is there.
HUMAN_MESSAGE_TYPES = ("email", "comment", "sms", "whatsapp_message")


#: Comparisons that :meth:`_get_interaction_exists` is called with.
COMPARE = {">": SQL(">"), ">=": SQL(">=")}


class InteractionSource(NamedTuple):
    """One place where a sign of life of a record is found.

    :ivar model: model whose rows are signs of life; may not be installed
    :ivar link: path from those rows to the record (many2one path,
        many2one_reference, or ``id``)
    :ivar date: path to the date or date-time (UTC) of the sign
    :ivar domain: which rows count
    """

    model: str
    link: str
    date: str
    domain: list


class CrmArchiveInteraction(models.AbstractModel):
    """Knows when a record last showed a sign of life.

    ``write_date`` is not one: a recomputed field or a mass update touches
    records that nobody has been in contact with for years.
    """

    _name = "crm.archive.interaction"
    _description = "Last Interaction"

    last_interaction_date = fields.Datetime(
        compute="_compute_last_interaction_date",
        search="_search_last_interaction_date",
        help="The latest sign of life: a message somebody wrote, a completed "
        "activity, a meeting, an order, an invoice, … Changes made to the record "
        "itself and automatic notes do not count.",
    )

    @api.depends_context("uid")
    def _compute_last_interaction_date(self):
        dates = self._get_last_interaction_dates()
        for record in self:
            record.last_interaction_date = dates.get(record.id) or record.create_date

    @api.model
    def _search_last_interaction_date(self, operator, value):
        if operator == "in":
            return Domain.OR(
                Domain("last_interaction_date", ">=", date)
                & Domain("last_interaction_date", "<=", date)
                for date in value
                if date
            )
        if operator in (">", ">="):
            return self._get_interaction_domain(operator, value)
        if operator in ("<", "<="):
            return self._get_silence_domain(operator, value)
        return NotImplemented

    # ------------------------------------------------------------
    # SOURCES
    # ------------------------------------------------------------

    @api.model
    def _get_interaction_sources(self):
        """Return every source of signs of life, installed or not.

        Other modules extend this list for their own models.

        :return: list of :class:`InteractionSource`
        """
        return [
            InteractionSource(
                "mail.message",
                "res_id",
                "date",
                [("message_type", "in", HUMAN_MESSAGE_TYPES)],
            ),
            InteractionSource(
                "mail.activity", "res_id", "date_done", [("active", "=", False)]
            ),
            InteractionSource("mailing.trace", "res_id", "open_datetime", []),
            InteractionSource("mailing.trace", "res_id", "reply_datetime", []),
        ]

    @api.model
    def _get_interaction_fields(self):
        """Return the record's own dates that are signs of life.

        :return: list of names of stored date-time fields
        """
        return ["create_date"]

    def _get_interaction_queries(self):
        """Yield ``(query, link, date)`` of each installed source.

        Dates in the future are left out: a meeting next week is a reason to
        keep the record (a guard says so), not something that has happened.
        """
        # Whole seconds are cut off here, but not from every date in the database.
        now = fields.Datetime.now() + timedelta(seconds=1)
        for source in self._get_interaction_sources():
            if source.model not in self.env:
                continue
            model, query, link = search_links(
                self.env, source.model, source.link, source.domain, self._name
            )
            date = SQL("%s::timestamp", path_to_sql(model, query, source.date))
            query.add_where(SQL("%s <= %s", date, now))
            yield query, link, date

    def _get_last_interaction_dates(self):
        """Return the last sign of life of each record, in one query.

        :return: dict ``{id: datetime in UTC}``
        """
        if not self.ids:
            return {}
        ids = id_array(self.ids)
        parts = []
        for query, link, date in self._get_interaction_queries():
            query.add_where(SQL("%s = ANY(%s)", link, ids))
            parts.append(
                query.select(SQL("%s AS res_id", link), SQL("%s AS date", date))
            )
        parts += [
            SQL(
                "SELECT id AS res_id, %s AS date FROM %s WHERE id = ANY(%s)",
                self._field_to_sql(self._table, name),
                SQL.identifier(self._table),
                ids,
            )
            for name in self._get_interaction_fields()
        ]
        rows = self.env.execute_query(
            SQL(
                "SELECT res_id, max(date) FROM (%s) signs GROUP BY res_id",
                SQL(" UNION ALL ").join(parts),
            )
        )
        return dict(rows)

    @api.model
    def _get_interaction_domain(self, operator, date):
        """Return the domain of records with a sign of life after a date.

        :param str operator: ``'>'`` or ``'>='``
        :param datetime date: in UTC
        """
        own = Domain.OR(
            Domain(name, operator, date) for name in self._get_interaction_fields()
        )
        return own | as_domain(
            lambda alias: SQL(" OR ").join(
                self._get_interaction_exists(alias, operator, date)
            ),
        )

    @api.model
    def _get_silence_domain(self, operator, date):
        """Return the domain of records without a sign of life since a date.

        Each source is a ``NOT EXISTS`` of its own at the top level: only there
        can the planner turn it into an anti-join, which a negated ``OR`` of them
        would not be.

        :param str operator: ``'<'`` or ``'<='``
        :param datetime date: in UTC
        """
        own = Domain.AND(
            Domain(name, operator, date) | Domain(name, "=", False)
            if name != "create_date"
            else Domain(name, operator, date)
            for name in self._get_interaction_fields()
        )
        opposite = ">=" if operator == "<" else ">"
        return own & as_domain(
            lambda alias: SQL(" AND ").join(
                SQL("NOT %s", exists)
                for exists in self._get_interaction_exists(alias, opposite, date)
            ),
        )

    @api.model
    def _get_sign_after(self, alias, date):
        """Return the SQL condition of records with a sign of life after a date.

        :param str alias: table alias of the record that is searched
        :param date: SQL expression of a date-time
        """
        signs = [
            SQL("%s > %s", self._field_to_sql(alias, name), date)
            for name in self._get_interaction_fields()
        ]
        signs += self._get_interaction_exists(alias, ">", date)
        return SQL("coalesce(%s, FALSE)", SQL(" OR ").join(signs))

    def _get_interaction_exists(self, alias, operator, date):
        """Yield one ``EXISTS`` condition a source.

        :param str alias: table alias of the record that is searched
        :param str operator: ``'>'`` or ``'>='``
        :param datetime date: in UTC
        """
        for query, link, sign_date in self._get_interaction_queries():
            query.add_where(SQL("%s %s %s", sign_date, COMPARE[operator], date))
            query.add_where(SQL("%s = %s", link, identifier_id(alias)))
            yield SQL("EXISTS %s", query.subselect(SQL("1")))
