from odoo import api, fields, models
from odoo.fields import Domain

from .crm_archive_interaction import InteractionSource
from .crm_archive_mixin import TRANSITION, Transition
from .crm_archive_permit import PERMIT, Permit
from .query_tools import PREFETCH


class CrmLead(models.Model):
    _inherit = ["crm.lead", "crm.archive.mixin"]
    _name = "crm.lead"

    archive_duplicate_of_id = fields.Many2one(
        "crm.lead",
        "Duplicate of",
        readonly=True,
        copy=False,
        index="btree_not_null",
        prefetch=PREFETCH,
        help="The record with the longer history, which was kept instead.",
    )

    _archive_state_idx = models.Index("(archive_state) WHERE archive_state <> 'live'")
    # Equality look-ups of duplicates and of people who get in touch again; phone
    # numbers have core's own index.
    _duplicate_email_idx = models.Index(
        "(email_normalized) WHERE email_normalized IS NOT NULL"
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("archive_state")
    def _compute_won_status(self):
        """An archived lead is not a lost one, unless it was lost before.

        This is also what leaves the frequencies of predictive scoring alone.
        """
        super()._compute_won_status()
        for lead in self.sudo():  # once for all, not a lead: there are thousands
            if (
                lead.archive_state == "archived"
                and lead.won_status == "lost"
                and not lead._was_lost()
            ):
                lead.won_status = "pending"

    # ------------------------------------------------------------
    # LIFECYCLE
    # ------------------------------------------------------------

    def _filter_archivable_by_values(self, vals):
        """Inactive with probability 0 is how core says lost."""
        if "probability" in vals and not vals["probability"]:
            return self.browse()
        return super()._filter_archivable_by_values(vals)

    def _write_by_others(self, vals):
        """Probability 0 loses a lead, also an archived one: that is news about it,
        so it leaves the archive and goes on as a lost lead."""
        if self._active_name in vals or vals.get("probability", True):
            return super()._write_by_others(vals)
        losing = self.filtered(
            lambda lead: lead.archive_state == "archived" and not lead._was_lost()
        )
        if losing:
            losing._log_archive("restore", {"how": "lost"})
            losing._move(self._get_live_values())
        return super()._write_by_others(vals)

    def _was_lost(self):
        """Tell whether an archived lead was inactive before it was archived."""
        self.ensure_one()
        return not (self.sudo().archive_snapshot or {}).get("active", True)

    @api.model
    def _get_archive_kept_fields(self):
        """Core's ``write()`` closes a lead that it sees being archived."""
        return super()._get_archive_kept_fields() | {"date_closed"}

    @api.model
    def _get_archive_snapshot_fields(self):
        return [*super()._get_archive_snapshot_fields(), "date_closed"]

    @api.model
    def _get_archive_read_fields(self):
        """Core looks at whether a lead is won or lost, before and after."""
        return [
            *super()._get_archive_read_fields(),
            "date_closed",
            "probability",
            "stage_id",
            "won_status",
        ]

    @api.model
    def _get_interaction_fields(self):
        return [*super()._get_interaction_fields(), "date_conversion"]

    @api.model
    def _get_interaction_sources(self):
        stage = self.env["ir.model.fields"]._get("crm.lead", "stage_id")
        return [
            *super()._get_interaction_sources(),
            # Somebody moved the lead in the pipeline.
            InteractionSource(
                "mail.message",
                "res_id",
                "date",
                [
                    ("message_type", "=", "notification"),
                    ("tracking_value_ids.field_id", "=", stage.id),
                ],
            ),
            InteractionSource("calendar.event", "opportunity_id", "start", []),
            InteractionSource(
                "sale.order",
                "opportunity_id",
                "date_order",
                [("state", "!=", "cancel")],
            ),
        ]

    def _get_retention_starts(self, event):
        starts = super()._get_retention_starts(event)
        if event == "close":
            closed = self.sudo().filtered("date_closed")
            starts |= {lead.id: lead.date_closed.date() for lead in closed}
        return starts

    def _merge_opportunity(
        self, user_id=False, team_id=False, auto_unlink=True, max_length=5
    ):
        """A merge ends no hold, shortens no retention and hides no live lead."""
        self._check_mergeable()
        retention = max(filter(None, self.mapped("retention_date")), default=False)
        live = self.filtered(lambda lead: lead.archive_state in ("live", "pending"))
        merging = self.with_context(**{PERMIT: Permit(self)})
        head = super(CrmLead, merging)._merge_opportunity(
            user_id=user_id,
            team_id=team_id,
            auto_unlink=auto_unlink,
            max_length=max_length,
        )
        head = head.with_env(self.env)
        if retention:
            head._move({"retention_date": retention})
        if live and head not in live:
            head._restore({"how": "merge"})
        return head

    # ------------------------------------------------------------
    # DATA QUALITY
    # ------------------------------------------------------------

    @api.model
    def _get_unreachable_domain(self):
        return super()._get_unreachable_domain() & Domain("partner_id", "=", False)

    @api.model
    def _get_duplicate_domain(self):
        """A lead of somebody who has bought before is a new one."""
        return super()._get_duplicate_domain() & Domain("won_status", "=", "pending")

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_set_lost(self, **additional_values):
        """Losing a lead makes it inactive, but does not archive it."""
        archived = self.filtered(lambda lead: lead.archive_state == "archived")
        if archived:
            archived.action_archive_restore()
        leads = self.with_context(**{TRANSITION: Transition(self)})
        return super(CrmLead, leads).action_set_lost(**additional_values)

    def action_unarchive(self):
        """Core clears the lost reason and the probability of what it unarchives;
        an archived lead comes back with both."""
        archived = self.filtered(lambda lead: lead.archive_state == "archived")
        if archived:
            archived.action_archive_restore()
        return super(CrmLead, self - archived).action_unarchive()
