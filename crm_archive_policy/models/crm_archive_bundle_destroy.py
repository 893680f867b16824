from odoo import fields, models

from ..lib.bundle import Keyring, keyring_key
from ..lib.crypto import MAX_RING
from .vault_errors import VAULT_ERRORS


class CrmArchiveBundle(models.Model):
    """Making records of a bundle unreadable."""

    _inherit = "crm.archive.bundle"

    purge_id = fields.Many2one(
        "crm.archive.purge",
        "Replaced for",
        readonly=True,
        ondelete="set null",
        index="btree_not_null",
        help="The purge that had it written again without some records.",
    )

    def _destroy_records(self, ids, details):
        """Destroy records for good, by their keys or by writing the bundle again.

        :param ids: record ids, none of them in the vault any more
        :param dict details: for the audit line: the request
        :raise LockError: when somebody else is changing keys
        :raise StoreError: when the store fails
        """
        self.ensure_one()
        if self.is_encrypted:
            self._destroy_keys(ids)
            self._forget_places(ids)
            self.env["crm.archive.log"]._append(
                "purge",
                self,
                {"bundle": self.name, "keys_destroyed": len(ids), **details},
            )
            return
        self.purge_id = details["request"]
        # What was written in vain is of no use to anybody, and nobody would look for
        # it in the copy.
        self._rewrite_without([*ids, *(self.unused_ids or ())], "purge", details)

    def _may_hold(self, ids):
        """Tell whether records are in this bundle; what cannot be read may hold them.

        :param set ids: record ids
        """
        self.ensure_one()
        try:
            with self._open_reader() as reader:
                return not ids.isdisjoint(reader.index())
        except VAULT_ERRORS:
            return True

    def _destroy_keys(self, ids):
        """Take the keys of records out of the bundle's key ring.

        The master key is not needed: nothing is unwrapped.
        """
        self.store_id._lock_keys()
        with self.store_id.sudo()._open() as store:
            key = keyring_key(self.name)
            ring = Keyring.loads(store.get(key, MAX_RING))
            for res_id in ids:
                ring.destroy(res_id)
            store.put(key, ring.dumps(), overwrite=True)

    def _forget_places(self, ids):
        """Keep no digest of what was destroyed, and do not look for it again."""
        gone = self.entry_ids.filtered(lambda entry: entry.res_id in set(ids))
        gone.write({"place_digest": False, "place_rows_digest": False})
        if self.unused_ids:
            left = [res_id for res_id in self.unused_ids if res_id not in set(ids)]
            self.unused_ids = left or False
