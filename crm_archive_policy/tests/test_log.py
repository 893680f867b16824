from psycopg2.errors import InsufficientPrivilege

from odoo.exceptions import AccessError, UserError
from odoo.tests import BaseCase, tagged
from odoo.tools import mute_logger

from ..lib import canonical, chain
from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestCanonical(BaseCase):
    """Equal values give equal bytes, different ones different bytes."""

    def test_order_and_white_space(self):
        self.assertEqual(
            canonical.dumps({"b": [1, None, True], "a": "é"}),
            '{"a":"é","b":[1,null,true]}'.encode(),
        )

    def test_hostile_text_round_trips(self):
        import json  # noqa: PLC0415

        for text in ("\ud800", "a\u202eb", "👩‍🚀", "\x00", '"\\'):
            with self.subTest(text=ascii(text)):
                self.assertEqual(json.loads(canonical.dumps([text])), [text])

    def test_refuses_what_json_cannot_say(self):
        for value in (float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                canonical.dumps(value)
        with self.assertRaises(TypeError):
            canonical.dumps({1: "a"})

    def test_fields_cannot_run_into_each_other(self):
        self.assertNotEqual(
            chain.digest(chain.GENESIS, {"a": "12", "b": "3"}),
            chain.digest(chain.GENESIS, {"a": "1", "b": "23"}),
        )

    def test_format_never_changes(self):
        """Golden digest: lines written years ago must verify for ever."""
        self.assertEqual(
            chain.digest(chain.GENESIS, {"sequence": 1, "action": "archive"}),
            "69219acc6a4132b9ba6a773bdb063ab0e377f6f885992239e7ea9b50d668b77e",
        )


@tagged("post_install", "-at_install")
class TestLog(ArchiveCase):
    """The audit log: complete, append-only, tamper-evident."""

    def setUp(self):
        super().setUp()
        self.log = self.env["crm.archive.log"]
        self.lead._archive({"archive_reason_id": self.reason.id})
        self.lead._restore()
        self.contact._archive()
        self.contact._restore()
        self.lines = self.log.search([], limit=4).sorted("sequence")

    def _tamper(self, query, *params):
        """Change rows as somebody would who may switch triggers off."""
        self.env.flush_all()
        self.env.cr.execute("ALTER TABLE crm_archive_log DISABLE TRIGGER USER")
        self.env.cr.execute(query, params)
        self.env.cr.execute("ALTER TABLE crm_archive_log ENABLE TRIGGER USER")
        self.env.invalidate_all()

    def test_intact(self):
        result = self.log.verify_chain()
        self.assertTrue(result["ok"])
        self.assertFalse(result["first_bad_id"])
        self.assertEqual(result["checked"], self.log.search_count([]))

    def test_lines_say_who_what_and_which(self):
        self.assertEqual(self.lines.mapped("action"), ["archive", "restore"] * 2)
        self.assertEqual(self.lines[0].res_model, "crm.lead")
        self.assertEqual(self.lines[0].reason_id, self.reason)
        self.assertEqual(self.lines[0].res_id, self.lead.id)
        self.assertEqual(self.lines.user_id, self.env.user)

    def test_history_of_one_record(self):
        found = self.log.search(
            [("res_model", "=", "res.partner"), ("res_id", "=", self.contact.id)]
        )
        self.assertEqual(found, self.lines[2:])

    def test_changed_column(self):
        for column, value in (
            ("user_id", self.seller.id),
            ("action", "keep"),
            ("res_ids", [1]),
            ("date", "2001-01-01"),
            ("res_model", "res.users"),
            ("details", '{"a":1}'),
            ("remote_address", "10.0.0.1"),
            ("company_id", None),
        ):
            with self.subTest(column=column), self.env.cr.savepoint() as savepoint:
                self._tamper(
                    f"UPDATE crm_archive_log SET {column} = %s WHERE id = %s",
                    value,
                    self.lines[1].id,
                )
                self.assertEqual(
                    self.log.verify_chain()["first_bad_id"], self.lines[1].id
                )
                savepoint.rollback()
                self.env.invalidate_all()
        self.assertTrue(self.log.verify_chain()["ok"])

    def test_deleted_line(self):
        self._tamper("DELETE FROM crm_archive_log WHERE id = %s", self.lines[1].id)
        self.assertEqual(self.log.verify_chain()["first_bad_id"], self.lines[2].id)

    def test_swapped_lines(self):
        self._tamper(
            """
            UPDATE crm_archive_log SET sequence = -sequence WHERE id IN (%s, %s);
            UPDATE crm_archive_log a SET sequence = -b.sequence
              FROM crm_archive_log b
             WHERE a.sequence < 0 AND b.sequence < 0 AND a.id <> b.id
               AND a.id = %s;
            UPDATE crm_archive_log SET sequence = %s WHERE id = %s;
            """,
            self.lines[0].id,
            self.lines[1].id,
            self.lines[0].id,
            self.lines[0].sequence,
            self.lines[1].id,
        )
        result = self.log.verify_chain()
        self.assertEqual(result["first_bad_id"], self.lines[1].id)

    def test_slipped_in_line(self):
        self._tamper(
            """
            UPDATE crm_archive_log SET sequence = sequence + 1 WHERE id = %s;
            INSERT INTO crm_archive_log (sequence, date, action, version, previous,
                                         digest, res_ids)
            SELECT sequence - 1, date, action, version, previous, digest, res_ids
              FROM crm_archive_log WHERE id = %s
            """,
            self.lines[3].id,
            self.lines[3].id,
        )
        self.assertFalse(self.log.verify_chain()["ok"])

    @mute_logger("odoo.sql_db")
    def test_triggers_refuse_sql(self):
        for query in (
            "UPDATE crm_archive_log SET action = 'keep'",
            "DELETE FROM crm_archive_log",
            "TRUNCATE crm_archive_log",
        ):
            with (
                self.subTest(query=query),
                self.assertRaisesRegex(InsufficientPrivilege, "append-only"),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(query)

    def test_orm_refuses(self):
        line = self.lines[0].with_user(self.manager)
        for act in (
            lambda: line.write({"action": "keep"}),
            line.unlink,
            lambda: line.create({"action": "keep"}),
            lambda: line.sudo().write({"action": "keep"}),
            line.sudo().unlink,
        ):
            with self.assertRaisesRegex(UserError, "append-only"):
                act()

    def test_only_auditors_and_managers_verify(self):
        for user in (self.seller, self.officer):
            with self.assertRaises(AccessError):
                self.log.with_user(user).verify_chain()
            with self.assertRaises(AccessError):
                self.log.with_user(user).search([])
        self.assertTrue(self.log.with_user(self.auditor).verify_chain()["ok"])
        self.assertTrue(self.log.with_user(self.manager).verify_chain()["ok"])

    def test_failure_takes_the_line_with_it(self):
        """State and audit line share one fate."""
        count = self.log.search_count([])
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.lead._archive()
            raise ZeroDivisionError
        self.assertEqual(self.log.search_count([]), count)
        self.assertEqual(self.lead.archive_state, "live")

    def test_batch_is_one_line(self):
        leads = self.lead | self.create_lead("a") | self.create_lead("b")
        leads._archive()
        line = self.log.search([], limit=1)
        self.assertEqual(line.res_count, 3)
        for lead in leads:
            self.assertIn(line, self.log.search([("res_id", "=", lead.id)]))

    def test_button(self):
        action = self.log.with_user(self.auditor).action_verify_chain()
        self.assertEqual(action["params"]["type"], "success")
        self._tamper("DELETE FROM crm_archive_log WHERE id = %s", self.lines[0].id)
        action = self.log.with_user(self.auditor).action_verify_chain()
        self.assertEqual(action["params"]["type"], "danger")
        self.assertIn(str(self.lines[1].id), action["params"]["message"])
