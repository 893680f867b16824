from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL, Query

from .query_tools import id_array, identifier_id, path_to_sql

#: Field of the policy → (colour of its tags, path on contacts, path on leads).
DIMENSIONS = {
    "tag_by_industry": (1, "industry_id", "partner_id.industry_id"),
    "tag_by_country": (4, "country_id", "country_id"),
    "tag_by_salesperson": (7, "user_id", "user_id"),
    "tag_by_source": (10, None, "source_id"),
}

#: Colour of the tags by revenue.
BAND_COLOR = 2

#: The highest rating of a lead, in stars.
TOP_PRIORITY = "3"


class CrmArchivePolicy(models.Model):
    """Classification of what a policy takes, and who is too valuable to go unseen."""

    _inherit = "crm.archive.policy"

    tag_by_industry = fields.Boolean("Industry")
    tag_by_country = fields.Boolean("Country")
    tag_by_salesperson = fields.Boolean("Salesperson")
    tag_by_source = fields.Boolean("Source", help="Leads only.")
    revenue_bands = fields.Char(
        help="Limits between the bands, in company currency, for example "
        "“1000; 10000; 100000”. Empty: no tag by revenue.",
    )
    review_revenue = fields.Float(
        "Review from a Revenue of",
        tracking=True,
        help="Records worth at least so much, in company currency, always go to "
        "review, whatever the mode: the expected revenue of a lead; the won leads "
        "and the orders of a contact. 0: no limit.",
    )
    review_top_rated = fields.Boolean(
        "Review Top-Rated Leads",
        tracking=True,
        help="Leads with three stars always go to review.",
    )

    _check_review_revenue = models.Constraint(
        "CHECK(review_revenue >= 0)", "The revenue from which to review is negative."
    )

    @api.constrains("revenue_bands")
    def _check_revenue_bands(self):
        for policy in self:
            try:
                limits = policy._get_revenue_limits()
            except ValueError:
                limits = [-1]
            if limits != sorted(set(limits)) or any(limit <= 0 for limit in limits):
                raise ValidationError(
                    self.env._(
                        "“%(bands)s” are no revenue bands: write growing amounts "
                        "with semicolons between them, for example 1000; 10000.",
                        bands=policy.revenue_bands,
                    )
                )

    def _get_revenue_limits(self):
        """Return the limits between the revenue bands.

        :return: list of float, ascending
        :raise ValueError: when one of them is no number
        """
        self.ensure_one()
        parts = (self.revenue_bands or "").split(";")
        return [float(part) for part in parts if part.strip()]

    # ------------------------------------------------------------
    # HIGH VALUE
    # ------------------------------------------------------------

    def _select_to_review(self, records):
        selected = super()._select_to_review(records)
        if selected == records or not (self.review_revenue or self.review_top_rated):
            return selected
        valuable = records.browse()
        if self.review_revenue:
            revenue = self._get_revenue(records)
            limit = self.review_revenue
            valuable = records.filtered(lambda r: revenue.get(r.id, 0) >= limit)
        if self.review_top_rated and records._name == "crm.lead":
            valuable |= records.filtered(lambda r: r.priority == TOP_PRIORITY)
        return selected | valuable

    def _get_revenue(self, records):
        """Return what the records are worth, in company currency, set-based.

        :param records: contacts or leads
        :return: dict ``{id: float}``
        """
        if records._name == "crm.lead":
            records.sudo().fetch(["expected_revenue"])  # and no other column
            return {lead.id: lead.expected_revenue for lead in records.sudo()}
        revenue = defaultdict(float)
        if records._name != "res.partner":
            return revenue
        for model, partner, amount, domain in self._get_revenue_sources():
            if model not in self.env:
                continue
            model = self.env[model].sudo().with_context(active_test=False)
            query = model._search([*domain, (partner, "in", records.ids)])
            partner_id = model._field_to_sql(query.table, partner, query)
            query.groupby = partner_id
            rows = self.env.execute_query(
                query.select(partner_id, SQL("sum(%s)", amount(model, query)))
            )
            for record_id, total in rows:
                revenue[record_id] += float(total or 0)
        return revenue

    @api.model
    def _get_revenue_sources(self):
        """Return where the revenue of a contact is found, installed or not.

        :return: list of ``(model, partner field, callable (model, query) -> SQL of
            the amount in company currency, domain)``
        """

        def column(name):
            return lambda model, query: model._field_to_sql(query.table, name, query)

        def in_company_currency(model, query):
            return SQL(
                "%s / COALESCE(NULLIF(%s, 0), 1)",
                model._field_to_sql(query.table, "amount_total", query),
                model._field_to_sql(query.table, "currency_rate", query),
            )

        return [
            (
                "crm.lead",
                "partner_id",
                column("expected_revenue"),
                [("won_status", "=", "won")],
            ),
            (
                "sale.order",
                "partner_id",
                in_company_currency,
                [("state", "=", "sale"), ("opportunity_id", "=", False)],
            ),
        ]

    # ------------------------------------------------------------
    # CLASSIFICATION
    # ------------------------------------------------------------

    def _after_archive(self, records):
        super()._after_archive(records)
        self._classify(records)

    def _classify(self, records):
        """Tag records by value: a query a dimension, and one that tags them all.

        :param records: what the policy has just archived
        """
        groups, colors = defaultdict(list), {}
        for name, (color, *paths) in DIMENSIONS.items():
            path = records._get_archive_dimension_path(paths)
            if self[name] and path:
                label = self._fields[name].string
                for value, ids in self._group_by_path(records, path).items():
                    groups[f"{label}: {value}"] += ids
                    colors[f"{label}: {value}"] = color
        label = self._fields["revenue_bands"].string
        for band, ids in self._group_by_band(records).items():
            groups[f"{label}: {band}"] += ids
            colors[f"{label}: {band}"] = BAND_COLOR
        if groups:
            tags = self.env["crm.archive.tag"]._find_or_create(colors)
            self._add_tags(
                records, {tags[name].id: ids for name, ids in groups.items()}
            )

    @api.model
    def _group_by_path(self, records, path):
        """Return which of the records have which value, in one query.

        :param str path: of stored many2one fields
        :return: dict ``{name of the value: ids}``
        """
        model = records.sudo()
        query = Query(model.env, model._table, SQL.identifier(model._table))
        value = path_to_sql(model, query, path)
        record_id = identifier_id(query.table)
        query.add_where(SQL("%s = ANY(%s)", record_id, id_array(model.ids)))
        query.add_where(SQL("%s IS NOT NULL", value))
        query.groupby = value
        rows = dict(
            self.env.execute_query(query.select(value, SQL("array_agg(%s)", record_id)))
        )
        for name in path.split("."):
            model = model[name].browse()
        groups = defaultdict(list)
        for target in model.browse(rows):
            groups[target.display_name] += rows[target.id]
        return groups

    @api.model
    def _add_tags(self, records, ids_by_tag):
        """Give records their tags, in one statement.

        In SQL: every record has tags of its own, which would be a write each.

        :param dict ids_by_tag: ``{tag id: ids of records}``
        """
        field = records._fields["archive_tag_ids"]
        pairs = [(i, tag_id) for tag_id, ids in ids_by_tag.items() for i in ids]
        self.env.execute_query(
            SQL(
                "INSERT INTO %s (%s, %s) SELECT * FROM unnest(%s, %s)"
                " ON CONFLICT DO NOTHING",
                SQL.identifier(field.relation),
                SQL.identifier(field.column1),
                SQL.identifier(field.column2),
                id_array(record_id for record_id, _tag_id in pairs),
                id_array(tag_id for _record_id, tag_id in pairs),
            )
        )
        records.invalidate_recordset([field.name], flush=False)
        records.modified([field.name])

    def _group_by_band(self, records):
        limits = self._get_revenue_limits()
        groups = defaultdict(list)
        if not limits:
            return groups
        revenue = self._get_revenue(records)
        for record in records:
            value = revenue.get(record.id, 0)
            low = max((limit for limit in limits if limit <= value), default=0)
            high = min((limit for limit in limits if limit > value), default=None)
            label = f"{low:,.0f} – {high:,.0f}" if high else f"≥ {low:,.0f}"
            groups[label].append(record.id)
        return groups


class CrmArchiveMixin(models.AbstractModel):
    """Where a model keeps what its records are classified by."""

    _inherit = "crm.archive.mixin"

    @api.model
    def _get_archive_dimension_path(self, paths):
        """Return the path of one dimension, as far as this model has it.

        :param paths: as known from contacts and from leads, see :data:`DIMENSIONS`
        :return: path of stored many2one fields, or None
        """
        by_model = dict(zip(("res.partner", "crm.lead"), paths, strict=True))
        if self._name in by_model:
            return by_model[self._name]
        alike = (path for path in paths if path and path.split(".")[0] in self._fields)
        return next(alike, None)
