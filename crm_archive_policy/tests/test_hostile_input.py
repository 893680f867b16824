"""What people with rights may not do either, through the real entrance."""

import json

from psycopg2 import Error

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .attack_common import Attacker
from .common import ArchiveCase

NESTED = "('partner_id', 'any', ["

#: Domains that are refused, with words of the reason.
DOMAINS = (
    ("[('no_such_field', '=', 1)]", "no_such_field"),
    ("[('name', 'no such operator', 1)]", "no such operator"),
    ("[('name', '=', ", ""),
    ("[('name', '=', 'x'); DROP TABLE crm_lead; --')]", ""),
    ("__import__('os').system('true')", ""),
    ("[('name', '=', __import__('os').getcwd())]", ""),
    ("[('name', '=', user.password)]", ""),
    ("{'name': 1}", "list of conditions"),
    ("[" + "('id', '=', 1)," * 10_000 + "]", "longer than"),
    ("[" + "('id', '=', 1)," * 501 + "]", "more than 500 conditions"),
    ("['|']", ""),
    ("[" + "-" * 3000 + "1]", "recursion"),
    (f"[{'(' * 400}{')' * 400}]", ""),
    (f"[{NESTED * 300}{'])' * 300}]", ""),
    (
        "[('partner_id', 'any', [" + "('id', '=', 1)," * 501 + "])]",
        "more than 500 conditions",
    ),
)


@tagged("post_install", "-at_install")
class TestHostileInput(ArchiveCase, HttpCase):
    def setUp(self):
        super().setUp()
        self.enterContext(mute_logger("odoo.http", "odoo.sql_db"))
        self.spy = Attacker(self, self.manager)

    def ask(self, model, method, *args, **kwargs):
        return json.loads(self.spy.call(model, method, *args, **kwargs))

    def assertRejected(self, answer, reason=""):
        """Refused with a message for people, not with a broken server."""
        self.assertIn("error", answer)
        self.assertEqual(
            answer["error"]["data"]["name"], "odoo.exceptions.ValidationError"
        )
        message = answer["error"]["data"]["message"]
        self.assertIn(reason, message)
        self.assertLess(len(message), 1500)

    def test_domains_of_policies(self):
        policy = self.create_policy()
        values = {
            "name": "Hostile",
            "model_id": policy.model_id.id,
            "reason_id": self.reason.id,
        }
        for domain, reason in DOMAINS:
            with self.subTest(domain=domain[:60]):
                new = {**values, "domain": domain}
                answer = self.ask("crm.archive.policy", "create", [new])
                self.assertRejected(answer, reason)
                answer = self.ask(
                    "crm.archive.policy", "write", policy.ids, {"domain": domain}
                )
                self.assertRejected(answer, reason)
                policy.invalidate_recordset()
                self.assertEqual(policy.domain, "[]")

    def test_domains_of_guards_and_holds(self):
        for domain, reason in DOMAINS:
            with self.subTest(domain=domain[:60]):
                guard = {
                    "name": "Hostile",
                    "model_name": "crm.lead",
                    "link_field": "partner_id",
                    "domain": domain,
                    "message": "x",
                }
                self.assertRejected(self.ask("crm.archive.guard", "create", [guard]))
                hold = {
                    "name": "Hostile",
                    "reason": "x",
                    "kind": "domain",
                    "res_model": "crm.lead",
                    "domain": domain,
                }
                answer = self.ask("crm.archive.hold", "create", [hold])
                self.assertRejected(answer, reason)

    def test_quotes_are_values(self):
        """A domain may hold any text: it reaches the database as a value."""
        policy = self.create_policy()
        ids = list(range(1, 5000))
        name = "'; DELETE FROM crm_lead; --"
        domain = str([("name", "=", name), ("id", "in", ids)])
        answer = self.ask("crm.archive.policy", "write", policy.ids, {"domain": domain})
        self.assertIs(answer["result"], True)
        self.assertIn(
            "result", self.ask("crm.archive.policy", "action_run", policy.ids)
        )
        self.assertTrue(self.lead.exists())

    def test_places_of_stores(self):
        for url in (
            "file:///etc",
            "file:///var/../etc",
            "file://../../etc",
            "http://169.254.169.254/latest/meta-data",
            "sftp://user:hunter2@host/x",
            "sftp://169.254.169.254/x\nINFO forged line of the log",
            "gopher://host/x",
        ):
            values = {"name": "Hostile", "kind": "fsspec", "url": url}
            with self.subTest(url=url):
                answer = self.ask("crm.archive.store", "create", [values])
                self.assertNotIn("hunter2", str(answer))
                if "error" in answer:
                    self.assertRejected(answer)
                else:  # found out when connecting, as a name may mean it later
                    ids = answer["result"]
                    self.ask("crm.archive.store", "action_check_health", ids)
                    [shown] = self.ask("crm.archive.store", "read", ids, ["state"])[
                        "result"
                    ]
                    self.assertEqual(shown["state"], "failed")

    def test_nothing_changes_the_log(self):
        """Neither by RPC, nor for a program with a connection to the database."""
        self.lead._archive()
        line = self.env["crm.archive.log"].search([], limit=1)
        self.assertTrue(line)
        self.env.user.group_ids += self.env.ref("base.group_system")
        for user in (self.manager, self.auditor, self.env.ref("base.user_admin")):
            if user.login == "admin":
                user.password = "admin".ljust(8, "x")
            self.spy = Attacker(self, user)
            for method, args in (
                ("write", [line.ids, {"user_id": 1}]),
                ("unlink", [line.ids]),
                ("create", [[{"action": "archive", "user_id": 1}]]),
                ("copy", [line.ids]),
                ("web_save", [line.ids, {"remote_address": "x"}, {}]),
            ):
                with self.subTest(user=user.login, method=method):
                    self.assertIn("error", self.ask("crm.archive.log", method, *args))
        for query in (
            "UPDATE crm_archive_log SET user_id = 1",
            "DELETE FROM crm_archive_log",
            "TRUNCATE crm_archive_log",
        ):
            with (
                self.subTest(query=query),
                self.assertRaises(Error),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(query)
        self.assertTrue(self.env["crm.archive.log"].verify_chain()["ok"])
