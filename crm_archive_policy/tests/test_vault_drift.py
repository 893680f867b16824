from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from odoo.tools import SQL

from ..models.vault_findings import describe
from ..vault.report import Finding, RestoreRefused
from .vault_common import VaultCase


class DriftCase(VaultCase):
    """The database moves on while a record is in the vault."""

    def setUp(self):
        super().setUp()
        self.lead = self.create_lead("Drifting lead", email_from="a@b.example")

    def add_column(self, definition, value=None, table="crm_lead"):
        """Add a column as a module does, and fill it for the lead."""
        self.execute("ALTER TABLE %s ADD COLUMN %s", SQL(table), SQL(definition))
        if value is not None:
            self.execute(
                "UPDATE %s SET %s = %s WHERE id = %s",
                SQL(table),
                SQL(definition.split()[0]),
                value,
                self.lead.id,
            )

    def change(self, command):
        """Change the database as an update of a module does."""
        self.execute(command)
        self.env.invalidate_all()

    def create_target(self, ondelete, required=False):
        """Make a table that leads point at, with one row.

        :return: id of the row
        """
        self.execute("CREATE TABLE x_target (id serial PRIMARY KEY, name text)")
        [(target_id,)] = self.execute(
            "INSERT INTO x_target (name) VALUES ('target') RETURNING id"
        )
        self.execute(
            "ALTER TABLE crm_lead ADD COLUMN x_target_id integer"
            " REFERENCES x_target ON DELETE %s",
            SQL(ondelete),
        )
        self.execute("UPDATE crm_lead SET x_target_id = %s", target_id)
        if required:
            self.execute("ALTER TABLE crm_lead ALTER x_target_id SET NOT NULL")
        return target_id

    def read_value(self, column, table="crm_lead"):
        rows = self.execute(
            "SELECT %s::text FROM %s WHERE id = %s",
            SQL.identifier(column),
            SQL.identifier(table),
            self.lead.id,
        )
        return rows[0][0] if rows else "gone"

    def restore(self, entries, replacements=None):
        """Restore entries.

        :return: the findings as ``[(kind, table, column)]``
        """
        entries._restore(replacements)
        self.env.flush_all()
        self.assertEqual(set(entries.mapped("state")), {"restored"})
        report = entries[:1].restore_report or []
        return [tuple(finding[:3]) for finding in report]

    def assertRefused(self, entries, kind, *words):
        """The restore is refused by every way, in words, and changes nothing."""
        before = self.dump()
        with self.assertRaises(RestoreRefused) as caught:
            entries._restore()
        self.assertIn(kind, {f.kind for f in caught.exception.findings if f.refuses})
        wizard = self.env["crm.archive.vault.restore"]._create_for(entries)
        self.assertTrue(wizard.is_refused)
        self.assertIn(kind, wizard.line_ids.mapped("kind"))
        with self.assertRaises(UserError) as shown:
            wizard.with_context(restore_cause="mistake").action_restore()
        for word in (entries[0].name, "nothing was changed", *words):
            self.assertIn(word, str(shown.exception))
        self.assertSameDump(before, self.dump())
        self.assertEqual(set(entries.mapped("state")), {"vaulted"})
        return wizard


