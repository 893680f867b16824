from random import randint

from odoo import api, fields, models


class CrmArchiveTag(models.Model):
    """A label on archived records, to find and analyse them by."""

    _name = "crm.archive.tag"
    _description = "Archive Tag"
    _order = "name"

    name = fields.Char(required=True, translate=True)
    color = fields.Integer(default=lambda self: randint(1, 11))
    active = fields.Boolean(default=True)

    _name_unique = models.UniqueIndex(
        "((name->>'en_US'))", "An archive tag with this name exists already."
    )

    @api.model
    def _find_or_create(self, name, color=0):
        """Return the tag of this name, made if there is none yet.

        Called by runs, which tag on behalf of a policy; two of them may want the same
        new tag, and the unique index lets only one make it.

        :param str name: in the source language
        :param int color: index of the colour of a new tag
        """
        tags = self.sudo().with_context(active_test=False, lang="en_US")
        return tags.search([("name", "=", name)], limit=1) or tags.create(
            {"name": name, "color": color}
        )
