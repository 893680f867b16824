"""The chain against the anchors: what a database alone can no longer show."""

import tempfile
from datetime import datetime
from unittest.mock import patch

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.tests import BaseCase, tagged
from odoo.tools import mute_logger

from ..lib import anchor, chain
from ..lib.header import MAGIC
from ..models import vault_config
from .common import ArchiveCase


class ChainCase(ArchiveCase):
    """A log with some lines, anchored, and somebody who may switch triggers off."""

    def setUp(self):
        super().setUp()
        self.log = self.env["crm.archive.log"]
        self.anchors = self.env["crm.archive.anchor"]
        self.store = self.env.ref("crm_archive_policy.crm_archive_store_database")
        for name in ("a", "b", "c"):
            self.create_lead(name)._archive()
        self.lines = self.log.search([], limit=3).sorted("sequence")

    def tamper(self, query, *params):
        """Change rows in SQL, triggers off."""
        self.env.flush_all()
        self.env.cr.execute("ALTER TABLE crm_archive_log DISABLE TRIGGER USER")
        self.env.cr.execute(query, params)
        self.env.cr.execute("ALTER TABLE crm_archive_log ENABLE TRIGGER USER")
        self.env.invalidate_all()

    def swap(self, first, second):
        """Let a line and the one after it change places."""
        number = first.sequence
        for line, sequence in ((first, 0), (second, number), (first, number + 1)):
            self.tamper(
                "UPDATE crm_archive_log SET sequence = %s WHERE id = %s",
                sequence,
                line.id,
            )

    def recompute_from(self, sequence):
        """Make the chain fit again, as somebody would who knows how it works."""
        self.env.cr.execute("ALTER TABLE crm_archive_log DISABLE TRIGGER USER")
        previous = chain.GENESIS
        for key, number, _before, own, values in list(self.log._iter_lines()):
            if number >= sequence:
                own = chain.digest(previous, values)  # noqa: PLW2901
                self.env.cr.execute(
                    "UPDATE crm_archive_log SET previous = %s, digest = %s"
                    " WHERE id = %s",
                    [previous, own, key],
                )
            previous = own
        self.env.cr.execute("ALTER TABLE crm_archive_log ENABLE TRIGGER USER")
        self.env.invalidate_all()

    def use_folder(self):
        """Let bundles, and so anchors, go to a folder outside of the database."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        roots = patch.object(vault_config, "get_roots", lambda: [folder.name])
        roots.start()
        self.addCleanup(roots.stop)
        outside = self.env["crm.archive.store"].create(
            {"name": "Outside", "kind": "fsspec", "url": f"file://{folder.name}/kept"}
        )
        self.env["res.company"].search([]).archive_store_id = outside
        return outside

    def assertBad(self, line, checked=None):
        result = self.log.verify_chain()
        self.assertEqual(result.keys(), {"ok", "checked", "first_bad_id"})
        self.assertFalse(result["ok"])
        self.assertEqual(result["first_bad_id"], line.id)
        if checked is not None:
            self.assertEqual(result["checked"], checked)


@tagged("post_install", "-at_install")
class TestAnchorFormat(BaseCase):
    """What is written into a store, for ever."""

    anchor = anchor.Anchor(7, "ab" * 32, "2026-02-28T01:02:03", "uuid")

    def test_golden(self):
        self.assertEqual(self.anchor.key, "anchors/2026-02-28-7")
        data = (
            b'{"database_uuid":"uuid","date":"2026-02-28T01:02:03","digest":"'
            + b"ab" * 32
            + b'","format":"crm-archive-anchor","sequence":7,"version":1}'
        )
        self.assertEqual(self.anchor.dumps(), data)
        self.assertEqual(anchor.Anchor.loads(data), self.anchor)

    def test_what_is_none(self):
        for data in (
            b"",
            b"[]",
            b"null",
            b"{}",
            self.anchor.dumps()[:-1],
            self.anchor.dumps().replace(b'"sequence":7', b'"sequence":0'),
            self.anchor.dumps().replace(b'"sequence":7', b'"sequence":"7"'),
            self.anchor.dumps().replace(b"ab" * 32, b"zz" * 32),
            self.anchor.dumps().replace(b'"version":1', b'"version":2'),
            self.anchor.dumps().replace(b'"uuid"', b"null"),
        ):
            with self.subTest(data=data), self.assertRaises(anchor.AnchorError):
                anchor.Anchor.loads(data)


@tagged("post_install", "-at_install")
class TestChain(ChainCase):
    """F1: a row changed in SQL is named, whichever column it was."""

    def test_every_column_of_the_table(self):
        """A column that nobody looks at would be a place to lie in."""
        self.env.cr.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_name = 'crm_archive_log'"
            "   AND table_schema = current_schema"
        )
        types = dict(self.env.cr.fetchall())
        self.assertEqual(types.keys() - {"id"}, set(chain.COLUMNS))
        values = {
            "integer": "coalesce({0}, 0) + 1000000",
            "character varying": "coalesce({0}, '') || 'x'",
            "text": "coalesce({0}, '') || 'x'",
            "ARRAY": "{0} || 1",
            "timestamp without time zone": "{0} + interval '1 microsecond'",
        }
        self.env.cr.execute(
            "ALTER TABLE crm_archive_log"
            " DROP CONSTRAINT crm_archive_log_user_id_fkey,"
            " DROP CONSTRAINT crm_archive_log_company_id_fkey,"
            " DROP CONSTRAINT crm_archive_log_policy_id_fkey,"
            " DROP CONSTRAINT crm_archive_log_run_id_fkey,"
            " DROP CONSTRAINT crm_archive_log_reason_id_fkey"
        )
        for name in chain.COLUMNS:
            with self.subTest(column=name), self.env.cr.savepoint() as savepoint:
                value = values[types[name]].format(name)
                self.tamper(
                    f"UPDATE crm_archive_log SET {name} = {value} WHERE id = %s",
                    self.lines[1].id,
                )
                # A line that went to the end leaves a gap before the next.
                moved = name == "sequence"
                self.assertBad(self.lines[2] if moved else self.lines[1])
                savepoint.rollback()
                self.env.invalidate_all()
        self.assertTrue(self.log.verify_chain()["ok"])

    def test_line_without_a_place(self):
        """What stands before the first line, or nowhere, was slipped in."""
        copy = (
            "INSERT INTO crm_archive_log (sequence, date, action, version, previous,"
            " digest, res_ids) SELECT %s, date, action, version, previous, digest,"
            " res_ids FROM crm_archive_log WHERE id = %s RETURNING id"
        )
        self.env.cr.execute(
            "ALTER TABLE crm_archive_log ALTER COLUMN sequence DROP NOT NULL"
        )
        for sequence in (None, 0, -5):
            with self.subTest(sequence=sequence), self.env.cr.savepoint() as savepoint:
                self.env.cr.execute(copy, [sequence, self.lines[1].id])
                [(new_id,)] = self.env.cr.fetchall()
                self.assertBad(self.log.browse(new_id), checked=0)
                savepoint.rollback()

    def test_fork_at_the_edge_of_a_batch(self):
        """Of two lines with one number the second is bad, wherever it stands."""
        self.env.cr.execute("DROP INDEX crm_archive_log_sequence_unique")
        self.env.cr.execute(
            "INSERT INTO crm_archive_log (sequence, date, action, version, previous,"
            " digest, res_ids) SELECT sequence, date, action, version, previous,"
            " digest, res_ids FROM crm_archive_log WHERE id = %s RETURNING id",
            [self.lines[1].id],
        )
        [(new_id,)] = self.env.cr.fetchall()
        batch = "odoo.addons.crm_archive_policy.models.crm_archive_log_verify"
        for size in (1, self.lines[1].sequence, 5000):
            with self.subTest(size=size), patch(f"{batch}.VERIFY_BATCH", size):
                self.assertBad(self.log.browse(new_id), self.lines[1].sequence)

    def test_clock_of_the_server(self):
        """F5: the database tells the time, in UTC; no jump breaks the chain."""
        self.env.cr.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
        [(before,)] = self.env.cr.fetchall()
        tokyo = self.seller
        tokyo.tz = "Asia/Tokyo"
        for date in ("2004-02-29 23:59:59", "2099-12-31", "2024-02-29"):
            with freeze_time(date):
                self.create_lead(date).with_user(tokyo)._archive()
        self.env.cr.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
        [(after,)] = self.env.cr.fetchall()
        for line in self.log.search([], limit=3):
            self.assertLessEqual(before.replace(microsecond=0), line.date)
            self.assertLessEqual(line.date, after)
        # The clock of the database goes back as well.
        self.env.cr.execute("SELECT max(sequence) FROM crm_archive_log")
        [(last,)] = self.env.cr.fetchall()
        head = self.log._get_head()
        self.assertEqual(head[0], last)
        with patch.object(
            type(self.log), "_get_head", lambda _self: (*head[:2], datetime(2001, 1, 1))
        ):
            self.create_lead("back")._archive()
        self.create_lead("forward")._archive()
        self.assertTrue(self.log.verify_chain()["ok"])


@tagged("post_install", "-at_install")
class TestAnchors(ChainCase):
    """F2: a tail that was cut off, a chain that was computed anew."""

    def test_anchored_and_intact(self):
        anchors = self.anchors._anchor()
        self.assertEqual(anchors.store_id, self.store)
        self.assertEqual(anchors.sequence, self.lines[-1].sequence)
        self.assertEqual(anchors.digest, self.lines[-1].digest)
        result = self.log.verify_chain()
        self.assertTrue(result["ok"])
        with self.store._open() as store:
            [(key, found)] = anchor.read_all(store)
        self.assertEqual(key, anchors.key)
        self.assertEqual(found.digest, anchors.digest)

    def test_once_a_line(self):
        """An anchor that says nothing new is not written."""
        self.assertTrue(self.anchors._anchor())
        self.assertFalse(self.anchors._anchor())
        self.create_lead("d")._archive()
        self.assertTrue(self.anchors._anchor())

    def test_cut_tail(self):
        self.anchors._anchor()
        self.tamper(
            "DELETE FROM crm_archive_log WHERE sequence >= %s", self.lines[1].sequence
        )
        self.assertBad(self.lines[0], checked=self.lines[0].sequence)

    def test_cut_tail_that_grew_again(self):
        """New lines in the place of those that were cut off."""
        self.anchors._anchor()
        self.tamper(
            "DELETE FROM crm_archive_log WHERE sequence >= %s", self.lines[1].sequence
        )
        for name in ("x", "y"):
            self.create_lead(name)._archive()
        self.assertBad(self.log.search([], limit=1))

    def test_emptied(self):
        self.anchors._anchor()
        self.tamper("DELETE FROM crm_archive_log")
        result = self.log.verify_chain()
        self.assertEqual(result, {"ok": False, "checked": 0, "first_bad_id": False})

    def test_recomputed(self):
        self.anchors._anchor()
        self.create_lead("later")._archive()
        self.tamper(
            "UPDATE crm_archive_log SET user_id = %s WHERE id = %s",
            self.seller.id,
            self.lines[1].id,
        )
        self.assertBad(self.lines[1])
        self.recompute_from(self.lines[1].sequence)
        # It fits in itself: nothing but the anchor tells.
        lines = self.log._iter_lines()
        self.assertTrue(chain.verify(lines).ok)
        self.assertBad(self.lines[2])

    def test_wholly_recomputed_names_the_first_anchored_line(self):
        self.anchors._anchor()
        self.create_lead("d")._archive()
        self.anchors._anchor()
        self.tamper("UPDATE crm_archive_log SET remote_address = '10.0.0.1'")
        self.recompute_from(1)
        self.assertBad(self.lines[-1])

    def test_swapped_and_recomputed(self):
        self.anchors._anchor()
        first, second = self.lines[:2]
        number = first.sequence
        self.swap(first, second)
        self.assertBad(second, checked=number - 1)
        self.recompute_from(number)
        self.assertBad(self.lines[2])

    def test_outside_of_the_database(self):
        """Whoever owns the database does not reach a folder of somebody else."""
        outside = self.use_folder()
        self.assertEqual(self.anchors._anchor().store_id, outside)
        self.tamper(
            "DELETE FROM crm_archive_log WHERE sequence >= %s", self.lines[2].sequence
        )
        self.env.cr.execute("DELETE FROM crm_archive_anchor")
        self.env.cr.execute("DELETE FROM crm_archive.chunk")
        self.env.cr.execute("DELETE FROM crm_archive.object")
        self.assertBad(self.lines[1])

    def test_anchor_is_never_overwritten(self):
        anchors = self.anchors._anchor()
        with self.store._open() as store:
            data = store.get(anchors.key)
        self.recompute_from(self.lines[0].sequence)
        self.tamper("UPDATE crm_archive_log SET remote_address = '10.0.0.1'")
        self.recompute_from(1)
        logger = "odoo.addons.crm_archive_policy.models.crm_archive_anchor"
        with mute_logger(logger):
            self.assertFalse(self.anchors._anchor())
        with self.store._open() as store:
            self.assertEqual(store.get(anchors.key), data)

    def test_anchor_of_another_database(self):
        """A copy has a log of its own; the original's anchors are not about it."""
        self.anchors._anchor()
        self.env["ir.config_parameter"].set_param("database.uuid", "another")
        self.tamper("DELETE FROM crm_archive_log WHERE id = %s", self.lines[2].id)
        self.assertTrue(self.log.verify_chain()["ok"])

    def test_damaged_anchor_is_said(self):
        anchors = self.anchors._anchor()
        with self.store._open() as store:
            store.put(anchors.key, b"not an anchor", overwrite=True)
        action = self.log.with_user(self.auditor).action_verify_chain()
        self.assertIn(anchors.key, action["params"]["message"])
        self.assertTrue(action["params"]["sticky"])

    def test_sweep_leaves_anchors_alone(self):
        """However old: no bundle names them, and they are no orphans."""
        outside = self.use_folder()
        anchors = self.anchors._anchor()
        with self.store._open() as store:
            store.put(anchors.key, b"{}")
        orphan = f"ab/ab{'0' * 30}.crmarc"
        with outside._open() as store:
            store.put(orphan, MAGIC)
        limit = patch.object(
            type(outside), "_get_sweep_limit", lambda *_a: datetime(2999, 1, 1)
        )
        with limit:
            list(outside._sweep())
            list(self.store._sweep())
        with outside._open() as store, self.store._open() as database:
            self.assertFalse(store.exists(orphan))
            self.assertTrue(store.exists(anchors.key))
            self.assertTrue(database.exists(anchors.key))

    def test_mailed_to_the_auditors(self):
        self.auditor.write(
            {"email": "auditor@example.com", "notification_type": "inbox"}
        )
        mails = self.env["mail.mail"].search([])
        anchors = self.anchors._anchor()
        mail = self.env["mail.mail"].search([]) - mails
        mine = mail.filtered(lambda m: self.auditor.partner_id in m.recipient_ids)
        self.assertEqual(len(mine), 1)
        self.assertIn(anchors.digest, mine.body_html)
        self.assertIn(str(anchors.sequence), mine.subject)
        self.assertFalse(mine.auto_delete)
        self.assertTrue(anchors.is_mailed)
        self.assertNotIn(self.seller.partner_id, mail.recipient_ids)

    def test_mail_is_a_setting(self):
        self.auditor.email = "auditor@example.com"
        self.env["res.config.settings"].create({"archive_anchor_mail": False}).execute()
        mails = self.env["mail.mail"].search_count([])
        self.assertFalse(self.anchors._anchor().is_mailed)
        self.assertEqual(self.env["mail.mail"].search_count([]), mails)

    def test_broken_store_keeps_nobody_else_from_it(self):
        outside = self.use_folder()
        company = self.env["res.company"].create({"name": "Other"})
        company.archive_store_id = self.store
        logger = "odoo.addons.crm_archive_policy.models.crm_archive_anchor"
        with patch.object(vault_config, "get_roots", list), mute_logger(logger):
            self.assertEqual(self.anchors._anchor().store_id, self.store)
        self.assertTrue(outside.activity_ids)

    def test_only_managers_anchor_by_hand(self):
        for user in (self.seller, self.officer, self.auditor):
            with self.assertRaises(AccessError):
                self.anchors.with_user(user).action_anchor()
        action = self.anchors.with_user(self.manager).action_anchor()
        self.assertEqual(action["params"]["type"], "success")

    def test_scheduled(self):
        with self.enter_registry_test_mode():
            self.env.ref("crm_archive_policy.ir_cron_anchor").method_direct_trigger()
        self.assertTrue(self.anchors.search([]))


