import math
from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

ACTIVITY = "crm_archive_policy.mail_activity_type_vault"

#: Kinds of runs that keep the vault trustworthy, one a store.
UPKEEP_KINDS = ("drill", "verify")

#: System parameters and what holds without them.
DEFAULTS = {
    "drill_sample": 20,
    "verify_days": 7,
    "sweep_grace_days": 7,
    "sweep_restored_days": 30,
}


class CrmArchiveStore(models.Model):
    """Keeps what is stored trustworthy: verified, rehearsed, and with an alarm."""

    _inherit = "crm.archive.store"

    bundle_ids = fields.One2many("crm.archive.bundle", "store_id")
    bundle_count = fields.Integer(
        "Bundles in Use", compute="_compute_bundles", compute_sudo=True
    )
    damaged_count = fields.Integer(
        "Damaged Bundles", compute="_compute_bundles", compute_sudo=True
    )
    verified_since = fields.Datetime(
        "All Verified since",
        compute="_compute_bundles",
        compute_sudo=True,
        help="Every bundle has been read again, byte by byte, since then.",
    )
    drill_run_id = fields.Many2one(
        "crm.archive.run", "Last Drill", compute="_compute_drill_run_id"
    )

    def _compute_bundles(self):
        groups = {
            store: values
            for store, *values in self.env["crm.archive.bundle"]._read_group(
                [("store_id", "in", self.ids), ("state", "in", ("used", "damaged"))],
                ["store_id"],
                ["__count", "verify_date:min"],
            )
        }
        damaged = dict(
            self.env["crm.archive.bundle"]._read_group(
                [("store_id", "in", self.ids), ("state", "=", "damaged")],
                ["store_id"],
                ["__count"],
            )
        )
        for store in self:
            store.bundle_count, store.verified_since = groups.get(store, (0, False))
            store.damaged_count = damaged.get(store, 0)

    def _compute_drill_run_id(self):
        for store in self:
            store.drill_run_id = self.env["crm.archive.run"].search(
                [("kind", "=", "drill"), ("store_id", "=", store.id)],
                order="id desc",
                limit=1,
            )

    # ------------------------------------------------------------
    # SETTINGS
    # ------------------------------------------------------------

    @api.model
    def _get_upkeep_setting(self, name):
        """Return a number from Settings.

        :param str name: one of :data:`DEFAULTS`
        """
        parameters = self.env["ir.config_parameter"].sudo()
        value = parameters.get_param(f"crm_archive_policy.{name}")
        try:
            return max(int(value), 1) if value else DEFAULTS[name]
        except ValueError:
            return DEFAULTS[name]

    # ------------------------------------------------------------
    # ALARM
    # ------------------------------------------------------------

    def _ring(self, message=None):
        """Ask the responsible to act, and tell the managers, once an incident.

        While the activity is open, more of the same is added to it.

        :param str message: what went wrong, where it is not about damaged bundles
        """
        self.ensure_one()
        store = self.sudo()
        store.invalidate_recordset(["damaged_count"])
        managers = store._get_managers()
        user = store.user_id.filtered("active") or managers[:1]
        speaking = store.with_context(lang=user.lang)
        note = speaking._describe_alarm(message)
        if activities := store.activity_search([ACTIVITY]):
            activities.write({"note": note})
            return
        summary = speaking.env._("The vault needs you: %(name)s", name=store.name)
        if others := managers - user:
            store.message_notify(
                partner_ids=others.partner_id.ids, subject=summary, body=note
            )
        if user:
            store.activity_schedule(
                ACTIVITY, user_id=user.id, summary=summary, note=note
            )

    def _describe_alarm(self, message=None):
        """Return in words what is wrong and what to do."""
        parts = [message] if message else []
        if self.damaged_count:
            parts.append(
                self.env._(
                    "%(count)s bundles are damaged or missing. Put them back from a "
                    "backup of the store, then verify the store again. Until then the "
                    "records in them cannot be restored, and nothing in them is "
                    "deleted.",
                    count=self.damaged_count,
                )
            )
        return " ".join(parts)

    def _settle_alarm(self):
        """Close the incident's activity when nothing is wrong any more."""
        store = self.sudo()
        store.invalidate_recordset(["damaged_count"])
        last_runs = [
            self.env["crm.archive.run"]
            .sudo()
            .search(
                [
                    ("kind", "=", kind),
                    ("store_id", "=", store.id),
                    ("state", "in", ("done", "failed")),
                ],
                order="date_end desc, id desc",
                limit=1,
            )
            for kind in UPKEEP_KINDS
        ]
        if store.damaged_count or any(run._is_alarming() for run in last_runs):
            return
        store.activity_feedback(
            [ACTIVITY], feedback=self.env._("The vault is in order again.")
        )

    # ------------------------------------------------------------
    # CHOOSING
    # ------------------------------------------------------------

    def _get_part_to_verify(self):
        """Return the bundles whose turn it is, so that a period covers everything.

        :return: the part that was not looked at for longest, and whatever is overdue
        """
        self.ensure_one()
        days = self._get_upkeep_setting("verify_days")
        in_use = [("store_id", "=", self.id), ("state", "in", ("used", "damaged"))]
        bundles = self.env["crm.archive.bundle"].sudo()
        limit = fields.Datetime.now() - timedelta(days=days)
        overdue = ["|", ("verify_date", "=", False), ("verify_date", "<=", limit)]
        part = math.ceil(bundles.search_count(in_use) / days)
        count = max(part, bundles.search_count([*in_use, *overdue]))
        if not count:
            return bundles
        # Not twice on one day, however often somebody starts it.
        today = fields.Datetime.now() - timedelta(hours=12)
        turn = ["|", ("verify_date", "=", False), ("verify_date", "<=", today)]
        return bundles.search(
            [*in_use, *turn], order="verify_date nulls first, id", limit=count
        )

    def _get_drill_sample(self, domain=()):
        """Return some entries at random, to rehearse their restore.

        :param domain: further conditions on ``crm.archive.entry``
        """
        entries = self.env["crm.archive.entry"].sudo()
        domain = [("state", "=", "vaulted"), *domain]
        if self:
            bundles = self.env["crm.archive.bundle"].sudo()
            domain += [
                ("bundle_id", "in", bundles._search([("store_id", "in", self.ids)]))
            ]
        query = entries._search(domain)
        rows = self.env.execute_query(
            SQL(
                "%s ORDER BY random() LIMIT %s",
                query.select(),
                self._get_upkeep_setting("drill_sample"),
            )
        )
        return entries.browse(row[0] for row in rows)

    # ------------------------------------------------------------
    # SCHEDULED ACTIONS
    # ------------------------------------------------------------

    @api.model
    def _cron_verify(self):
        """Read again the part of each store whose turn it is."""
        runs = self.env["crm.archive.run"]
        runs._work_through(runs._plan_upkeep("verify"))

    @api.model
    def _cron_drill(self):
        """Rehearse the restore of a few records of each store, chosen at random."""
        runs = self.env["crm.archive.run"]
        runs._work_through(runs._plan_upkeep("drill"))

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_verify(self):
        """Read everything in the store again.

        :return: window action of the run
        """
        self.ensure_one()
        self.check_access("write")
        bundles = (
            self.env["crm.archive.bundle"]
            .sudo()
            .search([("store_id", "=", self.id), ("state", "in", ("used", "damaged"))])
        )
        return self.env["crm.archive.run"]._start_verify(bundles, self)._get_action()

    def action_drill(self):
        """Rehearse the restore of a few records of the store.

        :return: window action of the run
        """
        self.ensure_one()
        self.check_access("write")
        entries = self._get_drill_sample()
        return self.env["crm.archive.run"]._start_drill(entries, self)._get_action()

    def action_view_bundles(self):
        """Show the bundles of the store.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "crm_archive_policy.crm_archive_bundle_action"
            ),
            "domain": [("store_id", "=", self.id)],
        }
