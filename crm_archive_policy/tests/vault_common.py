"""What the tests of the vault share: rich records, and dumps of the whole database."""

import base64
import io
from datetime import timedelta

from PIL import Image

from odoo import Command, fields
from odoo.tools import SQL

from ..vault.catalog import Catalog, fix_text_format
from .common import ArchiveCase

#: Columns that archiving and restoring change, besides what tells about them.
LIFECYCLE_COLUMNS = frozenset(
    [
        "archive_date",
        "archive_due_date",
        "archive_duplicate_of_id",
        "archive_policy_id",
        "archive_reason_id",
        "archive_restricted",
        "archive_snapshot",
        "archive_state",
        "archive_user_id",
        "write_date",
        "write_uid",
    ]
)

#: Tables that tell what was done: no part of what is vaulted and restored.
BOOKKEEPING = frozenset(
    [
        "bus_bus",
        "crm_archive_bundle",
        "crm_archive_candidate",
        "crm_archive_drill",
        "crm_archive_entry",
        "crm_archive_entry_crm_archive_tag_rel",
        "crm_archive_log",
        "crm_archive_policy",
        "crm_archive_restore_stat",
        "crm_archive_run",
        "crm_archive_run_error",
        "crm_archive_store",
        "crm_archive_vault_restore",
        "crm_archive_vault_restore_line",
        "crm_archive_entry_crm_archive_vault_restore_rel",
        "ir_cron_trigger",
    ]
)

#: Tables with more rows are compared by a digest of them.
DIGESTED = 3000


