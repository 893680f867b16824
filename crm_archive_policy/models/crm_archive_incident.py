from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

ACTIVITY = "crm_archive_policy.mail_activity_type_incident"

AUDITOR = "crm_archive_policy.group_archive_auditor"
MANAGER = "crm_archive_policy.group_archive_manager"


class CrmArchiveIncident(models.Model):
    """The audit log is not what was written: who has to know, and what came of it.

    The same finding is reported once, however often it is found again, and also after
    it was explained: a log that was cut once stays cut.
    """

    _name = "crm.archive.incident"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _description = "Incident of the Audit Log"
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    trouble = fields.Selection(
        [
            ("broken", "The chain is broken"),
            ("anchor", "The chain was computed anew"),
            ("cut", "The end is missing"),
        ],
        required=True,
        readonly=True,
    )
    line = fields.Integer(
        "ID of the Line",
        readonly=True,
        help="The first bad line; the last line that is left when the end is missing.",
    )
    checked = fields.Integer("Intact Lines before It", readonly=True)
    anchored = fields.Integer("Vouched for up to No.", readonly=True)
    message = fields.Text(readonly=True)
    state = fields.Selection(
        [("open", "Open"), ("closed", "Explained")],
        default="open",
        required=True,
        readonly=True,
    )
    explanation = fields.Text(help="What has happened, and what was done about it.")
    close_user_id = fields.Many2one("res.users", "Explained by", readonly=True)
    close_date = fields.Datetime("Explained on", readonly=True)

    @api.depends("trouble", "create_date")
    @api.depends_context("lang")
    def _compute_name(self):
        labels = dict(self._fields["trouble"]._description_selection(self.env))
        for incident in self:
            incident.name = labels.get(incident.trouble)

    @api.model
    def _report(self, verdict):
        """Ring, unless this very finding is known.

        :param verdict: :class:`~..lib.chain.Verdict` that is not ok
        :return: the incident
        """
        incidents = self.sudo()
        known = incidents.search(
            [
                ("trouble", "=", verdict.trouble),
                ("line", "=", verdict.bad_key or 0),
                ("checked", "=", verdict.checked),
            ],
            limit=1,
        )
        if known:
            return self.browse(known.id)
        describe = self.env["crm.archive.log"]._describe_verdict
        incident = incidents.create(
            {
                "trouble": verdict.trouble,
                "line": verdict.bad_key or 0,
                "checked": verdict.checked,
                "anchored": verdict.anchored,
                "message": " ".join(describe(verdict)),
            }
        )
        incident._ring()
        self.env["crm.archive.log"]._append(
            "verify",
            incident,
            {"trouble": verdict.trouble, "line": verdict.bad_key or None},
        )
        return self.browse(incident.id)

    def _ring(self):
        """Ask every auditor and manager to act, and tell them at once."""
        users = self.env["res.users"].sudo()
        for name in (AUDITOR, MANAGER):
            users |= self.env.ref(name).sudo().all_user_ids.filtered("active")
        for lang, group in users.grouped("lang").items():
            speaking = self.with_context(lang=lang)
            summary = speaking.env._("The audit log is not as it was written")
            speaking.message_notify(
                partner_ids=group.partner_id.ids, subject=summary, body=self.message
            )
            for user in group:
                speaking.activity_schedule(
                    ACTIVITY, user_id=user.id, summary=summary, note=self.message
                )

    def action_close(self):
        """Note that the incident was explained.

        :raise AccessError: for other people than managers
        :raise UserError: without an explanation
        """
        self.check_access("write")
        if not self.env.user.has_group(MANAGER):
            raise AccessError(
                self.env._("Only archive managers close an incident of the audit log.")
            )
        for incident in self.filtered(lambda incident: incident.state == "open"):
            if not (incident.explanation or "").strip():
                raise UserError(
                    self.env._("Say first what has happened, and what was done.")
                )
            incident.sudo().write(
                {
                    "state": "closed",
                    "close_user_id": self.env.uid,
                    "close_date": fields.Datetime.now(),
                }
            )
            incident.sudo().activity_feedback([ACTIVITY], feedback=incident.explanation)
            self.env["crm.archive.log"]._append(
                "write", incident, {"state": ["open", "closed"]}
            )
        return True

    def write(self, vals):
        """What was found stays as it was found, and so does what was said of it."""
        owned = vals.keys() - {"explanation"} - self._get_chatter_fields()
        if not self.env.su and (
            owned or ("explanation" in vals and "closed" in self.mapped("state"))
        ):
            raise AccessError(
                self.env._("Only the explanation of an open incident is written.")
            )
        return super().write(vals)

    @api.model
    def _get_chatter_fields(self):
        return {
            *self.env["mail.thread"]._fields,
            *self.env["mail.activity.mixin"]._fields,
        }

    @api.model
    def _cron_verify(self):
        """Verify the audit log, and ring when it is not what was written."""
        verdict, _report = self.env["crm.archive.log"]._verify()
        if not verdict.ok:
            self._report(verdict)
