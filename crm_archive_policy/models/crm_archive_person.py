"""Everything there is about one person: live, archived, in the vault, mentioned."""

import re

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL, email_normalize

from ..vault.capture import discover
from ..vault.graph import Graph
from ..vault.mentions import PHONE_DIGITS, Mentions
from .query_tools import as_domain

#: Models that are left alone when mentions are blotted out: what the database runs on,
#: what the law has kept, what says that somebody wants no mail, and evidence.
#: A dot at the end stands for all models that begin like it.
SPARED_MODELS = frozenset(
    [
        "account.",
        "crm.archive.hold",
        "crm.archive.log",
        "crm.archive.purge",
        "ir.act",
        "ir.asset",
        "ir.config_parameter",
        "ir.model",
        "ir.model.",
        "ir.module.",
        "ir.qweb",
        "ir.rule",
        "ir.ui.",
        "mail.blacklist",
        "phone.blacklist",
        "res.company",
        "res.groups",
        "res.users",
    ]
)

#: So many digits at the end of a phone number tell it from others, with or without
#: the code of a country.
SAME_DIGITS = 8


class CrmArchivePerson(models.AbstractModel):
    """Finds and forgets one person."""

    _name = "crm.archive.person"
    _description = "One Person in Live, Archived and Vaulted Data"

    # ------------------------------------------------------------
    # FINDING
    # ------------------------------------------------------------

    @api.model
    def _find(self, name=None, email=None, phone=None):
        """Find records by how a person is known, with the rights of the user.

        :return: list of recordsets, each of one model
        """
        email = email_normalize(email or "") or (email or "").strip()
        match = (name or "").strip(), email, re.sub(r"\D", "", phone or "")
        if not any(match):
            return []
        model_names = [
            name
            for name in self.env["crm.archive.policy"]._get_lifecycle_models()
            if self.env[name].has_access("read")
        ]
        entries = self.env["crm.archive.entry"]
        partners = self._search(self.env["res.partner"], match)
        entries = self._search(entries, match, partners.ids)
        shells = entries.filtered(lambda entry: entry.res_model == "res.partner")
        # Those of somebody who is in the vault: the row that stayed links them.
        linked = [*partners.ids, *shells.mapped("res_id")]
        if shells:
            entries |= self._search(entries, match, linked)
        # A row that stands for a record in the vault is found as that record.
        found = [partners.filtered(lambda p: p.archive_state != "vaulted")]
        for name in model_names:
            if name != "res.partner":
                records = self._search(self.env[name], match, linked)
                found.append(
                    records.filtered(lambda record: record.archive_state != "vaulted")
                )
        return [records for records in (*found, entries) if records]

    @api.model
    def _search(self, model, match, partner_ids=()):
        """Find records of one model by what they show, or by whom they belong to.

        :param model: a model with a lifecycle, or the index of the vault
        :param match: name, e-mail address and phone number
        :param partner_ids: contacts whose records are the person's
        """
        domain = self._get_domain(model, *match)
        if partner_ids and "partner_id" in model._fields:
            domain |= Domain("partner_id", "in", list(partner_ids))
        if model._name == "crm.archive.entry":
            domain &= Domain("state", "=", "vaulted")
        return model.with_context(active_test=False).search(domain, order="id")

    @api.model
    def _get_domain(self, model, name, email, phone):
        """Return the domain of records that show a name, an address or a number."""
        domain = Domain.FALSE
        for field in ("email", "email_from"):
            if email and field in model._fields and model._fields[field].store:
                domain |= Domain(field, "ilike", email)
        has_phone = "phone" in model._fields and model._fields["phone"].store
        if has_phone and phone and len(phone) >= PHONE_DIGITS:
            domain |= as_domain(lambda alias: self._has_phone(alias, phone))
        if name:
            for field in self._get_name_fields(model._name):
                domain |= Domain(field, "=ilike", name)
        return domain

    @api.model
    def _get_name_fields(self, model_name):
        """Return the fields that hold the name of a person.

        Other modules' models are asked: nobody else knows whether theirs are named
        after people.
        """
        names = {
            "res.partner": ("name",),
            "crm.lead": ("contact_name", "partner_name"),
            "crm.archive.entry": ("name", "contact_name", "partner_name"),
        }
        if model_name in names:
            return names[model_name]
        return self.env[model_name]._get_archive_person_fields()

    @staticmethod
    def _has_phone(alias, digits):
        """Compare the last digits, whatever people put between them."""
        return SQL(
            "right(regexp_replace(%s, '[^0-9]', '', 'g'), %s) = %s",
            SQL.identifier(alias, "phone"),
            min(SAME_DIGITS, len(digits)),
            digits[-SAME_DIGITS:],
        )

    @api.model
    def _count_hidden(self, found, name=None, email=None, phone=None):
        """Return how many more records there are in other companies.

        :param list found: what the user has been shown
        """
        everything = self.sudo()._find(name, email, phone)
        return sum(map(len, everything)) - sum(map(len, found))

    @api.model
    def _get_identifiers(self, records, name=None, email=None, phone=None):
        """Return by what the person is known in records that say so themselves.

        What was found only by its link may hold the number of a company.

        :param records: of one model
        :return: set of texts
        """
        email = email_normalize(email or "") or (email or "").strip()
        match = (name or "").strip(), email, re.sub(r"\D", "", phone or "")
        domain = self._get_domain(records, *match) & Domain("id", "in", records.ids)
        records = records.with_context(active_test=False).search(domain)
        found = set()
        for record in records:
            # A lead's own name is that of a deal.
            is_deal = record._name == "crm.archive.entry" and (
                record.res_model != "res.partner"
            )
            names = set(self._get_name_fields(record._name)) - (
                {"name"} if is_deal else set()
            )
            names |= {"email", "email_from", "phone"}
            for name in names:
                if name in record._fields and (value := record[name]):
                    found.add(value.strip())
                    if "@" in value:
                        found.add(email_normalize(value) or value.strip())
        return found

    # ------------------------------------------------------------
    # FORGETTING
    # ------------------------------------------------------------

    @api.model
    def _get_spared_models(self):
        """Return the models in which nothing is blotted out.

        :return: set of names; one with a dot at its end stands for all that begin so
        """
        return SPARED_MODELS

    @api.model
    def _get_mentions(self, identifiers):
        """Return where the person may be mentioned.

        :param identifiers: texts
        :return: :class:`~..vault.mentions.Mentions`
        """
        own = {"crm.archive.entry"}
        own |= set(self.env["crm.archive.policy"]._get_lifecycle_models())
        return Mentions(self.env, identifiers, self._get_spared_models(), own)

    @api.model
    def _find_spared(self, lines):
        """Return the rows that belong to records which have to stay.

        :param lines: ``crm.archive.purge.line`` that are kept
        :return: dict ``{table: ids}``
        """
        spared = {}
        for model_name, group in lines.grouped("res_model").items():
            found = discover(Graph(self.env, model_name), group.mapped("res_id"))
            for table in found.keys:
                if found.graph.catalog.has_id(table):
                    spared.setdefault(table, set()).update(found.pairs(table)[1])
        return spared
