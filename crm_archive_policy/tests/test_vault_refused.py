import io
import os
from functools import partial
from unittest.mock import patch

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import SQL

from ..lib import header as bundle_header
from ..lib.bundle import (
    BundleError,
    BundleForeign,
    Record,
    Spec,
    Table,
    object_key,
    write_bundle,
)
from ..lib.stores import StoreTemporary
from ..models import crm_archive_bundle, crm_archive_run_restore
from ..vault import capture, staging
from ..vault.report import RestoreRefused
from ..wizard import crm_archive_vault_restore
from .vault_common import VaultCase


@tagged("post_install", "-at_install")
class TestVaultGraph(VaultCase):
    """What cannot be captured does not leave; what must stay, stays."""

    def setUp(self):
        super().setUp()
        self.lead = self.create_lead("Lead with strange keys")

    def assertStays(self, records, *words):
        self.archive(records)
        before = self.dump()
        with self.assertRaises(UserError) as caught:
            records._vault()
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertSameDump(before, self.dump())

    def test_composite_key(self):
        self.execute("ALTER TABLE crm_lead ADD UNIQUE (id, type)")
        self.execute(
            "CREATE TABLE x_odd (id serial PRIMARY KEY, lead_id integer, kind varchar,"
            " FOREIGN KEY (lead_id, kind) REFERENCES crm_lead (id, type)"
            " ON DELETE CASCADE)"
        )
        self.execute(
            "INSERT INTO x_odd (lead_id, kind) VALUES (%s, 'opportunity')", self.lead.id
        )
        self.assertStays(self.lead, "x_odd", "lead_id")
        self.assertEqual(self.execute("SELECT count(*) FROM x_odd"), [(1,)])

    def test_key_to_another_column(self):
        self.execute("ALTER TABLE crm_lead ADD x_code integer UNIQUE")
        self.execute("UPDATE crm_lead SET x_code = id")
        self.execute(
            "CREATE TABLE x_odd (id serial PRIMARY KEY, code integer"
            " REFERENCES crm_lead (x_code) ON DELETE CASCADE)"
        )
        self.execute("INSERT INTO x_odd (code) VALUES (%s)", self.lead.id)
        self.assertStays(self.lead, "x_odd", "code")

    def test_cascade_into_another_lead(self):
        self.execute(
            "ALTER TABLE crm_lead ADD x_parent_id integer REFERENCES crm_lead"
            " ON DELETE CASCADE"
        )
        child = self.create_lead("Child")
        self.execute(
            "UPDATE crm_lead SET x_parent_id = %s WHERE id = %s",
            self.lead.id,
            child.id,
        )
        self.assertStays(self.lead, "crm_lead", "x_parent_id")
        self.assertTrue(child.exists())

    def test_strange_keys_stop_no_restore(self):
        """What another app has added since concerns deletions only."""
        entries = self.vault(self.lead)
        self.execute("ALTER TABLE crm_lead ADD UNIQUE (id, type)")
        self.execute(
            "CREATE TABLE x_odd (id serial PRIMARY KEY, lead_id integer, kind varchar,"
            " FOREIGN KEY (lead_id, kind) REFERENCES crm_lead (id, type)"
            " ON DELETE CASCADE)"
        )
        self.assertEqual(entries._restore(), self.lead)

    def test_strange_keys_stop_no_contact(self):
        """The row of a contact stays, so nothing of it is deleted."""
        self.execute("ALTER TABLE res_partner ADD UNIQUE (id, type)")
        self.execute(
            "CREATE TABLE x_odd (id serial PRIMARY KEY, partner_id integer,"
            " kind varchar, FOREIGN KEY (partner_id, kind)"
            " REFERENCES res_partner (id, type) ON DELETE CASCADE)"
        )
        contact = self.create_contact("Joan", email="joan@secret.example")
        self.execute(
            "INSERT INTO x_odd (partner_id, kind) VALUES (%s, 'contact')", contact.id
        )
        self.assertExactRoundTrip(contact)

    def block(self, target, target_id):
        """Let a row of another app forbid the deletion of a row."""
        self.execute(
            "CREATE TABLE x_blocker (id serial PRIMARY KEY, target_id integer"
            " REFERENCES %s ON DELETE RESTRICT)",
            SQL(target),
        )
        self.execute("INSERT INTO x_blocker (target_id) VALUES (%s)", target_id)

    def test_lead_that_must_stay(self):
        """Its row stays, says that it is in the vault, and its history leaves."""
        self.enrich(self.lead)
        self.block("crm_lead", self.lead.id)
        free = self.create_lead("Free lead")
        before = self.dump()
        self.archive(self.lead | free)
        entries = self.vault(self.lead | free)
        self.assertEqual(entries.sorted("res_id").mapped("keeps_row"), [True, False])
        self.assertEqual(self.lead.archive_state, "vaulted")
        self.assertEqual(self.lead.name, "Lead with strange keys")
        self.assertFalse(self.lead.message_ids | free.exists().message_ids)
        self.assertFalse(free.exists())
        self.assertFalse(self.lead.active)
        entries._restore()
        self.assertEqual(self.lead.archive_state, "live")
        after = self.dump()
        for name in ("mail_message", "ir_attachment", "mail_activity", "x_blocker"):
            self.assertEqual(before[name], after[name], name)

    def test_part_that_must_stay(self):
        """Nothing of a record leaves while something forbids a part of it to."""
        message = self.lead.message_post(body="Blocked")
        self.block("mail_message", message.id)
        free = self.create_lead("Free lead")
        policy = self.create_policy(
            domain=str([("id", "in", (self.lead | free).ids)]),
            vault_enabled=True,
            vault_after_days=0,
        )
        self.age(self.lead, years=3)
        policy.action_run()
        policy.action_run()
        run = policy.run_ids.filtered(lambda r: r.kind == "vault")
        self.assertEqual((run.vaulted_count, run.error_count), (1, 1))
        self.assertEqual(run.error_ids.res_id, self.lead.id)
        self.assertIn("x_blocker", run.error_ids.message)
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertTrue(message.exists())
        self.assertFalse(free.exists())

    def test_too_large(self):
        """One record that no bundle takes stops nobody but itself."""
        self.lead.description = "<p>" + "large " * 1000 + "</p>"
        free = self.create_lead("Free lead")
        self.archive(self.lead | free)
        with patch.dict(bundle_header.DEFAULT_LIMITS, row=3000):
            bundles = self.env["crm.archive.bundle"]
            written = bundles._write_records(self.lead | free)
        self.assertEqual(written.ids, free.ids)
        self.assertIn("More data than is allowed", written.refused[self.lead.id])

    def test_file_missing(self):
        attachment = self.attach(self.lead, "gone.txt", raw=b"gone with the wind")
        free = self.create_lead("Free lead")
        os.unlink(attachment._full_path(attachment.store_fname))
        self.archive(self.lead | free)
        written = self.env["crm.archive.bundle"]._write_records(self.lead | free)
        self.assertEqual(written.ids, free.ids)
        self.assertIn(str(attachment.id), written.refused[self.lead.id])


