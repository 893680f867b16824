"""What protects the log, held records and stored objects, through the real entrance."""

import json

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..lib.bundle import Table
from .attack_common import Attacker
from .test_audit_chain import ChainCase
from .test_vault_refused import ForgerCase
from .vault_purge_common import PurgeCase


class RpcCase(HttpCase):
    def setUp(self):
        super().setUp()
        self.enterContext(mute_logger("odoo.http", "odoo.sql_db"))

    def call(self, user, model, method, *args, **kwargs):
        """Call a method in a session of a person; return the whole answer."""
        return json.loads(Attacker(self, user).call(model, method, *args, **kwargs))

    def assertRefused(self, answer, words):
        self.assertIn("error", answer)
        self.assertIn(words, answer["error"]["data"]["message"])


@tagged("post_install", "-at_install")
class TestLogOverRpc(RpcCase, ChainCase):
    """An auditor asks whether the log is what it was (F1, F2)."""

    def verify(self):
        return self.call(self.auditor, "crm.archive.log", "verify_chain")["result"]

    def assertFirstBad(self, line):
        result = self.verify()
        self.assertEqual((result["ok"], result["first_bad_id"]), (False, line.id))

    def test_intact(self):
        self.assertTrue(self.verify()["ok"])

    def test_changed(self):
        self.tamper(
            "UPDATE crm_archive_log SET user_id = %s WHERE id = %s",
            self.seller.id,
            self.lines[1].id,
        )
        self.assertFirstBad(self.lines[1])

    def test_deleted(self):
        self.tamper("DELETE FROM crm_archive_log WHERE id = %s", self.lines[1].id)
        self.assertFirstBad(self.lines[2])

    def test_swapped(self):
        first, second = self.lines[:2]
        self.swap(first, second)
        self.assertFirstBad(second)

    def test_forked(self):
        """A line that follows the one before the last."""
        last = self.lines[2]
        self.tamper(
            "UPDATE crm_archive_log SET previous = %s WHERE id = %s",
            self.lines[1].previous,
            last.id,
        )
        self.assertFirstBad(last)

    def test_tail_cut(self):
        self.anchors._anchor()
        self.tamper("DELETE FROM crm_archive_log WHERE id = %s", self.lines[2].id)
        self.assertFirstBad(self.lines[1])

    def test_recomputed(self):
        self.anchors._anchor()
        self.tamper("UPDATE crm_archive_log SET user_id = %s", self.seller.id)
        self.recompute_from(1)
        self.assertFirstBad(self.lines[2])


