from collections import defaultdict
from typing import NamedTuple

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_archive_recontact import AUTOMATIC

#: Context key by which code that creates contacts or leads says that nobody has
#: been in touch: migrations, tests of other modules, one's own imports.
SKIP = "archive_recontact_skip"

#: What people are recognised by, and the fields of contacts and leads that hold it.
KEY_FIELDS = {"email": "email_normalized", "phone": "phone_sanitized"}


class Archived(NamedTuple):
    """An archived person, as far as it takes to recognise them.

    :ivar model: model of the archived record; of its entry, when it is in the vault
    :ivar id: its id
    :ivar kind: whether it is a contact or a lead, as the name of that model
    :ivar email: normalised e-mail address, or None
    :ivar phone: sanitised phone number, or None
    :ivar company_id: company it belongs to; None: shared
    :ivar policy_id: policy that archived it; None: archived by hand
    :ivar date: when it was archived
    """

    model: str
    id: int
    kind: str
    email: str
    phone: str
    company_id: int
    policy_id: int
    date: object


class Match(NamedTuple):
    """Somebody who got in touch, and the archived record that knows them.

    :ivar new: the new contact or lead; empty for a reply
    :ivar archived: the archived record, as superuser
    :ivar kind: what matched, a value of the field ``match_kind``
    :ivar mode: what the policy wants, a value of its field ``recontact``
    """

    new: models.BaseModel
    archived: models.BaseModel
    kind: str
    mode: str


