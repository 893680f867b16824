from markupsafe import Markup

from odoo import fields, models
from odoo.fields import Domain

from .crm_archive_candidate import OPEN_VERDICTS


class CrmArchiveNotice(models.Model):
    """What one owner was told about one run: one activity, however many records."""

    _name = "crm.archive.notice"
    _description = "Archive Notice"
    _order = "id desc"

    policy_id = fields.Many2one("crm.archive.policy", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    run_id = fields.Many2one("crm.archive.run", required=True, ondelete="cascade")
    owner_id = fields.Many2one("res.users", required=True, ondelete="cascade")
    record_count = fields.Integer("Records", help="How many the owner was told about.")
    due_date = fields.Date(help="When the first of them is archived.")
    activity_id = fields.Many2one(
        "mail.activity", ondelete="set null", index="btree_not_null"
    )

    _run_owner_unique = models.UniqueIndex("(run_id, owner_id)")

    def _add(self, count, due_date):
        """Tell the owner about further records of the same run.

        :param int count: how many
        :param date due_date: when they are archived
        """
        self.ensure_one()
        self.record_count += count
        self.due_date = min(filter(None, (self.due_date, due_date)))
        values = self._prepare_activity()
        if self.activity_id.active:
            self.activity_id.write(values)
        else:
            self.activity_id = self._schedule(values)

    def _schedule(self, values):
        """Create the activity on the policy, without making the owner follow it."""
        policy = self.policy_id
        followers = policy.message_partner_ids
        activity = policy.activity_schedule(
            "mail.mail_activity_data_todo", user_id=self.owner_id.id, **values
        )
        policy.message_unsubscribe((policy.message_partner_ids - followers).ids)
        return activity

    def _prepare_activity(self):
        """Return summary, note and deadline, in the owner's language."""
        self.ensure_one()
        notice = self.with_context(lang=self.owner_id.lang or self.env.lang)
        if self.record_count == 1:
            summary = notice.env._("One of your records is about to be archived")
        else:
            summary = notice.env._(
                "%(count)s of your records are about to be archived",
                count=self.record_count,
            )
        note = Markup("<p>%s</p><p><a href='/odoo/archive-mine'>%s</a></p>") % (
            notice.env._(
                "The policy “%(policy)s” has named them. Keep those that you still "
                "need; any sign of life keeps a record as well.",
                policy=notice.policy_id.name,
            ),
            notice.env._("Show my records"),
        )
        deadline = max(self.due_date, fields.Date.today())
        return {"summary": summary, "note": note, "date_deadline": deadline}

    def _close_decided(self):
        """Remove the activity of owners who have nothing left to decide on."""
        notices = self.filtered("activity_id")
        if not notices:
            return
        groups = self.env["crm.archive.candidate"]._read_group(
            Domain("notice_id", "in", notices.ids)
            & Domain("verdict", "in", OPEN_VERDICTS),
            ["notice_id"],
        )
        still_open = notices.browse(notice.id for [notice] in groups)
        (notices - still_open).activity_id.unlink()
