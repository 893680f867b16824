from odoo import api, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import SQL, ormcache

from .query_tools import id_array

#: Whoever is in this group sees restricted records.
GROUP = "crm_archive_policy.group_archive_user"

#: Rows that survive the record they point at, and tell what it is about nevertheless.
TELLING_FIELDS = {
    "calendar.event": ("opportunity_id",),
    "crm.activity.report": ("lead_id",),
}


class IrRule(models.Model):
    """Hides restricted records, and with them whatever belongs to them.

    The records themselves have rules of their own, which anybody can see. A message, a
    follower, an attachment or a line of theirs is as restricted as they are, also for
    its author and its recipients. Which models have such rows, the registry tells:
    those whose rows are deleted together with a contact or a lead, of any module.
    """

    _inherit = "ir.rule"

    @api.model
    def _enforce_archive_restriction(self):
        """Put the rules that hide restricted records in force.

        A rule on a column costs every list a few percent, so nobody pays while there
        is nothing to hide. A policy that is going to restrict access puts them in
        force when it is saved, and so does whatever restricts a record. Nothing takes
        them out of force again.
        """
        for model_name in self._get_lifecycle_models():
            rule = self.env[model_name]._get_restriction_rule()
            if rule and not rule.active:
                rule.active = True

    @api.model
    def _get_lifecycle_models(self):
        return self.env["crm.archive.policy"]._get_lifecycle_models()

    @api.model
    def _compute_domain(self, model_name, mode="read"):
        domain = super()._compute_domain(model_name, mode)
        if self._is_hiding_archived() and self._get_archive_links(model_name):
            domain &= self._get_not_hidden_domain(model_name)
        return domain

    def _make_access_error(self, operation, records):
        """Core names the records to whoever has switched on the developer mode."""
        if self._is_hiding_archived() and self._filter_archive_hidden(records):
            return AccessError(
                self.env._(
                    "You may not see these records, or they do not exist: "
                    "%(model)s %(ids)s. Ask an archive officer.",
                    model=records._name,
                    ids=", ".join(map(str, records.ids[:6])),
                )
            )
        return super()._make_access_error(operation, records)

    # ------------------------------------------------------------
    # WHO
    # ------------------------------------------------------------

    @api.model
    def _is_hiding_archived(self):
        """Tell whether rules that hide something apply to whoever is asking."""
        return not self.env.su and self._is_archive_restriction_in_force()

    @api.model
    @ormcache()
    def _is_archive_restriction_in_force(self):
        # Changes of rules empty this cache.
        return any(
            self.env[name]._get_restriction_rule().active
            for name in self._get_lifecycle_models()
        )

    # ------------------------------------------------------------
    # WHAT
    # ------------------------------------------------------------

    @api.model
    @ormcache("model_name")
    def _get_archive_links(self, model_name):
        """Return by what the rows of a model belong to contacts and leads.

        :return: tuple of ``(field that holds an id, field that holds the model or
            None, model that it points at or None)``
        """
        return tuple(self._find_archive_links(model_name, frozenset()))

    @api.model
    def _find_archive_links(self, model_name, seen):
        model = self.env[model_name]
        if (
            model_name in self._get_lifecycle_models()
            or model._abstract
            or model._transient
        ):
            return
        telling = TELLING_FIELDS.get(model_name, ())
        for name, field in model._fields.items():
            if not field.store or not field.column_type:
                continue
            if field.type == "many2one_reference":
                kind = model._fields.get(field.model_field)
                if kind is not None and kind.store and kind.column_type:
                    yield name, field.model_field, None
            elif field.type == "many2one" and (
                name in telling or (model._auto and field.ondelete == "cascade")
            ):
                whole = field.comodel_name
                if whole in self._get_lifecycle_models() or (
                    whole not in seen | {model_name}
                    and any(self._find_archive_links(whole, seen | {model_name}))
                ):
                    yield name, None, whole

    @api.model
    def _get_not_hidden_domain(self, model_name):
        """Return the domain of the rows that belong to nothing hidden from the user."""

        def is_visible(model, alias, _query):
            # Of whoever asks: the domain may be remembered longer than this request.
            rules = model.env["ir.rule"]
            terms = rules._get_hidden_terms(model.env[model_name].sudo(), alias)
            return SQL(" AND ").join(SQL("NOT %s", term) for term in terms)

        return Domain.custom(to_sql=is_visible)

    @api.model
    def _get_hidden_terms(self, model, alias, seen=frozenset()):
        """Return by what a row may belong to something restricted.

        :param model: the row's model
        :param str alias: its table in the query
        :param seen: models on the way here
        :return: list of SQL conditions, one a way
        """
        seen |= {model._name}
        terms = []
        for name, kind, whole in self._get_archive_links(model._name):
            link = SQL.identifier(alias, name, to_flush=model._fields[name])
            if kind:
                kind = SQL.identifier(alias, kind, to_flush=model._fields[kind])
            for target in (
                [whole] if whole else [*self._get_lifecycle_models(), *TELLING_FIELDS]
            ):
                if target in self._get_lifecycle_models():
                    terms.append(self._get_restricted_sql(target, link, kind))
                elif target in self.env and target not in seen:
                    terms += self._get_part_terms(target, link, kind, seen)
        return terms

    @api.model
    def _get_part_terms(self, model_name, link, kind, seen):
        """Return the condition that a link leads to a row that is hidden itself."""
        model = self.env[model_name].sudo()
        alias = f"{model._table}__whole{len(seen)}"
        inner = model._auto and self._get_hidden_terms(model, alias, seen)
        if not inner:
            return []
        return [
            SQL(
                "EXISTS (SELECT 1 FROM %s %s WHERE %s = %s%s AND (%s))",
                SQL.identifier(model._table),
                SQL.identifier(alias),
                SQL.identifier(alias, "id"),
                link,
                SQL(" AND %s = %s", kind, model_name) if kind else SQL(),
                SQL(" OR ").join(inner),
            )
        ]

    @api.model
    def _get_restricted_sql(self, model_name, link, kind=None):
        """Return the condition that a link leads to a restricted record.

        :param link: SQL of the id
        :param kind: SQL of the model it is of, where that is not certain
        """
        model = self.env[model_name]
        restricted = SQL.identifier(
            "restricted",
            "archive_restricted",
            to_flush=model._fields["archive_restricted"],
        )
        return SQL(
            "EXISTS (SELECT 1 FROM %s restricted WHERE restricted.id = %s AND %s%s%s)",
            SQL.identifier(model._table),
            link,
            restricted,
            SQL(" AND %s = %s", kind, model_name) if kind else SQL(),
            self._get_hidden_from_sql(model),
        )

    @api.model
    def _get_hidden_from_sql(self, model):
        """Return the further condition that a restricted record is hidden.

        From everybody without the group; from the group, what is of a company that the
        user does not work in. The same as for the record itself.
        """
        if not self.env.user.has_group(GROUP):
            return SQL()
        if "company_id" not in model._fields:
            return SQL(" AND false")
        companies = self.env.companies
        if model._name == "res.partner":
            companies = companies.sudo().parent_ids
        return SQL(
            " AND %s <> ALL(%s)",
            SQL.identifier(
                "restricted", "company_id", to_flush=model._fields["company_id"]
            ),
            id_array(companies.ids),
        )

    @api.model
    def _filter_archive_hidden(self, records):
        """Return those of the records that are hidden from the user, for being
        restricted or for belonging to what is.

        :param records: of any model
        """
        ids = [res_id for res_id in records.ids if res_id]
        if not ids or not records._auto:
            return records.browse()
        if records._name in self._get_lifecycle_models():
            terms = [self._get_restricted_sql(records._name, SQL("part.id"))]
        else:
            terms = self._get_hidden_terms(records.sudo(), "part")
        if not terms:
            return records.browse()
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM %s part WHERE id = ANY(%s) AND (%s)",
                SQL.identifier(records._table),
                id_array(ids),
                SQL(" OR ").join(terms),
            )
        )
        return records.browse(res_id for (res_id,) in rows)
