from collections import defaultdict

from odoo import api, models
from odoo.tools import SQL

from .crm_archive_mixin import OWNED_FIELDS, RETENTION_FIELDS
from .query_tools import id_array

#: From so many records with the same values on, one statement takes them all.
SAME_VALUES_MIN = 10


#: Key of the cursor's cache: what rows hold already, see :class:`Arrived`.
ARRIVED = "crm_archive_arrived"


class Arrived:
    """What the rows of some records hold, though the ORM is still to write it.

    Only while they are told of it: see ``_restore_arrived``.
    """

    def __init__(self, ids, values):
        """
        :param ids: record ids
        :param dict values: ``{field name: column value}`` of their rows
        """
        self._held = {res_id: dict(values) for res_id in ids}

    def leave_out(self, res_id, values):
        """Return the values that a row does not hold yet.

        :param int res_id: record id
        :param dict values: column values that are about to be written
        :return: dict
        """
        held = self._held.get(res_id)
        if not held:
            return values
        news = {}
        for name, value in values.items():
            if name not in held or held[name] != value:
                news[name] = value
                held.pop(name, None)
        return news


class CrmArchiveMixin(models.AbstractModel):
    """Reads and writes a batch with as few statements as it takes.

    Writing: overrides, access rights, computed fields and the cache have had their
    turn, what is left are columns and values. The ORM sends a row of values for each
    record, a hundred records a statement. The records of a batch get the same values,
    which a single ``UPDATE`` says once.
    """

    _inherit = "crm.archive.mixin"

    @api.model
    def _get_archive_read_fields(self):
        """Return the stored fields that archiving reads of each record.

        Fetched together for a batch: whatever is missing costs a query that reads
        all the columns of all its records.
        """
        return [
            self._active_name,
            "archive_category_id",
            "archive_due_date",
            "archive_on_hold",
            "archive_reason_id",
            "archive_restricted",
            "archive_snapshot",
            "archive_state",
            "create_date",
            "retention_date",
        ]

    def _write_multi(self, vals_list):
        if arrived := self.env.cr.cache.get(ARRIVED, {}).get(self._name):
            vals_list = [
                arrived.leave_out(res_id, values)
                for res_id, values in zip(self._ids, vals_list, strict=True)
            ]
        same, others = self._group_same_values(vals_list)
        for values, ids in same:
            self._write_same_values(ids, values)
        if others:
            records = self.browse(res_id for res_id, _values in others)
            super(CrmArchiveMixin, records)._write_multi([vals for _id, vals in others])

    def _group_same_values(self, vals_list):
        """Divide column values by whether many records get the same ones.

        Values by company or by language are objects that equal no other: they are
        merged with what is there, which is left to the ORM.

        :param vals_list: one dict of column values for each of these records
        :return: ``([(values, ids)], [(id, values)])``: what one statement can
            write, and what is left to the ORM; nothing at all of no values
        """
        groups, others = defaultdict(list), []
        for res_id, values in zip(self._ids, vals_list, strict=True):
            try:
                groups[tuple(values), tuple(values.values())].append(res_id)
            except TypeError:  # a value that cannot be compared
                others.append((res_id, values))
        same = []
        groups.pop(((), ()), None)
        for (names, row), ids in groups.items():
            values = dict(zip(names, row, strict=True))
            if len(ids) >= SAME_VALUES_MIN and self._is_lifecycle_write(names):
                same.append((values, ids))
            else:
                others += [(res_id, values) for res_id in ids]
        return same, others

    @api.model
    def _is_lifecycle_write(self, names):
        """Tell whether columns are the lifecycle's; the others' go to the ORM."""
        return not (
            self._parent_store or (OWNED_FIELDS | RETENTION_FIELDS).isdisjoint(names)
        )

    def _write_same_values(self, ids, values):
        """Write the same column values on many records.

        :param ids: of existing records
        :param dict values: ``{field name: column value}``
        """
        log_values = {"write_uid": self.env.uid, "write_date": self.env.cr.now()}
        assignments = [
            SQL(
                "%s = %s::%s",
                SQL.identifier(name),
                value,
                SQL(self._fields[name].column_type[1]),
            )
            for name, value in sorted((log_values | values).items())
        ]
        self.env.execute_query(
            SQL(
                "UPDATE %s SET %s WHERE id = ANY(%s)",
                SQL.identifier(self._table),
                SQL(", ").join(assignments),
                id_array(ids),
            )
        )
