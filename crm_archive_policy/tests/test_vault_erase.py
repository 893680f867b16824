import hashlib
import json
import re
from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import SQL

from ..lib.bundle import BundleKeyDestroyed
from ..lib.stores import StoreError
from ..vault.mentions import to_pattern
from .vault_purge_common import PurgeCase

NAME = "Zebulon Quux"
EMAIL = "zebulon.quux@example.org"
PHONE = "+32 470 99 88 77"
DIGITS = "32470998877"


@tagged("post_install", "-at_install")
class TestVaultErase(PurgeCase):
    """One person asks to be forgotten (GDPR Art. 17, PIPL Art. 47)."""

    def setUp(self):
        super().setUp()
        self.person = self.create_contact(
            NAME, email=EMAIL, phone=PHONE, country_id=self.country.id
        )
        self.live = self.create_lead(
            f"Deal of {NAME}",
            contact_name=NAME,
            email_from=f'"{NAME}" <{EMAIL}>',
            phone=PHONE,
            partner_id=self.person.id,
            expected_revenue=500,
        )
        self.old = self.create_lead(f"Old deal {NAME}", email_from=EMAIL)
        self.cold = self.create_lead(f"Cold deal {NAME}", email_from=EMAIL, phone=PHONE)
        self.other = self.create_lead("Somebody else", email_from="other@example.org")

    def find(self, user=None, **known):
        """Open the dialog and look for somebody."""
        user = user or self.manager
        wizard = self.env["crm.archive.erase"].with_user(user).create(known)
        wizard.action_search()
        return wizard

    def erase(self, wizard, identifiers=None, user=None):
        """Ask for the erasure of what the dialog shows, and have it done."""
        wizard.reason = "Request of 12 March"
        if identifiers is not None:
            wizard.identifiers = identifiers
        action = wizard.action_ask()
        purge = self.env["crm.archive.purge"].browse(action["res_id"])
        self.approve(purge, user)
        self.assertFalse(purge.run_ids.error)
        return purge

    def grep(self, *texts, skip=()):
        """Search every text column of every table for texts and their digests.

        :return: set of ``table.column``
        """
        needles = set()
        for text in texts:
            needles.add(re.escape(text))
            for form in {text, text.lower(), re.sub(r"\D", "", text) or text}:
                for kind in ("md5", "sha1", "sha256"):
                    digest = hashlib.new(kind, form.encode(), usedforsecurity=False)
                    needles.add(digest.hexdigest())
        self.env.flush_all()
        self.env.cr.execute(
            """
            SELECT n.nspname, c.relname, a.attname FROM pg_attribute a
              JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
              JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_type t ON t.oid = a.atttypid
             WHERE a.attnum > 0 AND NOT a.attisdropped
               AND n.nspname IN ('public', 'crm_archive')
               AND (t.typcategory = 'S' OR t.typname IN ('json', 'jsonb'))
            """
        )
        found = set()
        for schema, table, column in self.env.cr.fetchall():
            if f"{table}.{column}" in skip:
                continue
            rows = self.env.execute_query(
                SQL(
                    "SELECT 1 FROM %s WHERE %s::text ~* %s LIMIT 1",
                    SQL.identifier(schema, table),
                    SQL.identifier(column),
                    "|".join(sorted(needles)),
                )
            )
            if rows:
                found.add(f"{table}.{column}")
        return found

    # ------------------------------------------------------------
    # Finding
    # ------------------------------------------------------------

    def test_finds_live_archived_and_vaulted(self):
        self.archive(self.old)
        entry = self.vault(self.archive(self.cold))
        wizard = self.find(email=EMAIL.upper())
        places = {(line.res_model, line.res_id): line.place for line in wizard.line_ids}
        self.assertEqual(
            places,
            {
                ("res.partner", self.person.id): "live",
                ("crm.lead", self.live.id): "live",
                ("crm.lead", self.old.id): "archived",
                ("crm.lead", self.cold.id): "vaulted",
            },
        )
        vaulted = wizard.line_ids.filtered(lambda line: line.place == "vaulted")
        self.assertEqual(vaulted.entry_id, entry)
        # By the number alone, however it is written, and by the name alone.
        for known in ({"phone": "0470/998877"}, {"phone": DIGITS}):
            ids = self.find(**known).line_ids.mapped("res_id")
            self.assertIn(self.cold.id, ids, known)
            self.assertIn(self.person.id, ids, known)
        self.assertIn(self.person.id, self.find(name=NAME).line_ids.mapped("res_id"))
        self.assertFalse(self.find(email="nobody@example.org").line_ids)

    def test_finds_by_way_of_a_contact_in_the_vault(self):
        entry = self.vault(self.archive(self.person))
        ids = self.find(email=EMAIL).line_ids
        self.assertIn(entry, ids.entry_id)
        self.assertIn(self.live.id, ids.mapped("res_id"))
        # The shell is not listed a second time.
        self.assertEqual(len(ids.filtered(lambda r: r.res_id == self.person.id)), 1)

    def test_dialog_opens_from_wherever_the_person_is(self):
        entry = self.vault(self.archive(self.cold))
        for action in (
            self.person.with_user(self.manager).action_archive_erase(),
            self.live.with_user(self.manager).action_archive_erase(),
            entry.with_user(self.manager).action_erase(),
        ):
            wizard = self.env[action["res_model"]].browse(action["res_id"])
            self.assertGreaterEqual(len(wizard.line_ids), 4)
            self.assertIn(EMAIL, wizard.identifiers)
            self.assertNotIn("Cold deal", wizard.identifiers)
        for user in (self.officer, self.seller, self.auditor):
            with self.assertRaises(AccessError):
                self.person.with_user(user).action_archive_erase()
            with self.assertRaises(AccessError):
                self.find(user, email=EMAIL)

    def test_shared_number_is_not_taken_from_linked_records(self):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_lead SET email_from = 'office@company.example',"
            " phone = '029998888', contact_name = 'Office' WHERE id = %s",
            [self.live.id],
        )
        self.env.invalidate_all()
        wizard = self.find(email=EMAIL)
        self.assertIn(self.live.id, wizard.line_ids.mapped("res_id"))
        self.assertNotIn("office@company.example", wizard.identifiers)
        self.assertNotIn("029998888", wizard.identifiers)

    def test_nothing_entered(self):
        with self.assertRaisesRegex(UserError, "Enter a name"):
            self.find()

    # ------------------------------------------------------------
    # Erasing
    # ------------------------------------------------------------

    def _write_about_the_person(self):
        """Leave traces all over the place."""
        self.live.message_post(body=f"{NAME} called", attachments=[("a.txt", b"x")])
        self.other.message_post(body=f"As {NAME} ({EMAIL}, {PHONE}) said")
        self.other.message_post(
            body="Mail", author_id=self.person.id, email_from=f"{NAME} <{EMAIL}>"
        )
        self.other.description = f"<p>Ask {EMAIL}</p>"
        self.env["calendar.event"].create(
            {
                "name": f"Meet {NAME}",
                "start": "2026-01-01 10:00:00",
                "stop": "2026-01-01 11:00:00",
                "partner_ids": [(6, 0, self.person.ids)],
            }
        )
        self.env["mail.mail"].create({"email_to": EMAIL, "body_html": f"Dear {NAME}"})
        self.live.activity_schedule("mail.mail_activity_data_todo", note=f"Ring {NAME}")
        self.live.with_context(tracking_disable=False).write({"phone": PHONE + "0"})
        self.live.write({"phone": PHONE})

    def _erase_everything(self):
        self._write_about_the_person()
        self.archive(self.old)
        entries = self.vault(self.archive(self.cold + self.other))
        purge = self.erase(self.find(email=EMAIL, name=NAME, phone=PHONE))
        self.assertEqual(purge.state, "done")
        self.assertEqual(set(purge.line_ids.mapped("state")), {"done"})
        return purge, entries

    def test_nothing_is_left_anywhere(self):
        """F6, F7: grep the whole database and the store."""
        before = self.grep(NAME, EMAIL, PHONE)
        for place in ("res_partner.email", "crm_lead.email_from", "crm_lead.name"):
            self.assertIn(place, before)
        purge, entries = self._erase_everything()
        self.assertEqual(self.grep(NAME, EMAIL, PHONE), set())
        self.assertFalse(purge.identifiers)
        self.assertGreater(purge.mention_count, 0)
        # Statistics stay, the person does not.
        self.assertEqual(self.live.expected_revenue, 500)
        self.assertEqual(self.person.country_id, self.country)
        self.assertNotIn("Zebulon", self.person.display_name)
        # The other record is still in the vault, and comes back.
        entry = entries.filtered(lambda e: e.res_id == self.other.id)
        self.assertEqual(entry.name, "Somebody else")
        entry._restore()
        self.assertEqual(self.other.email_from, "other@example.org")

    def test_store_and_log_name_nobody(self):
        self.env.cr.execute("SELECT max(sequence) FROM crm_archive_log")
        first = self.env.cr.fetchone()[0] or 0
        self._erase_everything()
        for path, data in self.read_store().items():
            for text in (NAME, EMAIL, DIGITS):
                self.assertNotIn(text.encode(), data, path)
        lines = self.env["crm.archive.log"].search([("sequence", ">", first)])
        self.assertIn("erase", lines.mapped("action"))
        for line in lines:
            self.assertNotIn("zebulon", json.dumps(line.read()[0], default=str).lower())
        self.assertTrue(lines.verify_chain()["ok"])

    def test_restore_and_rehearsal_find_nothing(self):
        _purge, entries = self._erase_everything()
        entry = entries.filtered(lambda e: e.res_id == self.cold.id)
        self.assertFalse(entry._restore())
        self.assertEqual(entry._rehearse(), {})
        self.assertFalse(self.cold.exists())
        with self.assertRaisesRegex(UserError, "not in the vault"):
            entry.with_user(self.manager).action_restore()

    def _copy_rows(self, *records):
        """Keep rows as an old dump of the database would."""
        rows = {}
        for record in records:
            self.env.cr.execute(
                SQL(
                    "SELECT row_to_json(t)::text FROM %s t WHERE id = %s",
                    SQL.identifier(record._table),
                    record.id,
                )
            )
            rows[record] = self.env.cr.fetchone()[0]
        return rows

    def _put_back(self, rows):
        for record, row in rows.items():
            table = SQL.identifier(record._table)
            self.env.cr.execute(SQL("SELECT * FROM %s LIMIT 0", table))
            names = [c.name for c in self.env.cr.description if c.name != "id"]
            columns = SQL(", ").join(map(SQL.identifier, names))
            self.env.cr.execute(
                SQL(
                    "UPDATE %s SET (%s) = (SELECT %s FROM"
                    " json_populate_record(NULL::%s, %s)) WHERE id = %s",
                    table,
                    columns,
                    columns,
                    table,
                    row,
                    record.id,
                )
            )
        self.env.invalidate_all()

    def test_old_dump_of_the_index_opens_nothing_in_the_clear(self):
        entry = self.vault(self.archive(self.cold + self.other))[1]
        entry = entry.search([("res_id", "=", self.cold.id)])
        dump = self._copy_rows(entry, entry.bundle_id)
        self.erase(self.find(email=EMAIL, name=NAME, phone=PHONE))
        self._put_back(dump)
        self.assertEqual((entry.state, entry.email), ("vaulted", EMAIL))
        with self.assertRaises(StoreError):
            entry._restore()

    def test_old_dump_of_the_index_opens_nothing_encrypted(self):
        self.encrypt()
        self.vault(self.archive(self.cold + self.other))
        entry = self.env["crm.archive.entry"].search([("res_id", "=", self.cold.id)])
        dump = self._copy_rows(entry, entry.bundle_id)
        self.erase(self.find(email=EMAIL, name=NAME, phone=PHONE))
        self._put_back(dump)
        self.assertEqual(entry.state, "vaulted")
        with self.assertRaises(BundleKeyDestroyed):
            entry._restore()

    def test_left_out_records_stay_whole(self):
        """A namesake is not touched, though a mention of the name is."""
        namesake = self.create_contact(NAME, email="another@example.org")
        wizard = self.find(email=EMAIL, name=NAME)
        line = wizard.line_ids.filtered(lambda line: line.res_id == namesake.id)
        line.is_chosen = False
        self.erase(wizard, identifiers=f"{EMAIL}\n{PHONE}")
        self.assertEqual((namesake.name, namesake.email), (NAME, "another@example.org"))
        self.assertFalse(self.person.email)

    def test_banjo_is_not_jo(self):
        self.assertTrue(re.search("example", to_pattern(["jo@example.com"])))
        self.other.message_post(
            body="banjo@example.org jo@example.org.au jo@example.org"
        )
        self.other.message_post(body="Call 1470998877665 or 0470 99 88 77")
        person = self.create_contact("Jo", email="jo@example.org", phone="0470998877")
        self.assertTrue(person)
        wizard = self.find(email="jo@example.org")
        self.erase(wizard, identifiers="jo@example.org\n0470998877")
        bodies = " ".join(self.other.message_ids.mapped("body"))
        self.assertIn("banjo@example.org", bodies)
        self.assertIn("jo@example.org.au", bodies)
        self.assertNotIn(" jo@example.org<", bodies)
        self.assertIn("1470998877665", bodies)
        self.assertNotIn("0470 99 88 77", bodies)

    def test_first_name_alone_is_not_hunted(self):
        """Rose is a colour, Will is a verb: other people's data stays as it is."""
        self.other.message_post(body="Roses: the Rose chair")
        person = self.create_contact("Rose", email="rose@customer.example.org")
        self.erase(self.find(email="rose@customer.example.org"))
        self.assertNotIn("Rose", person.name)
        bodies = " ".join(self.other.message_ids.mapped("body"))
        self.assertIn("the Rose chair", bodies)

    def test_chinese_name_has_no_edges(self):
        self.other.message_post(body="请联系王小明先生")
        person = self.create_contact("王小明")
        self.erase(self.find(name="王小明"))
        self.assertNotIn("王小明", person.name)
        self.assertNotIn("王小明", " ".join(self.other.message_ids.mapped("body")))

    def test_dialog_forgets_at_once(self):
        wizard = self.find(email=EMAIL, name=NAME)
        wizard.reason = "Request"
        wizard.action_ask()
        self.assertFalse(wizard.name or wizard.email or wizard.identifiers)
        self.assertFalse(wizard.line_ids)

    def test_rejected_request_forgets_the_person(self):
        wizard = self.find(email=EMAIL)
        wizard.reason = "Request"
        purge = self.env["crm.archive.purge"].browse(wizard.action_ask()["res_id"])
        self.assertIn(EMAIL, purge.identifiers)
        with self.assertRaises(AccessError):
            purge.with_user(self.auditor).read(["identifiers"])
        with self.assertRaisesRegex(AccessError, "yourself"):
            purge.with_user(self.manager).action_approve()
        purge.with_user(self.second).action_reject()
        self.assertFalse(purge.identifiers)
        self.assertEqual(self.person.email, EMAIL)

    def test_forged_lines_reach_nothing_else(self):
        wizard = self.find(email=EMAIL)
        line = wizard.line_ids[0]
        line.write(
            {"res_model": "res.users", "res_id": self.env.uid, "entry_id": False}
        )
        wizard.reason = "x"
        with self.assertRaisesRegex(UserError, "Only contacts and leads"):
            wizard.action_ask()

    # ------------------------------------------------------------
    # What has to stay
    # ------------------------------------------------------------

    def test_hold_and_its_evidence_stay(self):
        self._write_about_the_person()
        hold = self.env["crm.archive.hold"].with_user(self.manager)
        hold = hold.create(
            {"name": "Case", "reason": "x", "lead_ids": [(6, 0, self.live.ids)]}
        )
        hold.action_start()
        wizard = self.find(email=EMAIL, name=NAME, phone=PHONE)
        line = wizard.line_ids.filtered(lambda r: r.res_id == self.live.id)
        self.assertEqual(line.filtered("outcome").outcome, "hold")
        purge = self.erase(wizard)
        self.assertEqual(self.live.contact_name, NAME)
        self.assertTrue(
            self.live.message_ids.filtered(lambda m: f"{NAME} called" in m.body)
        )
        self.assertEqual(purge.kept_count, 1)
        self.assertFalse(self.person.email)
        self.assertNotIn(NAME, " ".join(self.other.message_ids.mapped("body")))

    def test_retention_means_storage_only(self):
        self.live.retention_date = self.today + timedelta(days=99)
        entry = self.vault(self.archive(self.cold))
        self.env.cr.execute(
            "UPDATE crm_archive_entry SET retention_date = %s WHERE id = %s",
            [self.today + timedelta(days=9), entry.id],
        )
        self.env.invalidate_all()
        purge = self.erase(self.find(email=EMAIL))
        kept = purge.line_ids.filtered(lambda line: line.state == "kept")
        self.assertEqual(set(kept.mapped("outcome")), {"retention"})
        self.assertEqual(set(kept.mapped("res_id")), {self.live.id, self.cold.id})
        self.assertEqual(self.live.archive_state, "archived")
        self.assertTrue(self.live.archive_restricted and entry.is_restricted)
        self.assertEqual(self.live.contact_name, NAME)
        with self.assertRaises(AccessError):
            self.live.with_user(self.seller).read(["contact_name"])
        self.assertFalse(self.person.email)

    def test_who_signs_in_is_not_erased(self):
        user = new_test_user(self.env, "zebulon", groups="base.group_user")
        user.partner_id.email = EMAIL
        wizard = self.find(email=EMAIL)
        line = wizard.line_ids.filtered(lambda r: r.res_id == user.partner_id.id)
        self.assertEqual(line.outcome, "user")
        purge = self.erase(wizard)
        line = purge.line_ids.filtered(lambda r: r.res_id == user.partner_id.id)
        self.assertEqual((line.state, line.outcome), ("kept", "user"))
        self.assertEqual(user.partner_id.email, EMAIL)

    def test_invoices_have_to_be_kept(self):
        if "account.move" not in self.env:
            self.skipTest("account is not installed")
        move = self.env["account.move"].create(
            {"move_type": "entry", "partner_id": self.person.id}
        )
        self.env.cr.execute(
            "UPDATE account_move SET state = 'posted' WHERE id = %s", [move.id]
        )
        self.env.invalidate_all()
        purge = self.erase(self.find(email=EMAIL))
        line = purge.line_ids.filtered(lambda r: r.res_id == self.person.id)
        self.assertEqual((line.state, line.outcome), ("kept", "duty"))
        self.assertEqual(self.person.name, NAME)
        self.assertTrue(self.person.archive_restricted)

    # ------------------------------------------------------------
    # Odoo's own privacy look-up
    # ------------------------------------------------------------

    def test_privacy_lookup_finds_the_archive_and_the_vault(self):
        if "privacy.lookup.wizard" not in self.env:
            self.skipTest("privacy_lookup is not installed")
        self.archive(self.old)
        entry = self.vault(self.archive(self.cold))
        lookup = self.env["privacy.lookup.wizard"].create(
            {"name": NAME, "email": EMAIL}
        )
        lookup.action_lookup()
        found = {(line.res_model, line.res_id) for line in lookup.line_ids}
        self.assertIn(("crm.archive.entry", entry.id), found)
        self.assertIn(("crm.lead", self.old.id), found)
        self.assertIn(("res.partner", self.person.id), found)
        # It is no way round the second person, the retention or a hold.
        line = lookup.line_ids.filtered(lambda r: r.res_model == "crm.archive.entry")
        with self.assertRaisesRegex(UserError, "Erase person"):
            line.action_unlink()
        self.old._move({"archive_on_hold": True})
        line = lookup.line_ids.filtered(
            lambda r: r.res_model == "crm.lead" and r.res_id == self.old.id
        )
        with self.assertRaisesRegex(UserError, "legal hold"):
            line.action_unlink()

    def test_data_recycle_stops_at_a_hold(self):
        if "data_recycle.model" not in self.env:
            self.skipTest("data_recycle is not installed")
        self.live._move({"archive_on_hold": True})
        rule = self.env["data_recycle.model"].create(
            {
                "name": "Delete",
                "res_model_id": self.env["ir.model"]._get_id("crm.lead"),
                "recycle_action": "unlink",
                "domain": f"[('id', '=', {self.live.id})]",
            }
        )
        rule._recycle_records()
        record = self.env["data_recycle.record"].search(
            [("recycle_model_id", "=", rule.id)]
        )
        self.assertTrue(record)
        with self.assertRaisesRegex(UserError, "legal hold"):
            record.action_validate()
        self.assertTrue(self.live.exists())
