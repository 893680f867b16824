from odoo import api, fields, models

from ..vault.removal import VaultConflict
from . import crm_archive_run
from .vault_errors import vault_errors

#: Records in one bundle: what a batch costs once is shared by many.
VAULT_BATCH = 2000


class VaultPlan:
    """What a run still has to do: the ids that are due, and what is written.

    Changed as the last thing of a step: a step that meets somebody else's changes is
    rolled back and done again, and must find the plan as it was.
    """

    def __init__(self, ids):
        """:param ids: ascending record ids"""
        self.ids = list(ids)
        #: What the next records were written to, until they are taken.
        self.written = None
        #: How many of them a guard kept from being written.
        self.kept = 0

    def __len__(self):
        return len(self.ids)

    @property
    def is_between(self) -> bool:
        """:return: whether a batch is written and waits to be taken"""
        return self.written is not None

    @property
    def batch(self) -> list[int]:
        """:return: the ids that are written, or to be written next"""
        return self.ids[:VAULT_BATCH]

    def finish_batch(self):
        """The batch is dealt with."""
        self.ids, self.written = self.ids[VAULT_BATCH:], None


class CrmArchiveRun(models.Model):
    """Runs that move archived records to the vault.

    A batch takes two steps, so that each has a transaction of its own in the scheduled
    action: written and verified first, taken out of the live tables next. Between the
    two nothing has changed but that there is one object more.
    """

    _inherit = "crm.archive.run"

    kind = fields.Selection(
        selection_add=[("vault", "Move to the vault")],
        ondelete={"vault": "cascade"},
    )
    vaulted_count = fields.Integer("Moved to the Vault", readonly=True)
    changed_count = fields.Integer(
        "Changed Meanwhile",
        readonly=True,
        help="Written, but changed by somebody before they were taken out of the "
        "live tables: they stay, and go with a later run.",
    )

    # ------------------------------------------------------------
    # STARTING
    # ------------------------------------------------------------

    @api.model
    def _start_vault(self, policy):
        """Move what is due to the vault now, or leave it to the scheduled action.

        :param policy: the policy; the caller has checked the rights
        :return: the run, none when nothing is due
        """
        inline_max = crm_archive_run.INLINE_MAX
        ids = policy._find_vault_ids(limit=inline_max + 1)
        if not ids:
            return self.browse()
        run = self.sudo().create(
            {"policy_id": policy.id, "user_id": self.env.uid, "kind": "vault"}
        )
        if len(ids) > inline_max:
            run.total_count = len(ids)
            self.env.ref("crm_archive_policy.ir_cron_run_policies").sudo()._trigger()
            return run.sudo(self.env.su)
        run._begin(len(ids))
        plan = VaultPlan(ids)
        with vault_errors(self.env):
            while not run._step(plan):
                pass
        return run.sudo(self.env.su)

    @api.model
    def _plan_runs(self):
        """Add a run for each policy that has something due for the vault."""
        runs = super()._plan_runs()
        busy = self.search(
            [("kind", "=", "vault"), ("state", "in", ("waiting", "running"))]
        ).policy_id
        policies = self.env["crm.archive.policy"].search([("vault_enabled", "=", True)])
        new = [
            self.create({"policy_id": policy.id, "kind": "vault"})
            for policy in policies - busy
            if policy._find_vault_ids(limit=1)
        ]
        return [*new, *runs]

    def _find_due_ids(self):
        if self.kind != "vault":
            return super()._find_due_ids()
        return VaultPlan(self.policy_id._find_vault_ids(max(self.cursor, 0)))

    def _count_open(self, limit=None):
        return 0 if self.kind == "vault" else super()._count_open(limit)

    # ------------------------------------------------------------
    # WORKING
    # ------------------------------------------------------------

    def _step(self, plan):
        if self.kind != "vault":
            return super()._step(plan)
        self.ensure_one()
        if self.state != "running":
            return True
        if plan.is_between:
            self._take_batch(plan)
        elif plan.ids:
            self._write_batch(plan)
        if plan.ids:
            return False
        self._finish()
        return True

    def _write_batch(self, plan):
        """Write the next records into a bundle and verify it.

        Nothing is counted yet and the cursor stays: who is killed before the records
        are taken writes them again.
        """
        due = self.policy_id._get_model().search(
            [("id", "in", plan.batch), *self.policy_id._get_vault_domain()], order="id"
        )
        guards = self.policy_id._get_guards()._get_verdicts(due)
        free = self._as_actor(due.filtered(lambda record: record.id not in guards))
        bundles = self.env["crm.archive.bundle"].sudo()
        plan.kept = len(guards)
        plan.written = bundles._write_records(free, self)

    def _take_batch(self, plan):
        """Take what was written out of the live tables."""
        written = plan.written
        records = self._as_actor(self.env[written.model_name].browse(written.ids))
        for root, reason in written.refused.items():
            self._note_refused(records.browse(root), reason)
        guards = self.policy_id._get_guards()._get_verdicts(records)
        free = records.filtered(lambda record: record.id not in guards)
        errors = self.error_count
        moved = self._each(free, written.take)
        written.settle(moved)
        refused = self.error_count - errors
        self.cursor = plan.batch[-1]
        self._count(
            done_count=len(plan.batch),
            vaulted_count=len(moved),
            kept_count=plan.kept + len(guards),
            changed_count=len(free) - len(moved) - refused,
        )
        plan.finish_batch()

    def _note_refused(self, record, reason):
        self.env["crm.archive.run.error"].sudo().create(
            {
                "run_id": self.id,
                "res_model": record._name,
                "res_id": record.id,
                "message": reason,
            }
        )
        self._count(error_count=1)

    def _note_error(self, record, error):
        if isinstance(error, VaultConflict):
            return  # somebody was faster: counted as changed, and taken another time
        super()._note_error(record, error)
