import uuid
from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..lib import faults
from ..lib.bundle import (
    BundleForeign,
    Keyring,
    keyring_key,
    object_key,
    rewrite,
)
from ..lib.stores import ObjectNotFound, StoreError
from .crm_archive_written import PLACE_COLUMNS

#: What stays known of a record's size when its content has left the bundle.
_LASTING = frozenset(["rows", "size", "blob_size"])


class CrmArchiveBundle(models.Model):
    """Writing a bundle again without some of its records, and removing objects.

    An object is never deleted in the transaction that stops needing it: should that
    one be rolled back, the object is needed after all. The bundle is marked *obsolete*
    first, and the sweep deletes its object when that is committed.
    """

    _inherit = "crm.archive.bundle"

    state = fields.Selection(
        selection_add=[("obsolete", "To be removed"), ("removed",)],
        ondelete={"obsolete": "set default"},
    )
    replaced_by_id = fields.Many2one(
        "crm.archive.bundle",
        "Replaced by",
        readonly=True,
        ondelete="set null",
        index="btree_not_null",
        help="Has its records, but for those that were left out.",
    )
    remove_date = fields.Datetime(
        "Removed after",
        readonly=True,
        help="Until then an older backup of the database still finds its records.",
    )

    # ------------------------------------------------------------
    # WRITING AGAIN
    # ------------------------------------------------------------

    def _rewrite_without(self, ids, action="sweep", details=None):
        """Write the bundle again without some records, to forget them for good.

        The new object is verified, and the index points at it, in this transaction;
        the old one is deleted by the sweep once that is committed, at once where
        records were purged or erased. A stop at any moment leaves either the old one
        or the new one in use, and whole.

        :param ids: record ids to leave out; those whose key was destroyed are left
            out as well
        :param str action: of the audit line
        :param dict details: further JSON values of the audit line
        :return: the new bundle; none when nothing is left to keep
        :raise UserError: when one of the records is still in the vault
        :raise LockError: when somebody else is at these records or at the keys
        :raise BundleError: when the bundle is damaged, or a key is missing
        :raise StoreError: when the store fails
        """
        self.ensure_one()
        self._lock_for_rewrite()
        vaulted = self.entry_ids.filtered(lambda entry: entry.state == "vaulted")
        if not set(ids).isdisjoint(vaulted.mapped("res_id")):
            raise UserError(
                self.env._(
                    "A record that is in the vault cannot be left out of its bundle."
                )
            )
        bundle, summary = self.browse(), None
        with self._open_reader(thorough=True) as reader:
            erased = reader.keyring.destroyed if reader.keyring else frozenset()
            kept = reader.index().keys() - set(ids) - erased
            if missing := set(vaulted.mapped("res_id")) - kept:
                raise BundleForeign(f"{len(missing)} records are not in the bundle")
            left_out = len(reader.index()) - len(kept)
            if kept:
                bundle, summary = self._write_copy(reader, set(ids))
        faults.point("rewrite: copy verified")
        self._move_entries(bundle or self, summary.entries if summary else ())
        grace = self.store_id._get_upkeep_setting("sweep_grace_days")
        self._retire(bundle, grace if action == "sweep" else 0)
        self.env["crm.archive.log"]._append(
            action,
            self,
            {
                "bundle": self.name,
                "replaced_by": bundle.name or None,
                "left_out": left_out,
                **(details or {}),
            },
        )
        faults.point("rewrite: entries moved")
        return bundle

    def _lock_for_rewrite(self):
        """Keep others from restoring or purging these records, or changing keys.

        Who destroys a key in the old ring meanwhile would find it in the new one.
        """
        self.lock_for_update(allow_referencing=True)
        self.entry_ids.lock_for_update()
        self.store_id._lock_keys()
        self.invalidate_recordset(["state"])
        self.entry_ids.invalidate_recordset()
        if self.state not in ("used", "damaged"):
            raise UserError(self.env._("This bundle is not in use."))

    def _write_copy(self, reader, drop):
        """Write what stays as a new object, and verify it.

        :return: ``(bundle, summary of what was written)``
        """
        header = reader.header
        masters = self.store_id._get_masters()
        if not masters and self.is_encrypted:
            # What was encrypted stays so, whatever the store does by now.
            masters = self.store_id._get_reading_masters()
        name, keyring = uuid.uuid4().hex, None
        if masters:
            keyring = Keyring(name, header.database_uuid, masters.current, masters)
        with self.store_id.sudo()._open() as target:
            with target.create(object_key(name)) as out:
                summary = rewrite(reader, out, drop, keyring, name)
            faults.point("rewrite: object written")
            if keyring:
                target.put(keyring_key(name), keyring.dumps())
            bundle = self.create(self._prepare_copy(summary, keyring))
            bundle._verify_written(target, keyring, summary)
        self._compare_copy(summary)
        return bundle, summary

    def _prepare_copy(self, summary, keyring):
        return {
            **self._prepare_written(summary, keyring),
            "database_uuid": self.database_uuid,
            "state": "used",
            "store_id": self.store_id.id,
            "company_id": self.company_id.id,
            "run_id": self.run_id.id,
            "res_model": self.res_model,
            "keeps_row": self.keeps_row,
        }

    def _compare_copy(self, summary):
        """Compare the rows of the copy with what was captured in the first place.

        :raise BundleForeign: when they are other rows
        """
        digests = {entry.id: entry.rows_digest for entry in summary.entries}
        for entry in self.entry_ids:
            if entry.state == "vaulted":
                if digests.get(entry.res_id) != entry.place_rows_digest:
                    raise BundleForeign("the copy has other rows than were captured")

    # ------------------------------------------------------------
    # INDEX
    # ------------------------------------------------------------

    def _move_entries(self, bundle, places):
        """Let the entries of this bundle point at their places in another one.

        What is not there any more keeps nothing that could tell its content, not
        even a digest.

        :param bundle: where they are now
        :param places: :class:`~..lib.bundle.Entry` of each record that is there
        """
        entries = self.entry_ids
        entries.flush_recordset()
        ids = [place.id for place in places]
        gone = entries.filtered(lambda entry: entry.res_id not in set(ids))
        self.env.cr.execute(
            SQL(
                "UPDATE crm_archive_entry SET bundle_id = %s, %s WHERE id = ANY(%s)",
                bundle.id,
                SQL(", ").join(
                    SQL("%s = NULL", SQL.identifier(f"place_{name}"))
                    for name in PLACE_COLUMNS
                    if name not in _LASTING
                ),
                gone.ids,
            )
        )
        columns = {"id": "integer", **PLACE_COLUMNS}
        self.env.cr.execute(
            SQL(
                "UPDATE crm_archive_entry entry SET bundle_id = %s, %s"
                " FROM (SELECT * FROM unnest(%s) AS row(%s)) place"
                " WHERE entry.id = ANY(%s) AND entry.res_id = place.id",
                bundle.id,
                SQL(", ").join(
                    SQL(
                        "%s = place.%s",
                        SQL.identifier(f"place_{name}"),
                        SQL.identifier(name),
                    )
                    for name in PLACE_COLUMNS
                ),
                SQL(", ").join(
                    SQL("%s::%s[]", [getattr(p, name) for p in places], SQL(kind))
                    for name, kind in columns.items()
                ),
                SQL(", ").join(map(SQL.identifier, columns)),
                (entries - gone).ids,
            )
        )
        entries.invalidate_recordset(flush=False)
        self.invalidate_recordset(["entry_ids"], flush=False)
        bundle.invalidate_recordset(["entry_ids"], flush=False)

    # ------------------------------------------------------------
    # REMOVING
    # ------------------------------------------------------------

    def _retire(self, successor=None, days=0):
        """Say that these objects are not needed, and let the sweep delete them.

        :param successor: the bundle that has their records
        :param int days: to wait, for a backup of the database that still needs them
        """
        self.write(
            {
                "state": "obsolete",
                "unused_ids": False,
                "trouble": False,
                "replaced_by_id": successor.id if successor else False,
                "remove_date": fields.Datetime.now() + timedelta(days=days),
            }
        )
        if not days:
            self._trigger_sweep()

    def _trigger_sweep(self):
        cron = self.env.ref(
            "crm_archive_policy.ir_cron_sweep", raise_if_not_found=False
        )
        if cron:
            cron.sudo()._trigger()

    def _remove_object(self):
        """Delete the objects of bundles that are committed to be obsolete.

        What cannot be deleted now stays obsolete, and the next sweep tries again.

        :return: the bundles whose objects are gone
        """
        removed = self.browse()
        for bundle in self:
            try:
                with bundle.store_id.sudo()._open() as store:
                    for key in (object_key(bundle.name), keyring_key(bundle.name)):
                        _delete(store, key)
            except StoreError as error:
                bundle.trouble = str(error)
                continue
            removed |= bundle
        removed.write({"state": "removed", "trouble": False})
        return removed


def _delete(store, key):
    """Delete an object that may be gone already."""
    try:
        store.delete(key)
    except ObjectNotFound:
        return
