from odoo import api, models
from odoo.tools import email_normalize

from .crm_archive_recontact_match import Match


class ResPartner(models.Model):
    """Archived contacts are recognised, so that no duplicate is born in silence."""

    _inherit = "res.partner"

    @api.model_create_multi
    def create(self, vals_list):
        partners = super().create(vals_list)
        self.env["crm.archive.recontact"]._notice_created(partners)
        return partners

    def message_update(self, msg_dict, update_vals=None):
        """Called by the mail gateway: somebody has answered an old message."""
        self._notice_archive_reply(msg_dict)
        return super().message_update(msg_dict, update_vals)

    # ------------------------------------------------------------
    # FIND OR CREATE
    # ------------------------------------------------------------

    @api.model
    def find_or_create(self, email, assert_valid_email=False):
        """Find a contact that a policy has archived, rather than create it again."""
        normalized = email_normalize(email or "", strict=False)
        archived = self._find_archived_contacts([normalized])
        if archived and not self.search_count(
            [("email_normalized", "=", normalized)], limit=1
        ):
            return self._take_archived(archived)[normalized]
        return super().find_or_create(email, assert_valid_email)

    @api.model
    def _find_or_create_from_emails(
        self,
        emails,
        ban_emails=None,
        filter_found=None,
        additional_values=None,
        no_create=False,
        **kwargs,
    ):
        """Find contacts that a policy has archived, rather than create them again.

        Only where core would create one: who merely looks for contacts, for example
        to suggest recipients, still gets the active ones alone.
        """
        kwargs.update(ban_emails=ban_emails, filter_found=filter_found)
        kwargs.update(additional_values=additional_values)
        find = super()._find_or_create_from_emails
        if no_create:
            return find(emails, no_create=True, **kwargs)
        keys = [email_normalize(email or "", strict=False) for email in emails]
        wanted = set(filter(None, keys)) - set(ban_emails or [])
        archived = self._find_archived_contacts(wanted, additional_values)
        if filter_found:
            archived = {k: p for k, p in archived.items() if filter_found(p)}
        if not archived:
            return find(emails, **kwargs)
        found = find(emails, no_create=True, **kwargs)
        missing = {key for key, partner in zip(keys, found, strict=True) if not partner}
        taken = self._take_archived({k: p for k, p in archived.items() if k in missing})
        others = [
            email for email, key in zip(emails, keys, strict=True) if key not in taken
        ]
        created = iter(find(others, **kwargs))
        return [taken[key] if key in taken else next(created) for key in keys]

    @api.model
    def _find_archived_contacts(self, emails, additional_values=None):
        """Return the contacts a policy has archived, as far as the user may see them.

        One query, and a few more when there are any.

        :param emails: normalised e-mail addresses
        :param dict additional_values: for each address what a new contact would get
        :return: ``{e-mail: contact}``, the last archived one of each address
        """
        recontact = self.env["crm.archive.recontact"]
        emails = set(filter(None, emails))
        if not emails or not recontact._is_listening():
            return {}
        rows = [
            row
            for row in recontact._find_archived(emails, [])
            if row.kind == self._name and row.policy_id
        ]
        contacts = recontact._get_contacts(rows)
        partners = self.browse(contacts.values())
        if not self.env.su:
            partners = partners._filtered_access("read")
        visible, found = set(partners.ids), {}
        for row in sorted(rows, key=lambda row: row.date):
            values = (additional_values or {}).get(row.email) or {}
            company_id = values.get("company_id") or self.env.company.id
            policy = self.env["crm.archive.policy"].sudo().browse(row.policy_id)
            if (
                contacts[row] in visible
                and row.company_id in (None, company_id)
                and policy.recontact != "ignore"
            ):
                found[row.email] = self.browse(contacts[row])
        return found

    @api.model
    def _get_archived_source(self, partner):
        """Return what a restore starts from: the contact, or its entry in the vault."""
        partner = partner.sudo()
        entries = self.env["crm.archive.entry"]._find_for(partner._name, partner.ids)
        return entries or partner

    @api.model
    def _take_archived(self, archived):
        """Restore the contacts, or propose it, as their policies say.

        :param dict archived: ``{e-mail: contact}``
        :return: the same
        """
        matches = [
            Match(self.browse(), record, "email", record.archive_policy_id.recontact)
            for record in map(self._get_archived_source, archived.values())
        ]
        if matches:
            self.env["crm.archive.recontact"]._receive(matches)
        return archived
