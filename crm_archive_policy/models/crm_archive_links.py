from odoo import models
from odoo.fields import Domain


class CrmArchiveMixin(models.AbstractModel):
    """Takes back the links by which people without rights get in."""

    _inherit = "crm.archive.mixin"

    def _revoke_links(self):
        """Make links worthless that were handed out for these records.

        Those of their files, of their own page in the portal, and those by which a
        person signs up: that page shows the name and the e-mail address. A restore
        brings none of them back.
        """
        if not self:
            return
        # Whoever may archive a record may take back its links.
        records = self.sudo().with_context(active_test=False)
        files = self.env["ir.attachment"].sudo()
        files.search(
            Domain("res_model", "=", self._name)
            & Domain("res_id", "in", self.ids)
            & Domain("access_token", "!=", False)
            & Domain("res_field", "in", [False, *self._fields])
        ).access_token = False
        own = Domain("id", "in", self.ids)
        for name in ("access_token", "signup_type"):
            field = self._fields.get(name)
            if field is not None and field.store:
                opened = records.search(own & Domain(name, "!=", False))
                opened._move({name: False})
