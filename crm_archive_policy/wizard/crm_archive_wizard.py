from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..models.crm_archive_cascade import LEAD_CASCADE


class CrmArchiveWizard(models.TransientModel):
    """Archive contacts or leads by hand: why, for how long, and what else moves."""

    _name = "crm.archive.wizard"
    _inherit = ["crm.archive.records"]
    _description = "Archive"

    opened_date = fields.Datetime(readonly=True, default=lambda self: self.env.cr.now())
    reason_id = fields.Many2one("crm.archive.reason", required=True)
    tag_ids = fields.Many2many("crm.archive.tag")
    retention_date = fields.Date(
        "Keep until", help="The records are not deleted before this day."
    )
    is_restricted = fields.Boolean(
        "Restrict Visibility", help="Only the archive groups see the records."
    )
    can_restrict = fields.Boolean(compute="_compute_can_restrict")
    # what else is affected
    child_count = fields.Integer("Contacts", compute="_compute_affected")
    is_child_included = fields.Boolean(
        "Archive their contacts too",
        help="The contact persons and addresses of the companies you archive.",
    )
    lead_count = fields.Integer("Open Leads", compute="_compute_affected")
    lead_cascade = fields.Selection(
        LEAD_CASCADE, "Their Open Leads", default="keep", required=True
    )
    activity_count = fields.Integer("Planned Activities", compute="_compute_affected")
    already_count = fields.Integer("Archived Already", compute="_compute_affected")

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("res_ids", "res_model", "is_child_included")
    def _compute_affected(self):
        for wizard in self:
            records = wizard._get_records()
            children = wizard._get_children(records)
            taken = records | children if wizard.is_child_included else records
            wizard.already_count = len(
                records.filtered(lambda r: r.archive_state in ("archived", "vaulted"))
            )
            wizard.child_count = len(children)
            wizard.lead_count = wizard._count_open_leads(taken)
            wizard.activity_count = self.env["mail.activity"].search_count(
                [("res_model", "=", taken._name), ("res_id", "in", taken.ids)]
            )

    @api.depends_context("uid")
    def _compute_can_restrict(self):
        self.can_restrict = self.env.user.has_group(
            "crm_archive_policy.group_archive_officer"
        )

    @api.constrains("retention_date")
    def _check_retention_date(self):
        today = fields.Date.context_today(self)
        for wizard in self:
            if wizard.retention_date and wizard.retention_date < today:
                raise ValidationError(
                    self.env._(
                        "“Keep until” is %(date)s, which is in the past. Choose a day "
                        "from today on, or leave it empty.",
                        date=wizard.retention_date,
                    )
                )

    def _get_children(self, records):
        """Return the live contact persons and addresses of the contacts."""
        if records._name != "res.partner":
            return records.browse()
        return records._get_cascade_children()

    def _count_open_leads(self, records):
        if records._name != "res.partner":
            return 0
        return self.env["crm.lead"].search_count(
            [("partner_id", "in", records.ids), ("won_status", "=", "pending")]
        )

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_archive(self):
        """Archive the records as chosen.

        :return: notification that says how many
        :raise UserError: when a record is protected, held, or was changed by
            somebody else since the dialog was opened
        """
        self.ensure_one()
        records = self._get_records()
        records.check_access("write")
        if self.is_child_included:
            self._get_children(records).check_access("write")
        if self.is_restricted and not self.can_restrict:
            raise UserError(
                self.env._("Only archive officers may restrict who sees a record.")
            )
        records = records.filtered(lambda r: r.archive_state in ("live", "pending"))
        if not records:
            raise UserError(self.env._("These records are archived already."))
        self._check_unchanged(records)
        records._check_archivable()
        values = self._prepare_values()
        archived = records._archive(values, {"how": "wizard"})
        if archived._name == "res.partner":
            archived |= archived._cascade(
                values, children=self.is_child_included, leads=self.lead_cascade
            )
        return archived._get_archived_action()

    def _prepare_values(self):
        values = {
            "archive_reason_id": self.reason_id.id,
            "archive_restricted": self.is_restricted,
            "archive_policy_id": False,
        }
        if self.retention_date:
            values["retention_date"] = self.retention_date
        if self.tag_ids:
            values["archive_tag_ids"] = [(4, tag.id) for tag in self.tag_ids]
        return values

    def _check_unchanged(self, records):
        """Refuse to archive what somebody else has just worked on."""
        changed = records.filtered(
            lambda r: (
                r.write_date
                and r.write_date > self.opened_date
                and r.write_uid != self.env.user
            )
        )
        if changed:
            raise UserError(
                self.env._(
                    "%(name)s was changed by %(user)s while this dialog was open. "
                    "Have a look at the record and archive it again.",
                    name=changed[0].display_name,
                    user=changed[0].write_uid.display_name,
                )
            )
