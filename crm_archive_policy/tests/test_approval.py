from datetime import timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, JsonRpcException, new_test_user, tagged

from ..models import crm_archive_approval_acts
from .common import ArchiveCase
from .vault_common import VaultCase

GROUPS = (
    "sales_team.group_sale_salesman_all_leads,base.group_partner_manager,"
    "crm_archive_policy.group_archive_manager"
)


class ApprovalCase(ArchiveCase):
    """Two managers, a hold in force, and a lead that has to be kept for long."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = new_test_user(cls.env, "second", groups=GROUPS)
        cls.today = cls.env["crm.archive.retention"]._get_retention_today()
        cls.later = cls.today + timedelta(days=900)
        cls.sooner = cls.today + timedelta(days=90)
        cls.lead.retention_date = cls.later
        cls.hold = cls.env["crm.archive.hold"].create(
            {
                "name": "Matter",
                "reason": "Court order",
                "partner_ids": [(6, 0, cls.contact.ids)],
            }
        )
        cls.hold.action_start()
        cls.env.flush_all()

    def set_mode(self, kind, mode):
        self.env["ir.config_parameter"].set_param(
            f"crm_archive_policy.approval_{kind}", mode
        )

    def remove_managers(self, *users):
        group = self.env.ref("crm_archive_policy.group_archive_manager")
        for user in users or (self.second, self.env.ref("base.user_admin")):
            user.group_ids -= group
        self.env.flush_all()

    def ask_lift(self, user=None, reason="Case settled"):
        wizard = self.env["crm.archive.hold.lift"].with_user(user or self.manager)
        action = wizard.create(
            {"hold_id": self.hold.id, "reason": reason}
        ).action_lift()
        return self.get_request(action)

    def ask_retention(self, user=None, records=None, date=None):
        records = self.lead if records is None else records
        wizard = self.env["crm.archive.retention.wizard"].with_user(
            user or self.manager
        )
        action = wizard.create(
            {
                "res_model": records._name,
                "res_ids": records.ids,
                "retention_date": date or self.sooner,
                "reason": "Contract ended",
            }
        ).action_apply()
        return self.get_request(action)

    def ask_restore(self, records, user=None, reason="Campaign was wrong"):
        wizard = self.env["crm.archive.restore"].with_user(user or self.officer)
        action = (
            wizard.with_context(restore_cause="mistake")
            .create(
                {
                    "res_model": records._name,
                    "res_ids": records.ids,
                    "approval_reason": reason,
                }
            )
            .action_restore()
        )
        return self.get_request(action)

    def get_request(self, action):
        if action.get("res_model") != "crm.archive.approval":
            return self.env["crm.archive.approval"]
        return self.env["crm.archive.approval"].browse(action["res_id"])

    def decide(self, approval, user=None, reason="I looked at it", grant=True):
        wizard = self.env["crm.archive.approval.decide"].with_user(user or self.second)
        wizard = wizard.create({"approval_id": approval.id, "reason": reason})
        return wizard.action_grant() if grant else wizard.action_refuse()

    def get_actions(self, record):
        lines = self.env["crm.archive.log"].search(
            [("res_model", "=", record._name), ("res_id", "in", record.ids)]
        )
        return {line.action: line for line in lines}


@tagged("post_install", "-at_install")
class TestApproval(ApprovalCase):
    """What a second person approves."""

    # ------------------------------------------------------------
    # LIFTING A HOLD
    # ------------------------------------------------------------

    def test_lift_is_asked_and_granted(self):
        approval = self.ask_lift()
        self.assertEqual(approval.state, "waiting")
        self.assertEqual(self.hold.state, "active")
        self.assertEqual(approval.user_id, self.manager)
        self.assertIn("Matter", approval.with_user(self.second).summary)
        self.decide(approval)
        self.assertEqual(approval.state, "granted")
        self.assertEqual(approval.decide_user_id, self.second)
        self.assertEqual(approval.decide_reason, "I looked at it")
        self.assertEqual(self.hold.state, "lifted")
        self.assertEqual(self.hold.lift_user_id, self.manager)
        self.assertEqual(self.hold.lift_reason, "Case settled")
        lines = self.get_actions(approval)
        self.assertEqual(lines["ask"].user_id, self.manager)
        self.assertEqual(lines["ask"]._get_details()["reason"], "Case settled")
        self.assertEqual(lines["grant"].user_id, self.second)
        self.assertEqual(lines["grant"]._get_details()["reason"], "I looked at it")
        lift = self.get_actions(self.hold)["lift"]
        self.assertEqual(lift._get_details(), {"approval": approval.id})

    def test_refused(self):
        approval = self.ask_lift()
        self.decide(approval, reason="The court has not answered", grant=False)
        self.assertEqual(approval.state, "refused")
        self.assertEqual(self.hold.state, "active")
        self.assertIn("refuse", self.get_actions(approval))
        with self.assertRaisesRegex(UserError, "decided already"):
            self.decide(approval)

    def test_reasons_on_both_sides(self):
        with self.assertRaisesRegex(UserError, "Say why"):
            self.ask_lift(reason=" ")
        approval = self.ask_lift()
        for grant in (True, False):
            with self.assertRaisesRegex(UserError, "Say why"):
                self.decide(approval, reason="  ", grant=grant)
        self.assertEqual(approval.state, "waiting")

    def test_others_do_not_decide(self):
        approval = self.ask_lift()
        for user in (self.seller, self.officer, self.auditor):
            with self.assertRaises(AccessError):
                self.decide(approval, user=user)
            with self.assertRaises(AccessError):
                approval.with_user(user)._grant("Forged")
        self.assertEqual(approval.state, "waiting")

    def test_admin_does_not_approve_his_own(self):
        admin = self.env.ref("base.user_admin")
        approval = self.ask_lift(user=admin)
        with self.assertRaisesRegex(AccessError, "yourself"):
            self.decide(approval, user=admin)
        with self.assertRaisesRegex(AccessError, "yourself"):
            approval.with_user(admin).sudo()._grant("As superuser")
        self.decide(approval)
        self.assertEqual(self.hold.state, "lifted")

    def test_changed_since_is_refused(self):
        approval = self.ask_lift()
        self.hold.partner_ids += self.create_contact("One more")
        action = self.decide(approval)
        self.assertEqual(action["params"]["type"], "warning")
        self.assertEqual(approval.state, "refused")
        self.assertIn("changed since", approval.outcome)
        self.assertEqual(self.hold.state, "active")
        details = self.get_actions(approval)["refuse"]._get_details()
        self.assertTrue(details["changed"])

    def test_asker_who_lost_his_rights(self):
        approval = self.ask_lift()
        self.remove_managers(self.manager)
        with self.assertRaises(AccessError):
            self.decide(approval)
        self.env.invalidate_all()
        self.assertEqual(self.hold.state, "active")
        self.manager.active = False
        self.decide(approval)
        self.assertEqual(approval.state, "refused")

    def test_asked_once(self):
        self.ask_lift()
        with self.assertRaisesRegex(UserError, "asked for already"):
            self.ask_lift()

    # ------------------------------------------------------------
    # RETENTION
    # ------------------------------------------------------------

    def test_shortening(self):
        approval = self.ask_retention()
        self.assertEqual(self.lead.retention_date, self.later)
        self.decide(approval)
        self.assertEqual(self.lead.retention_date, self.sooner)
        details = self.get_actions(self.lead)["retention"]._get_details()
        self.assertEqual(details["approval"], approval.id)

    def test_extending_needs_nobody(self):
        later = self.later + timedelta(days=1)
        self.assertFalse(self.ask_retention(date=later))
        self.assertEqual(self.lead.retention_date, later)

    def test_shortening_changed_since(self):
        approval = self.ask_retention()
        self.lead.retention_date = self.later + timedelta(days=5)
        self.decide(approval)
        self.assertEqual(approval.state, "refused")
        self.assertEqual(self.lead.retention_date, self.later + timedelta(days=5))

    # ------------------------------------------------------------
    # RESTORING MANY
    # ------------------------------------------------------------

    def archive_many(self, count=3):
        leads = self.env["crm.lead"]
        for number in range(count):
            leads |= self.create_lead(f"Many {number}")
        leads._archive()
        return leads

    def test_restore_above_the_limit(self):
        self.set_mode("restore_limit", "2")
        leads = self.archive_many()
        with self.assertRaisesRegex(UserError, "Say why"):
            self.ask_restore(leads, reason=False)
        approval = self.ask_restore(leads)
        self.assertEqual(set(leads.mapped("archive_state")), {"archived"})
        self.decide(approval)
        self.assertEqual(set(leads.mapped("archive_state")), {"live"})
        line = self.get_actions(leads[0])["restore"]
        self.assertEqual(line.user_id, self.officer)
        # What was approved does not count against the person.
        more = self.archive_many(2)
        self.assertFalse(self.ask_restore(more))
        self.assertEqual(set(more.mapped("archive_state")), {"live"})

    def test_no_way_round_in_portions(self):
        self.set_mode("restore_limit", "2")
        leads = self.archive_many()
        for lead in leads[:2]:
            lead.with_user(self.officer).action_archive_restore()
        last = leads[2].with_user(self.officer)
        with self.assertRaisesRegex(UserError, "second person"):
            last.action_archive_restore()
        with self.assertRaisesRegex(UserError, "second person"):
            last.action_unarchive()
        with self.assertRaisesRegex(UserError, "second person"):
            last.active = True
        self.assertEqual(self.ask_restore(leads[2]).state, "waiting")
        # Another person has a day of his own.
        leads[2].with_user(self.manager).action_archive_restore()

    # ------------------------------------------------------------
    # SETTINGS
    # ------------------------------------------------------------

    def test_alone(self):
        self.remove_managers()
        self.assertFalse(self.ask_retention())
        details = self.get_actions(self.lead)["retention"]._get_details()
        self.assertTrue(details["alone"])
        self.assertFalse(self.ask_lift())
        self.assertEqual(self.hold.state, "lifted")
        self.assertTrue(self.get_actions(self.hold)["lift"]._get_details()["alone"])

    def test_always_and_alone_is_said(self):
        self.remove_managers()
        self.set_mode("lift", "always")
        with self.assertRaisesRegex(UserError, "only archive manager"):
            self.ask_lift()
        self.assertEqual(self.hold.state, "active")

    def test_never(self):
        self.set_mode("lift", "never")
        self.assertFalse(self.ask_lift())
        self.assertEqual(self.hold.state, "lifted")
        self.assertNotIn("alone", self.get_actions(self.hold)["lift"]._get_details())

    def test_manager_of_another_company_is_nobody(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.remove_managers(self.env.ref("base.user_admin"))
        self.second.write(
            {"company_ids": [(6, 0, company.ids)], "company_id": company.id}
        )
        self.assertFalse(self.ask_lift())

    def test_settings(self):
        settings = self.env["res.config.settings"].create(
            {"archive_approval_lift": "always", "archive_approval_restore_limit": 7}
        )
        settings.execute()
        approvals = self.env["crm.archive.approval"]
        self.assertEqual(approvals._get_mode("lift"), "always")
        self.assertEqual(approvals._get_mode("retention"), "auto")
        self.assertEqual(approvals._get_restore_limit(), 7)
        lines = self.env["crm.archive.log"].search(
            [("res_model", "=", "ir.config_parameter")]
        )
        self.assertIn("approval_lift", " ".join(lines.mapped("details")))

    # ------------------------------------------------------------
    # EXPIRING, TELLING
    # ------------------------------------------------------------

    def test_expires(self):
        approval = self.ask_lift()
        approval.expire_date -= timedelta(days=15)
        approval.flush_recordset()
        with self.assertRaisesRegex(UserError, "expired"):
            self.decide(approval)
        cron = self.env.ref("crm_archive_policy.ir_cron_expire_approvals")
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(approval.state, "expired")
        self.assertIn("expire", self.get_actions(approval))
        self.assertFalse(approval.activity_ids)
        self.assertEqual(self.hold.state, "active")

    def test_waits_until_then(self):
        approval = self.ask_lift()
        self.env["crm.archive.approval"]._cron_expire()
        self.assertEqual(approval.state, "waiting")

    def test_who_is_told(self):
        approval = self.ask_lift()
        told = approval.activity_ids.user_id
        self.assertIn(self.second, told)
        self.assertNotIn(self.manager, told)
        self.assertNotIn(self.officer, told)
        self.decide(approval, grant=False)
        self.assertFalse(approval.activity_ids)

    def test_who_sees_it(self):
        approval = self.ask_lift()
        for user, seen in (
            (self.second, True),
            (self.auditor, True),
            (self.officer, False),
            (self.seller, False),
        ):
            found = approval.with_user(user).search([("id", "=", approval.id)])
            self.assertEqual(bool(found), seen, user.login)

    def test_withdrawn_by_the_asker_only(self):
        approval = self.ask_lift()
        with self.assertRaisesRegex(AccessError, "Refuse it"):
            approval.with_user(self.second).action_withdraw()
        approval.with_user(self.manager).action_withdraw()
        self.assertEqual(approval.state, "withdrawn")
        with self.assertRaisesRegex(UserError, "decided already"):
            self.decide(approval)


@tagged("post_install", "-at_install")
class TestApprovalVault(ApprovalCase, VaultCase):
    """Many records out of the vault."""

    def to_vault(self, records):
        ids = records.ids
        self.vault(self.archive(records))
        return self.env["crm.archive.entry"].search([("res_id", "in", ids)])

    def test_restore_from_the_vault(self):
        self.set_mode("restore_limit", "1")
        other = self.create_lead("Another")
        entries = self.to_vault(self.lead | other)
        wizards = self.env["crm.archive.vault.restore"].with_user(self.officer)
        wizard = wizards._create_for(entries.with_user(self.officer))
        self.assertTrue(wizard.is_approval_needed)
        wizard.approval_reason = "All of it was a mistake"
        action = wizard.with_context(restore_cause="mistake").action_restore()
        approval = self.get_request(action)
        self.assertEqual(set(entries.mapped("state")), {"vaulted"})
        self.decide(approval)
        self.assertEqual(approval.state, "granted")
        self.assertEqual(set(entries.mapped("state")), {"restored"})

    def test_many_go_to_the_scheduled_action(self):
        self.set_mode("restore_limit", "1")
        self.patch(crm_archive_approval_acts, "INLINE_MAX", 1)
        other = self.create_lead("Another")
        entries = self.to_vault(self.lead | other)
        wizard = self.env["crm.archive.leave"].with_user(self.manager).create({})
        wizard.approval_reason = "We leave"
        approval = self.get_request(wizard.action_restore_all())
        self.assertEqual(approval.res_count, 2)
        self.decide(approval)
        run = self.env["crm.archive.run"].search([("kind", "=", "restore")], limit=1)
        self.assertEqual(run.user_id, self.manager)
        self.run_cron()
        self.assertEqual(set(entries.mapped("state")), {"restored"})

    def test_restored_meanwhile(self):
        self.set_mode("restore_limit", "1")
        other = self.create_lead("Another")
        entries = self.to_vault(self.lead | other)
        wizards = self.env["crm.archive.vault.restore"].with_user(self.officer)
        wizard = wizards._create_for(entries.with_user(self.officer))
        wizard.approval_reason = "All of it was a mistake"
        action = wizard.with_context(restore_cause="mistake").action_restore()
        entries[0]._restore()
        self.decide(self.get_request(action))
        self.assertEqual(self.get_request(action).state, "refused")
        self.assertEqual(entries[1].state, "vaulted")


@tagged("post_install", "-at_install")
class TestApprovalHttp(ApprovalCase, HttpCase):
    """Through the door, with forged ids and contexts."""

    def call(self, model, method, *args, **kwargs):
        return self.make_jsonrpc_request(
            f"/web/dataset/call_kw/{model}/{method}",
            {"model": model, "method": method, "args": args, "kwargs": kwargs},
        )

    def login(self, user):
        self.authenticate(user.login, user.login.ljust(8, "x"))

    def ask(self, context=None):
        """Ask as the manager over RPC, and return the request."""
        self.login(self.manager)
        context = context or {}
        values = {"hold_id": self.hold.id, "reason": "Over RPC"}
        wizard_id = self.call(
            "crm.archive.hold.lift", "create", values, context=context
        )
        action = self.call(
            "crm.archive.hold.lift", "action_lift", [wizard_id], context=context
        )
        self.env.invalidate_all()
        return self.env["crm.archive.approval"].browse(action["res_id"])

    def assertRefused(self, model, method, *args, **kwargs):
        with self.assertRaises(JsonRpcException) as caught:
            self.call(model, method, *args, **kwargs)
        self.env.invalidate_all()
        return str(caught.exception)

    def decide_over_rpc(self, approval, **kwargs):
        values = {"approval_id": approval.id, "reason": "Forged"}
        wizards = "crm.archive.approval.decide"
        wizard_id = self.call(wizards, "create", values, **kwargs)
        return wizards, wizard_id

    def test_another_manager_approves(self):
        approval = self.ask()
        self.assertEqual(approval.state, "waiting")
        self.login(self.second)
        wizards, wizard_id = self.decide_over_rpc(approval)
        self.call(wizards, "action_grant", [wizard_id])
        self.env.invalidate_all()
        self.assertEqual(self.hold.state, "lifted")

    def test_nobody_approves_his_own(self):
        approval = self.ask()
        forged = {
            "uid": self.second.id,
            "user_id": self.second.id,
            "default_user_id": self.second.id,
            "su": True,
        }
        wizards, wizard_id = self.decide_over_rpc(approval, context=forged)
        self.assertRefused(wizards, "action_grant", [wizard_id], context=forged)
        self.assertRefused(wizards, "action_refuse", [wizard_id], context=forged)
        model = "crm.archive.approval"
        for values in (
            {"state": "granted"},
            {"user_id": self.second.id},
            {"expire_date": "2099-01-01 00:00:00"},
            {"fingerprint": "0"},
        ):
            self.assertRefused(model, "write", [approval.id], values)
        self.assertRefused(model, "create", {"kind": "lift", "res_ids": []})
        self.assertRefused(model, "unlink", [approval.id])
        for method in ("_grant", "_as_asker", "_do_lift", "_decide", "_ask"):
            self.assertRefused(model, method, [approval.id], "Forged")
        self.assertEqual(approval.state, "waiting")
        self.assertEqual(self.hold.state, "active")

    def test_forged_defaults(self):
        approval = self.ask(
            {
                "default_state": "granted",
                "default_user_id": self.second.id,
                "default_decide_user_id": self.second.id,
                "default_expire_date": "2099-01-01 00:00:00",
            }
        )
        self.assertEqual(approval.state, "waiting")
        self.assertEqual(approval.user_id, self.manager)
        self.assertFalse(approval.decide_user_id)
        self.assertLess(approval.expire_date.year, 2099)
        self.assertEqual(self.hold.state, "active")

    def test_purge_does_not_begin_approved(self):
        """Asking in a forged context is no approval."""
        purged = self.create_contact("To purge")
        purged._archive()
        purged._move({"retention_date": self.today - timedelta(days=1)})
        self.env.flush_all()
        self.login(self.manager)
        context = {
            "default_state": "approved",
            "default_decide_user_id": self.second.id,
            "default_expire_date": "2099-01-01 00:00:00",
        }
        context |= {"active_model": purged._name, "active_ids": purged.ids}
        wizards = "crm.archive.purge.ask"
        values = {"reason": "End of retention", "act": "delete"}
        wizard_id = self.call(wizards, "create", values, context=context)
        action = self.call(wizards, "action_ask", [wizard_id], context=context)
        self.env.invalidate_all()
        purge = self.env["crm.archive.purge"].browse(action["res_id"])
        self.assertEqual(purge.state, "asked")
        self.assertFalse(purge.decide_user_id)
        self.assertLess(purge.expire_date.year, 2099)
        self.assertRefused("crm.archive.purge", "action_retry", [purge.id])

    def test_hold_does_not_begin_in_force(self):
        self.login(self.manager)
        self.assertRefused(
            "crm.archive.hold",
            "create",
            {"name": "Forged", "reason": "x"},
            context={"default_state": "lifted"},
        )

    def test_lists_of_others_say_nothing(self):
        approval = self.ask()
        for user in (self.officer, self.seller):
            self.login(user)
            found = self.call(
                "crm.archive.approval", "search_read", [["id", "=", approval.id]], []
            )
            self.assertEqual(found, [])
            self.assertRefused("crm.archive.approval", "read", [approval.id], ["state"])
            self.assertRefused(
                "crm.archive.approval", "action_view_records", [approval.id]
            )
            self.assertRefused("crm.archive.approval", "action_withdraw", [approval.id])