@tagged("post_install", "-at_install")
class TestVaultColumns(DriftCase):
    """Columns and tables come, go and change."""

    def test_column_dropped(self):
        self.add_column("x_size text", "large")
        entries = self.vault(self.lead)
        self.change("ALTER TABLE crm_lead DROP COLUMN x_size")
        self.assertEqual(self.restore(entries), [("column_gone", "crm_lead", "x_size")])
        self.assertEqual(self.lead.email_from, "a@b.example")

    def test_empty_column_dropped(self):
        self.add_column("x_size text")
        entries = self.vault(self.lead)
        self.change("ALTER TABLE crm_lead DROP COLUMN x_size")
        self.assertEqual(self.restore(entries), [])

    def test_column_added(self):
        entries = self.vault(self.lead)
        self.change("ALTER TABLE crm_lead ADD COLUMN x_size text")
        self.assertEqual(self.restore(entries), [])
        self.assertIsNone(self.read_value("x_size"))

    def test_required_column_added_with_default(self):
        entries = self.vault(self.lead)
        self.change("ALTER TABLE crm_lead ADD x_size text NOT NULL DEFAULT 'small'")
        self.assertEqual(self.restore(entries), [])
        self.assertEqual(self.read_value("x_size"), "small")

    def test_required_column_added(self):
        entries = self.vault(self.lead)
        self.change("ALTER TABLE crm_lead ADD x_size text NOT NULL DEFAULT 'small'")
        self.change("ALTER TABLE crm_lead ALTER x_size DROP DEFAULT")
        self.assertRefused(entries, "required_column", "x_size", "default value")

    def test_required_column_added_to_what_stayed(self):
        """The row of a contact is there and has its value already."""
        contact = self.create_contact("Joan", email="joan@secret.example")
        entries = self.vault(contact)
        self.change("ALTER TABLE res_partner ADD x_size text NOT NULL DEFAULT 'small'")
        self.change("ALTER TABLE res_partner ALTER x_size DROP DEFAULT")
        self.assertEqual(self.restore(entries), [])
        self.assertEqual(contact.email, "joan@secret.example")

    def test_column_becomes_required(self):
        self.add_column("x_size text")
        entries = self.vault(self.lead)
        self.change("UPDATE crm_lead SET x_size = 'small'")
        self.change("ALTER TABLE crm_lead ALTER x_size SET NOT NULL")
        self.assertRefused(entries, "bad_value", "x_size")

    def test_column_of_a_shell_becomes_required(self):
        """What was emptied and has got a value since is put back all the same."""
        contact = self.create_contact("Joan")
        self.execute("ALTER TABLE res_partner ADD x_rank integer")
        self.execute("UPDATE res_partner SET x_rank = 7 WHERE id = %s", contact.id)
        entries = self.vault(contact)
        self.change("UPDATE res_partner SET x_rank = 0 WHERE x_rank IS NULL")
        self.change("ALTER TABLE res_partner ALTER x_rank SET NOT NULL")
        self.restore(entries)
        rows = self.execute("SELECT x_rank FROM res_partner WHERE id = %s", contact.id)
        self.assertEqual(rows, [(7,)])

    def assertConverted(self, was, text, now, expected, using="x_size"):
        with self.env.cr.savepoint() as savepoint:
            self.add_column(f"x_size {was}", text)
            entries = self.vault(self.lead)
            self.change(f"ALTER TABLE crm_lead ALTER x_size TYPE {now} USING {using}")
            findings = self.restore(entries)
            self.assertEqual(self.read_value("x_size"), expected)
            savepoint.rollback()
        self.env.invalidate_all()
        return findings

    def test_type_changed(self):
        converted = [("value_converted", "crm_lead", "x_size")]
        for was, text, now, expected, findings in (
            ("integer", "5", "bigint", "5", []),
            ("integer", "5", "varchar", "5", []),
            ("varchar", "5", "integer", "5", []),
            ("varchar(8)", "12345678", "text", "12345678", []),
            ("text", "abc", "varchar(3)", "abc", []),
            ("numeric(16,2)", "7784.00", "double precision", "7784", converted),
            ("date", "2024-02-29", "timestamp", "2024-02-29 00:00:00", converted),
            ("timestamp", "2024-02-29 00:00:00", "date", "2024-02-29", converted),
        ):
            with self.subTest(was=was, now=now):
                using = f"x_size::text::{now}"
                got = self.assertConverted(was, text, now, expected, using)
                self.assertEqual(got, findings)

    def test_type_does_not_fit(self):
        """Also where PostgreSQL would cut or round without a word."""
        for was, text, now in (
            ("varchar", "five", "integer"),
            ("text", "abcdef", "varchar(3)"),
            ("text", "abcdef", "char(3)"),
            ("double precision", "1.567", "numeric(10,2)"),
            ("double precision", "16777217", "real"),
            ("timestamp", "2024-02-29 10:00:00", "date"),
            ("timestamp", "2024-02-29 10:00:00.5", "timestamp(0)"),
            ("bigint", "3000000000", "integer"),
        ):
            with self.subTest(was=was, now=now), self.env.cr.savepoint() as savepoint:
                self.add_column(f"x_size {was}", text)
                entries = self.vault(self.lead)
                self.change("ALTER TABLE crm_lead DROP COLUMN x_size")
                self.change(f"ALTER TABLE crm_lead ADD COLUMN x_size {now}")
                self.assertRefused(entries, "bad_value", "x_size")
                savepoint.rollback()
            self.env.invalidate_all()

    def test_field_becomes_translatable(self):
        """As Odoo converts the column itself, and back."""
        entries = self.vault(self.lead)
        self.change(
            "ALTER TABLE crm_lead ALTER function TYPE jsonb"
            " USING jsonb_build_object('en_US', function)"
        )
        self.restore(entries)
        self.assertIsNone(self.read_value("function"))

    def test_text_becomes_translatable(self):
        self.lead.function = "Boss"
        entries = self.vault(self.lead)
        self.change(
            "ALTER TABLE crm_lead ALTER function TYPE jsonb"
            " USING jsonb_build_object('en_US', function)"
        )
        entries._bring_back(entries.bundle_id, None)
        self.assertEqual(self.read_value("function"), '{"en_US": "Boss"}')

    def translate_function(self, value):
        self.execute("ALTER TABLE crm_lead ALTER function TYPE jsonb USING NULL")
        self.execute(
            "UPDATE crm_lead SET function = %s WHERE id = %s", value, self.lead.id
        )
        entries = self.vault(self.lead)
        self.change("ALTER TABLE crm_lead ALTER function TYPE varchar USING NULL")
        return entries

    def test_translation_becomes_text(self):
        entries = self.translate_function('{"en_US": "Boss"}')
        self.restore(entries)
        self.assertEqual(self.lead.function, "Boss")

    def test_translations_would_be_lost(self):
        entries = self.translate_function('{"en_US": "Boss", "fr_FR": "Chef"}')
        self.assertRefused(entries, "bad_value", "Job Position")

    def test_table_dropped(self):
        self.execute(
            "CREATE TABLE x_part (id serial PRIMARY KEY, lead_id integer"
            " REFERENCES crm_lead ON DELETE CASCADE)"
        )
        self.execute("INSERT INTO x_part (lead_id) VALUES (%s)", self.lead.id)
        entries = self.vault(self.lead)
        self.change("DROP TABLE x_part")
        self.assertEqual(self.restore(entries), [("table_gone", "x_part", "")])

    def test_generated_column(self):
        self.execute(
            "ALTER TABLE crm_lead ADD x_twice integer"
            " GENERATED ALWAYS AS (color * 2) STORED"
        )
        self.lead.color = 4
        entries = self.vault(self.lead)
        self.assertEqual(self.restore(entries), [])
        self.assertEqual(self.read_value("x_twice"), "8")


