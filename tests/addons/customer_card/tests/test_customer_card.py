from ast import literal_eval

from odoo.exceptions import UserError, ValidationError
from odoo.tests import new_test_user, tagged

from odoo.addons.crm_archive_policy.tests.vault_common import VaultCase


@tagged("post_install", "-at_install")
class TestCustomerCard(VaultCase):
    """A model that only inherits the mixin has the whole lifecycle."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cards = cls.env["customer.card"].create(
            [
                {
                    "name": f"Card {number}",
                    "partner_id": cls.contact.id,
                    "company_id": cls.env.company.id,
                    "points": number,
                }
                for number in range(12)
            ]
        )
        cls.cards[0].message_post(body="Lost on the train", message_type="comment")
        cls.age(cls.cards, years=3)
        cls.policy = cls.create_policy("customer.card", domain="[('points', '<', 10)]")
        cls.taken, cls.others = cls.cards[:10], cls.cards[10:]

    def test_policy_archives_and_restores(self):
        self.policy.action_preview()
        self.run_policy(self.policy)
        self.assertEqual(set(self.taken.mapped("archive_state")), {"archived"})
        self.assertFalse(any(self.taken.mapped("active")))
        self.assertUntouched(self.others)
        self.assertEqual(self.policy.archived_count, 10)
        self.taken.with_user(self.officer).action_archive_restore()
        self.assertUntouched(self.cards)
        self.assertTrue(all(self.cards.mapped("active")))

    def test_sign_of_life(self):
        self.cards[1].message_post(body="Found again", message_type="comment")
        self.run_policy(self.policy)
        self.assertUntouched(self.cards[1] | self.others)

    def test_review(self):
        self.policy.mode = "review"
        self.run_policy(self.policy)
        candidates = self.policy.candidate_ids.with_user(self.officer)
        self.assertEqual(
            set(candidates.mapped("res_name")), {*self.taken.mapped("name")}
        )
        candidates[:5].action_approve()
        candidates[5:].action_keep()
        self.assertEqual(self.taken.mapped("archive_state").count("archived"), 5)

    def test_guard(self):
        self.env["crm.archive.guard"].create(
            {
                "name": "Cards with points",
                "model_name": "customer.card",
                "link_field": "id",
                "domain": "[('points', '>', 5)]",
                "message": "There are points on the card.",
            }
        )
        run = self.run_policy(self.policy)
        self.assertEqual((run.archived_count, run.kept_count), (6, 4))
        self.assertIn("There are points on the card.", run.kept_summary)

    def test_hold(self):
        action = self.cards[2].with_user(self.manager).action_archive_hold()
        context = action["context"]
        self.assertEqual(
            literal_eval(context["default_domain"]), [("id", "in", self.cards[2].ids)]
        )
        holds = self.env["crm.archive.hold"].with_user(self.manager)
        hold = holds.with_context(**context).create(
            {"name": "A case", "reason": "The court says so"}
        )
        hold.action_start()
        self.assertTrue(self.cards[2].archive_on_hold)
        with self.assertRaisesRegex(UserError, "legal hold"):
            self.cards[2].unlink()
        run = self.run_policy(self.policy)
        self.assertUntouched(self.cards[2])
        self.assertIn("A legal hold is in force.", run.kept_summary)

    def test_never_archive(self):
        self.cards[3].archive_exempt = True
        self.run_policy(self.policy)
        self.assertUntouched(self.cards[3] | self.others)

    def test_vault_and_back(self):
        before = self.cards[0].read(["name", "points", "partner_id", "company_id"])
        bodies = self.cards[0].message_ids.mapped("body")
        self.run_policy(self.policy)
        entries = self.vault(self.taken)
        self.assertFalse(self.cards[0].exists())
        entry = entries.filtered(lambda e: e.res_id == self.cards[0].id)
        self.assertEqual(entry.name, "Card 0")
        self.assertEqual(entry.partner_id, self.contact)
        self.assertEqual(entry.company_id, self.env.company)
        action = entries.with_user(self.officer).action_restore()
        dialog = self.env[action["res_model"]].browse(action["res_id"])
        dialog = dialog.with_user(self.officer).with_context(restore_cause="came_back")
        dialog.action_restore()
        self.env.invalidate_all()
        self.assertUntouched(self.cards)
        self.assertEqual(
            self.cards[0].read(["name", "points", "partner_id", "company_id"]), before
        )
        self.assertEqual(self.cards[0].message_ids.mapped("body"), bodies)

    def test_nobody_writes_to_a_card_that_leaves(self):
        """The triggers of messages and attachments hold on to these rows as well."""
        self.env.cr.execute(
            "SELECT count(*) FROM pg_trigger"
            " WHERE tgname = 'crm_archive_tie_customer_card'"
        )
        self.assertGreaterEqual(self.env.cr.fetchone()[0], 3)

    def test_restricted(self):
        """The maker of the model has written no rule."""
        clerk = new_test_user(self.env, "clerk", groups="base.group_user")
        self.policy.restrict_access = True
        self.run_policy(self.policy)
        cards = self.env["customer.card"].with_context(active_test=False)
        self.assertEqual(cards.with_user(clerk).search([]), self.others)
        self.assertEqual(cards.with_user(self.officer).search([]), self.cards)

    def test_erasure_of_a_person(self):
        """The cards of a person are found with the person."""
        person = self.env["crm.archive.person"].with_user(self.manager)
        self.contact.name = "Ada Exemplar"
        found = person._find(name="Ada Exemplar")
        self.assertIn(self.cards, found)

    def test_conditions_that_need_more(self):
        with self.assertRaisesRegex(ValidationError, "cannot be found out"):
            self.policy.find_duplicate_email = True
        with self.assertRaisesRegex(ValidationError, "no archive lifecycle"):
            self.create_policy("res.country")
