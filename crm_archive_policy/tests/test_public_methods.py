"""Every public method and every address of the add-on is checked, the new ones too.

A method without a leading underscore can be called by whoever has a session, with any
ids and any context. Each has a line in public_methods.py that says how it answers
people who have no business with it; one without a line fails the test.
"""

import inspect
import json

from odoo.exceptions import AccessError
from odoo.http import Controller
from odoo.service.model import get_public_method
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from .attack_common import MARKER, AttackCase, Attacker
from .public_methods import OPENS, REFUSED

ADDON = "odoo.addons.crm_archive_policy"

#: Arguments where a method needs some.
ARGUMENTS = {
    "create": [[{"archive_restricted": True, "name": "x", "domain": "[]"}]],
    "export_data": [["display_name"]],
    "message_update": [{"body": "x"}],
    "write": [{"archive_restricted": False, "company_id": False, "active": True}],
    "default_get": [["res_ids", "record_ids", "candidate_ids"]],
    "get_content": [None],
    "find_or_create": [f"{MARKER}-contact@example.com"],
    "message_route": ["message", {}],
}

#: Values that an attacker gives a dialog of their own, beside the forged context.
DIALOGS = {
    "crm.archive.wizard": {"is_restricted": True, "cascade_leads": "archive"},
    "crm.archive.hold.lift": {"reason": "x"},
    "crm.archive.erase": {"email": f"{MARKER}-contact@example.com"},
    "crm.archive.purge.ask": {"act": "delete", "reason": "x"},
    "crm.archive.keep": {"candidate_ids": [1]},
}


#: The errors that a refusal may be: of rights, or of what cannot be sent in JSON.
ERRORS = (
    "odoo.exceptions.AccessError",
    "odoo.exceptions.AccessDenied",
    "odoo.exceptions.MissingError",
    "odoo.exceptions.UserError",
    "builtins.KeyError",
)

#: The addresses of the add-on, with the numbers of what somebody else may see.
ROUTES = {
    "/crm_archive/entry/<int:entry_id>/attachment/<int:attachment_id>": (
        "/crm_archive/entry/%(entry)s/attachment/%(attachment)s?inline=1"
    ),
    "/crm_archive/export/<int:part_id>": "/crm_archive/export/%(part)s",
    "/crm_archive/subject/<int:export_id>": "/crm_archive/subject/%(part)s",
    "/crm_archive/report/<int:report_id>/lines.csv": (
        "/crm_archive/report/%(report)s/lines.csv"
    ),
}


def get_subclasses(cls):
    """Return all classes that are derived from one."""
    found = set(cls.__subclasses__())
    return found.union(*map(get_subclasses, found))


def is_own(function):
    return inspect.isfunction(function) and function.__module__.startswith(ADDON)


