import zlib

from odoo import api, fields, models
from odoo.tools import SQL, human_size

#: Records that stand for all of them; their sizes are measured, not guessed.
SAMPLE = 200


class CrmArchiveMixin(models.AbstractModel):
    """How much room records take, with their messages and attachments."""

    _inherit = "crm.archive.mixin"

    def _estimate_bytes(self, count):
        """Estimate the room that records take now, and compressed.

        Rows are measured by PostgreSQL on a sample (``pg_column_size``), with their
        share of the indexes; the compressed size is that of the sample's rows as text
        through zlib, attachments as they are.

        :param int count: number of records the sample stands for
        :return: ``(bytes in the live tables, bytes when compressed)``
        """
        sample = self[:SAMPLE]
        if not sample:
            return 0, 0
        live = packed = 0
        for table, condition in sample._get_owned_rows():
            indexes, rows = self._measure_rows(table, condition)
            live += sum(size for size, _text in rows) * indexes
            text = "\n".join(text for _size, text in rows).encode()
            packed += len(zlib.compress(text, 6)) if rows else 0
        [[files]] = self.env.execute_query(
            SQL(
                "SELECT COALESCE(sum(file_size), 0) FROM ir_attachment"
                " WHERE res_model = %s AND res_id = ANY(%s)",
                self._name,
                sample.ids,
            )
        )
        factor = count / len(sample)
        return int((live + files) * factor), int((packed + files) * factor)

    def _get_owned_rows(self):
        """Return ``(table, condition)`` of the rows that make up the records."""
        return [
            (self._table, SQL("id = ANY(%s)", self.ids)),
            (
                "mail_message",
                SQL("model = %s AND res_id = ANY(%s)", self._name, self.ids),
            ),
        ]

    @api.model
    def _measure_rows(self, table, condition):
        name = SQL.identifier(table)
        [[share]] = self.env.execute_query(
            SQL(
                "SELECT 1.0 + pg_indexes_size(%s)::float"
                " / greatest(pg_relation_size(%s), 8192)",
                table,
                table,
            )
        )
        rows = self.env.execute_query(
            SQL(
                "SELECT pg_column_size(item.*), to_jsonb(item)::text"
                " FROM %s item WHERE %s",
                name,
                condition,
            )
        )
        return share, rows


class CrmArchivePolicy(models.Model):
    """How much room the records take that a policy has moved out of daily life."""

    _inherit = "crm.archive.policy"

    archived_size = fields.Char(
        "Room of Its Archive",
        compute="_compute_archived_size",
        help="What the records this policy has archived take, measured on a sample. "
        "They have left the daily lists, not yet the tables.",
    )

    @api.depends("archived_count")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_archived_size(self):
        for policy in self:
            sample = policy._get_archived_sample()
            live, _packed = sample._estimate_bytes(policy.archived_count)
            policy.archived_size = human_size(live) if live else False

    def _get_archived_sample(self):
        """Return some of the archived records; only their sizes are looked at."""
        self.ensure_one()
        if self.model_name not in self._get_lifecycle_models():
            return self.env["crm.lead"].browse()
        model = self.env[self.model_name].sudo().with_context(active_test=False)
        domain = self._origin._get_archived_domain()
        return model.search(domain, limit=SAMPLE, order="id")
