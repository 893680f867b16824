"""The acts that a second person approves: what they concern, and how they are done."""

import hashlib

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_date

from ..lib import canonical
from .crm_archive_hold import DATA_FIELDS

#: So many records are restored in the approver's click; more by the scheduled action.
INLINE_MAX = 2000

#: Settings are parameters that begin like this, one an act.
PREFIX = "crm_archive_policy.approval_"

LIMIT_PARAMETER = f"{PREFIX}restore_limit"

LIMIT_DEFAULT = 1000

#: In use from the second manager on; a single one goes on alone, and the log says so.
MODE_DEFAULT = "auto"


class CrmArchiveApproval(models.Model):
    """When an act needs a second person, and the three acts themselves."""

    _inherit = "crm.archive.approval"

    def _get_act(self, step, approval=None):
        """Return the method that does a step for the kind of this request.

        :param str step: ``describe``, ``state`` or ``do``
        :param approval: the request with other rights
        """
        return getattr(approval or self, f"_{step}_{self.kind}")

    # ------------------------------------------------------------
    # WHETHER IT IS NEEDED
    # ------------------------------------------------------------

    @api.model
    def _is_needed(self, kind, company=None):
        """Tell whether the user has to ask a second person for an act.

        :param str kind: a value of ``kind``
        :param company: of what is concerned
        :raise UserError: when approvals are always wanted and nobody could give one
        """
        mode = self._get_mode(kind)
        if mode == "never":
            return False
        if self._get_granters(company):
            return True
        if mode != "always":
            return False
        raise UserError(
            self.env._(
                "A second person has to approve this, and you are the only archive "
                "manager of the company. Make somebody else an archive manager, or "
                "have an administrator change “Approval by a second person” in the "
                "settings of the archive."
            )
        )

    @api.model
    def _get_mode(self, kind):
        """Return when an act has to be approved: ``auto``, ``always`` or ``never``.

        Technical look-up: everybody has to keep to the settings.

        :param str kind: a value of ``kind``
        """
        parameters = self.env["ir.config_parameter"].sudo()
        return parameters.get_param(f"{PREFIX}{kind}") or MODE_DEFAULT

    @api.model
    def _get_restore_limit(self):
        """Return how many records one person restores within a day on his own."""
        value = self.env["ir.config_parameter"].sudo().get_param(LIMIT_PARAMETER)
        return int(value) if (value or "").isdigit() else LIMIT_DEFAULT

    @api.model
    def _is_restore_needed(self, count, company=None):
        """Tell whether the user has to ask a second person to restore so many records.

        What he has restored within the last 24 hours counts, so that nobody gets
        round the limit by small portions.

        :param int count: of records
        """
        limit = self._get_restore_limit()
        return (
            not self.env.su
            and count + self._count_restored() > limit
            and self._is_needed("restore", company)
        )

    @api.model
    def _count_restored(self):
        """Return how many records the user has restored alone within 24 hours."""
        self.env.flush_all()
        [(count,)] = self.env.execute_query(
            SQL(
                "SELECT coalesce(sum(cardinality(res_ids)), 0) FROM crm_archive_log"
                " WHERE action = 'restore' AND user_id = %s AND date > %s"
                " AND details::jsonb -> 'approval' IS NULL"
                " AND details::jsonb ->> 'how' IS DISTINCT FROM 'cascade'",
                self.env.uid,
                fields.Datetime.subtract(self.env.cr.now(), days=1),
            )
        )
        return count

    @api.model
    def _check_restore(self, records):
        """Refuse a restore for which a second person has to be asked.

        :param records: archived contacts or leads
        :raise UserError: saying how to ask
        """
        if self._is_restore_needed(len(records)):
            raise UserError(
                self.env._(
                    "Whoever restores more than %(limit)s records within a day needs "
                    "a second person. Select them under Archive and use “Restore from "
                    "archive”, which asks an archive manager for the approval.",
                    limit=self._get_restore_limit(),
                )
            )

    # ------------------------------------------------------------
    # WHETHER IT STILL IS WHAT WAS ASKED FOR
    # ------------------------------------------------------------

    def _get_fingerprint(self):
        """Return a digest of what is concerned, as it is now.

        Technical look-up: what is compared are all the records, whoever looks.
        """
        self.ensure_one()
        records = self.sudo()._get_targets()
        values = [self.kind, self.res_ids, self._get_act("state")(records)]
        wanted = {k: v for k, v in self.params.items() if k != "companies"}
        return hashlib.sha256(canonical.dumps([*values, wanted])).hexdigest()

    def _get_targets(self):
        """Return the records concerned that there still are, with these rights."""
        model = self.env[self.res_model].with_context(active_test=False)
        return model.browse(self.res_ids).exists()

    def _find_change(self):
        """Return in words what is different from when it was asked for, if anything."""
        asker = self.sudo().user_id
        if not asker.active:
            return self.env._("Who has asked for it does not work here any more.")
        if self._get_fingerprint() != self.fingerprint:
            return self.env._(
                "What it is about has changed since it was asked for. Nothing was "
                "done; ask again if it is still wanted."
            )
        return None

    def _get_names(self):
        """Return the first names of what is concerned, as far as the user sees it."""
        shown = self.env[self.res_model].with_context(active_test=False)
        shown = shown.browse(self.res_ids[:5]).exists()
        names = shown._filtered_access("read").mapped("display_name")
        return ", ".join(name or "" for name in names) or "…"

    # ------------------------------------------------------------
    # LIFTING A HOLD
    # ------------------------------------------------------------

    @api.model
    def _ask_lift(self, hold, reason):
        """Ask for a hold to be lifted; rights and state were checked."""
        return self._ask("lift", reason, hold, hold.company_id)

    def _state_lift(self, holds):
        """Return what a hold says and covers by its own words."""
        return [
            [str(hold.state), *(str(_plain(hold[n])) for n in sorted(DATA_FIELDS))]
            for hold in holds
        ]

    def _describe_lift(self):
        hold = self._get_targets()._filtered_access("read")
        return self.env._(
            "The legal hold “%(name)s” over %(count)s records is lifted for good.",
            name=hold.name or "…",
            count=hold.record_count,
        )

    def _do_lift(self):
        self._get_targets()._lift(self.reason, {"approval": self.id})

    # ------------------------------------------------------------
    # SHORTENING RETENTION
    # ------------------------------------------------------------

    @api.model
    def _ask_retention(self, records, date, reason):
        """Ask for an earlier end of retention; rights and values were checked."""
        companies = records.company_id
        date = fields.Date.to_string(date) if date else None
        old = max(filter(None, records.mapped("retention_date")), default=None)
        return self._ask(
            "retention",
            reason,
            records,
            companies if len(companies) == 1 else None,
            {"date": date, "old": fields.Date.to_string(old) or None},
        )

    def _state_retention(self, records):
        return [
            [record.id, str(record.retention_date), record.archive_category_id.id]
            for record in records
        ]

    def _describe_retention(self):
        old, new = (
            format_date(self.env, date) if date else self.env._("no day")
            for date in (self.params["old"], self.params["date"])
        )
        return self.env._(
            "%(count)s records are kept until %(new)s instead of %(old)s: %(names)s.",
            count=self.res_count,
            new=new,
            old=old,
            names=self._get_names(),
        )

    def _do_retention(self):
        date = fields.Date.to_date(self.params["date"]) or False
        records = self._get_targets()
        records._shorten_retention(date, self.reason, {"approval": self.id})

    # ------------------------------------------------------------
    # RESTORING MANY
    # ------------------------------------------------------------

    @api.model
    def _ask_restore(self, records, reason, details, replacements=None):
        """Ask for many records to be restored; the rights were checked.

        :param records: archived records, or entries of the vault
        :param str reason: why
        :param dict details: JSON values for the audit line
        :param dict replacements: see ``crm.archive.entry._restore``
        """
        companies = records.company_id
        return self._ask(
            "restore",
            reason,
            records,
            companies if len(companies) == 1 else None,
            {
                "details": details,
                "replacements": [[*k, v] for k, v in (replacements or {}).items()],
            },
        )

    def _state_restore(self, records):
        if records._name == "crm.archive.entry":
            return [[entry.id, entry.state] for entry in records]
        return [
            [record.id, record.archive_state, str(record.archive_date)]
            for record in records
        ]

    def _describe_restore(self):
        if self.res_model == "crm.archive.entry":
            text = self.env._("%(count)s records come back from the vault: %(names)s.")
        else:
            text = self.env._("%(count)s archived records are restored: %(names)s.")
        return text % {"count": self.res_count, "names": self._get_names()}

    def _do_restore(self):
        records = self._get_targets()
        details = {**self.params["details"], "approval": self.id}
        if records._name != "crm.archive.entry":
            records.check_access("write")
            records._restore(details)
            return
        records._check_may_restore()
        replacements = {
            (table, gone): instead
            for table, gone, instead in self.params["replacements"]
        }
        if len(records) > INLINE_MAX:
            self.env["crm.archive.run"]._start_restore(records, details, replacements)
            return
        wizards = self.env["crm.archive.vault.restore"]
        wizards._restore_entries(records, replacements, details)


def _plain(value):
    """Return a field value as something that reads the same each time."""
    return sorted(value.ids) if isinstance(value, models.BaseModel) else value
