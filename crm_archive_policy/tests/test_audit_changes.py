"""Whoever changes rights or settings is on record, with what was and what is."""

from odoo import Command
from odoo.tests import new_test_user, tagged

from .common import ArchiveCase


class ChangesCase(ArchiveCase):
    def setUp(self):
        super().setUp()
        self.log = self.env["crm.archive.log"]
        self.env.cr.precommit.run()
        self.last = self.log.search([], limit=1).sequence or 0

    def get_new_lines(self):
        """Return the lines since the start, after what is left to the commit."""
        self.env.flush_all()
        self.env.cr.precommit.run()
        return self.log.search([("sequence", ">", self.last)], order="sequence")


@tagged("post_install", "-at_install")
class TestRights(ChangesCase):
    def group(self, name):
        return self.env.ref(f"crm_archive_policy.group_archive_{name}")

    def assertRights(self, users, gained=None, lost=None):
        line = self.get_new_lines()
        self.assertEqual(len(line), 1)
        self.assertEqual(line.action, "rights")
        self.assertEqual(line.res_count, len(users))
        for user in users:
            self.assertIn(line, self.log.search([("res_id", "=", user.id)]))
        ids = sorted(users.ids)
        details = line._get_details()
        self.assertEqual(
            details,
            {
                "gained": {f"group_archive_{name}": ids for name in gained or ()},
                "lost": {f"group_archive_{name}": ids for name in lost or ()},
            },
        )
        return line

    def test_given_on_the_user(self):
        self.seller.group_ids += self.group("officer")
        line = self.assertRights(self.seller, gained=("user", "officer"))
        self.assertIn("Officer", line.changes)
        self.assertIn(self.seller.name, line.changes)

    def test_given_on_the_group(self):
        self.group("auditor").user_ids += self.seller
        self.assertRights(self.seller, gained=("user", "auditor"))

    def test_given_by_another_group(self):
        """A group of somebody else's that implies ours."""
        other = self.env["res.groups"].create({"name": "Other"})
        other.user_ids = self.seller
        self.assertFalse(self.get_new_lines())
        other.implied_ids += self.group("manager")
        self.assertRights(self.seller, gained=("user", "officer", "manager"))

    def test_given_by_a_new_group(self):
        self.env["res.groups"].create(
            {
                "name": "Other",
                "implied_ids": [Command.link(self.group("user").id)],
                "user_ids": [Command.link(self.seller.id)],
            }
        )
        self.assertRights(self.seller, gained=("user",))

    def test_taken_away(self):
        self.officer.group_ids -= self.group("officer")
        self.assertRights(self.officer, lost=("user", "officer"))

    def test_taken_away_with_the_group(self):
        other = self.env["res.groups"].create(
            {
                "name": "Other",
                "implied_ids": [Command.link(self.group("user").id)],
                "user_ids": [Command.link(self.seller.id)],
            }
        )
        self.last = self.get_new_lines().sequence
        other.unlink()
        self.assertRights(self.seller, lost=("user",))

    def test_user_switched_off_and_on(self):
        self.officer.active = False
        line = self.assertRights(self.officer, lost=("user", "officer"))
        self.last = line.sequence
        self.officer.active = True
        self.assertRights(self.officer, gained=("user", "officer"))

    def test_new_user(self):
        user = new_test_user(
            self.env, "newcomer", groups="crm_archive_policy.group_archive_auditor"
        )
        self.assertRights(user, gained=("user", "auditor"))

    def test_deleted_user(self):
        user = new_test_user(
            self.env, "leaver", groups="crm_archive_policy.group_archive_user"
        )
        self.last = self.get_new_lines().sequence
        user.unlink()
        details = self.get_new_lines()._get_details()
        self.assertEqual(details["lost"], {"group_archive_user": [user.id]})

    def test_there_and_back_again(self):
        """What counts is what came of it."""
        self.seller.group_ids += self.group("officer")
        self.seller.group_ids -= self.group("officer")
        self.assertFalse(self.get_new_lines())

    def test_other_rights(self):
        self.seller.group_ids += self.env.ref("base.group_allow_export")
        self.seller.name = "Somebody"
        self.assertFalse(self.get_new_lines())

    def test_whose_line_it_is(self):
        admin = self.env.ref("base.user_admin")
        group = self.group("user").id
        self.seller.with_user(admin).write({"group_ids": [Command.link(group)]})
        self.assertEqual(self.get_new_lines().user_id, admin)