@tagged("post_install", "-at_install")
class TestVaultStream(VaultCase):
    """A record of any size takes little memory, and comes back the same."""

    def test_large_record(self):
        lead = self.create_lead("Large lead")
        for number in range(25):
            lead.message_post(body=f"Message {number}")
        self.attach(lead, "large.bin", raw=os.urandom(3 << 20))
        self.patch(crm_archive_bundle, "ROWS_MAX", 10)
        self.patch(capture, "CHUNK", 4)
        self.patch(staging, "CHUNK", 4)
        read, sizes = capture.Content._read, []

        def reading(content, table, pairs):
            sizes.append(len(pairs))
            return read(content, table, pairs)

        self.patch(capture.Content, "_read", reading)
        self.assertExactRoundTrip(lead, ["mail_message", "ir_attachment"])
        self.assertGreater(len(sizes), 25 / 4)
        self.assertLessEqual(max(sizes), 4)

    def test_small_ones_together(self):
        """Few queries for many small records, however many records there are."""
        leads = self.env["crm.lead"].union(
            *(self.create_lead(f"Small {number}") for number in range(12))
        )
        self.archive(leads)
        loads = []
        load = capture.Content.load

        def loading(content, roots):
            loads.append(len(roots))
            return load(content, roots)

        self.patch(capture.Content, "load", loading)
        self.env["crm.archive.bundle"]._write_records(leads)
        self.assertEqual(loads, [12])


