from datetime import datetime

from dateutil.relativedelta import relativedelta

from odoo.tests import TransactionCase, new_test_user
from odoo.tools import SQL

from odoo.addons.base.tests.test_ir_cron import CronMixinCase


class ArchiveCase(TransactionCase, CronMixinCase):
    """People, an aged contact and aged leads, without reliance on demo data."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.archive.policy"].search([]).active = False
        salesman = "sales_team.group_sale_salesman_all_leads,base.group_partner_manager"
        cls.seller = new_test_user(cls.env, "seller", groups=salesman)
        cls.officer = new_test_user(
            cls.env,
            "officer",
            groups=f"{salesman},crm_archive_policy.group_archive_officer",
        )
        cls.manager = new_test_user(
            cls.env,
            "manager",
            groups=f"{salesman},crm_archive_policy.group_archive_manager",
        )
        cls.auditor = new_test_user(
            cls.env,
            "auditor",
            groups="base.group_user,crm_archive_policy.group_archive_auditor",
        )
        cls.reason = cls.env.ref("crm_archive_policy.crm_archive_reason_inactive")
        cls.lead = cls.create_lead("Silent lead")
        cls.contact = cls.create_contact("Silent contact")

    @classmethod
    def create_lead(cls, name="Lead", years=3, **values):
        lead = cls.env["crm.lead"].create(
            {"name": name, "type": "opportunity", "user_id": False, **values}
        )
        cls.age(lead, years=years)
        return lead

    @classmethod
    def create_contact(cls, name="Contact", years=3, **values):
        contact = cls.env["res.partner"].create({"name": name, **values})
        cls.age(contact, years=years)
        return contact

    @classmethod
    def age(cls, records, **period):
        """Move creation and every message of the records into the past."""
        date = datetime.now() - relativedelta(**period)
        cls.env.flush_all()
        cls.env.cr.execute(
            SQL(
                "UPDATE %s SET create_date = %s WHERE id = ANY(%s)",
                SQL.identifier(records._table),
                date,
                records.ids,
            )
        )
        cls.env.cr.execute(
            SQL(
                "UPDATE mail_message SET date = %s "
                "WHERE model = %s AND res_id = ANY(%s)",
                date,
                records._name,
                records.ids,
            )
        )
        cls.env.invalidate_all()

    @classmethod
    def act_alone(cls):
        """Let one manager lift holds and shorten retention without a second one."""
        for kind in ("lift", "retention"):
            cls.env["ir.config_parameter"].set_param(
                f"crm_archive_policy.approval_{kind}", "never"
            )

    @classmethod
    def create_policy(cls, model="crm.lead", **values):
        return cls.env["crm.archive.policy"].create(
            {
                "name": "Test policy",
                "model_id": cls.env["ir.model"]._get_id(model),
                "idle_number": 1,
                "idle_unit": "years",
                "mode": "automatic",
                "reason_id": cls.reason.id,
                **values,
            }
        )

    def run_policy(self, policy):
        """Run a policy and return its run."""
        policy.action_run()
        return policy.run_ids.sorted("id")[-1]

    def run_cron(self):
        """Run the scheduled action as its worker does, commits included."""
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_archive_policy.ir_cron_run_policies"
            ).method_direct_trigger()
        self.env.invalidate_all()

    def assertUntouched(self, records):
        self.assertEqual(set(records.mapped("archive_state")), {"live"})
