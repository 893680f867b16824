from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools.misc import human_size

from ..lib.bundle import Keyring, MasterKeys
from ..lib.stores import Health, StoreTemporary
from . import vault_config
from .vault_errors import VAULT_ERRORS, describe_vault_error, vault_errors

ACTIVITY = "crm_archive_policy.mail_activity_type_store"

GIGABYTE = 1 << 30


class CrmArchiveStore(models.Model):
    """Whether the store answers, how much room it has, and who is told if not."""

    _inherit = "crm.archive.store"

    state = fields.Selection(
        [
            ("unknown", "Not checked yet"),
            ("ok", "In order"),
            ("low", "Low on space"),
            ("failed", "In trouble"),
        ],
        "Status",
        default="unknown",
        required=True,
        readonly=True,
        copy=False,
    )
    date_check = fields.Datetime("Last Check", readonly=True, copy=False)
    duration_ms = fields.Integer("Response Time (ms)", readonly=True, copy=False)
    free_bytes = fields.Float(
        readonly=True, copy=False, digits=(20, 0), aggregator=False
    )
    free_space = fields.Char(compute="_compute_free_space")
    threshold_gb = fields.Float(
        "Alert Below (GB)",
        default=5.0,
        help="Managers are told when less space than this is free; 0 for never. Object "
        "storage and databases do not say how much is free.",
    )
    error_code = fields.Char(readonly=True, copy=False)
    error_detail = fields.Text(readonly=True, copy=False)
    message = fields.Text(compute="_compute_message")
    is_alerted = fields.Boolean(
        readonly=True, copy=False, help="Managers know of the present trouble."
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("free_bytes", "date_check")
    def _compute_free_space(self):
        for store in self:
            store.free_space = human_size(store.free_bytes)

    @api.depends("state", "error_code", "error_detail", "free_bytes", "threshold_gb")
    @api.depends_context("lang")
    def _compute_message(self):
        for store in self:
            store.message = store._describe_state()

    def _describe_state(self):
        """Return in words what is wrong, ``False`` when nothing is known to be."""
        if self.state == "failed":
            detail = self.error_detail or ""
            return describe_vault_error(self.env, self.error_code, detail) or detail
        if self.state == "low":
            return self.env._(
                "Only %(free)s are free. Make room, or let new records go elsewhere.",
                free=human_size(self.free_bytes) or 0,
            )
        return False

    @api.model
    def _get_state_fields(self):
        """Return the fields that are findings, not settings."""
        return {
            "state",
            "date_check",
            "duration_ms",
            "free_bytes",
            "error_code",
            "error_detail",
            "is_alerted",
        }

    def write(self, vals):
        """What is found out about one place says nothing of another."""
        if {"kind", "url", "secret_name", "mirror_id"} & vals.keys():
            vals = {**vals, "state": "unknown", "error_code": False}
        return super().write(vals)

    # ------------------------------------------------------------
    # CHECK
    # ------------------------------------------------------------

    def action_check_health(self):
        """Check from a button.

        :return: notification with the result
        """
        self.ensure_one()
        self.check_access("write")
        self._check_health()
        ok = self.env._("The store answers and keeps what it is given.")
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": {"ok": "success", "low": "warning"}.get(self.state, "danger"),
                "sticky": self.state != "ok",
                "title": self.name,
                "message": self.message or ok,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    @api.model
    def _cron_check_health(self):
        """Check every store, one transaction each."""
        cron = self.env["ir.cron"]
        stores = self.search([])
        cron._commit_progress(remaining=len(stores))
        for store in stores:
            # One that a button is checking needs no second look.
            if store.try_lock_for_update(allow_referencing=True):
                store._check_health()
            if not cron._commit_progress(1):
                return

    def _check_health(self):
        """Check the store, note the result, and tell managers of a change."""
        self.ensure_one()
        health = self._probe()
        free = health.free_bytes
        threshold = self.threshold_gb * GIGABYTE
        is_low = health.ok and free is not None and free < threshold
        self.write(
            {
                "state": "low" if is_low else "ok" if health.ok else "failed",
                "date_check": fields.Datetime.now(),
                "duration_ms": round(health.seconds * 1000),
                "free_bytes": free or 0.0,
                "error_code": health.error,
                "error_detail": health.message,
            }
        )
        if self.state == "ok":
            self._resolve_alert()
        elif not self.is_alerted:
            self._alert()

    def _probe(self):
        """Try the store out: write, read back, delete; only read when read-only.

        :return: :class:`~..lib.stores.Health`; never raises for the store's troubles
        """
        try:
            with self._open() as store:
                if self._get_readonly_reason():
                    store.owner()
                    return Health(True, free_bytes=store.free_space())
                health = store.health()
            if health.ok and self.encrypt:
                self._probe_key()
        except VAULT_ERRORS as error:
            return Health(False, str(error), type(error).__name__)
        return health

    def _probe_key(self):
        """Wrap a key, so that a missing master key rings before a run needs it.

        :raise BundleError: when there is no master key, or no package to use it
        """
        masters = MasterKeys.parse(vault_config.get_master_keys(self.secret_name) or "")
        Keyring("probe", "", masters.current, masters).new_key(0)

    def _check_recovered(self):
        """Refuse a store that was in lasting trouble and still is.

        :raise UserError: with what is wrong
        """
        if self.state != "failed" or self.error_code == StoreTemporary.__name__:
            return
        health = self._probe()
        if not health.ok and health.error != StoreTemporary.__name__:
            raise UserError(
                describe_vault_error(self.env, health.error, health.message)
            )

    # ------------------------------------------------------------
    # ALERT
    # ------------------------------------------------------------

    def _alert(self):
        """Tell the managers, once for each incident; the responsible has to act."""
        managers = self._get_managers()
        user = self.user_id.filtered("active") or managers[:1]
        speaking = self.with_context(lang=user.lang)
        summary = speaking.env._("Archive store in trouble: %(name)s", name=self.name)
        # The activity tells the responsible.
        if others := managers - user:
            self.message_notify(
                partner_ids=others.partner_id.ids,
                subject=summary,
                body=speaking._describe_state(),
            )
        if user:
            self.activity_schedule(
                ACTIVITY,
                user_id=user.id,
                summary=summary,
                note=speaking._describe_state(),
            )
        self.is_alerted = True

    def _resolve_alert(self):
        """Close the incident's activities: the store is in order again."""
        if self.is_alerted:
            self.activity_feedback(
                [ACTIVITY], feedback=self.env._("The store is in order again.")
            )
            self.is_alerted = False

    def _get_managers(self):
        """Return the archive managers of the store's company."""
        group = self.env.ref("crm_archive_policy.group_archive_manager").sudo()
        managers = group.all_user_ids.filtered("active")
        if self.company_id:
            managers = managers.filtered(lambda u: self.company_id in u.company_ids)
        return managers

    # ------------------------------------------------------------
    # TAKING OVER
    # ------------------------------------------------------------

    def action_adopt(self):
        """Make a store ours that belonged to a database which is gone.

        For a database that was restored under a new identity. The two must never both
        write: what one deletes, the other still counts on.

        :return: notification
        :raise AccessError: for anybody but an administrator
        :raise UserError: in a neutralized copy, or when the store fails
        """
        self.ensure_one()
        self.check_access("write")
        if not self.env.user.has_group("base.group_system"):
            raise AccessError(
                self.env._("Only an administrator (Settings) takes over a store.")
            )
        if reason := self._get_readonly_reason():
            raise UserError(reason)
        with vault_errors(self.env), self._open() as store:
            owner = store.owner()
            store.adopt()
        self.env["crm.archive.log"]._append("adopt", self, {"from_database": owner})
        return self.action_check_health()