@tagged("post_install", "-at_install")
class TestPublicMethods(AttackCase):
    def setUp(self):
        super().setUp()
        self.enterContext(mute_logger("odoo.http", "odoo.addons.base.models.ir_rule"))

    def get_public_methods(self):
        """Return what the add-on lets people call.

        :return: ``{(model, method)}``
        """
        found = set()
        for name in self.env:
            model = self.env[name]
            if model._abstract and self.has_concrete(name):
                continue  # has no rows nor rights of its own: those that inherit it do
            for base in type(model).mro():
                for method, function in vars(base).items():
                    if is_own(function) and not (
                        # Core's, for every document: once is enough.
                        method == "message_route" and name != "res.partner"
                    ):
                        try:
                            get_public_method(model, method)
                        except AccessError:
                            continue
                        found.add((name, method))
        return found

    def has_concrete(self, name):
        registry = self.env.registry
        return any(
            not registry[child]._abstract
            for child in registry.descendants([name], "_inherit")
        )

    def make_victims(self):
        """Return records of the models that have public methods, full of secrets."""
        open_lead = self.create_lead(f"{MARKER} open", company_id=self.own.id)
        open_lead.user_id = self.manager
        policy = self.create_policy(
            company_id=self.own.id,
            mode="review",
            user_id=self.manager.id,
            domain=f"[('id', '=', {open_lead.id})]",
        )
        run = self.run_policy(policy)
        hold = self.env["crm.archive.hold"].create(
            {
                "name": f"{MARKER} matter",
                "reason": "Court",
                "company_id": self.own.id,
                "lead_ids": [(6, 0, self.hidden_lead.ids)],
            }
        )
        hold.action_start()
        entry = self.entries[0]
        purge = self.env["crm.archive.purge"].create({"reason": f"{MARKER} reason"})
        line = self.env["crm.archive.purge.line"].create(
            {
                "purge_id": purge.id,
                "res_model": entry.res_model,
                "res_id": entry.res_id,
                "entry_id": entry.id,
                "act": "delete",
            }
        )
        recontact = self.env["crm.archive.recontact"].create(
            {
                "archived_model": "res.partner",
                "archived_id": self.hidden_contact.id,
                "match_kind": "email",
                "company_id": self.own.id,
            }
        )
        report = self.env["crm.archive.report"].create(
            {"company_ids": [(6, 0, self.own.ids)]}
        )
        review = self.env["crm.archive.access.review"].create({})
        incident = self.env["crm.archive.incident"].create({"trouble": "cut"})
        records = [
            self.hidden_contact,
            self.hidden_lead,
            policy,
            policy.candidate_ids,
            run,
            hold,
            self.env["crm.archive.hold.record"].search([("hold_id", "=", hold.id)]),
            entry,
            entry.bundle_id,
            entry.bundle_id.store_id,
            self.env["crm.archive.log"].search([], limit=1),
            purge,
            line,
            recontact,
            report,
            review,
            incident,
        ]
        self.env.flush_all()
        return {record._name: record for record in records}

    def forge(self, victims, user):
        """Return a context in which the attacker pretends to be the program."""
        lead = victims["crm.lead"]
        values = {"archive_state": "live", "archive_restricted": False}
        return {
            "active_model": "crm.lead",
            "active_id": lead.id,
            "active_ids": lead.ids,
            "archive_transition": {"model": "crm.lead", "ids": lead.ids, **values},
            "archive_recontact_automatic": True,
            "allowed_company_ids": user.company_ids.ids,
            "default_policy_id": victims["crm.archive.policy"].id,
            "default_hold_id": victims["crm.archive.hold"].id,
            "default_reason_id": self.reason.id,
            "default_res_model": "crm.lead",
            "default_res_ids": lead.ids,
            "default_candidate_ids": victims["crm.archive.candidate"].ids,
            "default_entry_ids": victims["crm.archive.entry"].ids,
            "restore_cause": "mistake",
            "su": True,
            "uid": 1,
        }

    def get_state(self, victims):
        """Return a digest of everything that must not change."""
        self.env.flush_all()
        return {
            name: self.env.execute_query(
                SQL(
                    "SELECT md5(string_agg(t::text, '' ORDER BY t.id)) FROM %s t"
                    " WHERE id = ANY(%s)",
                    SQL.identifier(records._table),
                    records.ids,
                )
            )
            for name, records in victims.items()
        }

    def call(self, spy, name, method, victims):
        """Call a method with forged ids; of a dialog, on one of the attacker's own."""
        model = self.env[name]
        arguments = ARGUMENTS.get(method, [])
        kwargs = {"context": self.forge(victims, spy.user)}
        function = getattr(type(model), method)
        if hasattr(function, "_api_model") or getattr(function, "_api_model", False):
            return spy.call(name, method, *arguments, **kwargs)
        ids = victims[name].ids if name in victims else [1]
        if model._transient:
            ids = json.loads(
                spy.call(name, "create", [DIALOGS.get(name, {})], **kwargs)
            ).get("result")
            if not ids:
                return spy.call(name, method, [1], *arguments, **kwargs)
        return spy.call(name, method, ids, *arguments, **kwargs)

    def test_every_method(self):
        methods = self.get_public_methods()
        listed = {(name, method) for name in REFUSED for method in REFUSED[name]}
        listed |= {(name, method) for name in OPENS for method in OPENS[name]}
        self.assertFalse(methods - listed, "say how a new public method is checked")
        self.assertFalse(listed - methods, "no such method any more")
        victims = self.make_victims()
        before = self.get_state(victims)
        for user in (self.portal, self.seller, self.foreigner):
            spy = Attacker(self, user)
            for name, method in sorted(methods):
                with self.subTest(user=user.login, model=name, method=method):
                    answer = self.call(spy, name, method, victims)
                    self.assertNoSecret(answer, method)
                    if name == "res.config.settings":
                        self.assertNotIn(b'"archive_', answer)
                    if user.login in OPENS.get(name, {}).get(method, ()):
                        self.assertNotIn("error", json.loads(answer))
                    else:
                        self.assertRefused(json.loads(answer))
            self.assertEqual(before, self.get_state(victims))

    def assertRefused(self, answer):
        """An error that a person is shown, or an argument that cannot be sent."""
        self.assertIn("error", answer, answer.get("result"))
        self.assertIn(answer["error"]["data"]["name"], ERRORS)

    # ------------------------------------------------------------
    # ADDRESSES
    # ------------------------------------------------------------

    def get_routes(self):
        """Return the addresses that the add-on answers."""
        return {
            route
            for controller in get_subclasses(Controller)
            for function in vars(controller).values()
            if is_own(function) and hasattr(function, "original_routing")
            for route in function.original_routing["routes"]
        }

    def test_every_address(self):
        self.assertEqual(self.get_routes(), set(ROUTES))
        victims = self.make_victims()
        action = self.entries.with_user(self.manager).action_export()
        export = self.env[action["res_model"]].browse(action["res_id"])
        export.with_user(self.manager).action_export()
        numbers = {
            "entry": victims["crm.archive.entry"].id,
            "attachment": self.get_traces(self.vaulted_lead)["plain"].id,
            "report": victims["crm.archive.report"].id,
            "part": self.env["crm.archive.export.part"].search([], limit=1).id,
        }
        self.assertTrue(all(numbers.values()))
        before = self.get_state(victims)
        for user in (None, self.portal, self.seller, self.foreigner):
            if user:
                self.authenticate(user.login, user.login.ljust(8, "x"))
            else:
                self.authenticate(None, None)
            for route in ROUTES.values():
                url = route % numbers
                for method in ("GET", "POST"):
                    answer = self.url_open(url, method=method, allow_redirects=False)
                    with self.subTest(user=user, url=url, method=method):
                        self.assertIn(answer.status_code, (303, 400, 403, 404, 405))
                        self.assertNoSecret(answer.content, url)
        self.assertEqual(before, self.get_state(victims))
