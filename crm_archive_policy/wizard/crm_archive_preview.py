from odoo import api, fields, models
from odoo.tools import SQL, human_size

from ..models.crm_archive_size import SAMPLE


class CrmArchivePreview(models.TransientModel):
    """What a policy would do today. Looks, counts, and changes nothing."""

    _name = "crm.archive.preview"
    _description = "Archive Preview"

    policy_id = fields.Many2one(
        "crm.archive.policy", required=True, readonly=True, ondelete="cascade"
    )
    policy_active = fields.Boolean(related="policy_id.active")
    matched_count = fields.Integer("Due", readonly=True)
    kept_count = fields.Integer("Kept", readonly=True)
    archived_count = fields.Integer("To Archive", readonly=True)
    size_text = fields.Char("Room", readonly=True)
    line_ids = fields.One2many("crm.archive.preview.line", "preview_id", readonly=True)
    timeline_html = fields.Html(
        "Timetable", compute="_compute_timeline_html", sanitize=False
    )

    @api.depends("policy_id")
    @api.depends_context("lang")
    def _compute_timeline_html(self):
        today = fields.Date.context_today(self)
        for preview in self:
            preview.timeline_html = preview.policy_id._render_timeline(today)

    @api.model
    def _create_for(self, policy):
        """Count what a policy would do now.

        :param policy: one policy that the user may read
        :return: the preview
        """
        preview = self.new({"policy_id": policy.id})
        due = preview._get_due_query()
        [[matched]] = self.env.execute_query(
            SQL("SELECT count(*) FROM %s due", due.subselect())
        )
        kept, lines = preview._get_kept(due)
        preview.archived_count = matched - kept
        return self.create(
            {
                "policy_id": policy.id,
                "matched_count": matched,
                "kept_count": kept,
                "archived_count": matched - kept,
                "size_text": preview._describe_size(),
                "line_ids": [
                    (0, 0, {"guard_id": guard.id, "count": count})
                    for guard, count in lines
                ],
            }
        )

    def _describe_size(self):
        """Return a sentence on the room that the records take."""
        guards = self.policy_id._get_guards()
        model = self.policy_id._get_model().sudo()
        sample = model.browse(self._get_due_ids(guards, SAMPLE))
        live, packed = sample._estimate_bytes(self.archived_count)
        return self.env._(
            "They take about %(live)s of the live tables now; compressed, in separate "
            "storage, it would be about %(packed)s.",
            live=human_size(live),
            packed=human_size(packed),
        )

    def _get_due_query(self):
        self.ensure_one()
        policy = self.policy_id
        return policy._get_model()._search(policy._get_due_domain())

    def _get_kept(self, due):
        """Return how many due records are kept, and for which reasons.

        :param due: query of the due records
        :return: ``(number of kept records, [(guard, number)])``; a record with two
            reasons counts once, under the first
        """
        guards = self.policy_id._get_guards()
        if not guards:
            return 0, []
        blocked = []
        for position, guard in enumerate(guards):
            query, link = guard._get_blocked_query(self.policy_id.model_name)
            blocked.append(
                query.select(SQL("%s AS id", link), SQL("%s AS position", position))
            )
        rows = self.env.execute_query(
            SQL(
                """
                SELECT position, count(*) FROM (
                    SELECT blocked.id, min(blocked.position) AS position
                      FROM (%s) blocked
                     WHERE blocked.id IN %s
                     GROUP BY blocked.id
                ) kept GROUP BY position ORDER BY count(*) DESC
                """,
                SQL(" UNION ALL ").join(blocked),
                due.subselect(),
            )
        )
        lines = [(guards[position], count) for position, count in rows]
        return sum(count for _guard, count in lines), lines

    def _get_action(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Preview: %(policy)s", policy=self.policy_id.name),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_switch_on(self):
        """Switch the policy on, and open it.

        :return: window action of the policy
        """
        self.ensure_one()
        self.policy_id.action_unarchive()
        return {
            "type": "ir.actions.act_window",
            "res_model": self.policy_id._name,
            "res_id": self.policy_id.id,
            "view_mode": "form",
        }

    def action_view_records(self):
        """List the records that are due, as far as the user may see them.

        :return: window action
        """
        self.ensure_one()
        self.policy_id.check_access("read")
        kept = self.policy_id._get_guards()
        return self.policy_id._get_records_action(
            self.env._("Due: %(policy)s", policy=self.policy_id.name),
            [("id", "in", self._get_due_ids(kept))],
        )

    def _get_due_ids(self, guards, limit=10_000):
        """Return the ids of records that would be archived, the first so many."""
        policy = self.policy_id
        records = policy._find(limit=limit)
        verdicts = guards._get_verdicts(records)
        return [res_id for res_id in records.ids if res_id not in verdicts]

    def action_run(self):
        """Run the policy now.

        :return: action that shows the run
        """
        self.ensure_one()
        return self.policy_id.action_run()


class CrmArchivePreviewLine(models.TransientModel):
    """How many records one guard keeps."""

    _name = "crm.archive.preview.line"
    _description = "Archive Preview Line"
    _order = "count desc"

    preview_id = fields.Many2one("crm.archive.preview", ondelete="cascade")
    guard_id = fields.Many2one("crm.archive.guard", readonly=True, ondelete="cascade")
    message = fields.Char(related="guard_id.message")
    count = fields.Integer("Records", readonly=True)
