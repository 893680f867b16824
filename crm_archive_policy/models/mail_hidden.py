"""What core answers about restricted records without asking the rules."""

from odoo import api, models
from odoo.fields import Domain


class MailMessage(models.Model):
    _inherit = "mail.message"

    def _filter_records_for_message_operation(self, doc_model, doc_res_ids, operation):
        """Leave out what is hidden: core reads meetings before it asks the rules."""
        rules = self.env["ir.rule"]
        if rules._is_hiding_archived():
            documents = self.env[doc_model].browse(doc_res_ids)
            doc_res_ids = (documents - rules._filter_archive_hidden(documents)).ids
        return super()._filter_records_for_message_operation(
            doc_model, doc_res_ids, operation
        )

    def _message_notifications_to_store(self, store):
        """Leave out what is hidden: core lists what could not be sent as superuser."""
        rules = self.sudo(False).env["ir.rule"]
        if rules._is_hiding_archived():
            self -= rules._filter_archive_hidden(self)
        return super()._message_notifications_to_store(store)


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _get_needaction_count(self):
        """Count only what the inbox shows: core counts rows of the table."""
        rules = self.sudo(False).env["ir.rule"]
        if not rules._is_hiding_archived():
            return super()._get_needaction_count()
        self.ensure_one()
        # A number of one's own notifications, less those that are hidden.
        return (
            self.env["mail.notification"]
            .sudo()
            .search_count(
                Domain("res_partner_id", "=", self.id)
                & Domain("is_read", "!=", True)
                & rules._get_not_hidden_domain("mail.notification")
            )
        )


class MailThread(models.AbstractModel):
    _inherit = "mail.thread"

    @api.model
    def _search_message_partner_ids(self, operator, operand):
        """Core searches followers as superuser: any detail of theirs could be guessed.

        Whoever sees no contact with these details finds no follower with them.
        """
        rules = self.env["ir.rule"]
        if rules._is_hiding_archived() and operator not in Domain.NEGATIVE_OPERATORS:
            followers = self.env["mail.followers"].sudo()
            visible = rules._get_not_hidden_domain("mail.followers")
            own = Domain("res_model", "=", self._name)
            query = followers._search(
                own & Domain("partner_id", operator, operand) & visible
            )
            found = super()._search_message_partner_ids(operator, operand)
            return Domain(found) & Domain("id", "in", query.subselect("res_id"))
        return super()._search_message_partner_ids(operator, operand)