@tagged("post_install", "-at_install")
class TestVaultTargets(DriftCase):
    """What records point at is deleted, merged or taken."""

    def test_id_taken(self):
        entries = self.vault(self.lead)
        other = self.create_lead("In its place")
        self.execute(
            "INSERT INTO crm_lead (id, name, type, archive_state)"
            " VALUES (%s, 'Taken', 'lead', 'live')",
            self.lead.id,
        )
        self.env.invalidate_all()
        self.assertRefused(entries, "id_taken", str(self.lead.id), "own number")
        self.assertEqual(other.name, "In its place")
        self.assertEqual(self.lead.name, "Taken")

    def test_id_of_a_part_taken(self):
        message = self.lead.message_post(body="Mine")
        entries = self.vault(self.lead)
        self.execute(
            "INSERT INTO mail_message (id, message_type, body)"
            " VALUES (%s, 'comment', 'Taken')",
            message.id,
        )
        self.env.invalidate_all()
        self.assertRefused(entries, "id_taken", "Message", str(message.id))

    def test_sequence_behind(self):
        """In an older copy of the database the number has not been given out yet."""
        entries = self.vault(self.lead)
        self.execute(
            "SELECT setval('crm_lead_id_seq', %s, false)", max(self.lead.id - 1, 1)
        )
        entries._restore()
        [(value,)] = self.execute("SELECT nextval('crm_lead_id_seq')")
        self.assertGreater(value, self.lead.id)

    def test_optional_target_deleted(self):
        for ondelete in ("SET NULL", "RESTRICT", "CASCADE", "NO ACTION"):
            with self.subTest(ondelete), self.env.cr.savepoint() as savepoint:
                self.create_target(ondelete)
                entries = self.vault(self.lead)
                self.change("UPDATE crm_lead SET x_target_id = NULL")
                self.change("DELETE FROM x_target")
                findings = self.restore(entries)
                self.assertEqual(findings, [("target_gone", "crm_lead", "x_target_id")])
                self.assertIsNone(self.read_value("x_target_id"))
                savepoint.rollback()
            self.env.invalidate_all()

    def test_odoo_target_deleted(self):
        tag = self.env["crm.tag"].create({"name": "Gone"})
        self.lead.write({"tag_ids": tag.ids, "user_id": self.seller.id})
        source = self.env["utm.source"].create({"name": "Fair"})
        self.lead.source_id = source
        entries = self.vault(self.lead)
        (tag | tag).unlink()
        source.unlink()
        findings = self.restore(entries)
        self.assertEqual(
            findings,
            [
                ("row_gone", "crm_tag_rel", "tag_id"),
                ("target_gone", "crm_lead", "source_id"),
            ],
        )
        self.assertEqual(self.lead.user_id, self.seller)
        self.assertFalse(self.lead.tag_ids or self.lead.source_id)
        said = [describe(self.env, Finding(*f)) for f in entries.restore_report]
        self.assertIn("1 rows of Lead: Tags belonged to CRM Tag no.", said[0])
        self.assertIn("Lead: Source pointed at UTM Source no.", said[1])

    def test_required_target_deleted(self):
        for ondelete in ("RESTRICT", "CASCADE"):
            with self.subTest(ondelete), self.env.cr.savepoint() as savepoint:
                gone = self.create_target(ondelete, required=True)
                entries = self.vault(self.lead)
                [(other,)] = self.execute(
                    "INSERT INTO x_target (name) VALUES ('other') RETURNING id"
                )
                self.change(f"UPDATE crm_lead SET x_target_id = {other}")
                self.change(f"DELETE FROM x_target WHERE id = {gone}")
                self.assertRefused(entries, "required_gone", str(gone), "Choose")
                # What does not exist either is no replacement.
                with self.assertRaisesRegex(RestoreRefused, "required_gone"):
                    entries._restore({("x_target", gone): other + 1000})
                findings = self.restore(entries, {("x_target", gone): other})
                self.assertIn(("target_replaced", "crm_lead", "x_target_id"), findings)
                self.assertEqual(self.read_value("x_target_id"), str(other))
                savepoint.rollback()
            self.env.invalidate_all()

    def test_replacement_in_the_dialog(self):
        """The person chooses another stage; no required field is left open."""
        stage = self.env["crm.stage"].create({"name": "Old", "sequence": 99})
        other = self.env["crm.stage"].create({"name": "New", "sequence": 98})
        self.lead.stage_id = stage
        self.execute(
            "UPDATE crm_lead SET stage_id = %s WHERE stage_id IS NULL", stage.id
        )
        self.execute("ALTER TABLE crm_lead ALTER stage_id SET NOT NULL")
        entries = self.vault(self.lead)
        self.execute("UPDATE crm_lead SET stage_id = %s", other.id)
        stage.unlink()
        action = entries.with_user(self.officer).action_restore()
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.officer)
            .browse(action["res_id"])
        )
        self.assertTrue(wizard.is_refused)
        with Form(wizard) as form, form.line_ids.edit(0) as line:
            self.assertEqual(line.target_model, "crm.stage")
            line.replacement_id = other.id
        self.assertFalse(wizard.is_refused)
        wizard.with_context(restore_cause="came_back").action_restore()
        self.assertEqual(self.lead.stage_id, other)
        self.assertEqual(entries.restore_report[0][0], "target_replaced")

    def test_replacement_must_be_visible(self):
        company = self.env["res.company"].create({"name": "Not the officer's"})
        other = self.env["res.company"].create({"name": "Own"})
        self.lead.write({"company_id": other.id, "user_id": False, "team_id": False})
        entries = self.vault(self.lead)
        self.delete_company(other)
        wizard = self.env["crm.archive.vault.restore"]._create_for(entries)
        line = wizard.line_ids.filtered(lambda r: r.target_model == "res.company")
        line.replacement_id = company.id
        with self.assertRaises(AccessError):
            wizard.with_user(self.officer)._get_replacements()

    def delete_company(self, company):
        """Delete a company as the database would, everything of it first."""
        self.env.flush_all()
        self.execute("DELETE FROM res_company_users_rel WHERE cid = %s", company.id)
        self.execute("UPDATE crm_archive_entry SET company_id = NULL")
        self.execute("UPDATE res_partner SET company_id = NULL")
        self.execute("UPDATE crm_archive_bundle SET company_id = NULL")
        for table, column in self.execute(
            "SELECT conrelid::regclass::text, attname FROM pg_constraint c"
            " JOIN pg_attribute a ON a.attrelid = conrelid AND attnum = conkey[1]"
            " WHERE confrelid = 'res_company'::regclass AND confdeltype IN ('a', 'r')"
        ):
            if table not in ("crm_archive_entry", "res_partner"):
                self.execute(
                    "DELETE FROM %s WHERE %s = %s",
                    SQL.identifier(table),
                    SQL.identifier(column),
                    company.id,
                )
        self.execute("DELETE FROM res_company WHERE id = %s", company.id)
        self.env.invalidate_all()

    def test_company_deleted(self):
        """Without its company a record would be there for everybody to see."""
        company = self.env["res.company"].create({"name": "Gone"})
        self.lead.write({"company_id": company.id, "team_id": False})
        contact = self.create_contact("Joan", company_id=company.id)
        own = self.env.company
        for record in (self.lead, contact):
            with self.subTest(record), self.env.cr.savepoint() as savepoint:
                entries = self.vault(record)
                self.delete_company(company)
                self.assertRefused(entries, "required_gone", str(company.id))
                self.restore(entries, {("res_company", company.id): own.id})
                self.assertEqual(record.company_id, own)
                savepoint.rollback()
            self.env.invalidate_all()

    # -- merged ------------------------------------------------------------------

    def merge(self, source, target):
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((source | target).ids, target)
        self.assertFalse(source.exists())

    def test_contact_merged(self):
        first, second, third = (
            self.create_contact(name, email="same@example.com") for name in "ABC"
        )
        self.lead.partner_id = first
        self.lead.message_subscribe(first.ids)
        entries = self.vault(self.lead)
        self.merge(first, second)
        self.merge(second, third)
        findings = self.restore(entries)
        self.assertIn(("target_merged", "crm_lead", "partner_id"), findings)
        self.assertEqual({kind for kind, *_rest in findings}, {"target_merged"})
        self.assertEqual(self.lead.partner_id, third)
        self.assertIn(third, self.lead.message_partner_ids)

    def test_both_followers_merged(self):
        """One follower takes the place of two; nothing twice, and reported."""
        first, second = (
            self.create_contact(name, email="same@example.com") for name in "AB"
        )
        message = self.lead.message_post(body="Hello")
        self.lead.message_subscribe((first | second).ids)
        self.env["mail.notification"].create(
            [
                {"mail_message_id": message.id, "res_partner_id": partner.id}
                for partner in first | second
            ]
        )
        entries = self.vault(self.lead)
        self.merge(first, second)
        findings = self.restore(entries)
        self.assertIn(("live_kept", "mail_followers", ""), findings)
        self.assertIn(("live_kept", "mail_notification", ""), findings)
        self.assertEqual(
            len(
                self.lead.message_follower_ids.filtered(
                    lambda f: f.partner_id == second
                )
            ),
            1,
        )

    def test_ring_of_merges(self):
        merges = self.env["crm.archive.merge"]
        first, second = (self.create_contact(name) for name in "AB")
        merges._remember(first, second)
        merges._remember(second, first)
        self.lead.partner_id = first
        entries = self.vault(self.lead)
        for contact in (first, second):
            self.execute("DELETE FROM res_partner WHERE id = %s", contact.id)
        self.env.invalidate_all()
        findings = self.restore(entries)
        self.assertIn(("target_gone", "crm_lead", "partner_id"), findings)

    def test_merged_twice(self):
        """A number that came back after a merge is where the last merge took it."""
        merges = self.env["crm.archive.merge"]
        first, second, third = (self.create_contact(name) for name in "ABC")
        merges._remember(first, second)
        merges._remember(first, third)
        self.assertEqual(merges._follow("res.partner", first.id), third.id)

    def test_merges_of_another_model(self):
        """The same number is somebody else there."""
        contact, other = (self.create_contact(name) for name in "AB")
        first, second = contact.id + 10**6, contact.id + 10**6 + 1
        for model, source, target in (
            ("crm.lead", first, contact.id),
            ("res.partner", first, second),
            ("crm.lead", second, contact.id),
        ):
            self.execute(
                "INSERT INTO crm_archive_merge (res_model, source_id, target_id)"
                " VALUES (%s, %s, %s)",
                *(model, source, target),
            )
        follow = self.env["crm.archive.merge"]._follow
        self.assertIsNone(follow("res.partner", first))
        self.execute(
            "UPDATE crm_archive_merge SET target_id = %s WHERE source_id = %s"
            " AND res_model = 'res.partner'",
            *(other.id, first),
        )
        self.assertEqual(follow("res.partner", first), other.id)

    def test_lead_merged(self):
        """What points at a lead that was merged into an opportunity points there."""
        first = self.create_lead("First", type="lead")
        second = self.create_lead("Second")
        self.execute(
            "ALTER TABLE crm_lead ADD x_lead_id integer REFERENCES crm_lead"
            " ON DELETE SET NULL"
        )
        self.execute(
            "UPDATE crm_lead SET x_lead_id = %s WHERE id = %s", first.id, self.lead.id
        )
        entries = self.vault(self.lead)
        self.assertEqual((first | second)._merge_opportunity(), second)
        self.assertFalse(first.exists())
        self.assertIn(("target_merged", "crm_lead", "x_lead_id"), self.restore(entries))
        self.assertEqual(self.read_value("x_lead_id"), str(second.id))

    def test_no_merge_of_what_is_in_the_vault(self):
        first, second = (
            self.create_contact(name, email="same@example.com") for name in "AB"
        )
        self.vault(first)
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        with self.assertRaisesRegex(UserError, "Restore it first"):
            wizard._merge((first | second).ids, second)
        self.assertTrue(first.exists() and second.exists())

    # -- unique ------------------------------------------------------------------

    def test_live_follower_is_kept(self):
        contact = self.create_contact("Joan")
        contact.message_subscribe(self.seller.partner_id.ids)
        old = contact.message_follower_ids
        entries = self.vault(contact)
        contact.message_subscribe(
            self.seller.partner_id.ids, self.env.ref("mail.mt_note").ids
        )
        new = contact.message_follower_ids
        findings = self.restore(entries)
        self.assertIn(("live_kept", "mail_followers", ""), findings)
        self.assertEqual(contact.message_follower_ids, new)
        self.assertNotEqual(old, new)
        self.assertEqual(new.subtype_ids, self.env.ref("mail.mt_note"))

    def test_live_bank_account_is_kept(self):
        contact = self.create_contact("Joan")
        bank = {"acc_number": "BE71096123456769", "partner_id": contact.id}
        old = self.env["res.partner.bank"].create(bank)
        entries = self.vault(contact)
        new = self.env["res.partner.bank"].create(bank)
        findings = self.restore(entries)
        self.assertIn(("live_kept", "res_partner_bank", ""), findings)
        self.assertEqual(contact.bank_ids, new)
        self.assertFalse(old.exists())

    def test_unique_value_of_a_record_taken(self):
        """The record itself is not left out silently: it is refused."""
        contact = self.create_contact("Joan", ref="UNIQUE-1")
        self.lead.referred = "UNIQUE-1"
        self.execute("CREATE UNIQUE INDEX x_ref ON res_partner (ref)")
        self.execute("CREATE UNIQUE INDEX x_referred ON crm_lead (referred)")
        for record, column in ((contact, "ref"), (self.lead, "referred")):
            with self.subTest(record), self.env.cr.savepoint() as savepoint:
                entries = self.vault(record)
                other = record.browse().create({"name": "Other", column: "UNIQUE-1"})
                self.assertRefused(entries, "unique_taken", "only one")
                other[column] = False
                self.restore(entries)
                self.assertEqual(record[column], "UNIQUE-1")
                savepoint.rollback()
            self.env.invalidate_all()

    # -- back references -----------------------------------------------------------

    def test_reference_changed_since(self):
        """A meeting that somebody has given to another lead stays there."""
        other = self.create_lead("Other")
        events = self.env["calendar.event"].create(
            [
                {
                    "name": name,
                    "start": "2024-01-01 10:00:00",
                    "stop": "2024-01-01 11:00:00",
                    "opportunity_id": self.lead.id,
                }
                for name in ("kept", "moved", "deleted")
            ]
        )
        entries = self.vault(self.lead)
        self.assertFalse(events.opportunity_id)
        events[1].opportunity_id = other
        events[2].unlink()
        findings = self.restore(entries)
        self.assertEqual(
            findings, [("reference_changed", "calendar_event", "opportunity_id")]
        )
        self.assertEqual(entries.restore_report[0][3], 2)
        self.assertEqual(events[0].opportunity_id, self.lead)
        self.assertEqual(events[1].opportunity_id, other)
