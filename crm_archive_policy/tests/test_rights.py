import re
from datetime import timedelta
from pathlib import Path

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .vault_purge_common import PurgeCase

#: Only in a clone of the repository: what is installed has no documentation.
PAGE = Path(__file__).parents[2] / "docs" / "rights.md"

COLUMNS = ("portal", "none", "user", "officer", "auditor", "manager")

SALES = "sales_team.group_sale_salesman_all_leads,base.group_partner_manager"

OPERATIONS = {"create": "C", "read": "R", "write": "W", "unlink": "D"}


def read_tables(text):
    """Return the rows of all tables of a page of Markdown.

    :return: ``{first cell: other cells}``
    """
    rows = {}
    for line in text.splitlines():
        if line.startswith("|") and not re.match(r"^\|[\s:|-]+\|$", line):
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            rows[first.strip("`")] = others
    return rows


@tagged("post_install", "-at_install")
class TestRights(PurgeCase):
    """docs/rights.md says what the database does, and no more."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not PAGE.exists():
            cls.skipTest(cls, "no documentation here")
        cls.page = read_tables(PAGE.read_text(encoding="utf-8"))
        cls.people = {
            "portal": new_test_user(cls.env, "a_portal", groups="base.group_portal"),
            "none": new_test_user(cls.env, "a_none", groups=SALES),
            "user": new_test_user(
                cls.env,
                "a_user",
                groups=f"{SALES},crm_archive_policy.group_archive_user",
            ),
            "officer": cls.officer,
            "auditor": cls.auditor,
            "manager": cls.manager,
        }

    # ------------------------------------------------------------
    # MODELS
    # ------------------------------------------------------------

    def get_letters(self, model_name, user):
        model = self.env[model_name].with_user(user)
        letters = (
            letter if model.has_access(operation) else ""
            for operation, letter in OPERATIONS.items()
        )
        return "".join(letters) or "–"

    def get_rules(self, model_name):
        """Return the conditions on rows, as the page spells them."""
        rules = (
            self.env["ir.rule"]
            .with_context(active_test=False)
            .search([("model_id.model", "=", model_name)])
        )
        own = rules.filtered(
            lambda rule: rule.get_external_id()[rule.id].startswith("crm_archive")
        )
        return "; ".join(sorted(rule.name.partition(": ")[2] for rule in own)) or "–"

    def test_models(self):
        models = [
            name
            for name in sorted(self.env)
            if name.startswith("crm.archive.") and not self.env[name]._abstract
        ]
        found = {
            name: [
                *(self.get_letters(name, user) for user in self.people.values()),
                self.get_rules(name),
            ]
            for name in models
        }
        said = {name: row for name, row in self.page.items() if name in found}
        self.maxDiff = None
        self.assertEqual(said, found, self.show(found))

    def show(self, found):
        """Return the rows as they should stand on the page."""
        return "\n" + "\n".join(
            f"| `{name}` | {' | '.join(row)} |" for name, row in found.items()
        )

    # ------------------------------------------------------------
    # ACTS
    # ------------------------------------------------------------

    def test_acts(self):
        self.prepare_acts()
        acts = {
            name.removeprefix("do_").replace("_", " "): getattr(self, name)
            for name in dir(self)
            if name.startswith("do_")
        }
        found = {name: [] for name in acts}
        for name, act in acts.items():
            for user in self.people.values():
                found[name].append("yes" if self.may(act, user) else "–")
        said = {name: row for name, row in self.page.items() if name in found}
        self.maxDiff = None
        self.assertEqual(said, found, self.show(found))

    def may(self, act, user):
        """Try an act as a person, and take it back."""
        self.env.flush_all()
        savepoint = self.env.cr.savepoint()
        try:
            act(self.env(user=user, su=False))
            self.env.flush_all()
        except UserError:  # AccessError is one of them
            return False
        finally:
            self.env.cr.precommit.clear()
            savepoint.close(rollback=True)
            self.env.invalidate_all(flush=False)
        return True

    def prepare_acts(self):
        self.archived = self.create_lead("Archived")
        self.archive(self.archived)
        self.entry = self.vault(self.archive(self.create_lead("Cold")))
        self.kept = self.create_lead("Kept")
        self.kept.retention_date = self.today + timedelta(days=90)
        self.hold = self.create_hold(self.env)
        self.hold.action_start()
        self.review = self.create_policy(
            mode="review", domain=f"[('id', '=', {self.lead.id})]"
        )
        self.run_policy(self.review)
        self.candidate = self.env["crm.archive.candidate"].search(
            [("policy_id", "=", self.review.id), ("res_id", "=", self.lead.id)]
        )
        self.lead.user_id = self.seller
        self.purge = self.ask(self.archived, self.second)
        wizard = self.env["crm.archive.retention.wizard"].with_user(self.second)
        action = wizard.create(self.get_shorter(self.kept)).action_apply()
        self.approval = self.env["crm.archive.approval"].browse(action["res_id"])

    def create_hold(self, env):
        return env["crm.archive.hold"].create(
            {"name": "A", "reason": "B", "partner_ids": [(6, 0, self.contact.ids)]}
        )

    def get_shorter(self, lead):
        return {
            "res_model": "crm.lead",
            "res_ids": lead.ids,
            "retention_date": self.today + timedelta(days=9),
            "reason": "Because",
        }

    def do_archive(self, env):
        env["crm.lead"].browse(self.kept.id).action_archive()

    def do_archive_with_restricted_visibility(self, env):
        wizard = env["crm.archive.wizard"].create(
            {
                "res_model": "crm.lead",
                "res_ids": self.kept.ids,
                "reason_id": self.reason.id,
                "is_restricted": True,
            }
        )
        wizard.action_archive()

    def do_restore_what_is_archived(self, env):
        env["crm.lead"].browse(self.archived.id).action_archive_restore()

    def do_restore_from_the_vault(self, env):
        entry = env["crm.archive.entry"].browse(self.entry.id)
        wizard = env["crm.archive.vault.restore"]._create_for(entry)
        wizard.with_context(restore_cause="mistake").action_restore()

    def do_keep_what_is_proposed(self, env):
        env["crm.archive.candidate"].browse(self.candidate.id).action_keep()

    def do_approve_what_is_proposed(self, env):
        env["crm.archive.candidate"].browse(self.candidate.id).action_approve()

    def do_write_a_policy(self, env):
        env["crm.archive.policy"].browse(self.review.id).name = "Another name"

    def do_run_a_policy(self, env):
        env["crm.archive.policy"].browse(self.review.id).action_run()

    def do_place_a_hold(self, env):
        self.create_hold(env).action_start()

    def do_lift_a_hold_or_ask_for_it(self, env):
        wizard = env["crm.archive.hold.lift"]
        wizard.create({"hold_id": self.hold.id, "reason": "Settled"}).action_lift()

    def do_shorten_retention_or_ask_for_it(self, env):
        wizard = env["crm.archive.retention.wizard"]
        lead = self.create_lead("Another one")
        lead.retention_date = self.today + timedelta(days=99)
        wizard.create(self.get_shorter(lead)).action_apply()

    def do_approve_what_another_one_asks_for(self, env):
        wizard = env["crm.archive.approval.decide"]
        values = {"approval_id": self.approval.id, "reason": "Right"}
        wizard.create(values).action_grant()

    def do_ask_for_a_purge(self, env):
        env["crm.lead"].browse(self.archived.id).action_archive_purge()

    def do_approve_a_purge_of_another_one(self, env):
        env["crm.archive.purge"].browse(self.purge.id).action_approve()

    def do_ask_for_an_erasure(self, env):
        env["res.partner"].browse(self.contact.id).action_archive_erase()

    def do_export_all_about_a_person(self, env):
        action = (
            env["res.partner"].browse(self.contact.id).action_archive_subject_export()
        )
        file, _name = env[action["res_model"]].browse(action["res_id"])._get_file()
        file.close()

    def do_export_from_the_vault(self, env):
        env["crm.archive.entry"].browse(self.entry.id).action_export()

    def do_read_what_is_in_the_vault(self, env):
        env["crm.archive.entry"].browse(self.entry.id).get_content()

    def do_read_the_audit_log(self, env):
        env["crm.archive.log"].search([], limit=1).read(["action", "details"])

    def do_verify_the_audit_log(self, env):
        env["crm.archive.log"].verify_chain()

    def do_verify_a_store(self, env):
        env["crm.archive.store"].browse(self.store.id).action_verify()

    def do_set_up_a_store(self, env):
        env["crm.archive.store"].create(
            {"name": "Second", "kind": "fsspec", "url": f"file://{self.root}/second"}
        )

    def do_review_who_has_rights(self, env):
        review = env["crm.archive.access.review"].browse(
            self.env["crm.archive.access.review"]._ask().id
        )
        review.action_reviewed()

    def do_change_settings(self, env):
        env["res.config.settings"].create({}).execute()

    # ------------------------------------------------------------
    # SEPARATION OF DUTIES
    # ------------------------------------------------------------

    def test_an_auditor_changes_nothing(self):
        """Of what the add-on keeps; his own dialogs and reports are no data of it."""
        own = {
            name
            for name, row in self.page.items()
            if name.startswith("crm.archive.")
            and set(row[COLUMNS.index("auditor")]) & set("CWD")
        }
        changed = {name for name in own if not self.env[name]._transient}
        self.assertEqual(changed, {"crm.archive.report"})

    def test_nobody_is_auditor_and_acts_by_inheriting(self):
        auditor = self.env.ref("crm_archive_policy.group_archive_auditor")
        for name in ("officer", "manager"):
            group = self.env.ref(f"crm_archive_policy.group_archive_{name}")
            self.assertNotIn(auditor, group.all_implied_ids)
            self.assertNotIn(group, auditor.all_implied_ids)

    def test_who_asks_does_not_approve(self):
        self.prepare_acts()
        with self.assertRaisesRegex(AccessError, "yourself"):
            self.purge.with_user(self.second).action_approve()
        with self.assertRaisesRegex(AccessError, "yourself"):
            self.approval.with_user(self.second)._grant("I say so")
