from odoo import fields, models
from odoo.tools import email_normalize

from .crm_archive_candidate import OPEN_VERDICTS


class MailMail(models.Model):
    """Win-back e-mails wait in the queue, and much may happen until they are sent."""

    _inherit = "mail.mail"

    archive_candidate_id = fields.Many2one(
        "crm.archive.candidate",
        readonly=True,
        copy=False,
        ondelete="set null",
        index="btree_not_null",
        help="The candidate whose customer is won back with this e-mail.",
    )

    def send(self, auto_commit=False, raise_exception=False, post_send_callback=None):
        """Ask again, right before sending, who still wants a win-back e-mail."""
        self._cancel_winback_in_vain()
        return super().send(
            auto_commit=auto_commit,
            raise_exception=raise_exception,
            post_send_callback=post_send_callback,
        )

    def _cancel_winback_in_vain(self):
        """Cancel e-mails to people who opted out, or whose record was decided on."""
        winbacks = self.sudo().filtered(
            lambda mail: mail.archive_candidate_id and mail.state == "outgoing"
        )
        if not winbacks:
            return
        addresses = {mail: email_normalize(mail.email_to) for mail in winbacks}
        blocked = self.env["crm.archive.policy"]._get_blacklisted(
            set(filter(None, addresses.values()))
        )
        opted_out = winbacks.filtered(lambda mail: addresses[mail] in blocked)
        decided = (winbacks - opted_out).filtered(
            lambda mail: mail.archive_candidate_id.verdict not in OPEN_VERDICTS
        )
        opted_out.write({"state": "cancel", "failure_type": "mail_bl"})
        decided.write({"state": "cancel"})
        # Whoever was not written to cannot have answered either.
        (opted_out | decided).archive_candidate_id.winback_date = False
