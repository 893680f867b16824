from odoo import api, fields, models
from odoo.exceptions import UserError


class CrmArchivePersonSearch(models.AbstractModel):
    """A dialog about one person: it begins by finding everything there is on them.

    Each such dialog says in ``_search_person`` who may ask, and what it does with the
    records that were found.
    """

    _name = "crm.archive.person.search"
    _description = "Dialog About a Person"

    name = fields.Char()
    email = fields.Char("E-mail")
    phone = fields.Char()
    is_searched = fields.Boolean()
    hidden_count = fields.Integer(readonly=True)

    @api.model
    def _get_action_for(self, identity):
        """Return the dialog for a person.

        :param dict identity: name, email and phone, as far as they are known
        :raise AccessError: for people who have no right to ask
        """
        known = {key: value for key, value in identity.items() if value}
        wizard = self.create(known)
        wizard._search_person()
        return wizard._get_action()

    def _get_action(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env["ir.model"]._get(self._name).name,
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }

    def action_search(self):
        """Find the person anew by what was entered.

        :return: the dialog
        :raise UserError: when nothing was entered
        """
        self.ensure_one()
        if not (self.name or self.email or self.phone):
            raise UserError(
                self.env._("Enter a name, an e-mail address or a phone number.")
            )
        self._search_person()
        return self._get_action()

    def _search_person(self):
        """Fill the dialog with what there is about the person.

        :raise AccessError: for people who have no right to ask
        """
        raise NotImplementedError
