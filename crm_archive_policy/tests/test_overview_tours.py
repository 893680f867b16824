from odoo.tests import HttpCase, tagged

from .vault_common import VaultCase


@tagged("post_install", "-at_install")
class TestOverviewTours(VaultCase, HttpCase):
    """The app as people meet it: its first screen, its menus, its most common jobs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.archive_seller = cls.seller.copy(
            {"login": "archive_seller", "password": "archive_seller"}
        )
        cls.archive_seller.group_ids |= cls.env.ref(
            "crm_archive_policy.group_archive_user"
        )

    def fill(self):
        """See to it that the lists of the app have something to open."""
        self.vault(self.create_lead("Vaulted lead", user_id=self.seller.id))
        self.archive(self.create_lead("Archived lead", user_id=self.seller.id))
        self.archive(self.create_contact("Archived contact"))
        review = self.create_policy(name="Review", mode="review", grace_days=5)
        review.action_run()
        self.create_policy("res.partner", name="Contacts").action_run()
        self.env["crm.archive.hold"].create({"name": "Case", "reason": "Dispute"})
        self.env["crm.archive.growth"]._cron_count()
        self.env.flush_all()

    def test_walk_through_every_menu(self):
        """Each menu, each kind of view, a form of each: nobody meets an error."""
        self.fill()
        walks = (
            (self.manager, "crm_archive_walk"),
            (self.auditor, "crm_archive_walk_quick"),
            (self.archive_seller, "crm_archive_walk_quick"),
        )
        for user, tour in walks:
            with self.subTest(user=user.login):
                self.start_tour("/odoo/archive", tour, login=user.login, timeout=180)

    def test_the_most_common_jobs_take_few_clicks(self):
        contact = self.create_contact("Clicked contact")
        self.archive(self.create_contact("Another contact"))
        self.start_tour(
            f"/odoo/contacts/{contact.id}", "crm_archive_clicks", login="manager"
        )
        self.assertUntouched(contact)
        policy = self.env["crm.archive.policy"].search(
            [("name", "=", "Silent for a year")]
        )
        self.assertRecordValues(
            policy, [{"idle_number": 1, "idle_unit": "years", "mode": "automatic"}]
        )

    def test_the_guided_tour(self):
        self.start_tour("/odoo/archive", "crm_archive_first_policy", login="manager")
        policy = self.env["crm.archive.policy"].search(
            [("name", "=", "Contacts silent for three years")]
        )
        self.assertRecordValues(
            policy,
            [
                {
                    "model_name": "res.partner",
                    "idle_number": 3,
                    "grace_days": 14,
                    "mode": "review",
                }
            ],
        )
        self.assertFalse(policy.run_ids)
