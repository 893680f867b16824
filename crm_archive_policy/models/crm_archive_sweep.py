import logging
import re
from datetime import timedelta, timezone

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.exceptions import LockError, UserError
from odoo.tools import SQL, split_every

from ..lib import faults
from ..lib.bundle import BundleError, Keyring
from ..lib.crypto import MAX_RING
from ..lib.frames import Cursor
from ..lib.header import KEYRING_SUFFIX, MAGIC, Header
from ..lib.stores import Mirror, ObjectNotFound, StoreError
from .crm_archive_bundle_verify import DAMAGES
from .vault_errors import VAULT_ERRORS

_logger = logging.getLogger(__name__)

#: Objects looked at, and bundles removed, between two commits.
BATCH_SIZE = 200

#: What bundles and their key rings are called; see docs/bundle-format.md.
_KEY = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{30})\.crmarc(\.keys)?")

#: What a restore leaves in the vault only: such a bundle is kept.
LEFT_BEHIND = ["column_gone", "table_gone", "row_gone", "live_kept"]


class CrmArchiveStore(models.Model):
    """Removes what nothing needs any more; never before that is committed.

    What is swept: objects without a bundle in this database, bundles that were written
    and never used, bundles whose records have all come back or were purged, and, by
    writing the bundle again, records that stayed live after all.
    """

    _inherit = "crm.archive.store"

    date_sweep = fields.Datetime("Last Sweep", readonly=True, copy=False)

    @api.model
    def _get_state_fields(self):
        return super()._get_state_fields() | {"date_sweep"}

    @api.model
    def _cron_sweep(self):
        """Sweep every store that may be written to, a small step a transaction."""
        cron = self.env["ir.cron"]
        stores = self.search([])
        cron._commit_progress(remaining=len(stores))
        for store in stores:
            steps = store._sweep()
            while True:
                try:
                    is_over = next(steps, None) is None
                except OperationalError:
                    # Somebody else is at the same rows: the rest another time.
                    self.env.cr.rollback()
                    is_over = True
                except VAULT_ERRORS as error:
                    self.env.cr.rollback()
                    _logger.warning("Sweeping store %s stopped: %s", store.id, error)
                    is_over = True
                faults.point("sweep: step done")
                if not cron._commit_progress(int(is_over)):
                    return
                faults.point("sweep: step committed")
                if is_over:
                    break

    def _sweep(self):
        """Sweep the store step by step.

        :return: iterator that yields after each step, to be committed
        :raise StoreError: when the store fails
        """
        self.ensure_one()
        try:
            self._check_writable()
        except UserError as error:
            _logger.info("Store %s is not swept: %s", self.id, error)
            return
        for bundle in self._find_to_rewrite():
            if bundle._sweep_unused():
                yield True
        idle = self._find_abandoned() | self._find_emptied()
        if idle:
            idle._retire_idle()
            yield True
        for ids in split_every(BATCH_SIZE, self._find_obsolete().ids):
            self._remove_obsolete(self.env["crm.archive.bundle"].browse(ids))
            yield True
        yield from self._sweep_orphans()
        self.date_sweep = fields.Datetime.now()
        yield True

    # ------------------------------------------------------------
    # BUNDLES
    # ------------------------------------------------------------

    def _find_to_rewrite(self):
        """Return bundles with records that stayed live after all."""
        return self.env["crm.archive.bundle"].search(
            [
                ("store_id", "=", self.id),
                ("state", "=", "used"),
                ("unused_ids", "!=", False),
            ]
        )

    def _find_abandoned(self):
        """Return bundles that were written long ago and never used."""
        return self.env["crm.archive.bundle"].search(
            [
                ("store_id", "=", self.id),
                ("state", "=", "written"),
                ("create_date", "<=", self._get_sweep_limit("sweep_grace_days")),
            ]
        )

    def _find_emptied(self):
        """Return bundles whose records have all come back long ago, or were purged.

        Not those that hold what could not come back: a field that is no more.
        """
        limit = self._get_sweep_limit("sweep_restored_days")
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT b.id FROM crm_archive_bundle b
                 WHERE b.store_id = %s AND b.state IN ('used', 'damaged')
                   AND EXISTS (SELECT 1 FROM crm_archive_entry e
                                WHERE e.bundle_id = b.id)
                   AND NOT EXISTS (
                       SELECT 1 FROM crm_archive_entry e
                        WHERE e.bundle_id = b.id
                          AND e.state <> 'purged'
                          AND (e.state <> 'restored'
                               OR e.restore_date IS NULL
                               OR e.restore_date > %s
                               OR EXISTS (
                                  SELECT 1 FROM jsonb_array_elements(
                                      CASE jsonb_typeof(e.restore_report)
                                      WHEN 'array' THEN e.restore_report
                                      ELSE '[]' END) finding
                                   WHERE finding ->> 0 = ANY(%s))))
                """,
                self.id,
                limit,
                LEFT_BEHIND,
            )
        )
        return self.env["crm.archive.bundle"].browse(row[0] for row in rows)

    def _find_obsolete(self):
        """Return bundles that are committed to be removed, and whose time has come."""
        return self.env["crm.archive.bundle"].search(
            [
                ("store_id", "=", self.id),
                ("state", "=", "obsolete"),
                ("remove_date", "<=", fields.Datetime.now()),
            ],
            order="id",
        )

    def _get_sweep_limit(self, setting):
        days = self._get_upkeep_setting(setting)
        return fields.Datetime.now() - timedelta(days=days)

    def _remove_obsolete(self, bundles):
        """Delete the objects of obsolete bundles, with an audit line."""
        # Whoever holds one is about to change its fate.
        bundles = bundles.try_lock_for_update()
        bundles.invalidate_recordset(["state"])
        removed = bundles.filtered(lambda b: b.state == "obsolete")._remove_object()
        if removed:
            self.env["crm.archive.log"]._append(
                "sweep",
                removed,
                {"store": self.id, "bytes": sum(removed.mapped("size"))},
            )

    # ------------------------------------------------------------
    # OBJECTS WITHOUT A BUNDLE
    # ------------------------------------------------------------

    def _sweep_orphans(self):
        """Remove old objects of this database that no bundle names."""
        limit = self._get_sweep_limit("sweep_grace_days").replace(tzinfo=timezone.utc)
        with self._open() as store:
            store.sweep(limit)
            # One side after the other: reading through a mirror would heal them.
            for side in get_sides(store):
                old = (
                    stat
                    for stat in side.iter_objects()
                    if stat.modified < limit and _KEY.fullmatch(stat.key)
                )
                for stats in split_every(BATCH_SIZE, old, list):
                    if self._remove_orphans(side, self._filter_unnamed(stats)):
                        yield True

    def _filter_unnamed(self, stats):
        """Return the objects that no bundle names; in doubt an object is named.

        Bundles of every store count: this one may be the mirror of another.
        """
        names = {_KEY.fullmatch(stat.key)[2] for stat in stats}
        bundles = self.env["crm.archive.bundle"].sudo()
        named = set(
            bundles.search(
                [("name", "in", list(names)), ("state", "!=", "removed")]
            ).mapped("name")
        )
        return [stat for stat in stats if _KEY.fullmatch(stat.key)[2] not in named]

    def _remove_orphans(self, store, stats):
        """Delete orphans that are ours beyond doubt, with an audit line.

        :return: whether there were any
        """
        removed = []
        for stat in stats:
            if self._is_ours(store, stat.key):
                try:
                    store.delete(stat.key)
                except ObjectNotFound:
                    continue
                removed.append(stat)
        if removed:
            self.env["crm.archive.log"]._append(
                "sweep",
                self,
                {
                    "orphans": [stat.key for stat in removed],
                    "bytes": sum(stat.size for stat in removed),
                },
            )
        return bool(removed)

    def _is_ours(self, store, key):
        """Tell whether an object was written by this database.

        Its header says so. Where a crash has cut that short, the store itself must be
        marked as ours, and the object begin as bundles do.
        """
        try:
            with store.open(key) as source:
                if key.endswith(KEYRING_SUFFIX):
                    uuid = Keyring.loads(source.read(MAX_RING)).database_uuid
                else:
                    header, _digest = Header.read(Cursor(source, 0))
                    uuid = header.database_uuid
                return uuid == self._get_database_uuid()
        except BundleError:
            return self._is_cut_short(store, key)
        except ObjectNotFound:
            return False

    def _is_cut_short(self, store, key):
        if key.endswith(KEYRING_SUFFIX):
            return False
        with store.open(key) as source:
            start = source.read(len(MAGIC))
        owner = store.owner() if store.shared else self._get_database_uuid()
        return owner == self._get_database_uuid() and MAGIC.startswith(start)


def get_sides(store):
    """Return the stores that a mirror joins, each by itself."""
    if isinstance(store, Mirror):
        return [*get_sides(store.first), *get_sides(store.second)]
    return [store]


class CrmArchiveBundle(models.Model):
    """What the sweep does with bundles."""

    _inherit = "crm.archive.bundle"

    def _sweep_unused(self):
        """Write the bundle again without what stayed live.

        :return: whether it was done; another time when somebody is at it
        :raise StoreError: when the store fails
        """
        self.ensure_one()
        try:
            with self.env.cr.savepoint():
                self._rewrite_without(self.unused_ids)
        except DAMAGES as error:
            self._mark_damaged(error)
        except LockError:
            return False
        except StoreError:
            raise
        except (BundleError, UserError) as error:
            # A key that is missing, for one: the bundle stays as it is.
            _logger.warning("Bundle %s is not rewritten: %s", self.id, error)
            return False
        return True

    def _retire_idle(self):
        """Let go of bundles that nothing needs, unless somebody has begun to."""
        locked = self.try_lock_for_update()
        locked.invalidate_recordset(["state"])
        free = locked.filtered(
            lambda bundle: (
                not any(entry.state == "vaulted" for entry in bundle.entry_ids)
            )
        )
        free._retire()
