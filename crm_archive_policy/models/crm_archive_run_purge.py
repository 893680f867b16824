from odoo import api, fields, models

from .crm_archive_personal import PurgeRefused

#: Records decided on in one transaction.
PURGE_BATCH = 500


class PurgePlan:
    """What a purge run still has to do, in its order."""

    def __init__(self, line_ids):
        """:param line_ids: ids of the lines that wait"""
        self.line_ids = list(line_ids)
        #: Whether objects were looked at that nobody needs any more.
        self.is_claimed = False
        #: Tables in which the person may be mentioned, once that is known.
        self.places = None

    def __len__(self):
        return len(self.line_ids)


class CrmArchiveRun(models.Model):
    """Runs that carry out an approved purge.

    All records are decided on first, batch by batch; then each bundle is dealt with
    once, however many of its records go.
    """

    _inherit = "crm.archive.run"

    kind = fields.Selection(
        selection_add=[("purge", "Purge")], ondelete={"purge": "cascade"}
    )
    purge_id = fields.Many2one(
        "crm.archive.purge",
        readonly=True,
        ondelete="restrict",
        index="btree_not_null",
        groups="crm_archive_policy.group_archive_manager,"
        "crm_archive_policy.group_archive_auditor",
    )
    purged_count = fields.Integer("Destroyed", readonly=True)

    @api.depends("kind")
    def _compute_name(self):
        super()._compute_name()
        for run in self.filtered(lambda run: run.kind == "purge"):
            run.name = self.env._("Purge · run %(number)s", number=run.id or "")

    @api.model
    def _start_purge(self, purge):
        """Have the scheduled action carry out a request.

        Always the scheduled action: what is destroyed outside of the database must
        not hang on a transaction that may yet be rolled back.

        :param purge: the approved request; the caller has checked the rights
        :return: the run
        """
        run = self.sudo().create(
            {
                "kind": "purge",
                "purge_id": purge.id,
                "user_id": self.env.uid,
                "total_count": purge.waiting_count,
            }
        )
        self.env.ref("crm_archive_policy.ir_cron_run_policies").sudo()._trigger()
        return run

    @api.model
    def _plan_runs(self):
        self.env["crm.archive.purge"]._expire()
        return super()._plan_runs()

    def _find_due_ids(self):
        if self.kind != "purge":
            return super()._find_due_ids()
        lines = self.env["crm.archive.purge.line"].search(
            [("purge_id", "=", self.purge_id.id), ("state", "=", "waiting")],
            order="id",
        )
        return PurgePlan(lines.ids)

    def _count_open(self, limit=None):
        return 0 if self.kind == "purge" else super()._count_open(limit)

    def _step(self, plan):
        if self.kind != "purge":
            return super()._step(plan)
        self.ensure_one()
        if self.state != "running":
            return True
        purge = self.purge_id.with_user(self.user_id).sudo()
        purge = purge.with_context(archive_run_id=self.id, active_test=False)
        if plan.line_ids:
            self._purge_batch(purge, plan)
        elif bundles := purge._find_bundles():
            # One bundle a transaction: the next step finds the others.
            bundle, ids = next(iter(bundles.items()))
            purge._destroy(bundle, ids)
        elif not plan.is_claimed:
            purge._claim_leftovers()
            plan.is_claimed = True
        elif obsolete := purge._find_obsolete():
            purge._remove(obsolete)
        elif plan.places is None:
            plan.places = purge._plan_mentions()
        elif plan.places:
            purge._erase_mentions(plan.places[-1])
            # Last: a conflict with somebody else's changes tries this step again.
            plan.places.pop()
        else:
            purge._complete()
            self._finish()
            return True
        return False

    def _purge_batch(self, purge, plan):
        ids = plan.line_ids[:PURGE_BATCH]
        lines = purge.line_ids.browse(ids).filtered(lambda r: r.state == "waiting")
        self._each(lines, purge._carry_out)
        # One that failed is named, and stays.
        lines.invalidate_recordset(["state"])
        lines.filtered(lambda line: line.state == "waiting")._set_kept("failed")
        kept = lines.filtered(lambda line: line.state == "kept")
        self._count(
            done_count=len(ids),
            purged_count=len(lines - kept),
            kept_count=len(kept),
        )
        # Last: a conflict with somebody else's changes tries this batch again.
        del plan.line_ids[:PURGE_BATCH]

    def _notify_failure(self):
        """Tell who has asked and who has approved that it could not be finished."""
        if self.kind != "purge":
            super()._notify_failure()
            return
        people = self.purge_id.user_id | self.purge_id.decide_user_id
        self.env["mail.thread"].message_notify(
            model=self.purge_id._name,
            res_id=self.purge_id.id,
            partner_ids=people.filtered("active").partner_id.ids,
            subject=self.env._("%(name)s has stopped", name=self.purge_id.name),
            body=self.env._(
                "What was decided stays decided, but not everything is destroyed yet: "
                "%(error)s. See to the store, then click “Carry on” on the request.",
                error=self.error,
            ),
        )

    def _note_error(self, record, error):
        """Errors name records; nothing here may, once they are gone."""
        if record._name != "crm.archive.purge.line":
            super()._note_error(record, error)
            return
        target = self.env[record.res_model].browse(record.res_id)
        message = str(error)
        if not isinstance(error, PurgeRefused):
            message = self.env._(
                "The record could not be removed (%(kind)s), and stays as it was.",
                kind=type(error).__name__,
            )
        super()._note_error(target, message)
