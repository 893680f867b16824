import time
from datetime import timedelta

from odoo import api, fields, models

#: A job works for so long and leaves the rest to the next one: well within what an
#: HTTP worker may take, and short enough for other jobs to get their turn.
JOB_SECONDS = 60

#: Seconds until a run is looked at again that somebody else has at the moment.
BUSY_SECONDS = 60

KEEPS_HOURS = "archive_run_keeps_hours"


class CrmArchiveRun(models.Model):
    """Hands runs to the job queue, whose workers may be on many servers.

    The scheduled action still decides what is to be done: it plans the runs, tries
    failed ones again, and keeps to the hours that were set. A run is one job at a
    time, each of several batches; runs of several policies go on side by side.
    """

    _inherit = "crm.archive.run"

    @api.model
    def _run_all(self):
        """What the scheduled action plans keeps to the hours that were set; what
        people or the upkeep of the vault have asked for does not."""
        return super(CrmArchiveRun, self.with_context(**{KEEPS_HOURS: True}))._run_all()

    @api.model
    def _work_through(self, runs, may_go_on=lambda: True):
        """Make a job of each run instead of working here.

        :param runs: the runs, in this order
        :param may_go_on: asked before anything is begun
        """
        if not may_go_on():
            return
        for run in runs:
            run._delay_work(bool(self.env.context.get(KEEPS_HOURS)))
        self.env["ir.cron"]._commit_progress(len(runs), remaining=0)

    def _delay_work(self, keeps_hours, seconds=None):
        """Queue the next job of this run, unless one is waiting already.

        :param bool keeps_hours: work within the hours that were set only
        :param int seconds: not before so many seconds from now
        """
        self.ensure_one()
        self.with_delay(
            eta=seconds,
            identity_key=f"crm_archive_run:{self.id}",
            description=self.name,
        )._work_as_job(keeps_hours)

    def _work_as_job(self, keeps_hours=False):
        """Body of the job: batches, each committed, until the time is up.

        :param bool keeps_hours: work within the hours that were set only
        """
        self.ensure_one()
        deadline = time.monotonic() + JOB_SECONDS
        start, before = fields.Datetime.now(), self.done_count

        def may_go_on():
            in_hours = not keeps_hours or self._is_within_window()
            return in_hours and time.monotonic() < deadline

        super()._work_through(self, may_go_on)
        self.invalidate_recordset()  # another worker may have had it
        if self._is_unfinished_at(start) and (
            not keeps_hours or self._is_within_window()
        ):
            is_stuck = self.done_count == before
            self._delay_work(keeps_hours, BUSY_SECONDS if is_stuck else None)

    def _is_unfinished_at(self, now):
        """Tell whether there is more to do, and now.

        A run that failed waits for its time; the scheduled action sees to that.
        """
        later = self.date_retry and self.date_retry > now + timedelta(seconds=1)
        return self.state in ("waiting", "running") and not later
