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

    def test_every_dimension(self):
        """What is switched on is tagged, and what is off is not."""
        industry = self.env["res.partner.industry"].create({"name": "Bakery"})
        customer = self.create_contact("Baker", industry_id=industry.id)
        values = {
            "country_id": self.env.ref("base.be").id,
            "user_id": self.seller.id,
            "source_id": self.env["utm.source"].create({"name": "Fair 2023"}).id,
        }
        expected = {
            "tag_by_industry": "Industry: Bakery",
            "tag_by_country": "Country: Belgium",
            "tag_by_salesperson": f"Salesperson: {self.seller.name}",
            "tag_by_source": "Source: Fair 2023",
        }
        for name, tag in expected.items():
            with self.subTest(name=name):
                lead = self.create_lead(name, partner_id=customer.id, **values)
                policy = self.create_policy(
                    domain=f"[('id', '=', {lead.id})]", **{name: True}
                )
                self.run_policy(policy)
                self.assertEqual(lead.archive_tag_ids.mapped("name"), [tag])
        self.contact.user_id = self.seller
        self.run_policy(
            self.create_policy(
                "res.partner",
                domain=f"[('id', '=', {self.contact.id})]",
                tag_by_salesperson=True,
                tag_by_source=True,
            )
        )
        self.assertEqual(
            self.contact.archive_tag_ids.mapped("name"),
            [f"Salesperson: {self.seller.name}"],
        )

    def test_archive_is_searched_and_counted_by_its_tags(self):
        leads = self.lead | self.create_lead("Second")
        leads.source_id = self.env["utm.source"].create({"name": "Fair 2023"})
        self.run_policy(self.create_policy(tag_by_source=True))
        tag = leads.archive_tag_ids
        archived = self.env["crm.lead"].with_context(active_test=False)
        self.assertEqual(archived.search([("archive_tag_ids", "in", tag.ids)]), leads)
        groups = archived.formatted_read_group(
            [("archive_tag_ids", "=", tag.id)], ["archive_tag_ids"], ["__count"]
        )
        self.assertEqual([group["__count"] for group in groups], [2])


@tagged("post_install", "-at_install")
class TestClassOrders(ArchiveCase):
    """Orders are revenue as well, where sales are installed."""

    def setUp(self):
        super().setUp()
        if "sale.order" not in self.env:
            self.skipTest("sale is not installed")

    def _order(self, amount, **values):
        product = self.env["product.product"].create({"name": "Shelf"})
        order = self.env["sale.order"].create(
            {
                "partner_id": self.contact.id,
                "order_line": [
                    (
                        0,
                        0,
                        {
                            "product_id": product.id,
                            "price_unit": amount,
                            "tax_ids": False,
                        },
                    )
                ],
                **values,
            }
        )
        order.action_confirm()
        # Delivered and paid for long ago: no reason to stay by itself.
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE sale_order SET date_order = '2020-01-01', invoice_status = 'no',"
            " locked = true WHERE id = %s",
            [order.id],
        )
        self.env.invalidate_all()
        return order

    def test_orders_send_to_review(self):
        policy = self.create_policy("res.partner", review_revenue=500)
        self._order(499)
        self.assertFalse(policy._select_to_review(self.contact))
        self._order(1)
        self.assertEqual(policy._select_to_review(self.contact), self.contact)

    def test_orders_count_for_the_bands(self):
        policy = self.create_policy("res.partner", revenue_bands="100; 1000")
        self._order(600)
        self.assertEqual(
            dict(policy._group_by_band(self.contact)), {"100 – 1,000": self.contact.ids}
        )

    def test_the_order_of_a_won_lead_is_not_counted_twice(self):
        lead = self.create_lead("Won", partner_id=self.contact.id, expected_revenue=300)
        lead.action_set_won()
        self._order(300, opportunity_id=lead.id)
        policy = self.create_policy("res.partner")
        self.assertEqual(policy._get_revenue(self.contact), {self.contact.id: 300})

    def test_orders_in_another_currency(self):
        currency = self.env["res.currency"].create(
            {
                "name": "XPT",
                "symbol": "X",
                "rate_ids": [(0, 0, {"name": "2020-01-01", "rate": 4})],
            }
        )
        pricelist = self.env["product.pricelist"].create(
            {"name": "X", "currency_id": currency.id}
        )
        self._order(400, pricelist_id=pricelist.id)
        policy = self.create_policy("res.partner")
        self.assertAlmostEqual(policy._get_revenue(self.contact)[self.contact.id], 100)
