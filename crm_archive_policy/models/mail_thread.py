from odoo import api, models

from .crm_archive_recontact import AUTOMATIC


class MailThread(models.AbstractModel):
    _inherit = "mail.thread"

    @api.model
    def _message_route_process(self, message, message_dict, routes):
        """An automatic mail tells nothing about whether somebody is there."""
        if is_automatic(message):
            self = self.with_context(**{AUTOMATIC: True})
        return super()._message_route_process(message, message_dict, routes)

    def _notify_get_recipients(self, message, msg_vals=False, **kwargs):
        """Whoever writes to an archived person by name still reaches them.

        Core drops inactive recipients without a word. What a policy has archived
        gets nothing that goes to followers; but a comment addressed to such a
        person by a person is sent, to the bare address.
        """
        recipients = super()._notify_get_recipients(message, msg_vals, **kwargs)
        values = msg_vals or {}
        if values.get("message_type", message.message_type) != "comment":
            return recipients
        named = values.get("partner_ids", message.sudo().partner_ids.ids) or []
        dropped = set(named) - {recipient["id"] for recipient in recipients}
        if not dropped:
            return recipients
        return recipients + self._get_archived_recipients(dropped)

    @api.model
    def _get_archived_recipients(self, partner_ids):
        """Return recipients without a contact, for those a policy has archived, as
        far as the sender may see them."""
        archived = (
            self.env["res.partner"]
            .with_context(active_test=False)
            .search(
                [
                    ("id", "in", list(partner_ids)),
                    ("archive_state", "=", "archived"),
                    ("archive_policy_id", "!=", False),
                    ("email_normalized", "!=", False),
                ]
            )
        )
        return [
            {
                "active": True,
                "email_normalized": partner.email_normalized,
                "id": False,
                "is_follower": False,
                "name": partner.name or partner.email_normalized,
                "lang": partner.lang,
                "groups": [],
                "notif": "email",
                "share": True,
                "type": "customer",
                "uid": False,
                "ushare": False,
            }
            for partner in archived
        ]


def is_automatic(message):
    """Tell whether a machine has written a mail.

    RFC 3834: everything but ``Auto-Submitted: no``.

    :param message: :class:`email.message.EmailMessage`
    """
    automatic = (message.get("Auto-Submitted") or "no").strip().lower() != "no"
    return automatic or bool(message.get("X-Autoreply"))
