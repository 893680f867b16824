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

    def _note_messages(self):
        """Note the messages of records that are about to leave, in one statement."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE crm_archive_entry e SET message_keys = m.keys
                  FROM (SELECT x.id,
                               array_agg(hashtextextended(m.message_id, 0)) AS keys
                          FROM crm_archive_entry x
                          JOIN mail_message m
                            ON m.model = x.res_model AND m.res_id = x.res_id
                         WHERE x.id = ANY(%s) AND m.message_id IS NOT NULL
                         GROUP BY x.id) m
                 WHERE e.id = m.id
                """,
                self.ids,
            )
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
