import logging
from collections import Counter, deque
from datetime import timedelta

from psycopg2 import DatabaseError, OperationalError

from odoo import api, fields, models

from ..lib import faults
from .crm_archive_run_error import tell_error

_logger = logging.getLogger(__name__)

#: Times in a row that a batch may meet somebody else's changes before it is left
#: to the next call of the scheduled action.
CONFLICTS_MAX = 5

#: Minutes until a failed run is tried again; after the last one it stays failed.
RETRY_MINUTES = (5, 30, 240)


class CrmArchiveRun(models.Model):
    """How the scheduled action works through the runs, and what it does on failure."""

    _inherit = "crm.archive.run"

    @api.model
    def _run_all(self):
        """Body of the scheduled action: one run a policy, unfinished ones first."""
        self._work_through(self._plan_runs(), self._is_within_window)

    @api.model
    def _work_through(self, runs, may_go_on=lambda: True):
        """Carry runs out, batch by batch; only here is anything committed.

        :param runs: the runs, in this order
        :param may_go_on: asked before each batch
        """
        cron = self.env["ir.cron"]
        queue = deque(runs)
        conflicts = Counter()
        plans = {}
        if not cron._commit_progress(remaining=len(queue)):
            return
        while queue and may_go_on():
            run = queue.popleft()
            try:
                plans[run], finished = run._step_safely(plans.get(run))
                conflicts[run] = 0
            except OperationalError:
                # Somebody else changed the same rows: the others first, then anew.
                self.env.cr.rollback()
                conflicts[run] += 1
                finished = conflicts[run] == CONFLICTS_MAX
                if not finished:
                    queue.append(run)
                    continue
            if finished:
                plans.pop(run, None)
            else:
                queue.appendleft(run)
            faults.point("run: batch done")
            seconds = cron._commit_progress(int(finished), remaining=len(queue))
            faults.point("run: batch committed")
            if not seconds and not _is_between(plans.get(run)):
                return

    @api.model
    def _plan_runs(self):
        """Return the runs to work on: unfinished ones first, then one a policy.

        A failed run whose time has not come yet keeps its policy waiting with it.
        """
        now = fields.Datetime.now()
        unfinished = self.search([("state", "in", ("waiting", "running"))], order="id")
        archiving = unfinished.filtered(lambda run: run.kind == "archive")
        policies = self.env["crm.archive.policy"].search([])
        new = [
            self.create({"policy_id": policy.id})
            for policy in policies - archiving.policy_id
        ]
        ready = unfinished.filtered(lambda r: not r.date_retry or r.date_retry <= now)
        return [*ready, *new]

    @api.model
    def _is_within_window(self):
        """Tell whether the scheduled action may work at this time of day.

        The window is in the time zone of the user the action runs as; one that
        ends before it starts goes over midnight, and one that ends when it starts
        is the whole day.
        """
        parameters = self.env["ir.config_parameter"].sudo()
        if not parameters.get_param("crm_archive_policy.window"):
            return True
        start = float(parameters.get_param("crm_archive_policy.window_start") or 0)
        stop = float(parameters.get_param("crm_archive_policy.window_stop") or 0)
        now = fields.Datetime.context_timestamp(self, fields.Datetime.now())
        hour = now.hour + now.minute / 60
        if start < stop:
            return start <= hour < stop
        return hour >= start or hour < stop

    def _step_safely(self, due_ids):
        """Do the next batch of this run; a failure ends the run, not the others.

        :param due_ids: what the previous step returned, None at first
        :return: ``(ids that are due, whether the run is over)``
        :raise OperationalError: when somebody else changes the same rows
        """
        self.ensure_one()
        try:
            if not self.try_lock_for_update(allow_referencing=True):
                return due_ids, True  # another worker has it
            if due_ids is None:
                due_ids = self._find_due_ids()
            if self.state == "waiting":
                self._begin(len(due_ids) + self._count_open())
            return due_ids, self._step_on(due_ids)
        except OperationalError:
            raise
        except Exception as error:
            self.env.cr.rollback()
            # A trace of the database's error would quote values.
            trace = not isinstance(error, DatabaseError)
            told = "Archive run %s failed: %s"
            _logger.exception(told, self.id, type(error).__name__, exc_info=trace)
            self._fail(error)
            return due_ids, True

    def _step_on(self, plan):
        """Do the next batch; what fails after it has all its attempts again.

        :return: whether the run is over
        """
        before = self._get_progress()
        finished = self._step(plan)
        if self.try_count and self._get_progress() > before:
            self.try_count = 0
        return finished

    def _fail(self, error):
        """Note why the run failed; try again later, or tell the managers."""
        attempt = self.try_count
        retry = attempt < len(RETRY_MINUTES)
        values = {"try_count": attempt + 1, "error": tell_error(error)}
        if retry:
            date = fields.Datetime.now() + timedelta(minutes=RETRY_MINUTES[attempt])
            values.update(state="waiting", date_retry=date)
            cron = self.env.ref("crm_archive_policy.ir_cron_run_policies")
            cron.sudo()._trigger(at=date)
        else:
            values.update(state="failed", date_end=fields.Datetime.now())
        self.write(values)
        if not retry:
            self._notify_failure()

    def _notify_failure(self):
        """Tell the responsible and the archive managers that a run has failed."""
        policy = self.policy_id
        managers = self.env.ref("crm_archive_policy.group_archive_manager").all_user_ids
        people = managers | policy.user_id
        if policy.company_id:
            people = people.filtered(lambda u: policy.company_id in u.company_ids)
        policy.message_notify(
            partner_ids=people.filtered("active").partner_id.ids,
            subject=self.env._("Archiving failed: %(policy)s", policy=policy.name),
            body=self.env._(
                "The policy “%(policy)s” could not be run: %(error)s. Nothing was "
                "lost; correct the policy and run it again.",
                policy=policy.name,
                error=self.error,
            ),
        )


def _is_between(plan):
    """Tell whether a batch is half done, so that stopping now would undo the half.

    Otherwise a batch that takes longer than the scheduled action may would be begun
    again and again.
    """
    return getattr(plan, "is_between", False)
