"""Who was shown restricted data: noted once a person, record and day."""

from unittest.mock import patch

from psycopg2.errors import ReadOnlySqlTransaction

from odoo.tests import HttpCase, tagged

from .vault_common import VaultCase

SEEN = "odoo.addons.crm_archive_policy.models.crm_archive_seen"


class ReadsCase(VaultCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.leads = cls.lead | cls.create_lead("Second")
        cls.leads._archive({"archive_restricted": True})
        cls.contact._archive({"archive_restricted": True})
        cls.open_lead = cls.create_lead("Not restricted")
        cls.open_lead._archive()

    def get_looks(self, user, model="crm.lead", action="read"):
        self.env.invalidate_all()
        return self.env["crm.archive.log"].search(
            [
                ("action", "=", action),
                ("user_id", "=", user.id),
                ("res_model", "=", model),
            ]
        )

    def get_ids(self, lines):
        self.env.cr.execute(
            "SELECT array_agg(DISTINCT i) FROM crm_archive_log, unnest(res_ids) i"
            " WHERE id = ANY(%s)",
            [lines.ids],
        )
        return set(self.env.cr.fetchone()[0] or ())


@tagged("post_install", "-at_install")
class TestReads(ReadsCase, HttpCase):
    """Through the real entrance: sessions and RPC."""

    def call(self, user, model, method, *args, **kwargs):
        self.authenticate(user.login, user.login.ljust(8, "x"))
        self.env.flush_all()
        return self.make_jsonrpc_request(
            f"/web/dataset/call_kw/{model}/{method}",
            {"model": model, "method": method, "args": args, "kwargs": kwargs},
        )

    def list_leads(self, user):
        return self.call(
            user,
            "crm.lead",
            "web_search_read",
            domain=[("archive_state", "=", "archived")],
            specification={"name": {}, "partner_id": {"fields": {"display_name": {}}}},
            context={"active_test": False},
        )

    def test_list_is_one_line(self):
        shown = self.list_leads(self.officer)
        self.assertIn(self.lead.id, [values["id"] for values in shown["records"]])
        line = self.get_looks(self.officer)
        self.assertEqual(len(line), 1)
        self.assertEqual(self.get_ids(line), set(self.leads.ids))
        self.assertEqual(line.remote_address, "127.0.0.1")
        self.assertNotIn(self.open_lead.id, self.get_ids(line))

    def test_sampled_once_a_day(self):
        self.call(self.officer, "crm.lead", "read", self.lead.ids, ["name"])
        self.assertEqual(self.get_ids(self.get_looks(self.officer)), {self.lead.id})
        self.call(self.officer, "crm.lead", "read", self.lead.ids, ["name"])
        self.assertEqual(len(self.get_looks(self.officer)), 1)
        # The other one was not seen yet, and somebody else has not seen any.
        self.list_leads(self.officer)
        lines = self.get_looks(self.officer)
        self.assertEqual(len(lines), 2)
        self.assertEqual(self.get_ids(lines[0]), set((self.leads - self.lead).ids))
        self.list_leads(self.manager)
        self.assertEqual(
            self.get_ids(self.get_looks(self.manager)), set(self.leads.ids)
        )

    def test_next_day(self):
        """Yesterday's look does not cover today's."""
        now = "now() AT TIME ZONE 'UTC' - interval '24 hours'"
        self.execute("ALTER TABLE crm_archive_log DISABLE TRIGGER USER")
        self.call(self.officer, "crm.lead", "read", self.lead.ids, ["name"])
        self.execute(f"UPDATE crm_archive_log SET date = {now} WHERE action = 'read'")
        self.execute("ALTER TABLE crm_archive_log ENABLE TRIGGER USER")
        self.call(self.officer, "crm.lead", "read", self.lead.ids, ["name"])
        self.assertEqual(len(self.get_looks(self.officer)), 2)

    def test_every_way_to_read(self):
        ids = self.contact.ids
        for user, method, args, kwargs in (
            (self.officer, "read", [ids, ["name"]], {}),
            (self.auditor, "web_read", [ids], {"specification": {"name": {}}}),
            (
                self.manager,
                "search_read",
                [],
                {
                    "domain": [("id", "in", ids)],
                    "fields": ["name"],
                    "context": {"active_test": False},
                },
            ),
        ):
            with self.subTest(method=method):
                shown = self.call(user, "res.partner", method, *args, **kwargs)
                self.assertEqual(shown[0]["name"], "Silent contact")
                lines = self.get_looks(user, "res.partner")
                self.assertEqual(self.get_ids(lines), set(ids))

    def test_outside_of_the_groups(self):
        """Nothing is shown, and so nothing is noted."""
        shown = self.list_leads(self.seller)
        self.assertEqual([v["id"] for v in shown["records"]], self.open_lead.ids)
        self.assertFalse(self.get_looks(self.seller))

    def test_live_records_are_not_noted(self):
        live = self.create_lead("live")
        self.call(self.officer, "crm.lead", "read", live.ids, ["name"])
        self.assertFalse(self.get_looks(self.officer))

    def test_entries(self):
        entries = self.vault(self.leads)
        self.call(
            self.officer,
            "crm.archive.entry",
            "web_search_read",
            domain=[("id", "in", entries.ids)],
            specification={"name": {}, "email": {}},
        )
        line = self.get_looks(self.officer)
        self.assertEqual(self.get_ids(line), set(self.leads.ids))
        self.assertEqual(len(line), 1)

    def test_list_is_no_look_at_the_content(self):
        """A picture that is opened past the page of the content is noted."""
        entry = self.vault(self.lead)
        specification = {"name": {}}
        self.call(
            self.officer,
            "crm.archive.entry",
            "web_read",
            entry.ids,
            specification=specification,
        )
        entry = entry.with_user(self.officer)
        self.assertTrue(self.get_looks(self.officer))
        self.assertFalse(entry._has_looked())
        entry.get_content()
        self.assertTrue(entry._has_looked())

    def test_export(self):
        """What leaves as a file is noted each time."""
        self.officer.group_ids += self.env.ref("base.group_allow_export")
        for _time in range(2):
            self.call(self.officer, "crm.lead", "export_data", self.leads.ids, ["name"])
        lines = self.get_looks(self.officer, action="export")
        self.assertEqual(len(lines), 2)
        self.assertEqual(self.get_ids(lines), set(self.leads.ids))

    def test_failed_request_leaves_no_line(self):
        with self.assertRaises(Exception):  # noqa: B017  whatever RPC makes of it
            self.call(self.officer, "crm.lead", "read", self.lead.ids, ["no_field"])
        self.assertFalse(self.get_looks(self.officer))


@tagged("post_install", "-at_install")
class TestReadsCost(ReadsCase):
    """The daily screens are as they were."""

    COLUMNS = {
        "name": {},
        "partner_id": {"fields": {"display_name": {}}},
        "user_id": {"fields": {"display_name": {}}},
        "tag_ids": {"fields": {"display_name": {}, "color": {}}},
    }

    def count_queries(self, user, method, is_noted):
        """Return how many queries a list of live records takes."""
        leads = self.env["crm.lead"].with_user(user)
        columns = ["name"] if method == "search_read" else self.COLUMNS
        for _warm in range(2):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            with patch(f"{SEEN}.request", is_noted):
                getattr(leads, method)([("archive_state", "=", "live")], columns)
            count = self.env.cr.sql_log_count - before
        return count

    def test_not_one_query_more(self):
        for number in range(10):
            partner = self.create_contact(f"Customer {number}")
            self.create_lead(f"Live {number}", partner_id=partner.id)
        for user in (self.seller, self.officer, self.manager):
            for method in ("search_read", "web_search_read"):
                with self.subTest(user=user.login, method=method):
                    self.assertEqual(
                        self.count_queries(user, method, True),
                        self.count_queries(user, method, False),
                    )
        self.assertFalse(self.get_looks(self.officer))

    def test_read_only_cursor_asks_for_another(self):
        """Odoo then serves the request again, with a cursor that can write."""
        lead = self.lead.with_user(self.officer)
        with (
            patch(f"{SEEN}.request", True),
            patch.object(type(self.env.cr), "readonly", True, create=True),
            self.assertRaises(ReadOnlySqlTransaction),
        ):
            lead.read(["name"])

    def test_programs_are_nobody(self):
        self.lead.with_user(self.officer).read(["name"])
        with patch(f"{SEEN}.request", True):
            self.lead.with_user(self.officer).sudo().read(["name"])
        self.env.cr.precommit.run()
        self.assertFalse(self.get_looks(self.officer))