@tagged("post_install", "-at_install")
class TestHoldsOverRpc(RpcCase, PurgeCase):
    """Nothing under a legal hold is destroyed, whoever asks (F4)."""

    def hold(self, *records):
        hold = self.env["crm.archive.hold"].with_user(self.manager)
        names = {"crm.lead": "lead_ids", "res.partner": "partner_ids"}
        names["crm.archive.entry"] = "entry_ids"
        for each in records:
            created = hold.create(
                {
                    "name": "Case 7",
                    "reason": "Suit",
                    "company_id": False,
                    names[each._name]: [(6, 0, each.ids)],
                }
            )
            created.action_start()

    def test_unlink_and_merge(self):
        twin, other = self.create_contact("Twin"), self.create_lead("Other")
        self.manager.group_ids += self.env.ref("sales_team.group_sale_manager")
        self.hold(twin, other)
        for record in (twin, other):
            answer = self.call(self.manager, record._name, "unlink", record.ids)
            self.assertRefused(answer, "legal hold")
        values = {
            "partner_ids": [[6, 0, (self.contact | twin).ids]],
            "dst_partner_id": self.contact.id,
        }
        merge = "base.partner.merge.automatic.wizard"
        wizard = self.call(self.manager, merge, "create", [values])["result"]
        answer = self.call(self.manager, merge, "action_merge", wizard)
        self.assertRefused(answer, "cannot be merged")
        values = {"opportunity_ids": [[6, 0, (self.lead | other).ids]]}
        wizard = self.call(self.manager, "crm.merge.opportunity", "create", [values])
        answer = self.call(
            self.manager, "crm.merge.opportunity", "action_merge", wizard["result"]
        )
        self.assertRefused(answer, "cannot be merged")
        for record in (twin, other):
            self.assertTrue(record.exists())

    def test_purge(self):
        """Asked for by one manager and approved by another, live and in the vault."""
        live = self.archive(self.create_lead("Live"))
        entry = self.vault(self.archive(self.create_lead("Vaulted")))
        for record in (live, entry):
            purge = self.ask_purge(record)
            self.hold(record)
            answer = self.call(
                self.second, "crm.archive.purge", "action_approve", purge.ids
            )
            self.assertNotIn("error", answer)
            self.run_cron()
            self.env.invalidate_all()
            self.assertEqual(purge.line_ids.mapped("outcome"), ["hold"])
        self.assertTrue(live.exists())
        self.assertEqual(entry.state, "vaulted")

    def ask_purge(self, records):
        """Ask for a purge by its dialog, as the first manager."""
        context = {"active_model": records._name, "active_ids": records.ids}
        dialog = "crm.archive.purge.ask"
        values = {"reason": "Its time is over", "act": "delete"}
        wizard = self.call(self.manager, dialog, "create", [values], context=context)
        self.call(self.manager, dialog, "action_ask", wizard["result"], context=context)
        self.env.invalidate_all()
        return self.env["crm.archive.purge"].search([], limit=1)


@tagged("post_install", "-at_install")
class TestHostileObjectOverRpc(RpcCase, ForgerCase):
    """An object with a table or a column that nobody asked for (E9)."""

    def restore(self):
        """Restore by the dialog, as an officer does."""
        opened = self.call(
            self.officer, "crm.archive.entry", "action_restore", self.entry.ids
        )
        if "error" in opened:
            return opened
        dialog = opened["result"]
        return self.call(
            self.officer,
            dialog["res_model"],
            "action_restore",
            [dialog["res_id"]],
            context={"restore_cause": "mistake"},
        )

    def assertNobodyCame(self, answer):
        self.assertNotIn("mallory", json.dumps(answer))
        self.env.invalidate_all()
        self.env.cr.execute("SELECT count(*) FROM res_users WHERE login = 'mallory'")
        self.assertEqual(self.env.cr.fetchone(), (0,))

    def test_unchanged_comes_back(self):
        """The way that the other tests go is the way of an honest restore."""
        self.forge()
        self.assertNotIn("error", self.restore())
        self.env.invalidate_all()
        self.assertTrue(self.lead.exists())

    def test_foreign_table(self):
        self.forge(self.add_users_table, self.add_user)
        answer = self.restore()
        self.assertIn("error", answer)
        self.assertNobodyCame(answer)
        self.assertEqual(self.entry.state, "vaulted")
        self.assertFalse(self.lead.exists())

    def test_foreign_table_that_the_index_believes_in(self):
        """What belongs to the record comes back, and nothing else does."""
        self.forge(self.add_users_table, self.add_user, trusted=True)
        self.assertNobodyCame(self.restore())
        self.assertTrue(self.lead.exists())

    def test_foreign_column(self):
        """A name out of an object is never put into a statement."""

        def change(tables):
            [place] = [i for i, each in enumerate(tables) if each.name == "crm_lead"]
            columns = (
                *tables[place].columns,
                ('id"; DROP TABLE res_users; --', "int4"),
            )
            tables[place] = Table("crm_lead", columns)

        def add(rows, _columns):
            rows["crm_lead"][0].append("1")

        self.forge(change, add, trusted=True)
        self.assertNobodyCame(self.restore())
        self.assertTrue(self.lead.exists())
