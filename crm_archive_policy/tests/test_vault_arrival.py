import json
from datetime import timedelta
from unittest.mock import patch

from odoo import Command, fields
from odoo.sql_db import Cursor
from odoo.tests import new_test_user, tagged
from odoo.tools import SQL

from ..lib.bundle import BundleForeign
from ..models.crm_archive_mixin_write import Arrived
from ..vault import proof
from ..vault.arrival import Arrival
from ..vault.staging import as_array
from .vault_common import VaultCase


@tagged("post_install", "-at_install")
class TestVaultArrival(VaultCase):
    """Leads arrive live: inserted once, and all of Odoo is told all the same."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.policy = cls.create_policy("crm.lead", name="Old leads")
        cls.leads = cls.env["crm.lead"].create(
            [{"name": f"Arriving {n}", "user_id": cls.env.uid} for n in range(12)]
        )

    def _vault(self, leads=None, **values):
        return self.vault(
            self.leads if leads is None else leads,
            archive_policy_id=self.policy.id,
            archive_restricted=True,
            **values,
        )

    def _row(self, lead, *names):
        """Return what the database holds, past the cache."""
        columns = SQL(", ").join(map(SQL.identifier, names))
        return self.env.execute_query(
            SQL("SELECT %s FROM crm_lead WHERE id = %s", columns, lead.id)
        )[0]

    def test_rows_are_written_once(self):
        entries = self._vault()
        statements = []
        execute = Cursor.execute

        def collect(cursor, query, params=None, log_exceptions=True):
            statements.append(query.code if isinstance(query, SQL) else str(query))
            return execute(cursor, query, params, log_exceptions)

        with patch.object(Cursor, "execute", collect):
            entries._restore()
            self.env.flush_all()
        writes = [text for text in statements if text.startswith('UPDATE "crm_lead"')]
        self.assertEqual(writes, [])
        self.assertEqual(
            self._row(
                self.leads[0],
                *("active", "archive_state", "archive_policy_id", "archive_date"),
                *("archive_restricted", "archive_user_id", "write_uid"),
            ),
            (True, "live", None, None, False, None, self.env.uid),
        )
        self.assertEqual(self.leads.mapped("archive_state"), ["live"] * 12)

    def test_all_of_odoo_is_told(self):
        """Overrides see what was archived become active; one line names them all."""
        entries = self._vault()
        seen = []
        write = type(self.env["crm.lead"]).write

        def spy(records, vals):
            if "active" in vals:
                seen.append((records.ids, set(records.mapped("archive_state")), vals))
            return write(records, vals)

        with patch.object(type(self.env["crm.lead"]), "write", spy):
            entries._restore(details={"cause": "audit"})
        [(ids, states, vals)] = seen
        self.assertEqual(sorted(ids), sorted(self.leads.ids))
        self.assertEqual((states, vals), ({"archived"}, {"active": True}))
        [(ids,)] = self.execute(
            "SELECT res_ids FROM crm_archive_log WHERE action = 'restore'"
            " ORDER BY sequence DESC LIMIT 1"
        )
        self.assertEqual(sorted(ids), sorted(self.leads.ids))
        kept = self.env["crm.archive.candidate"].search(
            [("policy_id", "=", self.policy.id), ("res_id", "in", self.leads.ids)]
        )
        self.assertEqual(set(kept.mapped("verdict")), {"kept"})
        self.assertEqual(len(kept), 12)

    def test_another_value_on_the_way_is_written(self):
        """What somebody sets while the records are told of it holds, and what the
        lifecycle sets after that as well."""
        entries = self._vault()
        due = fields.Date.today() + timedelta(days=9)
        let_go = type(self.env["crm.archive.policy"])._let_go_of_restored

        def name_again(policy, records):
            let_go(policy, records)
            records[0]._set_pending(policy, due)
            records[1]._set_pending(policy, due)
            self.env.flush_all()
            records[1]._set_pending(False)

        policies = type(self.env["crm.archive.policy"])
        with patch.object(policies, "_let_go_of_restored", name_again):
            restored = entries._restore()
        self.assertEqual(
            self._row(restored[0], "archive_state", "archive_due_date"),
            ("pending", due),
        )
        self.assertEqual(
            self._row(restored[1], "archive_state", "archive_due_date"), ("live", None)
        )

    def test_what_was_inactive_takes_the_long_way(self):
        lost, usual = self.leads[:2]
        lost.action_set_lost()
        self._vault(lost | usual)._restore()
        self.env.flush_all()
        self.assertEqual(self._row(lost, "active", "archive_state"), (False, "live"))
        self.assertEqual(self._row(usual, "active", "archive_state"), (True, "live"))
        self.assertEqual(lost.won_status, "lost")

    def test_nobody_comes_back_without_a_word(self):
        """Were the records taken for live already, no line would tell of them."""
        entries = self._vault()
        leads = type(self.env["crm.lead"])
        restore = leads._restore

        def forget(records, details=None):
            records.invalidate_recordset()
            return restore(records, details)

        with (
            patch.object(leads, "_restore", forget),
            self.assertRaisesRegex(RuntimeError, "12 records"),
        ):
            entries._restore()
        self.env.invalidate_all()
        self.assertFalse(self.leads.exists())
        self.assertEqual(set(entries.mapped("state")), {"vaulted"})

    def test_the_proof_covers_what_arrives(self):
        """A lifecycle column that is not what it has to be is found as any other."""
        entries = self._vault()
        prove = proof.prove

        def spoil(restore, kept_columns):
            self.env.cr.execute(
                "UPDATE crm_lead SET archive_state = 'pending' WHERE id = %s",
                [self.leads[3].id],
            )
            prove(restore, kept_columns)

        path = "odoo.addons.crm_archive_policy.models.crm_archive_entry_restore.prove"
        with patch(path, spoil), self.assertRaises(BundleForeign):
            entries._restore()

    def test_a_look_shows_what_was_captured(self):
        """A drill, and a hold that looks into the vault, see the records archived."""
        entries = self._vault()
        self.bring_back(entries)
        self.assertEqual(
            self._row(self.leads[0], "active", "archive_state", "archive_policy_id"),
            (False, "archived", self.policy.id),
        )

    def test_a_bundle_without_the_columns_takes_the_long_way(self):
        entries = self._vault()
        arrival = Arrival({"a_column_of_tomorrow": None}, unless="archive_snapshot")
        leads = type(self.env["crm.lead"])
        with patch.object(leads, "_prepare_arrival", lambda _records: arrival):
            entries._restore()
        self.env.flush_all()
        self.assertEqual(
            self._row(self.leads[0], "active", "archive_state"), (True, "live")
        )

    def test_left_out_once_only(self):
        arrived = Arrived([1], {"state": "live", "date": None})
        self.assertEqual(arrived.leave_out(1, {"state": "live", "x": 2}), {"x": 2})
        self.assertEqual(arrived.leave_out(2, {"state": "live"}), {"state": "live"})
        self.assertEqual(arrived.leave_out(1, {"state": "old"}), {"state": "old"})
        self.assertEqual(arrived.leave_out(1, {"state": "live"}), {"state": "live"})


@tagged("post_install", "-at_install")
class TestVaultStatements(VaultCase):
    """Single statements that say what the ORM would have said, record by record."""

    def test_kept_candidates(self):
        """Owner and company are those that the candidate's own methods find."""
        company = self.env["res.company"].create({"name": "Another"})
        gone = new_test_user(self.env, "gone", groups="sales_team.group_sale_salesman")
        owner = new_test_user(self.env, "here", groups="sales_team.group_sale_salesman")
        gone.company_ids = owner.company_ids = [Command.link(company.id)]
        leads = self.env["crm.lead"].create(
            [
                {"name": "Owned", "user_id": owner.id, "company_id": company.id},
                {"name": "Left behind", "user_id": gone.id},
                {"name": "Nobody's", "user_id": False, "team_id": False},
            ]
        )
        gone.active = False
        policy = self.create_policy("crm.lead", company_id=self.env.company.id)
        candidates = self.env["crm.archive.candidate"]
        until = fields.Date.today()
        candidates._create_kept(policy, leads, keep_until=until, note="Why")
        kept = candidates.search([("policy_id", "=", policy.id)], order="res_id")
        usual = candidates.create(
            [
                {
                    "policy_id": policy.id,
                    "res_model": "crm.lead",
                    "res_id": lead.id,
                    "verdict": "kept",
                    "user_id": self.env.uid,
                    "keep_until": until,
                    "note": "Why",
                }
                for lead in leads
            ]
        )
        names = ["res_id", "company_id", "owner_id", "verdict", "user_id"]
        names += ["keep_until", "note", "is_automatic", "create_uid"]
        for one, other in zip(kept, usual, strict=True):
            for name in names:
                with self.subTest(lead=one.res_id, field=name):
                    self.assertEqual(one[name], other[name])

    def test_lines_become_arrays(self):
        """Whatever a text holds, the array has the same."""
        row = ["plain", None, "NULL", "null", "", "{a,b}", 'quo"te', "back\\slash"]
        row += [
            "\\n \\u0041 \\\\",
            "\n\t\r\b\f/",
            "\x01\x1f\x7f",
            "é 漢 😀",
            " x ",
            ",",
        ]
        for ascii_only in (True, False):
            line = json.dumps(row, ensure_ascii=ascii_only, separators=(",", ":"))
            with self.subTest(line=line):
                self.env.cr.execute("SELECT %s::text[]", [as_array(line)])
                self.assertEqual(self.env.cr.fetchone()[0], row)
