from contextlib import contextmanager

from odoo import api, models

from ..vault.arrival import Arrival
from .crm_archive_mixin_write import ARRIVED, Arrived


class CrmArchiveMixin(models.AbstractModel):
    """Records that come out of the vault with rows which are live already.

    The rest of Odoo must see them restored all the same: every override of ``write()``,
    the audit line that names their policy, whatever is computed from it. So the cache
    says what they were, ``_restore()`` changes that as it always does, and only what
    the row holds already is not written once more.
    """

    _inherit = "crm.archive.mixin"

    @api.model
    def _get_arrived_values(self):
        """Return what restoring writes on a record that had been active.

        :return: dict ``{field name: column value}``
        """
        values = {**self._get_live_values(), self._active_name: True}
        return {
            name: self._fields[name].convert_to_column(value, self)
            for name, value in values.items()
        }

    @api.model
    def _prepare_arrival(self):
        """Return how rows of this model arrive."""
        log_values = {"write_uid": self.env.uid, "write_date": self.env.cr.now()}
        values = {**self._get_arrived_values(), **log_values}
        return Arrival(values, unless="archive_snapshot")

    def _restore_arrived(self, arrival, details):
        """Put records back whose rows are as they are going to be.

        :param arrival: what :meth:`_prepare_arrival` returned, after the rows came
        :param dict details: JSON values for the audit line
        """
        values = self._get_arrived_values()
        arrived = self.browse(arrival.before)
        names = list(values)
        self.env.flush_all()
        arrived.invalidate_recordset(names, flush=False)
        for name in names:
            field = self._fields[name]
            before = [arrival.before[res_id][name] for res_id in arrived.ids]
            field._insert_cache(
                arrived,
                [field.convert_to_cache(value, arrived) for value in before],
            )
        with self._holding(arrived, values):
            restored = self._restore(details)
            self.env.flush_all()
        if lost := set(arrived.ids) - set(restored.ids):
            raise RuntimeError(f"{len(lost)} records came back without a word")
        return restored

    @contextmanager
    def _holding(self, arrived, values):
        """Write nothing that the rows hold already."""
        models_arrived = self.env.cr.cache.setdefault(ARRIVED, {})
        models_arrived[self._name] = Arrived(arrived.ids, values)
        try:
            yield
        finally:
            models_arrived.pop(self._name, None)
