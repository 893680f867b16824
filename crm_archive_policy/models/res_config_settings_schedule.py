from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from .res_config_settings_upkeep import INTERVALS

#: Scheduled actions that are set here; prefix of the fields → XML id.
SCHEDULE_CRONS = {
    "archive_review": "crm_archive_policy.ir_cron_review_policies",
    "archive_holds": "crm_archive_policy.ir_cron_refresh_holds",
    "archive_extend": "crm_archive_policy.ir_cron_extend_retention",
    "archive_rotate": "crm_archive_policy.ir_cron_rotate_keys",
    "archive_count": "crm_archive_policy.ir_cron_count_growth",
}

HEALTH_CRON = "crm_archive_policy.ir_cron_check_stores"

#: Where the guided tour begins; the web client starts what the address names.
TOUR_URL = "/odoo/archive?tour=crm_archive_first_policy"


class ResConfigSettings(models.TransientModel):
    """Every other schedule, when each runs next, and a button to try each thing out."""

    _inherit = "res.config.settings"

    archive_review_active = fields.Boolean("Ask for the Review of Policies")
    archive_review_interval_number = fields.Integer("Review Policies Every", default=1)
    archive_review_interval_type = fields.Selection(INTERVALS, default="days")
    archive_holds_active = fields.Boolean("Extend Legal Holds")
    archive_holds_interval_number = fields.Integer("Extend Holds Every", default=1)
    archive_holds_interval_type = fields.Selection(INTERVALS, default="hours")
    archive_extend_active = fields.Boolean("Extend Retention")
    archive_extend_interval_number = fields.Integer("Extend Retention Every", default=1)
    archive_extend_interval_type = fields.Selection(INTERVALS, default="days")
    archive_rotate_active = fields.Boolean("Change Master Keys")
    archive_rotate_interval_number = fields.Integer("Change Keys Every", default=1)
    archive_rotate_interval_type = fields.Selection(INTERVALS, default="days")
    archive_count_active = fields.Boolean("Count Live and Archived Records")
    archive_count_interval_number = fields.Integer("Count Every", default=1)
    archive_count_interval_type = fields.Selection(INTERVALS, default="days")
    # Only shown: a scheduled action that has moved on must not be set back.
    archive_health_nextcall = fields.Datetime(
        "Next Check", compute="_compute_archive_nextcalls"
    )
    archive_verify_nextcall = fields.Datetime(
        "Next Verification", compute="_compute_archive_nextcalls"
    )
    archive_drill_nextcall = fields.Datetime(
        "Next Rehearsal", compute="_compute_archive_nextcalls"
    )
    archive_sweep_nextcall = fields.Datetime(
        "Next Sweep", compute="_compute_archive_nextcalls"
    )
    archive_anchor_nextcall = fields.Datetime(
        "Next Anchor", compute="_compute_archive_nextcalls"
    )
    archive_log_nextcall = fields.Datetime(
        "Next Log Verification", compute="_compute_archive_nextcalls"
    )
    archive_rights_nextcall = fields.Datetime(
        "Next Review of Rights", compute="_compute_archive_nextcalls"
    )
    archive_review_nextcall = fields.Datetime(
        "Next Round of Reviews", compute="_compute_archive_nextcalls"
    )
    archive_holds_nextcall = fields.Datetime(
        "Next Extension of Holds", compute="_compute_archive_nextcalls"
    )
    archive_extend_nextcall = fields.Datetime(
        "Next Extension of Retention", compute="_compute_archive_nextcalls"
    )
    archive_rotate_nextcall = fields.Datetime(
        "Next Change of Keys", compute="_compute_archive_nextcalls"
    )
    archive_count_nextcall = fields.Datetime(
        "Next Count", compute="_compute_archive_nextcalls"
    )

    @api.model
    def _get_archive_crons(self):
        return {**super()._get_archive_crons(), **SCHEDULE_CRONS}

    @api.depends("company_id")
    def _compute_archive_nextcalls(self):
        crons = {**self._get_archive_crons(), "archive_health": HEALTH_CRON}
        for prefix, name in crons.items():
            cron = self.env.ref(name, raise_if_not_found=False)
            # A manager may see when it runs, without a right on scheduled actions.
            self[f"{prefix}_nextcall"] = cron.sudo().nextcall if cron else False

    # ------------------------------------------------------------
    # TRYING OUT
    # ------------------------------------------------------------

    @api.model
    def _check_may_test(self):
        """Refuse other people than managers, who may push the same buttons elsewhere.

        :raise AccessError: for them
        """
        if not self.env.user.has_group("crm_archive_policy.group_archive_manager"):
            raise AccessError(self.env._("Only archive managers try these things out."))

    @api.model
    def _notify_archive_test(self, kind, message):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"type": kind, "sticky": kind != "success", "message": message},
        }

    def action_archive_test_stores(self):
        """Write to each store, read it back, and try its keys.

        :return: notification that names every store
        """
        self._check_may_test()
        stores = self.env["crm.archive.store"].search([])
        if not stores:
            raise UserError(self.env._("There is no store yet."))
        kinds, lines = set(), []
        for store in stores:
            store.action_check_health()
            kinds.add(store.state)
            ok = self.env._("The store answers and keeps what it is given.")
            lines.append(f"{store.name}: {store.message or ok}")
        kind = "danger" if "failed" in kinds else "warning"
        kind = "success" if kinds == {"ok"} else kind
        return self._notify_archive_test(kind, "\n".join(lines))

    def action_archive_test_mail(self):
        """Send the user what managers get when something is wrong: an e-mail.

        :return: notification with the result
        :raise UserError: when there is no address to send it to
        """
        self._check_may_test()
        user = self.env.user
        if not user.email:
            raise UserError(
                self.env._(
                    "You have no e-mail address yet: set it in your preferences."
                )
            )
        subject = self.env._("Archive: this is a test")
        # The server's own mail, as alerts are: managers have no right to write others.
        mail = (
            self.env["mail.mail"]
            .sudo()
            .create(
                {
                    "subject": subject,
                    "body_html": self.env._(
                        "Alerts of the archive will reach you at this address."
                    ),
                    "email_from": self.env.company.email_formatted
                    or user.email_formatted,
                    "email_to": user.email_formatted,
                    "auto_delete": False,
                }
            )
        )
        mail.send()
        if mail.state == "sent":
            return self._notify_archive_test(
                "success", self.env._("Sent to %(email)s.", email=user.email)
            )
        return self._notify_archive_test(
            "danger",
            self.env._(
                "Not sent: %(reason)s",
                reason=mail.failure_reason or self.env._("no reason was given."),
            ),
        )

    def action_archive_test_verify(self):
        """Read everything in the default store again.

        :return: window action of the run
        """
        self._check_may_test()
        return self._get_archive_test_store().action_verify()

    def action_archive_test_drill(self):
        """Rehearse a few restores from the default store.

        :return: window action of the run
        """
        self._check_may_test()
        return self._get_archive_test_store().action_drill()

    def _get_archive_test_store(self):
        """Return the store that records of this company are in, or go to.

        :raise UserError: when there is none
        """
        stores = self.env["crm.archive.store"]
        groups = self.env["crm.archive.bundle"]._read_group(
            [("state", "in", ("used", "damaged"))], ["store_id"], order="store_id"
        )
        store = (
            self.company_id.archive_store_id
            or stores.concat(
                *(store for [store] in groups), stores.search([], limit=1)
            )[:1]
        )
        if not store:
            raise UserError(self.env._("There is no store yet."))
        return store

    def action_archive_test_log(self):
        """Verify the audit log.

        :return: notification with the result
        """
        return self.env["crm.archive.log"].action_verify_chain()

    def action_archive_test_anchor(self):
        """Anchor the audit log now.

        :return: notification with the result
        """
        return self.env["crm.archive.anchor"].action_anchor()

    def action_archive_test_rights(self):
        """Make the list of who has archive rights now.

        :return: window action of the review
        """
        return self.env["crm.archive.access.review"].action_ask()

    def action_archive_tour(self):
        """Start the guided tour through a first policy.

        :return: URL action
        """
        return {"type": "ir.actions.act_url", "url": TOUR_URL, "target": "self"}
