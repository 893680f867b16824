from collections import defaultdict
from functools import partial

from psycopg2.errors import ReadOnlySqlTransaction

from odoo import models
from odoo.exceptions import MissingError
from odoo.http import request
from odoo.tools import SQL

from .query_tools import id_array

USER = "crm_archive_policy.group_archive_user"

#: Where a transaction keeps what was shown in it, until it is noted.
SEEN = "crm_archive_seen"


class CrmArchiveSeen(models.AbstractModel):
    """Notes in the audit log who was shown data that few people may see.

    A request is one line, whatever it reads; a person, a record and a day are one
    look, however often the screen is opened. For whoever is not in the archive groups
    nothing is looked at, asked or noted: they are not shown such records.
    """

    _name = "crm.archive.seen"
    _description = "Noted Look"

    def _read_format(self, fnames, load="_classic_read"):
        """Everything that a client is sent passes here: lists, forms, RPC."""
        if self and set(fnames) - {"id"} and self._is_shown_to_person():
            for model_name, ids in self._get_noted_ids().items():
                self._note_seen(model_name, ids)
        return super()._read_format(fnames, load)

    def export_data(self, fields_to_export):
        """What leaves as a file is noted each time."""
        result = super().export_data(fields_to_export)
        if not self.env.su and self.env.user.has_group(USER):
            for model_name, ids in self._get_noted_ids().items():
                records = self.env[model_name].browse(sorted(ids))
                self.env["crm.archive.log"]._append(
                    "export", records, {"fields": list(fields_to_export)}
                )
        return result

    def _is_shown_to_person(self):
        """Tell whether a member of the archive groups is asking, and no program."""
        return bool(request) and not self.env.su and self.env.user.has_group(USER)

    def _get_noted_ids(self):
        """Return what a look at these records is noted about.

        :return: ``{model name: set of ids}``
        """
        raise NotImplementedError

    def _note_seen(self, model_name, ids):
        """Note a look at the end of the transaction, unless it was noted today.

        :raise ReadOnlySqlTransaction: on a read-only cursor, so that Odoo serves the
            request again with one that can write
        """
        cr = self.env.cr
        if cr.readonly:
            if self._filter_unseen(model_name, ids):
                raise ReadOnlySqlTransaction("a look at archived data is noted")
            return
        seen = cr.precommit.data.get(SEEN)
        if seen is None:
            seen = cr.precommit.data[SEEN] = defaultdict(set)
            cr.precommit.add(partial(self._append_seen, seen))
        seen[model_name] |= ids

    def _append_seen(self, seen):
        for model_name, ids in seen.items():
            if unseen := self._filter_unseen(model_name, ids):
                self.env["crm.archive.log"]._append(
                    "read", self.env[model_name].browse(unseen), {"sampled": True}
                )

    def _filter_unseen(self, model_name, ids):
        """Return the ids that this person was not shown yet on this day (UTC)."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT shown.id
                  FROM crm_archive_log line, unnest(line.res_ids) AS shown(id)
                 WHERE line.action = 'read' AND line.user_id = %(user)s
                   AND line.date >= date_trunc('day', now() AT TIME ZONE 'UTC')
                   AND line.res_model = %(model)s
                   AND line.res_ids && %(ids)s
                """,
                user=self.env.uid,
                model=model_name,
                ids=id_array(sorted(ids)),
            )
        )
        return sorted(ids - {res_id for (res_id,) in rows})


class CrmArchiveMixin(models.AbstractModel):
    """Contacts and leads: a look at what is restricted is noted."""

    _name = "crm.archive.mixin"
    _inherit = ["crm.archive.mixin", "crm.archive.seen"]

    def _determine_fields_to_fetch(self, field_names=None, ignore_when_in_cache=False):
        """Fetch along whether a record is restricted: no query of its own."""
        fetched = super()._determine_fields_to_fetch(field_names, ignore_when_in_cache)
        restricted = self._fields["archive_restricted"]
        if (
            field_names is not None
            and any(field.column_type for field in fetched)
            and restricted not in fetched
            and self._is_shown_to_person()
        ):
            fetched.append(restricted)
        return fetched

    def _get_noted_ids(self):
        # Whoever reads them was checked; only the flag is looked at past the rights.
        records = self._origin.sudo()
        try:
            restricted = records.filtered("archive_restricted")
        except MissingError:
            restricted = records.exists().filtered("archive_restricted")
        return {self._name: set(restricted.ids)} if restricted else {}


class CrmArchiveEntry(models.Model):
    """The index of the vault tells names and addresses: a look at it is noted."""

    _name = "crm.archive.entry"
    _inherit = ["crm.archive.entry", "crm.archive.seen"]

    def _get_noted_ids(self):
        noted = defaultdict(set)
        # Whoever reads them was checked.
        for entry in (
            self.sudo().exists().filtered(lambda entry: entry.state == "vaulted")
        ):
            noted[entry.res_model].add(entry.res_id)
        return noted