@tagged("post_install", "-at_install")
class TestIncident(ChainCase):
    """The alarm rings, for those who can do something, once."""

    def run_verification(self):
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_archive_policy.ir_cron_verify_log"
            ).method_direct_trigger()
        self.env.invalidate_all()
        return self.env["crm.archive.incident"].search([])

    def break_it(self):
        self.tamper(
            "UPDATE crm_archive_log SET user_id = %s WHERE id = %s",
            self.seller.id,
            self.lines[1].id,
        )

    def test_nothing_wrong(self):
        self.assertFalse(self.run_verification())

    def test_rings_once(self):
        self.break_it()
        incident = self.run_verification()
        self.assertEqual(incident.trouble, "broken")
        self.assertEqual(incident.line, self.lines[1].id)
        people = incident.activity_ids.user_id
        self.assertLessEqual(self.auditor | self.manager, people)
        self.assertFalse(people & (self.seller | self.officer))
        notice = self.env["mail.message"].search(
            [("model", "=", incident._name), ("message_type", "=", "user_notification")]
        )
        told = notice.notified_partner_ids
        self.assertLessEqual((self.auditor | self.manager).partner_id, told)
        line = self.log.search([("res_model", "=", incident._name)])
        self.assertEqual((line.action, line.res_id), ("verify", incident.id))
        count = len(incident.activity_ids)
        self.assertEqual(self.run_verification(), incident)
        self.assertEqual(len(incident.activity_ids), count)

    def test_button_rings_too(self):
        self.break_it()
        self.log.with_user(self.auditor).action_verify_chain()
        self.assertTrue(self.env["crm.archive.incident"].search([]).activity_ids)

    def test_explained_and_not_again(self):
        self.break_it()
        incident = self.run_verification().with_user(self.manager)
        with self.assertRaisesRegex(UserError, "what has happened"):
            incident.action_close()
        incident.explanation = "A backup was restored."
        incident.action_close()
        self.assertEqual(incident.state, "closed")
        self.assertFalse(incident.sudo().activity_ids)
        self.assertEqual(self.run_verification(), incident.sudo())
        self.assertFalse(incident.sudo().activity_ids)

    def test_another_one_rings_again(self):
        self.break_it()
        incident = self.run_verification()
        self.tamper(
            "UPDATE crm_archive_log SET user_id = %s WHERE id = %s",
            self.seller.id,
            self.lines[0].id,
        )
        self.assertEqual(len(self.run_verification() - incident), 1)

    def test_who_closes(self):
        self.break_it()
        incident = self.run_verification()
        for user in (self.seller, self.officer, self.auditor):
            with self.assertRaises(AccessError):
                incident.with_user(user).action_close()
        with self.assertRaises(AccessError):
            incident.with_user(self.manager).write({"state": "closed"})
        with self.assertRaises(AccessError):
            incident.with_user(self.manager).write({"message": "nothing"})
