from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import format_date

from .crm_archive_rights import GROUPS

ACTIVITY = "crm_archive_policy.mail_activity_type_access_review"

#: Days that managers have for it.
REVIEW_DAYS = 14

MANAGER = "crm_archive_policy.group_archive_manager"


class CrmArchiveAccessReview(models.Model):
    """Asks the managers at an interval whether the right people have rights.

    A review keeps the list as it was: who was found to have which right is known
    afterwards, too.
    """

    _name = "crm.archive.access.review"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _description = "Review of Archive Rights"
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    date = fields.Datetime(required=True, readonly=True, default=fields.Datetime.now)
    state = fields.Selection(
        [("open", "To review"), ("done", "Reviewed")],
        default="open",
        required=True,
        readonly=True,
    )
    line_ids = fields.One2many(
        "crm.archive.access.review.line", "review_id", readonly=True
    )
    review_user_id = fields.Many2one(
        "res.users", "Reviewed by", readonly=True, ondelete="restrict"
    )
    review_date = fields.Datetime("Reviewed on", readonly=True)
    note = fields.Text("Remarks", help="What was changed, or why nothing was.")

    @api.depends("date")
    @api.depends_context("lang", "tz")
    def _compute_name(self):
        for review in self:
            date = fields.Datetime.context_timestamp(review, review.date)
            review.name = self.env._(
                "Archive rights, %(date)s", date=format_date(self.env, date.date())
            )

    def write(self, vals):
        """The list is what was found: nobody writes in it."""
        chatter = self.env["crm.archive.incident"]._get_chatter_fields()
        if not self.env.su and (
            vals.keys() - {"note"} - chatter
            or ("note" in vals and "done" in self.mapped("state"))
        ):
            raise AccessError(
                self.env._("Only the remarks of an open review are written.")
            )
        return super().write(vals)

    # ------------------------------------------------------------
    # ASKING
    # ------------------------------------------------------------

    @api.model
    def _ask(self):
        """Make a list of who has rights and ask every manager to look at it.

        What is still open is brought up to date instead: one question at a time.

        :return: the review
        """
        reviews = self.sudo()
        review = reviews.search([("state", "=", "open")], limit=1)
        values = {"date": fields.Datetime.now(), "line_ids": self._prepare_lines()}
        if review:
            review.write({**values, "line_ids": [(5,), *values["line_ids"]]})
        else:
            review = reviews.create(values)
        review._remind()
        return self.browse(review.id)

    @api.model
    def _prepare_lines(self):
        """Return the commands that make a line for each person with a right."""
        groups = {}
        for name, ids in self.env["res.groups"]._get_archive_members().items():
            for user_id in ids:
                groups.setdefault(user_id, []).append(name)
        return [
            (0, 0, {"user_id": user_id, **self._prepare_rights(names)})
            for user_id, names in sorted(groups.items())
        ]

    @api.model
    def _prepare_rights(self, names):
        return {f"is_{name.rpartition('_')[2]}": True for name in names}

    def _remind(self):
        """Schedule the activity of each manager who has none yet."""
        managers = self.env.ref(MANAGER).sudo().all_user_ids.filtered("active")
        # OdooBot reviews nothing.
        managers -= self.env.ref("base.user_root")
        asked = self.activity_search([ACTIVITY]).user_id
        for manager in managers - asked:
            speaking = self.with_context(lang=manager.lang)
            speaking.activity_schedule(
                ACTIVITY,
                date_deadline=fields.Date.today() + timedelta(days=REVIEW_DAYS),
                user_id=manager.id,
                summary=speaking.env._("Who has archive rights: is it still right?"),
                note=speaking._describe_lines(),
            )

    def _describe_lines(self):
        """Return the list as HTML, for the activity."""
        return Markup("<ul>%s</ul>") % Markup().join(
            Markup("<li>%s: %s</li>") % (line.user_id.name, line.rights)
            for line in self.line_ids
        )

    @api.model
    def _cron_ask(self):
        """Ask for the next review."""
        self._ask()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def _check_may_review(self):
        """Refuse other people than managers.

        :raise AccessError: for them
        """
        self.check_access("write")
        if not self.env.user.has_group(MANAGER):
            raise AccessError(
                self.env._("Only archive managers review who has archive rights.")
            )

    def action_reviewed(self):
        """Note that the list was looked at, in one's own name.

        :raise AccessError: for other people than managers
        :raise UserError: when it is not the present list any more
        """
        self._check_may_review()
        for review in self.filtered(lambda review: review.state == "open"):
            found = {line.user_id.id: line._get_rights() for line in review.line_ids}
            if found != self._get_present_rights():
                raise UserError(
                    self.env._(
                        "Rights have changed since this list was made. Bring the list "
                        "up to date and look at it again."
                    )
                )
            reviewed = review.sudo()
            reviewed.write(
                {
                    "state": "done",
                    "review_user_id": self.env.uid,
                    "review_date": fields.Datetime.now(),
                }
            )
            reviewed.activity_feedback([ACTIVITY], feedback=review.note or None)
            self.env["crm.archive.log"]._append(
                "review",
                review.line_ids.user_id,
                {"review": review.id, "rights": {str(k): v for k, v in found.items()}},
            )
        return True

    @api.model
    def _get_present_rights(self):
        """Return ``{user id: sorted names of rights}`` as they are now."""
        rights = {}
        for name, ids in self.env["res.groups"]._get_archive_members().items():
            for user_id in ids:
                rights.setdefault(user_id, []).append(name.rpartition("_")[2])
        return {user_id: sorted(names) for user_id, names in rights.items()}

    def action_ask(self):
        """Make the list anew, from a button.

        :return: window action of the review
        """
        self._check_may_review()
        review = self._ask()
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": review.id,
            "view_mode": "form",
        }


class CrmArchiveAccessReviewLine(models.Model):
    """A person who has rights, and when he last signed in."""

    _name = "crm.archive.access.review.line"
    _description = "Person with Archive Rights"
    _order = "is_manager desc, is_auditor desc, is_officer desc, id"

    review_id = fields.Many2one(
        "crm.archive.access.review", required=True, ondelete="cascade", index=True
    )
    user_id = fields.Many2one("res.users", "Person", required=True, ondelete="restrict")
    login_date = fields.Datetime("Last Sign-In", related="user_id.login_date")
    is_user = fields.Boolean("Sees Archived Records")
    is_officer = fields.Boolean("Officer")
    is_auditor = fields.Boolean("Auditor")
    is_manager = fields.Boolean("Manager")
    is_both = fields.Boolean(
        "Both Acts and Audits",
        compute="_compute_is_both",
        help="Whoever archives or decides should not audit it.",
    )
    rights = fields.Char(compute="_compute_rights")

    @api.depends("is_officer", "is_manager", "is_auditor")
    def _compute_is_both(self):
        for line in self:
            line.is_both = line.is_auditor and (line.is_officer or line.is_manager)

    @api.depends("is_user", "is_officer", "is_auditor", "is_manager")
    @api.depends_context("lang")
    def _compute_rights(self):
        for line in self:
            line.rights = ", ".join(
                self._fields[f"is_{name}"]._description_string(self.env)
                for name in line._get_rights()
            )

    def _get_rights(self):
        """Return the sorted names of the rights."""
        names = (name.rpartition("_")[2] for name in GROUPS)
        return sorted(name for name in names if self[f"is_{name}"])
