from odoo import api, fields, models
from odoo.tools import SQL


class CrmArchiveMerge(models.Model):
    """Which contact another one was merged into, so that what comes back finds it.

    Ids only; nothing personal outlives the merge here.
    """

    _name = "crm.archive.merge"
    _description = "Merged Contact"
    _log_access = False
    _rec_name = "source_id"

    res_model = fields.Char("Model", required=True, readonly=True)
    source_id = fields.Integer("Merged", required=True, readonly=True)
    target_id = fields.Integer("Into", required=True, readonly=True)

    _source_unique = models.UniqueIndex("(res_model, source_id)")

    @api.model
    def _remember(self, sources, target):
        """Note that records are being merged into another one.

        :param sources: records that are going to be deleted
        :param target: the one that remains
        """
        for source in sources - target:
            self.env.cr.execute(
                SQL(
                    "INSERT INTO crm_archive_merge (res_model, source_id, target_id)"
                    " VALUES (%s, %s, %s) ON CONFLICT (res_model, source_id)"
                    " DO UPDATE SET target_id = excluded.target_id",
                    source._name,
                    source.id,
                    target.id,
                )
            )

    @api.model
    def _follow(self, model_name, res_id):
        """Return the id that a merged record lives on under.

        :param str model_name: model, or ``None``
        :param int res_id: id that is gone
        :return: id of an existing record, or ``None``
        """
        if model_name is None:
            return None
        # UNION drops what was seen: a ring of merges ends as well.
        rows = self.env.execute_query(
            SQL(
                """
                WITH RECURSIVE follow AS (
                    SELECT target_id FROM crm_archive_merge
                     WHERE res_model = %(model)s AND source_id = %(id)s
                     UNION
                    SELECT m.target_id FROM crm_archive_merge m
                      JOIN follow f ON f.target_id = m.source_id
                     WHERE m.res_model = %(model)s
                )
                SELECT target_id FROM follow
                 WHERE target_id IN (SELECT id FROM %(table)s)
                 LIMIT 1
                """,
                model=model_name,
                id=res_id,
                table=SQL.identifier(self.env[model_name]._table),
            )
        )
        return rows[0][0] if rows else None
