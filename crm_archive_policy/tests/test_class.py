from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestClass(ArchiveCase):
    """Tags by value, and customers too valuable to be archived unseen."""

    def test_tags_by_value(self):
        belgium = self.env.ref("base.be")
        industry = self.env["res.partner.industry"].create({"name": "Bakery"})
        contact = self.create_contact(
            "Baker", country_id=belgium.id, industry_id=industry.id
        )
        lead = self.create_lead("Won", partner_id=contact.id, expected_revenue=2500)
        lead.action_set_won()
        self.age(lead, years=3)
        self.age(contact, years=3)
        policy = self.create_policy(
            "res.partner",
            domain=f"[('id', 'in', {[contact.id, self.contact.id]})]",
            tag_by_country=True,
            tag_by_industry=True,
            tag_by_salesperson=True,
            revenue_bands="1000; 10000",
        )
        self.run_policy(policy)
        self.assertEqual(
            set(contact.archive_tag_ids.mapped("name")),
            {
                "Country: Belgium",
                "Industry: Bakery",
                "Revenue Bands: 1,000 – 10,000",
            },
        )
        self.assertEqual(
            self.contact.archive_tag_ids.mapped("name"), ["Revenue Bands: 0 – 1,000"]
        )
        self.assertEqual(
            len(
                self.env["crm.archive.tag"].search([("name", "=", "Country: Belgium")])
            ),
            1,
        )

    def test_leads_by_source(self):
        self.lead.source_id = self.env["utm.source"].create({"name": "Fair 2023"})
        self.run_policy(self.create_policy(tag_by_source=True))
        self.assertEqual(
            self.lead.archive_tag_ids.mapped("name"), ["Source: Fair 2023"]
        )

    def test_tagging_costs_a_tag_not_a_record(self):
        policy = self.create_policy(tag_by_source=True, revenue_bands="10")
        source = self.env["utm.source"].create({"name": "Fair"})
        few = self.create_lead("a", source_id=source.id)
        many = few.browse()
        for number in range(20):
            many |= self.create_lead(f"b{number}", source_id=source.id)
        policy._classify(few)
        self.env.flush_all()
        counts = []
        for leads in (few, many):
            leads._move({"archive_tag_ids": [(5, 0, 0)]})
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            policy._classify(leads)
            self.env.flush_all()
            counts.append(self.env.cr.sql_log_count - before)
        self.assertEqual(counts[0], counts[1])

    def test_tagging_costs_no_more_for_many_values(self):
        """One statement tags them all, whatever the number of tags."""
        policy = self.create_policy(tag_by_source=True, revenue_bands="10; 20")
        sources = self.env["utm.source"].create(
            [{"name": f"Fair {number}"} for number in range(12)]
        )
        leads = self.lead.browse()
        for number, source in enumerate(sources):
            leads |= self.create_lead(
                source.name, source_id=source.id, expected_revenue=3 * number
            )
        policy._classify(leads)  # makes the tags
        counts = []
        for some in (leads[:2], leads):
            leads._move({"archive_tag_ids": [(5, 0, 0)]})
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            policy._classify(some)
            counts.append(self.env.cr.sql_log_count - before)
        self.assertEqual(counts[0], counts[1])
        self.assertEqual(
            leads[4].archive_tag_ids.mapped("name"),
            ["Revenue Bands: 10 – 20", "Source: Fair 4"],
        )

    def test_bad_bands(self):
        for bands in ("a lot", "10; 5", "-1; 5", "0", "5; 5"):
            with self.subTest(bands=bands), self.assertRaises(ValidationError):
                self.create_policy(revenue_bands=bands)

    def test_high_revenue_goes_to_review(self):
        rich = self.create_lead("Rich", expected_revenue=1000)
        poor = self.create_lead("Poor", expected_revenue=999)
        policy = self.create_policy(review_revenue=1000)
        run = self.run_policy(policy)
        self.assertEqual(poor.archive_state, "archived")
        self.assertEqual(rich.archive_state, "pending")
        self.assertEqual(run.pending_count, 1)
        self.run_policy(policy)
        self.assertEqual(rich.archive_state, "pending", "not without approval")
        policy.candidate_ids.with_user(self.officer).action_approve()
        self.assertEqual(rich.archive_state, "archived")

    def test_high_revenue_with_grace(self):
        rich = self.create_lead("Rich", expected_revenue=1000)
        poor = self.create_lead("Poor", expected_revenue=999)
        policy = self.create_policy(review_revenue=1000, grace_days=5)
        self.run_policy(policy)
        policy.candidate_ids.sudo().due_date = "2020-01-01"
        self.run_policy(policy)
        self.assertEqual(poor.archive_state, "archived")
        self.assertEqual(rich.archive_state, "pending")

    def test_top_rated_goes_to_review(self):
        star = self.create_lead("Star", priority="3")
        self.run_policy(self.create_policy(review_top_rated=True))
        self.assertEqual(star.archive_state, "pending")
        self.assertEqual(self.lead.archive_state, "archived")

    def test_contacts_by_what_they_bought(self):
        lead = self.create_lead(
            "Won", partner_id=self.contact.id, expected_revenue=5000
        )
        lead.action_set_won()
        self.age(lead, years=3)
        self.age(self.contact, years=3)
        policy = self.create_policy(
            "res.partner",
            domain=f"[('id', '=', {self.contact.id})]",
            review_revenue=5000,
        )
        self.run_policy(policy)
        self.assertEqual(self.contact.archive_state, "pending")
