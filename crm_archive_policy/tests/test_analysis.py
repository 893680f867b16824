from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from .vault_common import VaultCase


@tagged("post_install", "-at_install")
class TestAnalysis(VaultCase):
    """The archive as a place to learn about customers."""

    def setUp(self):
        super().setUp()
        self.country = self.env.ref("base.be")
        self.source = self.env["utm.source"].create({"name": "Fair"})
        self.industry = self.env["res.partner.industry"].create({"name": "Clocks"})
        self.policy = self.create_policy(name="Analysed")

    def create_leads(self, count):
        partner = self.create_contact("Customer", industry_id=self.industry.id)
        leads = self.env["crm.lead"]
        for number in range(count):
            leads += self.create_lead(
                f"Analysed {number}",
                country_id=self.country.id,
                source_id=self.source.id,
                partner_id=partner.id,
                user_id=self.seller.id,
            )
        return self.archive(leads, archive_policy_id=self.policy.id)

    def sum_by(self, *fields_, user=None):
        analysis = self.env["crm.archive.analysis"].with_user(user or self.auditor)
        groups = analysis._read_group(
            [("policy_id", "=", self.policy.id)], fields_, ["record_count:sum"]
        )
        return {tuple(keys): number for *keys, number in groups}

    def test_archived_vaulted_and_restored(self):
        leads = self.create_leads(4)
        self.vault(leads[:1])
        leads[1].archive_date = fields.Datetime.now() - relativedelta(months=5, days=3)
        leads[1:3].with_user(self.officer)._restore({"cause": "came_back"})
        expected = {"archived": 1, "vaulted": 1, "restored": 2}
        self.assertEqual(
            self.sum_by("state"), {(key,): number for key, number in expected.items()}
        )
        for field, record in (
            ("country_id", self.country),
            ("industry_id", self.industry),
            ("source_id", self.source),
            ("user_id", self.seller),
        ):
            with self.subTest(field=field):
                self.assertEqual(
                    self.sum_by(field, "state"),
                    {(record, key): number for key, number in expected.items()},
                )
        with self.subTest("after how many months they came back"):
            stats = self.env["crm.archive.restore.stat"]
            domain = [("policy_id", "=", self.policy.id)]
            query = (domain, ["month_count"], ["record_count:sum"])
            self.assertEqual(dict(stats._read_group(*query)), {5: 1, 0: 1})
            tomorrow = fields.Date.today() + relativedelta(days=1)
            self.patch(fields.Date, "today", lambda *_args: tomorrow)
            stats._compact()
            self.assertEqual(dict(stats._read_group(*query)), {5: 1, 0: 1})
            by_source = self.sum_by("source_id", "state")
            self.assertEqual(by_source[self.source, "restored"], 2)

    def test_a_restore_from_the_vault_is_counted_once(self):
        leads = self.create_leads(1)
        entries = self.vault(leads)
        entries.with_user(self.officer)._restore()
        self.assertEqual(self.sum_by("state"), {("restored",): 1})

    def test_who_may_look(self):
        self.create_leads(1)
        self.assertTrue(self.sum_by("state", user=self.officer))
        with self.assertRaises(AccessError):
            self.sum_by("state", user=self.seller)

    def test_other_companies(self):
        company = self.env["res.company"].create({"name": "Other"})
        self.archive(
            self.create_lead("Elsewhere", company_id=company.id),
            archive_policy_id=self.policy.id,
        )
        self.assertFalse(self.sum_by("state"))
