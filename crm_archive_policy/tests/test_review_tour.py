from odoo.tests import HttpCase, tagged

from .test_notice import NoticeCase


@tagged("post_install", "-at_install")
class TestReviewTour(NoticeCase, HttpCase):
    """The review queue and the banner, in a real browser."""

    def test_keep_one_and_approve_the_rest(self):
        leads = self.env["crm.lead"]
        for number in range(1, 5):
            leads |= self.create_lead(f"Review {number}")
        policy = self._propose(leads, name="Tour review", mode="review", grace_days=0)
        self.start_tour("/odoo/archive-review", "crm_archive_review", login="officer")
        self.assertEqual(
            leads.mapped("archive_state"), ["live", "archived", "archived", "archived"]
        )
        kept = policy.candidate_ids.filtered(lambda c: c.verdict == "kept")
        self.assertRecordValues(
            kept, [{"user_id": self.officer.id, "note": "Fair in May"}]
        )

    def test_owner_keeps_on_the_form(self):
        policy, lead = self._name(1)
        self.start_tour(f"/odoo/crm/{lead.id}", "crm_archive_keep", login="owner")
        self.assertUntouched(lead)
        self.assertEqual(policy.candidate_ids.user_id, self.owner)

    def test_owner_follows_the_link_of_the_notice(self):
        self._name(2)
        code = """
            (async () => {
                for (let i = 0; i < 100; i++) {
                    const rows = document.querySelectorAll(".o_data_row").length;
                    const approve = document.querySelector("[name=action_approve]");
                    if (rows === 2 && !approve) {
                        console.log("test successful");
                        return;
                    }
                    await new Promise((resolve) => setTimeout(resolve, 100));
                }
                console.error("expected two own records and no Approve");
            })();
        """
        self.browser_js("/odoo/archive-mine", code, login="owner")
