from odoo import api, fields, models
from odoo.fields import Domain

#: How bad a state is; the client shows each with a colour, an icon and a word.
GOOD, UNKNOWN, WARN, BAD = "good", "unknown", "warn", "bad"

#: A scheduled action that is later than this has stopped.
LATE_HOURS = 26


class CrmArchiveOverview(models.AbstractModel):
    """Whether the archive is in order: one line a part, in words."""

    _inherit = "crm.archive.overview"

    @api.model
    def _get_health(self):
        """Return the state of each part that the user may look into.

        :return: list of ``{'label', 'state', 'text', 'open'}``
        """
        lines = [
            self._get_runs_health(),
            self._get_stores_health(),
            self._get_bundles_health(),
            self._get_drills_health(),
            self._get_chain_health(),
        ]
        return [line for line in lines if line]

    @api.model
    def _prepare_health(self, label, state, text, action, domain=()):
        return {
            "label": label,
            "state": state,
            "text": text,
            "open": self._prepare_open(label, action, list(domain)),
        }

    @api.model
    def _get_cron(self, name):
        """Return a scheduled action, to tell when it runs; empty when deleted."""
        cron = self.env.ref(f"crm_archive_policy.{name}", raise_if_not_found=False)
        return cron.sudo() if cron else self.env["ir.cron"].sudo()

    @api.model
    def _is_late(self, cron):
        late = fields.Datetime.subtract(self.env.cr.now(), hours=LATE_HOURS)
        return bool(cron.active and cron.nextcall < late)

    # ------------------------------------------------------------
    # RUNS
    # ------------------------------------------------------------

    @api.model
    def _get_runs_health(self):
        """Look at the last run of every policy and kind."""
        label = self.env._("Runs of policies")
        runs = self._get_last_runs(("archive", "vault", "purge"))
        failed = runs.filtered(lambda run: run.state == "failed")
        skipped = runs.filtered("error_count") - failed
        cron = self._get_cron("ir_cron_run_policies")
        shown = []
        if failed:
            state, shown = BAD, [("id", "in", failed.ids)]
            text = self.env._(
                "The last run of “%(policy)s” failed.",
                policy=failed[0].policy_id.name or failed[0].name,
            )
        elif skipped:
            state, shown = WARN, [("id", "in", skipped.ids)]
            text = self.env._(
                "Records skipped by the last runs: %(count)s.",
                count=sum(skipped.mapped("error_count")),
            )
        elif self._is_late(cron):
            state = WARN
            text = self.env._(
                "The scheduled action should have run on %(date)s.",
                date=self._format_time(cron.nextcall),
            )
        elif not runs:
            state, text = UNKNOWN, self.env._("Nothing has run yet.")
        else:
            state = GOOD if cron.active else WARN
            text = self._describe_last_run(runs, cron)
        return self._prepare_health(label, state, text, "crm_archive_run_action", shown)

    @api.model
    def _get_last_runs(self, kinds):
        """Return the last run of each policy and kind that was begun.

        Of policies that were switched off, nothing is to be expected any more.
        """
        runs = self.env["crm.archive.run"]
        groups = runs._read_group(
            [
                ("kind", "in", kinds),
                ("state", "in", ("running", "done", "failed")),
                "|",
                ("policy_id", "=", False),
                ("policy_id.active", "=", True),
            ],
            ["policy_id", "kind"],
            ["id:max"],
        )
        return runs.browse(last for _policy, _kind, last in groups)

    @api.model
    def _describe_last_run(self, runs, cron):
        if not cron.active:
            return self.env._("Policies do not run by schedule.")
        date = max(run.date_start for run in runs if run.date_start)
        return self.env._(
            "Without errors, last on %(date)s.",
            date=self._format_time(date),
        )

    # ------------------------------------------------------------
    # VAULT
    # ------------------------------------------------------------

    @api.model
    def _get_stores_health(self):
        label = self.env._("Stores")
        stores = self.env["crm.archive.store"]
        if not stores.has_access("read"):
            return False
        found = stores.search([])
        for wanted, state in (("failed", BAD), ("low", WARN)):
            if bad := found.filtered(
                lambda store, wanted=wanted: store.state == wanted
            ):
                text = f"{bad[0].name}: {bad[0].message}"
                return self._prepare_health(
                    label,
                    state,
                    text,
                    "crm_archive_store_action",
                    [("id", "in", bad.ids)],
                )
        checked = found.filtered(lambda store: store.state == "ok")
        state, text = UNKNOWN, self.env._("Not checked yet.")
        if checked:
            state = GOOD
            text = self.env._(
                "Answering, last checked on %(date)s.",
                date=self._format_time(max(checked.mapped("date_check"))),
            )
        return self._prepare_health(label, state, text, "crm_archive_store_action")

    @api.model
    def _get_bundles_health(self):
        label = self.env._("What is stored")
        bundles = self.env["crm.archive.bundle"]
        if not bundles.has_access("read"):
            return False
        counts = dict(
            bundles._read_group(
                [("state", "in", ("used", "damaged"))], ["state"], ["__count"]
            )
        )
        shown = Domain.TRUE
        if counts.get("damaged"):
            state, shown = BAD, Domain("state", "=", "damaged")
            text = self.env._("Damaged bundles: %(count)s.", count=counts["damaged"])
        elif not counts:
            state, text = UNKNOWN, self.env._("Nothing is in the vault yet.")
        elif not self._get_cron("ir_cron_verify").active:
            state, text = WARN, self.env._("It is not verified by schedule.")
        else:
            state = GOOD
            text = self.env._(
                "Bundles: %(count)s, none is damaged.", count=counts["used"]
            )
        return self._prepare_health(
            label, state, text, "crm_archive_bundle_action", shown
        )

    @api.model
    def _get_drills_health(self):
        """Tell how the last rehearsal of restores went."""
        label = self.env._("Rehearsed restores")
        drills = self.env["crm.archive.drill"]
        last = drills.search([], limit=1)
        shown = Domain("run_id", "=", last.run_id.id) if last else Domain.TRUE
        counts = dict(
            drills._read_group(shown, ["outcome"], ["__count"]) if last else ()
        )
        state = UNKNOWN
        if counts.get("failed"):
            state = BAD
            text = self.env._(
                "Records that could not be restored: %(count)s.", count=counts["failed"]
            )
        elif counts.get("drift"):
            state = WARN
            text = self.env._(
                "Records that would come back with differences: %(count)s.",
                count=counts["drift"],
            )
        elif last:
            state = GOOD
            text = self.env._(
                "All exact, last on %(date)s.",
                date=self._format_time(last.date),
            )
        else:
            text = self.env._("Not rehearsed yet.")
        return self._prepare_health(
            label, state, text, "crm_archive_drill_action", shown
        )

    # ------------------------------------------------------------
    # AUDIT LOG
    # ------------------------------------------------------------

    @api.model
    def _get_chain_health(self):
        label = self.env._("Audit log")
        incidents = self.env["crm.archive.incident"]
        if not incidents.has_access("read"):
            return False
        opened = incidents.search([("state", "=", "open")], limit=1)
        cron = self._get_cron("ir_cron_verify_log")
        if opened:
            return self._prepare_health(
                label,
                BAD,
                opened.name,
                "crm_archive_incident_action",
                [("state", "=", "open")],
            )
        if not cron.active:
            state, text = WARN, self.env._("The chain is not verified by schedule.")
        elif not cron.lastcall:
            state, text = UNKNOWN, self.env._("The chain was not verified yet.")
        else:
            state = WARN if self._is_late(cron) else GOOD
            text = self.env._(
                "The chain was intact on %(date)s.",
                date=self._format_time(cron.lastcall),
            )
        return self._prepare_health(label, state, text, "crm_archive_log_action")
