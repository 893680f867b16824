from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .query_tools import DOMAIN_ERRORS, id_array, parse_domain, search_links


class CrmArchiveGuard(models.Model):
    """A reason not to archive, written down as data.

    A guard names a model, the field by which its rows point at the record, and
    which rows count. It is asked about whole batches in one query, over every
    company: an open invoice anywhere protects a shared contact. A guard whose
    model is not installed sleeps until it is.
    """

    _name = "crm.archive.guard"
    _inherit = ["crm.archive.audit"]
    _description = "Archive Guard"
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    model_name = fields.Char(
        "Model",
        required=True,
        help="Technical name of the model whose rows protect a record, for example "
        "sale.order. It need not be installed yet.",
    )
    link_field = fields.Char(
        required=True,
        help="Field of that model that points at the contact or lead: a many2one, a "
        "path of them (order_id.partner_id), a reference by model and id (res_id), or "
        "id for a condition on the record itself.",
    )
    domain = fields.Char(default="[]", required=True, help="Which rows count.")
    message = fields.Char(
        required=True,
        translate=True,
        help="What people read as the reason why a record was kept.",
    )
    is_sleeping = fields.Boolean(
        compute="_compute_is_sleeping", help="The model is not installed."
    )

    @api.depends("model_name")
    def _compute_is_sleeping(self):
        for guard in self:
            guard.is_sleeping = guard.model_name not in self.env

    @api.constrains("model_name", "link_field", "domain")
    def _check_definition(self):
        for guard in self:
            try:
                domain = guard._get_domain()
                if guard.model_name in self.env:
                    domain.validate(self.env[guard.model_name])
                    guard._get_link_targets()
            except DOMAIN_ERRORS as error:
                raise ValidationError(
                    self.env._(
                        "The guard “%(name)s” cannot be evaluated: %(error)s. Check "
                        "the model, the link field and the domain.",
                        name=guard.name,
                        error=error,
                    )
                ) from error

    def _get_domain(self):
        self.ensure_one()
        return parse_domain(self.env, self.domain)

    def _get_link_targets(self):
        """Return the names of the models that the link field points at.

        :return: set of model names; ``None`` stands for any model
        :raise KeyError: for a field that does not exist
        :raise ValueError: for a field that is no link
        """
        self.ensure_one()
        model = self.env[self.model_name]
        *links, name = self.link_field.split(".")
        for link in links:
            model = self.env[model._fields[link].comodel_name]
        field = model._fields[name]
        if not field.store or field.type == "many2many":
            raise ValueError(f"{self.link_field} is not a stored link")
        if name == "id":
            return {model._name}
        if field.type == "many2one":
            return {field.comodel_name}
        if field.type == "many2one_reference" and not links:
            return {None}
        raise ValueError(f"{self.link_field} does not point at a record")

    @api.model
    def _get_awake(self, model_name):
        """Return the guards that protect records of a model, in order.

        :param str model_name: for example ``'res.partner'``
        """
        guards = self.sudo().search([])
        return guards.filtered(
            lambda guard: (
                not guard.is_sleeping and guard._get_link_targets() & {None, model_name}
            )
        )

    def _get_blocked_query(self, model_name):
        """Return ``(query, link)`` of what this guard protects.

        :param str model_name: model of the protected records
        """
        self.ensure_one()
        _model, query, link = search_links(
            self.env, self.model_name, self.link_field, self._get_domain(), model_name
        )
        return query, link

    def _get_verdicts(self, records):
        """Tell which of the records are protected, and by which guard.

        One query a guard, whatever the number of records; the first guard that
        applies is the reason.

        :param records: contacts or leads
        :return: dict ``{id: guard}``
        """
        verdicts = {}
        left = list(records.ids)
        for guard in self:
            if not left:
                break
            query, link = guard._get_blocked_query(records._name)
            query.add_where(SQL("%s = ANY(%s)", link, id_array(left)))
            rows = self.env.execute_query(query.select(SQL("DISTINCT %s", link)))
            verdicts.update((res_id, guard) for (res_id,) in rows)
            left = [res_id for res_id in left if res_id not in verdicts]
        return verdicts
