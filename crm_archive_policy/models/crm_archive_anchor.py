import logging

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import str2bool

from ..lib.anchor import Anchor, put
from .vault_errors import VAULT_ERRORS

_logger = logging.getLogger(__name__)

#: Whether auditors get each anchor by e-mail as well.
MAIL_PARAMETER = "crm_archive_policy.anchor_mail"

TEMPLATE = "crm_archive_policy.mail_template_anchor"


class CrmArchiveAnchor(models.Model):
    """Keeps a list of what was noted outside about the end of the audit log.

    The list is for people. What proves something are the objects in the stores and
    the e-mails of the auditors, which nobody reaches from within the database.
    """

    _name = "crm.archive.anchor"
    _description = "Anchor of the Audit Log"
    _order = "sequence desc, id desc"
    _rec_name = "key"

    sequence = fields.Integer("Line No.", required=True, readonly=True)
    digest = fields.Char(required=True, readonly=True)
    date = fields.Datetime(required=True, readonly=True)
    database_uuid = fields.Char("Database", required=True, readonly=True)
    key = fields.Char("Object", required=True, readonly=True)
    store_id = fields.Many2one(
        "crm.archive.store", readonly=True, ondelete="set null", index="btree_not_null"
    )
    is_mailed = fields.Boolean("Sent to Auditors", readonly=True)

    # ------------------------------------------------------------
    # WRITING
    # ------------------------------------------------------------

    @api.model
    def _anchor(self):
        """Note the last line of the audit log in every default store, and by e-mail.

        Nothing may have been appended in this transaction: what is rolled back must
        not be vouched for. A store that fails does not keep the others from it.

        :return: the anchors that are new
        """
        head = self._get_committed_head()
        anchors = self.browse()
        if not head:
            return anchors
        for store in self._get_stores():
            try:
                with store._open() as opened:
                    put(opened, head)
            except (UserError, *VAULT_ERRORS) as error:
                _logger.warning("Store %s has no new anchor: %s", store.id, error)
                store._ring(
                    self.env._(
                        "The audit log could not be anchored there: %(error)s",
                        error=error,
                    )
                )
                continue
            anchors |= self._note(head, store)
        if anchors:
            anchors._mail()
        return anchors

    def _get_committed_head(self):
        """Return the anchor of the last line, or ``None`` when there is none."""
        self.env.cr.execute(
            """
            SELECT sequence, digest, clock_timestamp() AT TIME ZONE 'UTC'
              FROM crm_archive_log ORDER BY sequence DESC LIMIT 1
            """
        )
        for sequence, digest, now in self.env.cr.fetchall():
            return Anchor(
                sequence,
                digest,
                now.isoformat(timespec="seconds"),
                self.env["crm.archive.store"]._get_database_uuid(),
            )
        return None

    def _get_stores(self):
        """Return the stores that new bundles of any company go to."""
        stores = self.env["crm.archive.store"].sudo()
        for company in self.env["res.company"].sudo().search([]):
            try:
                stores |= stores._get_default(company)
            except UserError:
                continue  # nothing is vaulted there, so nobody misses it
        return stores.filtered(lambda store: not store._get_readonly_reason())

    def _note(self, head, store):
        """Put an anchor on the list, once a line and store.

        :param head: :class:`Anchor`
        :return: the anchor if it is new
        """
        known = self.sudo().search(
            [("store_id", "=", store.id), ("sequence", "=", head.sequence)], limit=1
        )
        if known.digest == head.digest:
            return self.browse()
        return self.sudo().create(
            {
                "sequence": head.sequence,
                "digest": head.digest,
                "date": fields.Datetime.to_datetime(head.date.replace("T", " ")),
                "database_uuid": head.database_uuid,
                "key": head.key,
                "store_id": store.id,
            }
        )

    def _mail(self):
        """Send the anchor to the auditors, whatever way they like to be notified."""
        parameters = self.env["ir.config_parameter"].sudo()
        if not str2bool(parameters.get_param(MAIL_PARAMETER) or "", False):
            return
        auditors = self._get_auditors().filtered("email")
        template = self.env.ref(TEMPLATE, raise_if_not_found=False)
        if not auditors or not template:
            return
        for auditor in auditors:
            template.sudo().with_context(lang=auditor.lang).send_mail(
                self[0].id,
                email_values={
                    "recipient_ids": [(6, 0, auditor.partner_id.ids)],
                    "auto_delete": False,
                },
            )
        self.sudo().is_mailed = True

    @api.model
    def _get_auditors(self):
        """Return the active members of the auditors' group."""
        group = self.env.ref("crm_archive_policy.group_archive_auditor").sudo()
        return group.all_user_ids.filtered("active")

    @api.model
    def _cron_anchor(self):
        """Note the end of the audit log outside of the database."""
        self._anchor()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_anchor(self):
        """Anchor the audit log now.

        :return: notification
        :raise AccessError: for other people than archive managers
        """
        if not self.env.user.has_group("crm_archive_policy.group_archive_manager"):
            raise AccessError(
                self.env._("Only archive managers anchor the audit log by hand.")
            )
        anchors = self._anchor()
        message = self.env._(
            "%(count)s new anchors. Where there is none, nothing has happened since "
            "the last one, or the store does not take it.",
            count=len(anchors),
        )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success" if anchors else "info",
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }
