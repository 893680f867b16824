from unittest.mock import patch

from psycopg2.errors import UniqueViolation

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..models.crm_archive_mixin_vault import KEPT_COLUMNS
from .vault_common import VaultCase

MAIL_TABLES = [
    "ir_attachment",
    "ir_model_data",
    "mail_activity",
    "mail_followers",
    "mail_followers_mail_message_subtype_rel",
    "mail_mail",
    "mail_mail_res_partner_rel",
    "mail_message",
    "mail_message_link_preview",
    "mail_message_reaction",
    "mail_message_res_partner_rel",
    "mail_message_res_partner_starred_rel",
    "mail_message_schedule",
    "mail_message_translation",
    "mail_notification",
    "mail_scheduled_message",
    "mail_scheduled_message_res_partner_rel",
    "message_attachment_rel",
]

#: Columns of a contact that stay as they are while it is in the vault, besides those
#: of every model: they place it and say nothing about the person.
SHELL_COLUMNS = KEPT_COLUMNS | {
    "parent_id",
    "commercial_partner_id",
    "is_company",
    "type",
    "country_id",
}

#: Values that a careless way through another format would change.
HOSTILE_TEXTS = [
    "",
    " ",
    "NULL",
    "null",
    "\\N",
    "\\",
    "'\"`;--",
    "%s %(x)s {0}",
    "tab\tnew\nline\r\n",
    "\x01\x1f\x7f\u0085\u2028\u2029\ufeff",
    "👩‍👩‍👧‍👦 é é ﷽",
    "\u202eright to left\u202c שלום مرحبا",
    "\U0010ffff\ud7ff\ue000",
    '{"a": [1, null]}',
    "x" * 1_000_000,
]

#: ``(type, texts)``: what PostgreSQL prints is what must come back.
HOSTILE_VALUES = [
    ("numeric(16,2)", ["7784.00", "0.00", "-0.01", "NaN"]),
    ("numeric", ["7784.00", "1e-30", "1" * 60 + "." + "3" * 60, "NaN", "Infinity"]),
    ("double precision", ["NaN", "Infinity", "-Infinity", "-0", "0.1", "1e308"]),
    ("real", ["0.1", "3.4e38", "NaN"]),
    ("bigint", ["-9223372036854775808", "9223372036854775807"]),
    ("boolean", ["true", "false"]),
    ("timestamp", ["2020-03-29 01:59:59.999999", "infinity", "0044-03-15 12:00:00 BC"]),
    ("timestamptz", ["2020-10-25 02:30:00+01", "2020-10-25 02:30:00+02"]),
    ("date", ["2024-02-29", "infinity", "9999-12-31"]),
    ("time", ["23:59:59.999999", "24:00:00"]),
    ("interval", ["1 year 2 mons -3 days 04:05:06.789", "-00:00:00.000001"]),
    ("jsonb", ['{"": "", "ü \\" \\\\": [1.10, null, {}]}', "null", '"x"', "1.50"]),
    ("json", ['{"b":1,  "a":2, "b":3}']),
    ("bytea", ["\\x00ff5c27", "\\x"]),
    ("text[]", ['{"a,b",NULL,"NULL","","\\"q\\""}', "{}", "[0:1]={x,y}"]),
    ("integer[]", ["{{1,2},{3,4}}"]),
    ("uuid", ["00000000-0000-0000-0000-000000000001"]),
    ("inet", ["::1", "10.0.0.0/8"]),
    ("point", ["(0.1,-2)"]),
    ("int4range", ["[1,5)", "empty"]),
    ("tsvector", ["'a':1A 'b''c':2"]),
    ("bit varying", ["0001"]),
]


@tagged("post_install", "-at_install")
class TestVault(VaultCase):
    """There and back again: every row of the database is what it was."""

    def test_lead(self):
        lead = self.create_rich_lead()
        tables = {"crm_tag_rel", "mail_tracking_value", "calendar_event"}
        restored = self.assertExactRoundTrip(lead, [*MAIL_TABLES, *tables])
        self.assertEqual(restored.lead_properties["aaa"], "38 ½")
        attachment = self.env["ir.attachment"].search(
            [("name", "=", "file.bin"), ("res_id", "=", lead.id)]
        )
        self.assertEqual(attachment.raw, bytes(range(256)))

    def test_contact(self):
        contact = self.create_rich_contact()
        image = contact.image_128
        # Its address differs from the contact's, and nobody may bring it into line.
        other = self.create_lead("Other", partner_id=contact.id)
        self.execute(
            "UPDATE crm_lead SET email_from = 'private@other.example' WHERE id = %s",
            other.id,
        )
        self.env.invalidate_all()
        tables = {"res_partner_bank", "res_partner_res_partner_category_rel"}
        restored = self.assertExactRoundTrip(contact, [*MAIL_TABLES, *tables])
        self.assertEqual(restored.image_128, image)
        self.assertEqual(other.email_from, "private@other.example")

    def test_many_at_once(self):
        leads = self.create_lead("One") | self.create_lead("Two")
        for lead in leads:
            self.enrich(lead)
        leads[0].message_ids[0].parent_id = leads[1].message_ids[0]
        self.assertExactRoundTrip(leads, MAIL_TABLES)

    def test_company_and_its_people(self):
        person = self.create_rich_contact()
        people = person | person.parent_id | person.child_ids
        self.assertExactRoundTrip(people, ["res_partner_bank"])

    def test_files(self):
        """The files come back although the garbage collection has taken them."""
        lead = self.create_lead("With files")
        attachment = self.attach(lead, "large", raw=b"0123456789" * 300_000)
        path = attachment._full_path(attachment.store_fname)
        entries = self.vault(lead)
        self.execute_gc(path)
        entries._restore()
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"0123456789" * 300_000)

    def execute_gc(self, path):
        """Remove a file as the garbage collection does once nothing refers to it."""
        import os

        os.unlink(path)

    def test_won_and_lost(self):
        """Won, lost, reason, closing date and probability are what they were."""
        reason = self.env["crm.lost.reason"].create({"name": "Too dear"})
        lost, won, open_ = (self.create_lead(name) for name in ("L", "W", "O"))
        lost.action_set_lost(lost_reason_id=reason.id)
        won.action_set_won()
        open_.write({"probability": 37.5})
        names = ["active", "probability", "automated_probability", "won_status"]
        names += [
            "date_closed",
            "lost_reason_id",
            "stage_id",
            "is_automated_probability",
        ]
        leads = lost | won | open_
        before = leads.read(names)
        self.assertEqual([r["won_status"] for r in before], ["lost", "won", "pending"])
        self.vault(leads)._restore()
        self.assertEqual(leads.read(names), before)

    def test_sequences(self):
        lead = self.create_rich_lead()
        query = (
            "SELECT sequencename, last_value FROM pg_sequences"
            " WHERE sequencename !~ '^(crm_archive|bus_bus)' ORDER BY 1"
        )
        entries = self.vault(lead)
        before = self.execute(query)
        self.bring_back(entries)
        self.assertEqual(self.execute(query), before)

    # -- values ------------------------------------------------------------------

    def create_values_table(self):
        """A module's table that belongs to leads, with a column for every type."""
        columns = [
            SQL("%s %s", SQL.identifier(f"c{number}"), SQL(kind.replace("%", "%%")))
            for number, (kind, _texts) in enumerate(HOSTILE_VALUES)
        ]
        self.execute(
            "CREATE TABLE x_values (id serial PRIMARY KEY, lead_id integer NOT NULL"
            " REFERENCES crm_lead ON DELETE CASCADE, t text, v varchar, %s,"
            " twice integer GENERATED ALWAYS AS (lead_id * 2) STORED)",
            SQL(", ").join(columns),
        )

    def test_values(self):
        """Every value comes back with the text that it had, or NULL as NULL."""
        self.create_values_table()
        lead = self.create_lead("Values")
        for text in HOSTILE_TEXTS:
            self.execute(
                "INSERT INTO x_values (lead_id, t, v) VALUES (%s, %s, %s)",
                lead.id,
                text,
                text,
            )
        for number, (kind, texts) in enumerate(HOSTILE_VALUES):
            for text in texts:
                self.execute(
                    "INSERT INTO x_values (lead_id, %s) VALUES (%s, CAST(%s AS %s))",
                    SQL.identifier(f"c{number}"),
                    lead.id,
                    text,
                    SQL(kind),
                )
        self.execute("INSERT INTO x_values (lead_id) VALUES (%s)", lead.id)
        self.assertExactRoundTrip(lead, ["x_values"])

    def test_settings_of_the_session(self):
        """How somebody's session prints values has no effect on what is kept."""
        self.create_values_table()
        lead = self.create_lead("Values")
        self.execute(
            "INSERT INTO x_values (lead_id, c2, c6, c7, c10, c13) VALUES (%s,"
            " 0.1::float8 + 0.2, '2020-03-01', '2020-10-25 02:30:00+02',"
            " '1 day 2 hours', '\\x5c00')",
            lead.id,
        )
        before = self.dump(frozenset())["x_values"]
        for name, value in {
            "timezone": "Asia/Kathmandu",
            "intervalstyle": "iso_8601",
            "extra_float_digits": "-5",
            "bytea_output": "escape",
        }.items():
            self.execute("SELECT set_config(%s, %s, true)", name, value)
        entries = self.vault(lead)
        for name, value in {"timezone": "America/Lima", "bytea_output": "hex"}.items():
            self.execute("SELECT set_config(%s, %s, true)", name, value)
        entries._restore()
        self.assertEqual(self.dump()["x_values"], before)

    def test_no_second_entry(self):
        """Should two runs ever get that far, the second one is rolled back."""
        entry = self.vault(self.create_lead("Once"))
        columns = [n for n, f in entry._fields.items() if f.store and f.column_type]
        columns = SQL(", ").join(SQL.identifier(n) for n in columns if n != "id")
        with (
            self.assertRaises(UniqueViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.execute(
                "INSERT INTO crm_archive_entry (%s) SELECT %s FROM crm_archive_entry"
                " WHERE id = %s",
                *(columns, columns, entry.id),
            )

    # -- rings -------------------------------------------------------------------

    def create_ring(self):
        """Make a module's tables that own each other's rows and point back at them.

        A lead has pages and a page has notes; the lead has a best page, and a page a
        best note: whatever is inserted first points at what is not there yet.
        """
        self.execute(
            "CREATE TABLE x_page (id serial PRIMARY KEY, lead_id integer NOT NULL"
            " REFERENCES crm_lead ON DELETE CASCADE);"
            "CREATE TABLE x_note (id serial PRIMARY KEY, page_id integer NOT NULL"
            " REFERENCES x_page ON DELETE CASCADE);"
            "ALTER TABLE x_page ADD best_id integer REFERENCES x_note"
            " ON DELETE SET NULL;"
            "ALTER TABLE crm_lead ADD x_best_id integer REFERENCES x_page"
            " ON DELETE SET NULL"
        )

    def fill_ring(self, leads):
        """Give each lead two pages with two notes; the second one is the best."""
        for lead in leads:
            for _page in range(2):
                self.execute(
                    "WITH page AS (INSERT INTO x_page (lead_id) VALUES (%s)"
                    " RETURNING id) INSERT INTO x_note (page_id)"
                    " SELECT id FROM page, generate_series(1, 2)",
                    lead.id,
                )
        self.execute(
            "UPDATE x_page p SET best_id ="
            " (SELECT max(id) FROM x_note WHERE page_id = p.id);"
            "UPDATE crm_lead l SET x_best_id ="
            " (SELECT max(id) FROM x_page WHERE lead_id = l.id)"
        )

    def test_rows_that_point_forward(self):
        """What points at rows that are inserted later gets their ids afterwards."""
        self.create_ring()
        leads = self.create_lead("Ring 1") | self.create_lead("Ring 2")
        self.fill_ring(leads)
        # One of the pages points at nothing: it stays so.
        self.execute("UPDATE x_page SET best_id = NULL WHERE id = 1")
        self.assertEqual(
            self.execute(
                "SELECT (SELECT count(*) FROM crm_lead WHERE x_best_id IS NOT NULL),"
                " count(*), count(best_id) FROM x_page"
            ),
            [(2, 4, 3)],
        )
        self.assertExactRoundTrip(leads, ["x_page", "x_note"])

    def test_rows_that_point_at_what_cannot_return(self):
        """What pointed at a row that goes with its owner is emptied, as by a delete."""
        self.create_ring()
        lead = self.create_lead("Ring")
        self.fill_ring(lead)
        self.execute(
            "CREATE TABLE x_author (id serial PRIMARY KEY);"
            "INSERT INTO x_author DEFAULT VALUES;"
            "ALTER TABLE x_note ADD author_id integer REFERENCES x_author"
            " ON DELETE CASCADE;"
            "UPDATE x_note SET author_id = 1 WHERE id IN (SELECT max(best_id)"
            " FROM x_page)"
        )
        entries = self.vault(lead)
        self.execute("DELETE FROM x_author")
        entries._restore()
        kinds = [finding[:3] for finding in entries.restore_report]
        self.assertEqual(
            kinds,
            [["row_gone", "x_note", "author_id"], ["target_gone", "x_page", "best_id"]],
        )
        self.assertEqual(
            self.execute("SELECT count(*), count(best_id) FROM x_page"), [(2, 1)]
        )
        self.assertEqual(self.execute("SELECT count(*) FROM x_note"), [(3,)])

    def test_shell_that_points_forward(self):
        """The row of a contact stays, and may point at a file that comes back."""
        self.execute(
            "ALTER TABLE res_partner ADD x_file_id integer REFERENCES ir_attachment"
            " ON DELETE SET NULL"
        )
        contact = self.create_contact("Joan", email="joan@secret.example")
        file = self.attach(contact, "main.txt", raw=b"main")
        self.execute(
            "UPDATE res_partner SET x_file_id = %s WHERE id = %s", file.id, contact.id
        )
        self.assertExactRoundTrip(contact, ["ir_attachment"])

    def test_what_a_shell_keeps_is_not_pointed_forward(self):
        """A column that the row kept is somebody's since: no bundle overwrites it."""
        self.execute(
            "ALTER TABLE res_partner ADD x_file_id integer REFERENCES ir_attachment"
            " ON DELETE SET NULL"
        )
        contact = self.create_contact("Joan", email="joan@secret.example")
        file = self.attach(contact, "main.txt", raw=b"main")
        other = self.env["ir.attachment"].create({"name": "Since", "raw": b"since"})
        query = "UPDATE res_partner SET x_file_id = %s WHERE id = %s"
        self.execute(query, file.id, contact.id)
        kept = KEPT_COLUMNS | {"x_file_id"}
        model = self.env.registry["res.partner"]
        with patch.object(model, "_get_archive_kept_columns", lambda _model: kept):
            entries = self.vault(contact)
            self.execute(query, other.id, contact.id)
            entries._restore()
        self.assertTrue(file.exists(), "what it pointed at has come back")
        self.assertEqual(
            self.execute("SELECT x_file_id FROM res_partner WHERE id = %s", contact.id),
            [(other.id,)],
        )

    # -- the shell ---------------------------------------------------------------

    def read_row(self, partner):
        self.env.flush_all()
        self.env.cr.execute("SELECT * FROM res_partner WHERE id = %s", [partner.id])
        return self.env.cr.dictfetchone()

    def fill_every_column(self, partner):
        """Put something into every column that is empty, whatever it means."""
        samples = {"character varying": "Secret", "text": "Secret", "jsonb": '"Secret"'}
        for name, kind in self.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_name = 'res_partner' AND table_schema = current_schema"
        ):
            if kind in samples and not name.startswith("archive_"):
                self.execute(
                    "UPDATE res_partner SET %s = CAST(%s AS %s)"
                    " WHERE id = %s AND %s IS NULL",
                    SQL.identifier(name),
                    samples[kind],
                    SQL(kind),
                    partner.id,
                    SQL.identifier(name),
                )
        self.env.invalidate_all()

    def test_shell_of_a_person(self):
        """No column says anything about the person any more."""
        contact = self.create_rich_contact()
        self.execute(
            "ALTER TABLE res_partner ADD x_note varchar(8) NOT NULL DEFAULT 'Secret'"
        )
        self.fill_every_column(contact)
        self.archive(contact)
        before = self.read_row(contact)
        self.assertEqual(before["x_note"], "Secret")
        self.vault(contact)
        after = self.read_row(contact)
        self.assertEqual(after["name"], f"Archived contact {contact.id}")
        self.assertEqual(after["complete_name"], after["name"])
        self.assertEqual(after["archive_state"], "vaulted")
        same = {
            name
            for name, value in before.items()
            if value not in (None, False) and value == after[name]
        }
        choices = {
            name
            for name in same
            if (field := contact._fields.get(name)) is not None
            and field.type in ("selection", "boolean", "integer")
        }
        self.assertLessEqual(same - choices, SHELL_COLUMNS)
        self.assertNotIn("Secret", str(after))
        self.assertNotIn("joan", str(after).lower())
        self.assertFalse(contact.bank_ids or contact.category_id)
        self.assertFalse(contact.message_ids or contact.message_partner_ids)
        self.assertFalse(contact.image_1920)

    def test_shell_of_a_company(self):
        """A company keeps its name, which is on every invoice, and no more."""
        company = self.create_contact(
            "ACME", is_company=True, email="a@acme.example", vat="BE0477472701"
        )
        self.vault(company)
        row = self.read_row(company)
        self.assertEqual((row["name"], row["complete_name"]), ("ACME", "ACME"))
        self.assertFalse(row["email"] or row["vat"])

    def test_documents_still_point_at_the_shell(self):
        contact = self.create_rich_contact()
        event = self.env["calendar.event"].search([("name", "=", "Lunch")])
        lead = self.create_lead("Of the contact", partner_id=contact.id)
        self.vault(contact)
        self.assertEqual(event.with_context(active_test=False).partner_ids, contact)
        self.assertEqual(lead.partner_id, contact)

    def test_shell_changed(self):
        """What somebody writes on the shell gives way, and is reported."""
        contact = self.create_contact("Joan", email="joan@secret.example")
        entries = self.vault(contact)
        contact.email = "other@example.com"
        entries._restore()
        self.assertEqual(contact.email, "joan@secret.example")
        findings = [finding[:3] for finding in entries.restore_report]
        self.assertIn(["shell_changed", "res_partner", "email"], findings)

    def test_shell_deleted(self):
        """A shell that was deleted comes back as the whole contact."""
        contact = self.create_rich_contact()
        before = self.read_row(contact)
        entries = self.vault(contact)
        self.execute("DELETE FROM res_partner WHERE id = %s", contact.id)
        self.env.invalidate_all()
        entries._restore()
        after = self.read_row(contact)
        for name in ("name", "email", "parent_id", "company_id", "create_date"):
            self.assertEqual(after[name], before[name], name)
        self.assertEqual(contact.bank_ids.acc_number, "BE71096123456769")

    # -- what belongs to an app ---------------------------------------------------

    def give_xmlid(self, record, module):
        self.env["ir.model.data"].create(
            {
                "module": module,
                "name": f"x_{record.id}",
                "model": record._name,
                "res_id": record.id,
            }
        )

    def test_records_of_apps_stay(self):
        """The next update of an app would create what is in the vault once more."""
        lead = self.create_lead("Of an app")
        self.give_xmlid(lead, "crm")
        policy = self.create_policy(vault_enabled=True, vault_after_days=0)
        self.archive(lead, archive_policy_id=policy.id)
        self.assertNotIn(lead.id, policy._find_vault_ids())
        with self.assertRaisesRegex(UserError, "belongs to an installed app"):
            lead._vault()
        self.assertTrue(lead.exists())

    def test_external_ids_of_imports(self):
        lead = self.create_lead("Imported")
        self.give_xmlid(lead, "__import__")
        policy = self.create_policy(vault_enabled=True, vault_after_days=0)
        self.archive(lead, archive_policy_id=policy.id)
        self.assertIn(lead.id, policy._find_vault_ids())
        entries = self.vault(lead)
        self.assertFalse(self.env.ref(f"__import__.x_{lead.id}", False))
        entries._restore()
        self.assertEqual(self.env.ref(f"__import__.x_{lead.id}"), lead)


@tagged("post_install", "-at_install")
class TestVaultPolicy(VaultCase):
    """What a policy does, and what the index says of it."""

    def test_second_run_moves_to_the_vault(self):
        lead = self.create_lead(
            "Policy lead",
            email_from="a@b.example",
            phone="+32470123456",
            contact_name="Ann",
            partner_name="Ann's",
            expected_revenue=7,
            user_id=self.seller.id,
        )
        tag = self.env["crm.archive.tag"].create({"name": "Cold"})
        policy = self.create_policy(
            domain="[('name', '=', 'Policy lead')]",
            vault_enabled=True,
            vault_after_days=0,
            tag_ids=[Command.set(tag.ids)],
            restrict_access=True,
        )
        policy.action_run()
        self.assertEqual(lead.archive_state, "archived")
        archive_date = lead.archive_date
        policy.action_run()
        self.assertFalse(lead.exists())
        run = policy.run_ids.filtered(lambda r: r.kind == "vault")
        self.assertEqual((run.state, run.vaulted_count), ("done", 1))
        entry = self.find_entries(lead)
        self.assertRecordValues(
            entry,
            [
                {
                    "name": "Policy lead",
                    "email": "a@b.example",
                    "phone": "+32470123456",
                    "contact_name": "Ann",
                    "partner_name": "Ann's",
                    "expected_revenue": 7.0,
                    "won_status": "pending",
                    "user_id": self.seller.id,
                    "policy_id": policy.id,
                    "reason_id": self.reason.id,
                    "tag_ids": tag.ids,
                    "archive_date": archive_date,
                    "archive_user_id": self.env.uid,
                    "is_restricted": True,
                    "run_id": run.id,
                    "state": "vaulted",
                    "keeps_row": False,
                    "store_id": self.store.id,
                }
            ],
        )
        self.assertEqual(entry.bundle_id.state, "used")
        self.assertGreater(entry.place_rows, 1)
        policy.action_run()  # nothing is left to do
        self.assertEqual(len(policy.run_ids.filtered(lambda r: r.kind == "vault")), 1)

    def test_not_before_its_time(self):
        lead = self.create_lead("Policy lead")
        policy = self.create_policy(
            domain="[('name', '=', 'Policy lead')]",
            vault_enabled=True,
            vault_after_days=30,
        )
        policy.action_run()
        policy.action_run()
        self.assertEqual(lead.archive_state, "archived")
        self.execute(
            "UPDATE crm_lead SET archive_date = now() - interval '31 days'"
            " WHERE id = %s",
            lead.id,
        )
        self.env.invalidate_all()
        policy.action_run()
        self.assertFalse(lead.exists())
