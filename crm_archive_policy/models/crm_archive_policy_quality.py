from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date

from .crm_archive_restore_stat import EARLY_DAYS

#: A record that came back for one of these causes should not have been archived
#: yet. An audit only looks; restores without a stated cause say nothing.
REGRET_CAUSES = ("came_back", "too_early", "mistake")

#: Figures of a policy are for the archive groups.
USER = "crm_archive_policy.group_archive_user"

REVIEW_ACTIVITY = "crm_archive_policy.mail_activity_type_policy_review"


class CrmArchivePolicy(models.Model):
    """How good a policy is: what came back, who answered, when to look again.

    Regret rate: records restored within 90 days after archiving with the stated
    cause "came back", "archived too early" or "mistake", divided by all records
    that the runs of the policy have archived.
    """

    _inherit = "crm.archive.policy"

    recontact = fields.Selection(
        [
            ("propose", "Propose the restore"),
            ("restore", "Restore by itself"),
            ("ignore", "Do nothing"),
        ],
        "When They Get in Touch",
        default="propose",
        required=True,
        tracking=True,
        help="What happens when an archived person writes, fills in a form, or is "
        "entered again with the same e-mail address or phone number.",
    )
    # review
    review_months = fields.Integer(
        "Review Every",
        default=12,
        tracking=True,
        help="Months between two looks at the policy. 0: never.",
    )
    review_date = fields.Date(
        "Next Review",
        default=lambda self: fields.Date.today() + relativedelta(months=12),
        tracking=True,
        help="On this day the responsible is asked to look at the results.",
    )
    is_review_due = fields.Boolean(compute="_compute_is_review_due")
    # results
    last_result = fields.Char(
        compute="_compute_quality", compute_sudo=True, groups=USER
    )
    taken_count = fields.Integer(
        "Archived in All",
        compute="_compute_quality",
        compute_sudo=True,
        groups=USER,
        help="Records that the runs of this policy have archived so far.",
    )
    regret_count = fields.Integer(
        "Restored Early", compute="_compute_quality", compute_sudo=True, groups=USER
    )
    regret_rate = fields.Float(
        compute="_compute_quality",
        compute_sudo=True,
        groups=USER,
        help="Share of the archived records that were restored within 90 days because "
        "the person came back, it was too early, or a mistake.",
    )
    restored_summary = fields.Text(
        "Restored Within 90 Days",
        compute="_compute_quality",
        compute_sudo=True,
        groups=USER,
    )
    winback_count = fields.Integer(
        "Win-Back E-Mails", compute="_compute_quality", compute_sudo=True, groups=USER
    )
    winback_rate = fields.Float(
        "Answers to Win-Back E-Mails",
        compute="_compute_quality",
        compute_sudo=True,
        groups=USER,
        help="Share of the people written to who gave a sign of life, so that they "
        "were not archived.",
    )

    _check_review_months = models.Constraint(
        "CHECK(review_months >= 0)", "The months between reviews cannot be negative."
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("review_date")
    def _compute_is_review_due(self):
        today = fields.Date.today()
        for policy in self:
            policy.is_review_due = bool(
                policy.review_date and policy.review_date <= today
            )

    @api.depends("run_ids.archived_count", "candidate_ids.verdict")
    @api.depends_context("uid")
    def _compute_quality(self):
        """Compute every figure of a whole list in a handful of queries."""
        shown = self._filter_wholly_seen()
        taken, last_runs = shown._get_run_figures()
        restored = shown._get_restored_counts()
        written = shown._get_winback_counts()
        for policy in self:
            causes = restored.get(policy.id, {})
            regret = sum(causes.get(cause, 0) for cause in REGRET_CAUSES)
            archived = taken.get(policy.id, 0)
            sent, answered = written.get(policy.id, (0, 0))
            policy.taken_count = archived
            policy.regret_count = regret
            # Records of before the first counted run may come back as well.
            policy.regret_rate = min(regret / archived, 1) if archived else 0
            policy.restored_summary = policy._describe_causes(causes)
            policy.winback_count = sent
            policy.winback_rate = answered / sent if sent else 0
            policy.last_result = policy._describe_run(last_runs.get(policy.id))

    def _filter_wholly_seen(self):
        """Return the policies all of whose companies the reader works in.

        A policy without a company takes records of every company that its responsible
        works in, and its figures are of all of them together: whoever does not work in
        one of these is shown none.
        """
        own = self.env.user.company_ids
        return self.filtered(
            lambda policy: (
                self.env.uid == SUPERUSER_ID
                or (policy.company_id or policy.user_id.company_ids) <= own
            )
        )

    def _get_run_figures(self):
        """Return how many records runs have archived, and each policy's last run.

        :return: ``({policy id: number}, {policy id: run})``
        """
        groups = self.env["crm.archive.run"]._read_group(
            [
                ("policy_id", "in", self.ids),
                ("kind", "=", "archive"),
                ("state", "!=", "waiting"),
            ],
            ["policy_id"],
            ["archived_count:sum", "id:max"],
        )
        runs = self.env["crm.archive.run"].browse(last for *_other, last in groups)
        return (
            {policy.id: count for policy, count, _last in groups},
            {run.policy_id.id: run for run in runs},
        )

    def _get_restored_counts(self):
        """Return what came back within 90 days.

        :return: ``{policy id: {cause: number}}``
        """
        counts = {}
        for policy, cause, count in self.env["crm.archive.restore.stat"]._read_group(
            [("policy_id", "in", self.ids), ("is_early", "=", True)],
            ["policy_id", "restore_cause"],
            ["record_count:sum"],
        ):
            counts.setdefault(policy.id, {})[cause] = count
        return counts

    def _get_winback_counts(self):
        """Return ``{policy id: (written to, answered)}``."""
        counts = {}
        for policy, verdict, count in self.env["crm.archive.candidate"]._read_group(
            [("policy_id", "in", self.ids), ("winback_date", "!=", False)],
            ["policy_id", "verdict"],
            ["__count"],
        ):
            sent, answered = counts.get(policy.id, (0, 0))
            counts[policy.id] = (
                sent + count,
                answered + (count if verdict == "cancelled" else 0),
            )
        return counts

    def _describe_causes(self, causes):
        """Return how often which cause was given, most frequent first."""
        selection = self.env["crm.archive.restore.stat"]._fields["restore_cause"]
        labels = dict(selection._description_selection(self.env))
        return "\n".join(
            f"{count} × {labels.get(cause) or self.env._('No cause stated')}"
            for cause, count in sorted(causes.items(), key=lambda item: -item[1])
        )

    def _describe_run(self, run):
        """Return in one line what the last run did."""
        if not run:
            return False
        return self.env._(
            "%(date)s: %(archived)s archived, %(proposed)s proposed, %(kept)s kept, "
            "%(errors)s errors",
            date=format_date(self.env, run.date_start),
            archived=run.archived_count,
            proposed=run.pending_count,
            kept=run.kept_count,
            errors=run.error_count,
        )

    # ------------------------------------------------------------
    # REVIEW
    # ------------------------------------------------------------

    @api.onchange("review_months")
    def _onchange_review_months(self):
        self.review_date = self._get_next_review()

    def _get_next_review(self):
        """Return the day of the next look at the policy, or False for never."""
        self.ensure_one()
        if not self.review_months:
            return False
        return fields.Date.today() + relativedelta(months=self.review_months)

    def action_reviewed(self):
        """Say that the policy has been looked at: the next date is set.

        :raise UserError: when the policy is never to be reviewed
        """
        for policy in self:
            if not policy.review_months:
                raise UserError(
                    self.env._(
                        "“%(name)s” is never reviewed. Say first how many months lie "
                        "between two reviews.",
                        name=policy.name,
                    )
                )
            policy.review_date = policy._get_next_review()
        self.activity_feedback([REVIEW_ACTIVITY])
        return True

    @api.model
    def _cron_review(self):
        """Ask the responsible of each policy that is due for a review, once."""
        due = self.search([("review_date", "<=", fields.Date.today())])
        asked = due.activity_search([REVIEW_ACTIVITY]).mapped("res_id")
        for policy in due.filtered(lambda policy: policy.id not in asked):
            policy.activity_schedule(
                REVIEW_ACTIVITY,
                date_deadline=policy.review_date,
                user_id=policy.user_id.id,
                summary=self.env._("Is this policy still right?"),
            )
        self.env["crm.archive.restore.stat"]._compact()

    # ------------------------------------------------------------
    # LEARNING
    # ------------------------------------------------------------

    def _let_go_of_restored(self, records):
        """Leave alone for a while what somebody has brought back.

        A restore is a sign of life: the policy waits as long as it waits after any
        other, or else as long as a restore counts as a regret.

        :param records: just restored; the policy had archived them
        """
        if not self or not records:
            return
        waits = timedelta(days=EARLY_DAYS)
        if idle_date := self._get_idle_date():
            waits = fields.Datetime.now() - idle_date
        self.env["crm.archive.candidate"]._create_kept(
            self,
            records,
            keep_until=fields.Date.today() + waits,
            note=self.env._("Restored."),
        )
