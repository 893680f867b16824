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
    def _find_or_create(self, colors):
        """Return the tags of these names, made where there are none yet.

        Called by runs, which tag on behalf of a policy; two of them may want the same
        new tag, and the unique index lets only one make it.

        :param dict colors: ``{name in the source language: colour of a new tag}``
        :return: dict ``{name: tag}``
        """
        model = self.sudo().with_context(active_test=False, lang="en_US")
        tags = model.search([("name", "in", list(colors))])
        missing = colors.keys() - set(tags.mapped("name"))
        tags += model.create(
            [{"name": name, "color": colors[name]} for name in sorted(missing)]
        )
        return {tag.name: tag for tag in tags}
