from odoo import api, fields, models
from odoo.exceptions import UserError

from .crm_archive_store_upkeep import UPKEEP_KINDS
from .vault_errors import VAULT_ERRORS, vault_error, vault_errors

#: What is read in one transaction: so many bundles, or so many bytes.
VERIFY_BATCH, VERIFY_BYTES = 50, 256 << 20

#: A button verifies so many bytes itself, the scheduled action the others.
VERIFY_INLINE = 64 << 20


class CrmArchiveRun(models.Model):
    """Runs that read the vault again, and what runs of upkeep have in common.

    They belong to a store instead of a policy, know from the start what they look at,
    and never wait for the hours in which policies may run: they change nothing.
    """

    _inherit = "crm.archive.run"

    kind = fields.Selection(
        selection_add=[("verify", "Verify")], ondelete={"verify": "cascade"}
    )
    store_id = fields.Many2one(
        "crm.archive.store",
        readonly=True,
        ondelete="cascade",
        index="btree_not_null",
    )
    upkeep_ids = fields.Json(
        readonly=True, help="Ids of the bundles or entries it looks at, in order."
    )
    damaged_count = fields.Integer("Damaged", readonly=True)
    healed_count = fields.Integer("Healed from the Mirror", readonly=True)

    @api.depends("kind", "store_id")
    def _compute_name(self):
        super()._compute_name()
        for run in self.filtered(lambda run: run.kind == "verify"):
            run.name = self.env._("Verification · run %(number)s", number=run.id or "")

    # ------------------------------------------------------------
    # STARTING
    # ------------------------------------------------------------

    @api.model
    def _start_upkeep(self, kind, ids, store=None, inline=True):
        """Create a run of upkeep and carry it out, or leave it to the cron.

        :param str kind: one of :data:`~.crm_archive_store_upkeep.UPKEEP_KINDS`
        :param ids: what it looks at; the caller has checked the rights
        :param store: the store, if it is about a single one
        :param bool inline: whether it is little enough for a button
        :return: the run
        """
        values = self._prepare_upkeep(kind, ids, store)
        run = self.sudo().create({**values, "user_id": self.env.uid})
        if not inline:
            cron = self.env.ref(f"crm_archive_policy.ir_cron_{kind}")
            cron.sudo()._trigger()
            return run.sudo(self.env.su)
        run._begin(len(ids))
        plan = run._find_due_ids()
        with vault_errors(self.env):
            while not run._step(plan):
                pass
        return run.sudo(self.env.su)

    @api.model
    def _prepare_upkeep(self, kind, ids, store=None):
        return {
            "kind": kind,
            "store_id": store.id if store else False,
            "upkeep_ids": list(ids),
            "total_count": len(ids),
        }

    @api.model
    def _start_verify(self, bundles, store=None):
        """Read bundles again.

        :param bundles: ``crm.archive.bundle``; the caller has checked the rights
        :param store: set when they are all bundles of this store
        :return: the run
        :raise UserError: when there is none
        """
        if not bundles:
            raise UserError(self.env._("There is nothing to verify."))
        inline = sum(bundles.mapped("size")) <= VERIFY_INLINE
        return self._start_upkeep("verify", bundles.ids, store, inline)

    @api.model
    def _plan_upkeep(self, kind):
        """Return unfinished runs of a kind, then a new one for each other store.

        :param str kind: one of :data:`~.crm_archive_store_upkeep.UPKEEP_KINDS`
        """
        now = fields.Datetime.now()
        unfinished = self.search(
            [("kind", "=", kind), ("state", "in", ("waiting", "running"))], order="id"
        )
        runs = unfinished.filtered(lambda r: not r.date_retry or r.date_retry <= now)
        for store in self.env["crm.archive.store"].search([]) - unfinished.store_id:
            if ids := self._find_upkeep(kind, store).ids:
                runs += self.create(self._prepare_upkeep(kind, ids, store))
        return runs

    def _find_upkeep(self, kind, store):
        """Return what a new run of a kind looks at in a store."""
        return store._get_part_to_verify()

    @api.model
    def _plan_runs(self):
        """Leave the runs of upkeep to their own scheduled actions."""
        return [run for run in super()._plan_runs() if run.kind not in UPKEEP_KINDS]

    def _find_due_ids(self):
        if self.kind not in UPKEEP_KINDS:
            return super()._find_due_ids()
        return list(self.upkeep_ids or ())[self.done_count :]

    def _count_open(self, limit=None):
        return 0 if self.kind in UPKEEP_KINDS else super()._count_open(limit)

    def _begin(self, total):
        if self.kind not in UPKEEP_KINDS:
            return super()._begin(total)
        return self.write(
            {
                "state": "running",
                "error": False,
                "date_start": self.date_start or fields.Datetime.now(),
            }
        )

    # ------------------------------------------------------------
    # WORKING
    # ------------------------------------------------------------

    def _step(self, plan):
        if self.kind not in UPKEEP_KINDS:
            return super()._step(plan)
        self.ensure_one()
        if self.state != "running":
            return True
        count = self._step_upkeep(plan)
        del plan[:count]
        self._count(done_count=count)
        if plan:
            return False
        self._finish_upkeep()
        return True

    def _step_upkeep(self, plan):
        """Look at the next few.

        :param plan: ids that are left
        :return: how many of them were dealt with
        """
        bundles = self.env["crm.archive.bundle"].browse(plan[:VERIFY_BATCH]).exists()
        size, batch = 0, bundles.browse()
        for bundle in bundles:
            size += bundle.size
            if batch and size > VERIFY_BYTES:
                break
            batch += bundle
        self._verify_batch(batch.filtered(lambda b: b.state in ("used", "damaged")))
        return plan.index(batch[-1].id) + 1 if batch else len(plan[:VERIFY_BATCH])

    def _verify_batch(self, bundles):
        troubles, healed = bundles.with_context(archive_run_id=self.id)._verify()
        for bundle, error in troubles.items():
            self._note_trouble(bundle, str(vault_error(self.env, error)))
        damaged = bundles.filtered(lambda bundle: bundle.state == "damaged")
        self._count(damaged_count=len(damaged), healed_count=healed)
        if bundles:
            self.env["crm.archive.log"]._append(
                "verify",
                bundles,
                {"damaged": len(damaged), "troubles": len(troubles)},
                run=self,
            )

    def _note_trouble(self, record, message):
        """Note what is wrong with a bundle or an entry."""
        self.env["crm.archive.run.error"].sudo().create(
            {
                "run_id": self.id,
                "res_model": record._name,
                "res_id": record.id,
                "message": message,
            }
        )
        self._count(error_count=1)

    # ------------------------------------------------------------
    # THE END
    # ------------------------------------------------------------

    def _finish_upkeep(self):
        """Finish as failed when something is wrong, and ring; else end the alarm."""
        failed = bool(self.error_count)
        self.write(
            {
                "state": "failed" if failed else "done",
                "date_end": fields.Datetime.now(),
                "error": self._describe_failure() if failed else False,
            }
        )
        for store in self._get_upkeep_stores():
            if failed:
                store._ring(self.error)
            else:
                store._settle_alarm()

    def _is_alarming(self):
        """Tell whether it found something that no damaged bundle explains.

        Damage is noted at the bundle, and is over when that is in order again.
        """
        return self.state == "failed" and (
            not self.error_count or self.error_count > self.damaged_count
        )

    def _get_upkeep_stores(self):
        """Return the stores whose objects were not in order, or all it looked at."""
        ids = self.upkeep_ids or ()
        if self.error_count:
            ids = self.error_ids.mapped("res_id")
        return self._get_upkeep_bundles(ids).store_id or self.store_id

    def _get_upkeep_bundles(self, ids):
        return self.env["crm.archive.bundle"].browse(ids).exists()

    def _describe_failure(self):
        """Return in a sentence what is wrong."""
        return self.env._(
            "%(count)s of %(total)s bundles are not in order.",
            count=self.error_count,
            total=self.done_count,
        )

    def _notify_failure(self):
        """A run that could not even be carried out rings as well."""
        if self.kind not in UPKEEP_KINDS:
            return super()._notify_failure()
        for store in self._get_upkeep_stores():
            store._ring(self.error)
        return None

    def _fail(self, error):
        """Say it in words, and try again through the right scheduled action."""
        if isinstance(error, VAULT_ERRORS):
            error = vault_error(self.env, error)
        super()._fail(error)
        if self.kind in UPKEEP_KINDS and self.state == "waiting":
            cron = self.env.ref(f"crm_archive_policy.ir_cron_{self.kind}")
            cron.sudo()._trigger(at=self.date_retry)