class ForgerCase(VaultCase):
    """Somebody with access to the store, and with all of the library's tools."""

    def setUp(self):
        super().setUp()
        self.lead = self.create_lead("Forged lead", email_from="a@b.example")
        self.entry = self.vault(self.lead)

    def forge(
        self, change_tables=None, change_rows=None, trusted=False, change_meta=None
    ):
        """Replace the object by a sound one with another content.

        :param change_tables: callable that changes the list of the header's tables
        :param change_rows: callable that changes ``{table: rows}``
        :param trusted: as if somebody could also change what Odoo's database knows
        :param change_meta: callable that changes what is said besides the rows
        """
        bundle = self.entry.bundle_id
        with bundle._open_reader() as reader:
            header = reader.header
            record = reader.record(self.entry.res_id)
            rows, meta = record.rows(), record.meta
        tables = list(header.tables)
        if change_tables:
            change_tables(tables)
        if change_rows:
            change_rows(rows, {t.name: [c[0] for c in t.columns] for t in tables})
        if change_meta:
            change_meta(meta)
        spec = Spec(
            database_uuid=header.database_uuid,
            model=header.model,
            tables=tables,
            records=1,
            producer=header.producer,
            limits=header.limits,
            bundle_id=header.bundle_id,
        )
        out = io.BytesIO()
        with freeze_time(header.created):
            summary = write_bundle(out, spec, [Record(self.lead.id, rows, (), meta)])
        self.put_object(out.getvalue())
        if trusted:
            [place] = summary.entries
            bundle.header_digest = summary.header_digest
            self.entry.write(
                {
                    "place_offset": place.offset,
                    "place_length": place.length,
                    "place_digest": place.digest,
                    "place_rows_digest": place.rows_digest,
                }
            )
        return summary

    def put_object(self, data):
        """Put something else where the bundle was."""
        key = object_key(self.entry.bundle_id.name)
        with self.entry.store_id._open() as store:
            store.delete(key)
            store.put(key, data)

    def assertForeign(self, error=BundleForeign):
        before = self.dump()
        with self.assertRaises(error):
            self.entry._restore()
        self.assertSameDump(before, self.dump())
        self.assertEqual(self.entry.state, "vaulted")
        with self.assertRaises(UserError) as caught:
            self.env["crm.archive.vault.restore"]._create_for(self.entry)
        self.assertIn("othing was changed", str(caught.exception))

    def add_user(self, rows, columns):
        rows["res_users"] = [["9999", "mallory", "secret"]]

    def add_users_table(self, tables):
        columns = ("id", "integer"), ("login", "varchar"), ("password", "varchar")
        tables.append(Table("res_users", columns))


