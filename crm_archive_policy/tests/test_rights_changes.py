from odoo.tests import tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestRightsChanges(ArchiveCase):
    """Who changes rules, access rights and groups of the add-on is on record."""

    def get_changes(self, record, action="write"):
        line = self.env["crm.archive.log"].search(
            [
                ("action", "=", action),
                ("res_model", "=", record._name),
                ("res_id", "in", record.ids),
            ],
            limit=1,
        )
        return line._get_details() if line else {}, line

    def test_rule(self):
        rule = self.env.ref("crm_archive_policy.crm_archive_log_rule_company")
        old = rule.domain_force
        rule.write({"domain_force": "[(1, '=', 1)]"})
        changes, line = self.get_changes(rule)
        self.assertEqual(changes, {"domain_force": [old, "[(1, '=', 1)]"]})
        self.assertIn("(1, '=', 1)", line.with_user(self.auditor).changes)
        rule_id = rule.browse(rule.id)
        rule.unlink()
        changes, line = self.get_changes(rule_id, "unlink")
        self.assertEqual(changes["domain_force"], ["[(1, '=', 1)]", None])

    def test_rule_on_leads_and_on_nothing_of_ours(self):
        values = {
            "name": "All",
            "model_id": self.env["ir.model"]._get_id("crm.lead"),
            "domain_force": "[]",
        }
        rule = self.env["ir.rule"].create(values)
        changes, _line = self.get_changes(rule, "create")
        self.assertEqual(changes["domain_force"], [None, "[]"])
        values["model_id"] = self.env["ir.model"]._get_id("utm.source")
        other = self.env["ir.rule"].create(values)
        self.assertFalse(self.get_changes(other, "create")[1])
        # One that turns to this add-on, and one that turns away.
        other.model_id = self.env["ir.model"]._get_id("crm.archive.log")
        self.assertTrue(self.get_changes(other)[1])

    def test_access(self):
        access = self.env.ref("crm_archive_policy.crm_archive_log_auditor")
        access.perm_write = True
        changes, _line = self.get_changes(access)
        self.assertEqual(changes, {"perm_write": [None, True]})
        access.with_user(self.env.ref("base.user_admin")).active = False
        changes, line = self.get_changes(access)
        self.assertEqual(changes, {"active": [True, None]})
        self.assertEqual(line.user_id, self.env.ref("base.user_admin"))

    def test_group(self):
        group = self.env.ref("crm_archive_policy.group_archive_auditor")
        manager = self.env.ref("crm_archive_policy.group_archive_manager")
        old = sorted(group.implied_ids.ids)
        group.implied_ids += manager
        changes, _line = self.get_changes(group)
        self.assertEqual(changes["implied_ids"], [old, sorted([*old, manager.id])])
