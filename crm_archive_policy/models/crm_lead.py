from odoo import api, models

from .crm_archive_interaction import InteractionSource
from .crm_archive_mixin import TRANSITION, Transition


class CrmLead(models.Model):
    _inherit = ["crm.lead", "crm.archive.mixin"]
    _name = "crm.lead"

    _archive_state_idx = models.Index(
        "(archive_state, id) WHERE archive_state <> 'live'"
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("archive_state")
    def _compute_won_status(self):
        """Keep won or lost as it was: an archived lead is not a lost one.

        This is also what leaves the frequencies of predictive scoring alone.
        """
        archived = self.filtered(lambda lead: lead.archive_state == "archived")
        for lead in archived:
            lead.won_status = lead._origin.won_status or "pending"
        super(CrmLead, self - archived)._compute_won_status()

    # ------------------------------------------------------------
    # LIFECYCLE
    # ------------------------------------------------------------

    def _filter_archivable_by_values(self, vals):
        """Inactive with probability 0 is how core says lost."""
        if "probability" in vals and not vals["probability"]:
            return self.browse()
        return super()._filter_archivable_by_values(vals)

    @api.model
    def _get_archive_kept_fields(self):
        """Core's ``write()`` closes a lead that it sees being archived."""
        return super()._get_archive_kept_fields() | {"date_closed"}

    @api.model
    def _get_archive_snapshot_fields(self):
        return [*super()._get_archive_snapshot_fields(), "date_closed"]

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
                "sale.order", "opportunity_id", "date_order", [("state", "!=", "cancel")]
            ),
        ]

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