class VaultCase(ArchiveCase):
    """Vault and restore records, and compare the database row by row."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.store = cls.env.ref("crm_archive_policy.crm_archive_store_database")

    # -- acting ------------------------------------------------------------------

    def archive(self, records, **values):
        """Archive records as a policy does."""
        records._archive({"archive_reason_id": self.reason.id, **values})
        self.env.flush_all()
        return records

    def vault(self, records, **values):
        """Archive records and move them to the vault.

        :return: their entries
        """
        live = records.filtered(lambda r: r.archive_state in ("live", "pending"))
        if live:
            self.archive(live, **values)
        records._vault()
        self.env.invalidate_all()
        return self.find_entries(records)

    def find_entries(self, records):
        return self.env["crm.archive.entry"]._find_for(records._name, records.ids)

    def bring_back(self, entries):
        """Put rows back into the tables, and no more: still archived.

        :return: the findings
        """
        findings = []
        for bundle, group in entries.grouped("bundle_id").items():
            findings += group._bring_back(bundle, None)
        self.env.invalidate_all()
        return findings

    def execute(self, query, *arguments):
        """Run a statement that a test needs past the ORM."""
        self.env.flush_all()
        self.env.cr.execute(SQL(query, *arguments))
        if self.env.cr.description:
            return self.env.cr.fetchall()
        return None

    # -- comparing ---------------------------------------------------------------

    def dump(self, without=frozenset()):
        """Return all rows of all tables as text.

        :param without: columns to leave out of contacts and leads
        :return: ``{table: sorted rows}``; a digest where nobody would look at rows
        """
        self.env.flush_all()
        fix_text_format(self.env.cr)
        rows = self.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = current_schema::regnamespace"
            " AND relpersistence = 'p' ORDER BY 1"
        )
        dump, catalog = {}, Catalog(self.env.cr)
        catalog.load([table for (table,) in rows])
        for (table,) in rows:
            if table in BOOKKEEPING:
                continue
            columns = list(catalog.columns(table))
            if table in ("crm_lead", "res_partner"):
                columns = [name for name in columns if name not in without]
            dump[table] = self._dump_table(table, columns)
        return dump

    def _dump_table(self, table, columns):
        """Return the rows; of a table with very many rows their digest."""
        query = "SELECT ARRAY[%s]::text FROM %s ORDER BY 1"
        # By its rows: the size of a table says what was in it once.
        [(count,)] = self.execute("SELECT count(*) FROM %s", SQL.identifier(table))
        if count > DIGESTED:
            query = "SELECT bit_xor(hashtextextended(ARRAY[%s]::text, 0)) FROM %s"
        texts = SQL(", ").join(
            SQL("%s || '=' || %s::text", name, SQL.identifier(name)) for name in columns
        )
        return [row[0] for row in self.execute(query, texts, SQL.identifier(table))]

    def assertSameDump(self, before, after):
        """Compare two dumps and show the rows that differ."""
        self.assertEqual(before.keys(), after.keys())
        for table, rows in before.items():
            if rows != after[table]:
                gone = sorted(set(rows) - set(after[table]))
                new = sorted(set(after[table]) - set(rows))
                self.assertEqual(
                    (len(rows), gone[:3]), (len(after[table]), new[:3]), table
                )
                self.fail(f"{table}: the same row comes more or less often")

    def assertChanged(self, before, after, tables):
        """Prove that a comparison means something: these tables had changed."""
        changed = {name for name, rows in before.items() if rows != after[name]}
        self.assertGreaterEqual(changed, set(tables))

    def assertExactRoundTrip(self, records, tables=()):
        """Vault records and restore them; nothing else may have changed at all.

        :param tables: tables that must have lost or changed rows meanwhile
        :return: the restored records
        """
        self.flush_tracking()
        live = self.dump(LIFECYCLE_COLUMNS)
        self.archive(records)
        archived = self.dump()
        entries = self.vault(records)
        self.assertEqual(len(entries), len(records))
        self.assertChanged(archived, self.dump(), {records._table, *tables})
        with self.env.cr.savepoint() as savepoint:
            self.assertEqual(self.bring_back(entries), [])
            self.assertSameDump(archived, self.dump())
            savepoint.rollback()
        self.env.invalidate_all()
        restored = entries._restore()
        self.assertEqual(restored, records)
        self.assertEqual(entries.mapped("restore_report"), [False] * len(entries))
        self.assertSameDump(live, self.dump(LIFECYCLE_COLUMNS))
        self.assertEqual(set(restored.mapped("archive_state")), {"live"})
        return restored

    # -- rich records ------------------------------------------------------------

    def enrich(self, record):
        """Hang on a record everything that the chatter knows.

        :return: dict of what was made, by a name for it
        """
        made = {"message": self.post_rich_message(record)}
        record.message_subscribe(
            self.seller.partner_id.ids, self.env.ref("mail.mt_note").ids
        )
        record.message_subscribe(self.officer.partner_id.ids)
        todo = "mail.mail_activity_data_todo"
        made["planned"] = record.activity_schedule(todo, summary="Call 📞 back")
        done = record.activity_schedule(todo, summary="Done, with a file")
        attachment = self.attach(record, "activity.txt", raw=b"of the activity")
        done.action_feedback(feedback="It went well", attachment_ids=attachment.ids)
        made["done"] = done
        made["scheduled"] = self.schedule_message(record)
        self.attach(record, "file.bin", raw=bytes(range(256)))
        self.attach(record, "address", type="url", url="https://example.com/ü?a=1&b")
        self.attach(record, "empty.txt", raw=b"")
        self.attach_in_database(record)
        self.env["ir.model.data"].create(
            {
                "module": "__import__",
                "name": f"{record._table}_{record.id}",
                "model": record._name,
                "res_id": record.id,
            }
        )
        self.env.flush_all()
        return made

    def attach(self, record, name, **values):
        values = {"res_model": record._name, "res_id": record.id, **values}
        return self.env["ir.attachment"].create({"name": name, **values})

    def attach_in_database(self, record):
        self.env["ir.config_parameter"].set_param("ir_attachment.location", "db")
        attachment = self.attach(record, "in the database", raw=b"\x00\xff\\' db")
        self.env["ir.config_parameter"].set_param("ir_attachment.location", "file")
        self.assertTrue(attachment.db_datas)
        return attachment

    def post_rich_message(self, record):
        """Post a message that has all that a message can have."""
        partner = self.seller.partner_id
        message = record.with_user(self.officer).message_post(
            body="Look: https://example.com/page 👩‍👩‍👧 مرحبا",
            subject="Re: שלום",
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
            partner_ids=partner.ids,
            attachments=[("offer.pdf", b"%PDF-1.4 not really")],
        )
        message = message.with_env(self.env)
        reply = record.message_post(
            body="Thanks", parent_id=message.id, message_type="email"
        )
        message._message_reaction("👍", "add", partner, self.env["mail.guest"])
        message.with_user(self.seller).toggle_message_starred()
        preview = self.env["mail.link.preview"].create(
            {"source_url": f"https://example.com/{message.id}", "og_title": "T"}
        )
        self.env["mail.message.link.preview"].create(
            {"message_id": message.id, "link_preview_id": preview.id}
        )
        self.env["mail.message.translation"].create(
            {
                "message_id": message.id,
                "source_lang": "en",
                "target_lang": "fr",
                "body": "<p>Regardez</p>",
            }
        )
        self.env["mail.message.schedule"].create(
            {
                "mail_message_id": reply.id,
                "scheduled_datetime": fields.Datetime.now() + timedelta(days=3),
            }
        )
        self.send_mail(record, message)
        return message

    def send_mail(self, record, message):
        mail = self.env["mail.mail"].create(
            {
                "mail_message_id": message.id,
                "body_html": "<p>Hello</p>",
                "email_to": "someone@example.com",
                "recipient_ids": [Command.link(self.manager.partner_id.id)],
                "state": "exception",
            }
        )
        self.env["mail.notification"].create(
            {
                "mail_message_id": message.id,
                "mail_mail_id": mail.id,
                "res_partner_id": self.manager.partner_id.id,
                "notification_type": "email",
                "notification_status": "exception",
                "failure_type": "mail_smtp",
            }
        )
        return mail

    def schedule_message(self, record):
        scheduled = self.env["mail.scheduled.message"].create(
            {
                "model": record._name,
                "res_id": record.id,
                "author_id": self.officer.partner_id.id,
                "subject": "Later",
                "body": "<p>Later</p>",
                "scheduled_date": fields.Datetime.now() + timedelta(days=9),
                "partner_ids": [Command.link(self.seller.partner_id.id)],
            }
        )
        attachment = self.env["ir.attachment"].create(
            {
                "name": "later.txt",
                "raw": b"later",
                "res_model": scheduled._name,
                "res_id": scheduled.id,
            }
        )
        scheduled.attachment_ids = attachment
        return scheduled

    def create_rich_lead(self, name="Rich lead", **values):
        """Return a lead with everything on it that Odoo's CRM has."""
        team = self.env["crm.team"].create(
            {
                "name": "Odd team",
                "lead_properties_definition": [
                    {"name": "aaa", "type": "char", "string": "Size"},
                    {"name": "bbb", "type": "tags", "tags": [["x", "X", 1]]},
                ],
            }
        )
        customer = self.env["res.partner"].create(
            {"name": "Customer", "email": "customer@example.com"}
        )
        lead = self.create_lead(
            name,
            team_id=team.id,
            partner_id=customer.id,
            expected_revenue=7784.0,
            tag_ids=[Command.create({"name": "A"}), Command.create({"name": "B"})],
            lead_properties={"aaa": "38 ½", "bbb": ["x"]},
            description="<p>Long " + "text " * 5000 + "</p>",
            **values,
        )
        self.enrich(lead)
        # Tracking values come with changes that are flushed as a request does it.
        self.flush_tracking()
        lead.with_user(self.manager).write({"expected_revenue": 12.5, "priority": "2"})
        stage = self.env["crm.stage"].search([("is_won", "=", False)], limit=2)[-1]
        lead.with_user(self.manager).stage_id = stage
        self.flush_tracking()
        self.assertTrue(lead.message_ids.tracking_value_ids)
        self.env["calendar.event"].create(
            {
                "name": "Meeting",
                "start": "2020-03-29 01:30:00",
                "stop": "2020-03-29 03:00:00",
                "opportunity_id": lead.id,
                "res_model_id": self.env["ir.model"]._get_id("crm.lead"),
                "res_id": lead.id,
                "partner_ids": [Command.set(customer.ids)],
            }
        )
        self.env.flush_all()
        return lead

    def flush_tracking(self):
        self.env.flush_all()
        self.env.cr.precommit.run()

    def create_rich_contact(self, name="Joan Secret", **values):
        """Return a contact with everything on it that Odoo's base has."""
        company = self.env["res.partner"].create(
            {"name": "ACME", "is_company": True, "email": "info@acme.example"}
        )
        contact = self.create_contact(
            name,
            parent_id=company.id,
            email="joan@secret.example",
            phone="+32470123456",
            function="Chief Cat Officer",
            street="Rue du Chat 1",
            city="Catville",
            zip="1234",
            website="https://joan.example",
            ref="JOAN-77",
            comment="<p>Likes cats</p>",
            vat="BE0477472701",
            lang="en_US",
            image_1920=self.make_image(),
            category_id=[Command.create({"name": "VIP"})],
            bank_ids=[Command.create({"acc_number": "BE71096123456769"})],
            child_ids=[
                Command.create({"name": "Joan's home", "type": "delivery"}),
            ],
            **values,
        )
        self.enrich(contact)
        self.flush_tracking()
        self.env["calendar.event"].create(
            {
                "name": "Lunch",
                "start": "2020-10-25 00:30:00",
                "stop": "2020-10-25 03:00:00",
                "partner_ids": [Command.set(contact.ids)],
            }
        )
        self.env.flush_all()
        return contact

    @staticmethod
    def make_image():
        """Return an image that is large enough to have smaller variants."""
        out = io.BytesIO()
        Image.linear_gradient("L").resize((1200, 300)).save(out, "PNG")
        return base64.b64encode(out.getvalue())