@tagged("post_install", "-at_install")
class TestSettings(ChangesCase):
    KEY = "crm_archive_policy.sweep_grace_days"

    def test_parameter(self):
        parameters = self.env["ir.config_parameter"]
        parameters.set_param(self.KEY, 9)
        parameters.set_param(self.KEY, 10)
        parameters.set_param(self.KEY, 10)
        parameters.set_param(self.KEY, False)
        lines = self.get_new_lines()
        self.assertEqual(lines.mapped("action"), ["create", "write", "unlink"])
        self.assertEqual(
            [line._get_details() for line in lines],
            [
                {self.KEY: [None, "9"]},
                {self.KEY: ["9", "10"]},
                {self.KEY: ["10", None]},
            ],
        )
        self.assertIn("9 → 10", lines[1].changes)

    def test_renamed_parameter(self):
        """To rename a setting is to take it away."""
        parameter = self.env["ir.config_parameter"].create(
            {"key": self.KEY, "value": "9"}
        )
        self.last = self.get_new_lines().sequence
        parameter.key = "elsewhere"
        self.assertEqual(self.get_new_lines()._get_details(), {self.KEY: ["9", None]})
        self.last += 1
        parameter.key = self.KEY
        self.assertEqual(self.get_new_lines()._get_details(), {self.KEY: [None, "9"]})

    def test_other_parameters(self):
        self.env["ir.config_parameter"].set_param("other.key", "value")
        self.assertFalse(self.get_new_lines())

    def test_settings_screen(self):
        self.env["res.config.settings"].create(
            {
                "archive_sweep_grace_days": 12,
                "archive_log_interval_number": 2,
                "archive_rights_active": False,
            }
        ).execute()
        changes = {}
        for line in self.get_new_lines():
            self.assertEqual(line.user_id, self.env.user)
            changes.update(line._get_details())
        self.assertEqual(changes[self.KEY][1], "12")
        self.assertEqual(changes["interval_number"], [1, 2])
        self.assertEqual(changes["active"], [True, False])

    def test_scheduled_action(self):
        cron = self.env.ref("crm_archive_policy.ir_cron_verify_log")
        cron.write({"nextcall": "2999-01-01 00:00:00", "code": "pass"})
        lines = self.get_new_lines()
        self.assertEqual(set(lines.mapped("res_id")), {cron.id})
        details = {}
        for line in lines:
            details |= line._get_details()
        self.assertEqual(details["code"], ["model._cron_verify()", "pass"])
        self.assertEqual(details["nextcall"][1], "2999-01-01 00:00:00")
        self.last = lines[-1].sequence
        cron.unlink()
        self.assertEqual(self.get_new_lines().action, "unlink")

    def test_its_server_action(self):
        """The code of a scheduled action can be written past it."""
        cron = self.env.ref("crm_archive_policy.ir_cron_verify_log")
        cron.ir_actions_server_id.code = "pass"
        details = self.get_new_lines()._get_details()
        self.assertEqual(details["code"], ["model._cron_verify()", "pass"])

    def test_other_scheduled_actions(self):
        self.env.ref("base.autovacuum_job").interval_number = 3
        self.assertFalse(self.get_new_lines())

    def test_store_of_a_company(self):
        store = self.env.ref("crm_archive_policy.crm_archive_store_database")
        company = self.env.company
        company.archive_store_id = store
        line = self.get_new_lines()
        self.assertEqual(line._get_details(), {"archive_store_id": [None, store.id]})
        self.assertIn(store.name, line.changes)
        self.last = line.sequence
        company.name = "Renamed"
        self.assertFalse(self.get_new_lines())

    def test_failure_takes_the_line_with_it(self):
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.env["ir.config_parameter"].set_param(self.KEY, 9)
            raise ZeroDivisionError
        self.assertFalse(self.get_new_lines())