@tagged("post_install", "-at_install")
class TestVaultHostile(ForgerCase):
    """Objects that somebody with access to the store has put there."""

    def test_unchanged_is_accepted(self):
        """The forger's tool itself is sound: with nothing changed it restores."""
        self.forge()
        self.assertEqual(self.entry._restore(), self.lead)

    def test_rows_changed(self):
        """All digests of the object recomputed, the header the very same."""

        def change(rows, columns):
            [row] = rows["crm_lead"]
            row[columns["crm_lead"].index("email_from")] = "mallory@evil.example"

        digest = self.entry.bundle_id.header_digest
        summary = self.forge(change_rows=change)
        self.assertEqual(summary.header_digest, digest)
        self.assertForeign(BundleError)

    def test_all_but_the_rows_changed(self):
        """Another meeting is to belong to the lead: the rows, the header and the
        length are the very same, and only the place's own digest tells."""
        values = {"start": "2020-01-01 10:00:00", "stop": "2020-01-01 11:00:00"}
        meeting, *others = self.env["calendar.event"].create(
            [{"name": f"Meeting {number}", **values} for number in range(30)]
        )
        lead = self.create_lead("Lead with a meeting")
        meeting.opportunity_id = lead
        self.lead, self.entry = lead, self.vault(lead)

        def change(other, meta):
            [back] = meta["back"]
            self.assertEqual(back[0], "calendar_event")
            back[3] = other.id

        key = object_key(self.entry.bundle_id.name)
        with self.entry.store_id._open() as store:
            original = store.get(key)
        # Compressed it is now and then a byte longer or shorter.
        for other in others:
            summary = self.forge(change_meta=partial(change, other))
            [place] = summary.entries
            if place.length == self.entry.place_length:
                break
            self.put_object(original)
        self.assertEqual(place.offset, self.entry.place_offset)
        self.assertEqual(place.length, self.entry.place_length)
        self.assertEqual(place.rows_digest, self.entry.place_rows_digest)
        self.assertEqual(summary.header_digest, self.entry.bundle_id.header_digest)
        self.assertForeign()
        self.assertFalse(other.opportunity_id)

    def test_rows_of_users(self):
        self.forge(self.add_users_table, self.add_user)
        self.assertForeign()

    def test_rows_of_users_in_a_trusted_object(self):
        """Not even then: only what belongs to the record is brought back."""
        self.forge(self.add_users_table, self.add_user, trusted=True)
        self.entry._restore()
        kinds = [finding[:2] for finding in self.entry.restore_report]
        self.assertIn(["table_gone", "res_users"], kinds)
        self.assertFalse(self.env["res.users"].browse(9999).exists())

    def test_names_in_a_trusted_object(self):
        """Names are never put into a statement: only the catalogue's are."""
        evil = 'x"; DROP TABLE crm_tag CASCADE; --'

        def tables(tables):
            for number, table in enumerate(tables):
                if table.name == "crm_lead":
                    columns = (*table.columns, (evil, "text"))
                    tables[number] = Table(table.name, columns)
            tables.append(Table(evil, (("id", "integer"),)))

        def rows(rows, columns):
            rows["crm_lead"][0].append("x")
            rows[evil] = [["1"]]

        self.forge(tables, rows, trusted=True)
        self.entry._restore()
        kinds = [finding[:3] for finding in self.entry.restore_report]
        self.assertIn(["table_gone", evil, ""], kinds)
        self.assertIn(["column_gone", "crm_lead", evil], kinds)
        self.assertTrue(self.env["crm.tag"].search_count([]) >= 0)

    def test_type_in_a_trusted_object(self):
        # A sequence keeps what was done to it even when all else is rolled back.
        evil = "date) IS NULL); SELECT setval('crm_tag_id_seq', 987654321); --"

        def tables(tables):
            for number, table in enumerate(tables):
                if table.name == "crm_lead":
                    columns = tuple(
                        (name, evil if name == "create_date" else kind)
                        for name, kind in table.columns
                    )
                    tables[number] = Table(table.name, columns)

        def rows(rows, columns):
            [row] = rows["crm_lead"]
            row[columns["crm_lead"].index("create_date")] = "2020-01-01"

        self.forge(tables, rows, trusted=True)
        with self.assertRaises(RestoreRefused):
            self.entry._restore()
        [(value,)] = self.execute("SELECT last_value FROM crm_tag_id_seq")
        self.assertLess(value, 987654321)

    def test_another_record(self):
        """An object is bound to its record."""
        other = self.create_lead("Other")
        entry = self.vault(other)
        with self.entry.bundle_id.store_id._open() as store:
            data = store.get(object_key(entry.bundle_id.name))
            store.delete(object_key(self.entry.bundle_id.name))
            store.put(object_key(self.entry.bundle_id.name), data)
        self.assertForeign()


