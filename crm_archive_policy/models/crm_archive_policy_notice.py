from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_archive_candidate import OPEN_VERDICTS
from .mail_template import RECIPIENTS, Recipients


class CrmArchivePolicy(models.Model):
    """Between being named and being archived: who is told."""

    _inherit = "crm.archive.policy"

    notify_owner = fields.Boolean(
        "Tell the Owner",
        default=True,
        tracking=True,
        help="One activity a run for each salesperson whose records were named; the "
        "responsible is told about records without a salesperson. An owner may keep "
        "his own records.",
    )
    winback_template_id = fields.Many2one(
        "mail.template",
        "Win-Back E-Mail",
        domain="[('model', '=', model_name)]",
        tracking=True,
        help="Sent to the customer once, when the record is named. Blacklisted and "
        "bounced addresses are left out. An answer is a sign of life and keeps the "
        "record.",
    )
    own_pending_count = fields.Integer(
        "My Records",
        compute="_compute_own_pending_count",
        help="Your own records that wait for review or grace.",
    )

    # ------------------------------------------------------------
    # COMPUTE
    # ------------------------------------------------------------

    @api.depends("candidate_ids.verdict", "candidate_ids.owner_id")
    @api.depends_context("uid")
    def _compute_own_pending_count(self):
        groups = self.env["crm.archive.candidate"]._read_group(
            Domain("policy_id", "in", self.ids) & self._get_own_domain(),
            ["policy_id"],
            ["__count"],
        )
        counts = {policy.id: count for policy, count in groups}
        for policy in self:
            policy.own_pending_count = counts.get(policy.id, 0)

    @api.model
    def _get_own_domain(self):
        return Domain("owner_id", "=", self.env.uid) & Domain(
            "verdict", "in", OPEN_VERDICTS
        )

    @api.constrains("winback_template_id", "model_id")
    def _check_winback_template_id(self):
        for policy in self:
            template = policy.winback_template_id
            if template and template.model != policy.model_name:
                raise ValidationError(
                    self.env._(
                        "The e-mail “%(template)s” is not written for %(model)s. "
                        "Choose another one for “%(policy)s”.",
                        template=template.name,
                        model=policy.model_id.name,
                        policy=policy.name,
                    )
                )

    @api.onchange("model_id")
    def _onchange_model_id_winback(self):
        if self.winback_template_id.model != self.model_name:
            self.winback_template_id = False

    # ------------------------------------------------------------
    # NOTICE TO THE OWNER
    # ------------------------------------------------------------

    def _after_propose(self, candidates):
        super()._after_propose(candidates)
        if self.notify_owner:
            self._notify_owners(candidates)
        if self.winback_template_id:
            self._send_winback(candidates)

    def _notify_owners(self, candidates):
        """Tell each owner how many records were named; once a run and owner."""
        model = self.env["crm.archive.notice"]
        run = candidates.run_id
        groups = candidates.filtered("owner_id").grouped("owner_id")
        found = model.search(
            [("run_id", "=", run.id), ("owner_id", "in", [o.id for o in groups])]
        )
        notices = {notice.owner_id: notice for notice in found}
        for owner, group in groups.items():
            notice = notices.get(owner) or model.create(
                {"policy_id": self.id, "run_id": run.id, "owner_id": owner.id}
            )
            group.notice_id = notice
            notice._add(len(group), min(group.mapped("due_date")))

    def action_view_own_candidates(self):
        """Show the user's own records that this policy is going to archive.

        :return: window action
        """
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_archive_policy.crm_archive_candidate_own_action"
        )
        return {
            **action,
            "domain": [("policy_id", "=", self.id), ("owner_id", "=", self.env.uid)],
        }

    # ------------------------------------------------------------
    # WIN-BACK E-MAIL
    # ------------------------------------------------------------

    def _send_winback(self, candidates):
        """Queue the e-mail to the customers: one an address and run.

        Nothing is sent here: the mail queue does that after the batch is committed.
        """
        records = candidates._get_records()
        recipients = self._get_winback_recipients(records, candidates.run_id)
        if not recipients:
            return
        template = self.winback_template_id.with_context(
            **{RECIPIENTS: Recipients(recipients)}
        )
        # The template's own choice of language goes first.
        language = "lang" if "lang" in records._fields else "lang_code"
        written = records.filtered(lambda record: record.id in recipients)
        by_record = {candidate.res_id: candidate for candidate in candidates}
        for lang, group in written.grouped(language).items():
            mails = template.with_context(lang=lang or self.env.lang).send_mail_batch(
                group.ids
            )
            for mail in mails:
                mail.archive_candidate_id = by_record[mail.res_id]
        candidates.filtered(lambda c: c.res_id in recipients).write(
            {"winback_date": self.env.cr.now()}
        )

    def _get_winback_recipients(self, records, run):
        """Return whom to write to: ``{record id: normalised address}``.

        Left out are records without an address, addresses that bounced or are on
        the blacklist, and those that this run has written to already.
        """
        recipients = {}
        if not records._has_contact_keys():
            return recipients
        for record in records:
            if record.email_normalized and not record.message_bounce:
                recipients.setdefault(record.email_normalized, record.id)
        if not recipients:
            return {}
        blocked = self._get_blacklisted(recipients) | self._get_written(
            recipients, records, run
        )
        return {
            res_id: email
            for email, res_id in recipients.items()
            if email not in blocked
        }

    @api.model
    def _get_blacklisted(self, emails):
        blacklist = self.env["mail.blacklist"].sudo()
        found = blacklist.search([("email", "in", list(emails)), ("active", "=", True)])
        return set(found.mapped("email"))

    @api.model
    def _get_written(self, emails, records, run):
        """Return the addresses that earlier batches of the run have written to."""
        self.env["crm.archive.candidate"].flush_model(["run_id", "winback_date"])
        records.flush_model(["email_normalized"])
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT record.email_normalized
                  FROM crm_archive_candidate candidate
                  JOIN %s record ON record.id = candidate.res_id
                 WHERE candidate.run_id = %s
                   AND candidate.winback_date IS NOT NULL
                   AND record.email_normalized = ANY(%s)
                """,
                SQL.identifier(records._table),
                run.id,
                list(emails),
            )
        )
        return {email for (email,) in rows}
