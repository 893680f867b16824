from odoo import api, models
from odoo.tools import SQL


class CrmArchiveEntry(models.Model):
    """Knows the mails that went into the vault, so that an answer finds its record.

    Of each message only a 64-bit digest of its Message-Id is kept, in an array with
    an index. It stands for a mail and tells nothing of who wrote it.
    """

    _inherit = "crm.archive.entry"

    def init(self):
        """Create the array, which the ORM has no field for."""
        super().init()
        self.env.cr.execute(
            """
            ALTER TABLE crm_archive_entry
                ADD COLUMN IF NOT EXISTS message_keys bigint[];
            CREATE INDEX IF NOT EXISTS crm_archive_entry_message_keys_index
                ON crm_archive_entry USING gin (message_keys)
                WHERE message_keys IS NOT NULL;
            """
        )

    @api.model
    def _get_message_keys(self, model):
        """Return the digests of a record's messages, as an expression in SQL.

        :param model: model of the records whose table is read
        """
        return SQL(
            "(SELECT array_agg(hashtextextended(m.message_id, 0)) FROM mail_message m"
            " WHERE m.model = %s AND m.res_id = %s AND m.message_id IS NOT NULL)",
            model._name,
            SQL.identifier(model._table, "id"),
        )

    @api.model
    def _find_by_messages(self, message_ids):
        """Return the records in the vault that have one of these messages.

        Technical look-up for the mail gateway, over every company.

        :param message_ids: values of ``Message-Id``
        :return: entries as superuser, the last archived first
        """
        message_ids = list(filter(None, message_ids))
        if not message_ids:
            return self.sudo()
        rows = self.env.execute_query(
            SQL(
                "SELECT id FROM crm_archive_entry WHERE state = 'vaulted'"
                " AND message_keys && ARRAY(SELECT hashtextextended(m, 0)"
                " FROM unnest(%s::text[]) m) ORDER BY id DESC",
                message_ids,
            )
        )
        return self.sudo().browse(row[0] for row in rows)