@tagged("post_install", "-at_install")
class TestVaultRights(VaultCase):
    """Who may bring back what."""

    def test_only_officers(self):
        entries = self.vault(self.lead)
        before = self.dump()
        for user in (self.seller, self.auditor):
            own = entries.with_user(user)
            for act in (own._restore, own.action_restore):
                with self.subTest(user=user.login), self.assertRaises(AccessError):
                    act()
        self.assertSameDump(before, self.dump())
        self.assertEqual(entries.with_user(self.officer)._restore(), self.lead)

    def test_only_own_companies(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.lead.write({"company_id": company.id, "team_id": False})
        entries = self.vault(self.lead)
        self.assertEqual(entries.company_id, company)
        stranger = entries.with_user(self.officer)
        self.assertFalse(stranger.search([("id", "in", entries.ids)]))
        for act in (stranger._restore, stranger.action_restore):
            with self.assertRaises(AccessError):
                act()
        native = new_test_user(
            self.env,
            "native",
            groups="sales_team.group_sale_salesman_all_leads,"
            "crm_archive_policy.group_archive_officer",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        self.assertEqual(entries.with_user(native)._restore(), self.lead)

    def test_dialog_of_somebody_else(self):
        """Somebody without the right has nothing from the dialog either."""
        entries = self.vault(self.lead)
        wizard = self.env["crm.archive.vault.restore"]._create_for(entries)
        with self.assertRaises(AccessError):
            wizard.with_user(self.seller).with_context(
                restore_cause="mistake"
            ).action_restore()


@tagged("post_install", "-at_install")
class TestVaultRestoreRun(VaultCase):
    """Many records come back by a run; all of a policy or a run by a button."""

    def setUp(self):
        super().setUp()
        self.leads = self.env["crm.lead"].union(
            *(self.create_lead(f"Many {number}") for number in range(5))
        )
        self.policy = self.create_policy(
            domain="[('name', 'like', 'Many')]", vault_enabled=True, vault_after_days=0
        )
        self.policy.action_run()
        self.policy.action_run()
        self.entries = self.find_entries(self.leads)
        self.assertEqual(len(self.entries), 5)
        self.policy.active = False  # or it archives again what is restored
        self.patch(crm_archive_vault_restore, "INLINE_MAX", 2)
        self.patch(crm_archive_run_restore, "RESTORE_BATCH", 2)

    def start(self, records, user=None):
        """Press the button and go through with the dialog.

        :return: the run
        """
        records = records.with_user(user or self.officer)
        if records._name == "crm.archive.entry":
            action = records.action_restore()
        else:
            action = records.action_restore_vaulted()
        wizard = records.env[action["res_model"]].browse(action["res_id"])
        self.assertFalse(wizard.is_refused)
        action = wizard.with_context(restore_cause="too_early").action_restore()
        self.assertEqual(action["res_model"], "crm.archive.run")
        return self.env["crm.archive.run"].browse(action["res_id"])

    def test_large_selection(self):
        run = self.start(self.entries)
        self.assertEqual(
            (run.kind, run.state, run.total_count), ("restore", "waiting", 5)
        )
        self.assertFalse(self.leads.exists())
        self.run_cron()
        self.assertEqual((run.state, run.restored_count), ("done", 5))
        self.assertEqual((run.progress, run.done_count), (100, 5))
        self.assertEqual(set(self.leads.mapped("archive_state")), {"live"})
        self.assertEqual(run.user_id, self.officer)

    def test_conflicts_in_words(self):
        run = self.start(self.entries)
        self.execute(
            "INSERT INTO crm_lead (id, name, type, archive_state)"
            " VALUES (%s, 'Taken', 'lead', 'live')",
            self.leads[1].id,
        )
        self.run_cron()
        self.assertEqual((run.state, run.restored_count), ("done", 4))
        self.assertEqual(run.error_count, 1)
        taken = self.entries.filtered(lambda e: e.res_id == self.leads[1].id)
        self.assertEqual(run.error_ids.res_model, "crm.archive.entry")
        self.assertEqual(run.error_ids.res_id, taken.id)
        self.assertIn("own number", run.error_ids.message)
        self.assertEqual(taken.state, "vaulted")

    def test_store_out_of_reach(self):
        """That says nothing of the records: the run is tried again."""
        run = self.start(self.entries)
        stores = self.env.registry["crm.archive.store"]
        with (
            patch.object(stores, "_open", side_effect=StoreTemporary("no answer")),
            self.assertLogs("odoo.addons.crm_archive_policy", "ERROR"),
        ):
            self.run_cron()
        self.assertEqual((run.state, run.error_count), ("waiting", 0))
        self.assertTrue(run.date_retry)
        run.date_retry = False
        self.run_cron()
        self.assertEqual((run.state, run.restored_count), ("done", 5))

    def test_failure_is_told(self):
        """A run without a policy tells whoever has started it."""
        run = self.start(self.entries)
        run.try_count = 99
        run._fail(StoreTemporary("no answer"))
        self.assertEqual(run.state, "failed")
        message = self.env["mail.message"].search([], limit=1, order="id desc")
        self.assertIn(self.officer.partner_id, message.notified_partner_ids)

    def test_all_of_a_policy(self):
        other = self.vault(self.create_lead("Another"))
        run = self.start(self.policy)
        self.run_cron()
        self.assertEqual((run.state, run.restored_count), ("done", 5))
        self.assertEqual(other.state, "vaulted")
        with self.assertRaisesRegex(UserError, "Nothing of it"):
            self.policy.with_user(self.officer).action_restore_vaulted()

    def test_all_of_a_run(self):
        vault_run = self.policy.run_ids.filtered(lambda r: r.kind == "vault")
        self.patch(crm_archive_vault_restore, "REHEARSED_MAX", 2)
        run = self.start(vault_run)
        self.assertEqual(run.total_count, 5)
        self.run_cron()
        self.assertEqual(run.restored_count, 5)

    def test_buttons_are_for_officers(self):
        vault_run = self.policy.run_ids.filtered(lambda r: r.kind == "vault")
        for source in (self.policy, vault_run):
            for user in (self.seller, self.auditor):
                with self.assertRaises(AccessError):
                    source.with_user(user).action_restore_vaulted()

    def test_leads_and_contacts_apart(self):
        contact = self.vault(self.create_contact("Joan"))
        with self.assertRaisesRegex(UserError, "either contacts or leads"):
            (self.entries[0] | contact).action_restore()

    def test_one_of_several_refused(self):
        """The dialog names the one that stands in the way."""
        two = self.entries[:2]
        self.execute(
            "INSERT INTO crm_lead (id, name, type, archive_state)"
            " VALUES (%s, 'Taken', 'lead', 'live')",
            two[1].res_id,
        )
        wizard = self.env["crm.archive.vault.restore"]._create_for(two)
        self.assertTrue(wizard.is_refused)
        self.assertIn(two[1].name, wizard.line_ids.message)
        self.assertEqual(len(wizard.line_ids), 1)
        with self.assertRaises(UserError) as caught:
            wizard.with_context(restore_cause="mistake").action_restore()
        self.assertIn(two[1].name, str(caught.exception))
        self.assertNotIn(two[0].name, str(caught.exception))