class CrmArchiveRecontact(models.Model):
    """Recognises archived people in whoever gets in touch."""

    _inherit = "crm.archive.recontact"

    # ------------------------------------------------------------
    # NOTICING
    # ------------------------------------------------------------

    @api.model
    def _is_listening(self):
        """Tell whether what is created now means that somebody is there."""
        context = self.env.context
        return (
            self.env.registry.ready
            and not context.get(SKIP)
            and not context.get("install_mode")
        )

    @api.model
    def _notice_created(self, records):
        """Recognise archived people in new contacts or leads.

        One query for the batch, and two more when somebody is recognised.

        :param records: just created
        """
        if self._is_listening():
            self._receive(self._match(records))

    @api.model
    def _notice_reply(self, records):
        """A mail has come in on archived contacts or leads."""
        archived = records.sudo().filtered(lambda r: r.archive_state == "archived")
        automatic = self.env.context.get(AUTOMATIC)
        if not archived or automatic or not self._is_listening():
            return
        matches = [
            Match(
                records.browse(),
                record,
                "reply",
                record.archive_policy_id.recontact or "propose",
            )
            for record in archived
        ]
        self._receive(matches)

    # ------------------------------------------------------------
    # MATCHING
    # ------------------------------------------------------------

    @api.model
    def _get_archived_queries(self, emails, phones):
        """Yield the queries that find archived people; other sources add theirs.

        Technical look-up over every company and whatever is restricted: callers
        decide what the user gets to know of it.

        :param list emails: normalised e-mail addresses
        :param list phones: sanitised phone numbers
        :return: SQL with the columns of :class:`Archived`
        """
        known = Domain("email_normalized", "in", emails)
        known |= Domain("phone_sanitized", "in", phones)
        for model_name in self.env["crm.archive.policy"]._get_lifecycle_models():
            model = self.env[model_name].sudo().with_context(active_test=False)
            if not model._has_contact_keys():
                continue
            query = model._search(Domain("archive_state", "=", "archived") & known)
            names = (
                "email_normalized",
                "phone_sanitized",
                "company_id",
                "archive_policy_id",
                "archive_date",
            )
            yield query.select(
                SQL("%s", model_name),
                SQL.identifier(query.table, "id"),
                SQL("%s", model_name),
                *(model._field_to_sql(query.table, name, query) for name in names),
            )

    @api.model
    def _find_archived(self, emails, phones):
        """Return the archived people with one of the addresses or numbers.

        Not through ``execute_query``, which would first write the new records that
        are still in the cache, and so write each of them twice. Archiving leaves
        nothing in the cache; what this transaction has restored is sorted out here.

        :return: list of :class:`Archived`; who may see them is not checked
        """
        emails, phones = sorted(set(emails)), sorted(set(phones))
        if not emails and not phones:
            return []
        queries = self._get_archived_queries(emails, phones)
        union = SQL(" UNION ALL ").join(SQL("(%s)", query) for query in queries)
        self.env.cr.execute(union)
        rows = [Archived(*row) for row in self.env.cr.fetchall()]
        archived = {
            record
            for name in {row.model for row in rows}
            for record in self._browse_archived(rows, name)
            if record.archive_state in ("archived", "vaulted")
        }
        return [row for row in rows if self.env[row.model].browse(row.id) in archived]

    @api.model
    def _browse_archived(self, rows, model_name):
        """Return the archived records of one model, as superuser, read all at once.

        :param rows: list of :class:`Archived`
        """
        ids = (row.id for row in rows if row.model == model_name)
        return self.env[model_name].sudo().with_context(active_test=False).browse(ids)

    @api.model
    def _match(self, records):
        """Find for each new record the archived one that is most likely the same.

        :param records: new contacts or leads
        :return: list of :class:`Match`
        """
        records = records.sudo().filtered(self._is_newcomer)
        found = self._find_archived(
            filter(None, records.mapped("email_normalized")),
            filter(None, records.mapped("phone_sanitized")),
        )
        if not found:
            return []
        policies = self.env["crm.archive.policy"].sudo()
        policies = policies.browse({row.policy_id for row in found if row.policy_id})
        modes = {policy.id: policy.recontact for policy in policies}
        found = [row for row in found if modes.get(row.policy_id) != "ignore"]
        live_emails = self._get_live_emails(found, records)
        archived = {
            (name, record.id): record
            for name in {row.model for row in found}
            for record in self._browse_archived(found, name)
        }
        by_key = defaultdict(list)
        for row in found:
            by_key["email", row.email].append(row)
            by_key["phone", row.phone].append(row)
        matches = []
        for record in records:
            ranked = [
                (rank, row)
                for key in ("email", "phone")
                for row in by_key.get((key, record[KEY_FIELDS[key]]), ())
                if (rank := self._rank(record, row, live_emails))
            ]
            if ranked:
                rank, row = max(ranked)
                matches.append(
                    Match(
                        record,
                        archived[row.model, row.id],
                        "email" if rank[0] else "phone",
                        modes.get(row.policy_id, "propose"),
                    )
                )
        return matches

    @api.model
    def _is_newcomer(self, record):
        """Tell whether a new record can be the sign that an archived person is back."""
        return record.active and record.archive_state == "live"

    def _get_live_emails(self, found, records):
        """Return the addresses of archived contacts that live ones have as well:
        archived as a duplicate, or replaced long ago."""
        emails = {row.email for row in found if row.kind == "res.partner" and row.email}
        if not emails:
            return set()
        domain = Domain("email_normalized", "in", list(emails))
        if records._name == "res.partner":
            domain &= Domain("id", "not in", records.ids)
        live = self.env["res.partner"].sudo().search_fetch(domain, ["email_normalized"])
        return set(live.mapped("email_normalized"))

    def _rank(self, record, row, live_emails):
        """Tell how likely it is that a new record is the same as an archived one.

        :return: tuple to compare with others; empty when they are different people
        """
        email, phone = record.email_normalized, record.phone_sanitized
        by_email = bool(email) and email == row.email
        # One number and two addresses: two people with one switchboard.
        by_phone = bool(phone) and phone == row.phone and not (email and row.email)
        company_id = record.company_id.id or self.env.company.id
        if not (by_email or by_phone) or row.company_id not in (None, company_id):
            return ()
        is_contact = row.kind == "res.partner"
        if is_contact and record._name != row.kind and record.partner_id:
            return ()
        if is_contact and by_email and email in live_emails:
            return ()
        return (by_email, is_contact, row.date, row.id)
