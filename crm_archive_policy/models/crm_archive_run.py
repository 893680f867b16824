import logging
from array import array
from bisect import bisect_right
from collections import Counter
from datetime import timedelta

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.fields import Domain

from ..lib import faults
from .crm_archive_run_error import tell_error

_logger = logging.getLogger(__name__)

#: Records that are locked, judged and written together.
BATCH_SIZE = 2000

#: A button finishes up to so many records itself; more go to the scheduled action.
INLINE_MAX = 20_000


class CrmArchiveRun(models.Model):
    """One execution of a policy: what it looked at, what it did, what went wrong.

    The work is a sequence of batches. ``cursor`` is the highest id that has been
    dealt with, so a run that was stopped at any moment goes on where it was.
    """

    _name = "crm.archive.run"
    _description = "Archive Run"
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    policy_id = fields.Many2one(
        "crm.archive.policy", readonly=True, ondelete="restrict", index=True
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    user_id = fields.Many2one(
        "res.users", "Started by", readonly=True, default=lambda self: self.env.user
    )
    kind = fields.Selection(
        [("archive", "Archive")], default="archive", required=True, readonly=True
    )
    state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("running", "Running"),
            ("done", "Done"),
            ("failed", "Failed"),
            ("cancelled", "Cancelled"),
        ],
        default="waiting",
        required=True,
        readonly=True,
        index=True,
    )
    date_start = fields.Datetime(readonly=True)
    date_end = fields.Datetime(readonly=True)
    duration = fields.Float(
        "Duration (s)", compute="_compute_duration", help="In seconds."
    )
    rate = fields.Float(
        "Records per Second", compute="_compute_duration", digits=(12, 0)
    )
    cursor = fields.Integer(
        readonly=True, help="Highest id that has been dealt with.", aggregator=None
    )
    total_count = fields.Integer("To Look At", readonly=True)
    done_count = fields.Integer("Looked At", readonly=True)
    archived_count = fields.Integer("Archived", readonly=True)
    pending_count = fields.Integer("Proposed", readonly=True)
    kept_count = fields.Integer("Kept", readonly=True)
    cancelled_count = fields.Integer(
        "Cancelled", readonly=True, help="Proposed before, alive again since."
    )
    error_count = fields.Integer("Errors", readonly=True)
    progress = fields.Float(compute="_compute_progress")
    kept_reasons = fields.Json(
        readonly=True, help="Number of kept records by guard: {guard id: count}."
    )
    kept_summary = fields.Text("Kept Because", compute="_compute_kept_summary")
    try_count = fields.Integer("Failed Attempts", readonly=True, aggregator=None)
    date_retry = fields.Datetime("Tried Again on", readonly=True)
    error = fields.Text("Failure", readonly=True, help="Why the whole run failed.")
    error_ids = fields.One2many(
        "crm.archive.run.error", "run_id", "Skipped Records", readonly=True
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("policy_id", "date_start")
    def _compute_name(self):
        for run in self:
            run.name = self.env._(
                "%(policy)s · run %(number)s",
                policy=run.policy_id.name or "",
                number=run.id or "",
            )

    @api.depends("date_start", "date_end", "done_count")
    def _compute_duration(self):
        for run in self:
            end = run.date_end or fields.Datetime.now()
            seconds = (end - run.date_start).total_seconds() if run.date_start else 0
            run.duration = max(seconds, 0)
            run.rate = run.done_count / seconds if seconds > 0 else 0

    @api.depends("done_count", "total_count", "state")
    def _compute_progress(self):
        for run in self:
            if run.state == "done":
                run.progress = 100
            elif run.total_count:
                run.progress = min(100, 100 * run.done_count / run.total_count)
            else:
                run.progress = 0

    @api.depends("kept_reasons")
    def _compute_kept_summary(self):
        for run in self:
            run.kept_summary = "\n".join(
                f"{count} × {reason}" for reason, count in run._get_kept_by_reason()
            )

    def _get_kept_by_reason(self):
        """Return why records were kept, most frequent reason first.

        :return: list of ``(reason in the user's language, number of records)``
        """
        self.ensure_one()
        counts = Counter({int(k): v for k, v in (self.kept_reasons or {}).items()})
        guards = self.env["crm.archive.guard"].sudo().browse(counts).exists()
        messages = {guard.id: guard.message for guard in guards}
        return [
            (messages.get(guard_id) or self.env._("A guard that was deleted"), count)
            for guard_id, count in counts.most_common()
        ]

    # ------------------------------------------------------------
    # STARTING
    # ------------------------------------------------------------

    @api.model
    def _start(self, policy, candidates=None):
        """Create a run of a policy and carry it out, or leave it to the cron.

        :param policy: the policy; the caller has checked the rights
        :param candidates: limit the run to these approved candidates
        :return: the run
        """
        run = self.sudo().create({"policy_id": policy.id, "user_id": self.env.uid})
        if candidates is not None:
            run._begin(len(candidates))
            run._mature(candidates)
            run._finish()
            return run.sudo(self.env.su)
        limit = min(policy.run_limit or INLINE_MAX + 1, INLINE_MAX + 1)
        due_ids = policy._find_ids(limit=limit)
        total = len(due_ids) + run._count_open(INLINE_MAX + 1)
        if total > INLINE_MAX:
            run.total_count = total
            self.env.ref("crm_archive_policy.ir_cron_run_policies").sudo()._trigger()
            return run.sudo(self.env.su)
        run._begin(total)
        while not run._step(due_ids):
            pass
        return run.sudo(self.env.su)

    def _find_due_ids(self):
        """Return the ids that this run still has to look at."""
        limit = self.policy_id.run_limit
        if limit:
            limit = max(limit - self.done_count, 0)
            if not limit:
                return array("i")
        return self.policy_id._find_ids(max(self.cursor, 0), limit or None)

    def _count_open(self, limit=None):
        """Return how many candidates wait, counting no further than ``limit``."""
        return self.env["crm.archive.candidate"].search_count(
            self._get_open_domain(), limit=limit
        )

    def _get_open_domain(self):
        return [
            ("policy_id", "=", self.policy_id.id),
            ("verdict", "in", ("pending", "approved")),
        ]

    def _begin(self, total):
        # What has come to match a legal hold since it was last looked at is safe.
        self.env["crm.archive.hold"]._refresh(self.policy_id.model_name)
        self.write(
            {
                "state": "running",
                "error": False,
                "total_count": total,
                "date_start": self.date_start or fields.Datetime.now(),
            }
        )

    def _finish(self):
        self.write({"state": "done", "date_end": fields.Datetime.now()})

    # ------------------------------------------------------------
    # WORKING
    # ------------------------------------------------------------

    def _step(self, due_ids):
        """Do the next batch: first what waits, then what is newly due.

        :param due_ids: ascending ids of what was due when the run was planned
        :return: whether the run is over
        """
        self.ensure_one()
        if self.state != "running":
            return True
        candidates = self._next_candidates()
        if candidates:
            self._mature(candidates)
            return False
        start = bisect_right(due_ids, max(self.cursor, 0))
        ids = due_ids[start : start + BATCH_SIZE]
        if ids:
            self.cursor = ids[-1]
            self._count(done_count=len(ids))
            self._collect(self.policy_id._filter_due(ids))
        if start + len(ids) >= len(due_ids):
            self._finish()
            return True
        return False

    def _next_candidates(self):
        """Return open candidates that this run has not looked at yet.

        The cursor counts up from below zero while candidates are worked on, so one
        number says how far the run is in both parts.
        """
        if self.cursor > 0:
            return self.env["crm.archive.candidate"]
        domain = Domain(self._get_open_domain()) & Domain("id", ">", -self.cursor)
        candidates = self.env["crm.archive.candidate"].search(
            domain, order="id", limit=BATCH_SIZE
        )
        if candidates:
            self.cursor = -candidates[-1].id
        return candidates

    def _as_actor(self, records):
        """Return records in the name of the person who started the run.

        Rights were checked when the policy found them; the lifecycle itself writes
        as superuser, in the name of that person, and names policy and run in the
        audit line.
        """
        return (
            self.env[records._name]
            .browse(records.ids)
            .with_user(self.user_id)
            .sudo()
            .with_company(self.policy_id.company_id or self.user_id.company_id)
            .with_context(archive_run_id=self.id, active_test=False)
        )

    def _collect(self, records):
        """Archive newly found records, or name them as candidates."""
        records = self._as_actor(records)
        locked = records.try_lock_for_update(allow_referencing=True)
        faults.point("run: records locked")
        due = self._keep_guarded(locked)
        policy = self.policy_id
        proposed = policy._select_to_propose(due)
        self._each(due - proposed, self._archive_batch)
        self._each(proposed, self._propose_batch)

    def _mature(self, candidates):
        """Archive candidates whose time has come; let go of those alive again."""
        policy = self.policy_id
        self._count(done_count=len(candidates))
        found = candidates._get_records().ids
        still_due = policy._get_model().search(
            Domain("id", "in", found)
            & Domain("archive_state", "=", "pending")
            & policy._get_scope_domain()
            & policy._get_trigger_domain(found)
        )
        records = self._as_actor(still_due).try_lock_for_update(allow_referencing=True)
        self._cancel_others(candidates, still_due)
        by_record = {candidate.res_id: candidate for candidate in candidates}
        verdicts = policy._get_guards()._get_verdicts(records)
        for guard, ids in _group_ids(verdicts).items():
            guarded = candidates.browse(by_record[res_id].id for res_id in ids)
            self._cancel(guarded, guard.message)
        today = fields.Date.today()
        ready = records.filtered(
            lambda r: (
                r.id not in verdicts
                and by_record[r.id].due_date <= today
                and (
                    by_record[r.id].is_automatic
                    or by_record[r.id].verdict == "approved"
                )
            )
        )
        archived = self._each(ready, self._archive_batch)
        candidates.browse(by_record[res_id].id for res_id in archived.ids).sudo().write(
            {"verdict": "archived", "run_id": self.id}
        )

    def _cancel_others(self, candidates, still_due):
        """Let go of candidates whose records the policy would not take any more."""
        due_ids = set(still_due.ids)
        others = candidates.filtered(lambda c: c.res_id not in due_ids)
        records = self._as_actor(others._get_records()).exists()
        pending = records.filtered(lambda r: r.archive_state == "pending")
        pending_ids = set(pending.ids)
        alive = others.filtered(lambda c: c.res_id in pending_ids)
        self._cancel(alive, self.env._("No longer due: there was a sign of life."))
        self._cancel(
            others - alive,
            self.env._("The record was archived, restored or deleted meanwhile."),
        )

    def _keep_guarded(self, records):
        """Count the records that a guard protects.

        :return: the other records
        """
        verdicts = self.policy_id._get_guards()._get_verdicts(records)
        if verdicts:
            reasons = Counter(self.kept_reasons or {})
            reasons.update(str(guard.id) for guard in verdicts.values())
            self.kept_reasons = dict(reasons)
            self._count(kept_count=len(verdicts))
        return records.browse(i for i in records.ids if i not in verdicts)

    def _each(self, records, act):
        """Apply ``act`` to the batch; on an error halve it until the bad record is
        alone, and note that one with its reason.

        :param act: callable that takes records and returns those it dealt with
        :return: the records that were dealt with
        """
        if not records:
            return records
        try:
            with self.env.cr.savepoint():
                return act(records)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - any module's override may raise
            if self._concerns_all(error):
                raise
            if len(records) == 1:
                self._note_error(records, error)
                return records.browse()
        half = len(records) // 2
        return self._each(records[:half], act) | self._each(records[half:], act)

    def _concerns_all(self, error):
        """Tell whether no record is to blame, so that the run as a whole waits.

        :param error: what was raised, say by a store that does not answer
        """
        return getattr(error, "retry", False)

    def _get_progress(self):
        """Return a number that grows whenever something is done for good."""
        return self.done_count

    def _archive_batch(self, records):
        policy = self.policy_id
        records = policy._before_archive(records)
        values = policy._prepare_archive_values()
        archived = records._archive(values, policy._prepare_archive_details(records))
        policy._after_archive(archived)
        self._count(archived_count=len(archived))
        return archived

    def _propose_batch(self, records):
        policy = self.policy_id
        due_date = fields.Date.today() + timedelta(days=policy.grace_days)
        dates = records._get_last_interaction_dates()
        to_review = policy._select_to_review(records)
        candidates = (
            self.env["crm.archive.candidate"]
            .sudo()
            .create(
                [
                    {
                        "policy_id": policy.id,
                        "run_id": self.id,
                        "res_model": records._name,
                        "res_id": record.id,
                        "due_date": due_date,
                        "is_automatic": record not in to_review,
                        "last_interaction_date": dates.get(record.id),
                    }
                    for record in records
                ]
            )
        )
        records._set_pending(policy, due_date)
        policy._after_propose(candidates)
        self._count(pending_count=len(records))
        return records

    def _cancel(self, candidates, note):
        if not candidates:
            return
        candidates.sudo().write({"verdict": "cancelled", "note": note})
        records = self._as_actor(candidates._get_records().exists())
        records.filtered(lambda r: r.archive_state == "pending")._set_pending(False)
        self._count(cancelled_count=len(candidates))

    def _note_error(self, record, error):
        _logger.warning(
            "Archive run %s skipped %s(%s): %s",
            self.id,
            record._name,
            record.id,
            type(error).__name__,
        )
        self.env["crm.archive.run.error"].sudo().create(
            {
                "run_id": self.id,
                "res_model": record._name,
                "res_id": record.id,
                "message": tell_error(error),
            }
        )
        self._count(error_count=1)

    def _count(self, **increments):
        self.write({name: self[name] + n for name, n in increments.items()})

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_cancel(self):
        """Stop the run after the batch it is working on."""
        self.check_access("write")
        running = self.filtered(lambda run: run.state in ("waiting", "running"))
        running.write({"state": "cancelled", "date_end": fields.Datetime.now()})
        return True

    def _get_action(self):
        """Return the action that shows these runs."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_archive_policy.crm_archive_run_action"
        )
        if len(self) == 1:
            return {
                **action,
                "view_mode": "form",
                "views": [(False, "form")],
                "res_id": self.id,
            }
        return {**action, "domain": [("id", "in", self.ids)]}


def _group_ids(verdicts):
    """Turn ``{id: guard}`` into ``{guard: [ids]}``."""
    groups = {}
    for res_id, guard in verdicts.items():
        groups.setdefault(guard, []).append(res_id)
    return groups
