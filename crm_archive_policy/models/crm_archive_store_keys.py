from collections import Counter

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..lib.bundle import BundleCorrupt, Keyring, MasterKeys
from ..lib.crypto import MAX_RING
from ..lib.header import KEYRING_SUFFIX
from . import vault_config
from .vault_errors import VAULT_ERRORS, vault_error, vault_errors

#: A button re-wraps so many key rings itself; the scheduled action the others.
INLINE_MAX = 200

#: Key rings between two commits.
BATCH_SIZE = 50


class CrmArchiveStore(models.Model):
    """Master keys of the store: where they come from, and how they are changed."""

    _inherit = "crm.archive.store"

    key_name = fields.Char(
        "Master Key",
        compute="_compute_key_name",
        help="Name of the master key that new bundles are encrypted with.",
    )
    is_rotating = fields.Boolean(
        readonly=True,
        copy=False,
        help="The scheduled action goes on changing the master key of what is stored.",
    )

    @api.depends("secret_name", "encrypt")
    def _compute_key_name(self):
        for store in self:
            try:
                store.key_name = next(iter(store._get_reading_masters()), False)
            except UserError:
                store.key_name = False

    @api.model
    def _get_state_fields(self):
        return super()._get_state_fields() | {"is_rotating"}

    # ------------------------------------------------------------
    # MASTER KEYS
    # ------------------------------------------------------------

    def _get_masters(self):
        """Return the master keys for writing new bundles.

        :return: :class:`~..lib.crypto.MasterKeys`, ``None`` when the store does not
            encrypt
        :raise UserError: when there is none, with how to set one
        """
        self.ensure_one()
        if not self.sudo().encrypt:
            return None
        masters = self._get_reading_masters()
        if not masters:
            raise UserError(self._describe_missing_key())
        return masters

    def _get_reading_masters(self):
        """Return whatever master keys there are, for reading what is stored.

        A store that does not encrypt any more may hold bundles from when it did.

        :return: :class:`~..lib.crypto.MasterKeys`, perhaps empty
        :raise UserError: when the setting is malformed; it is not quoted
        """
        self.ensure_one()
        with vault_errors(self.env):
            return MasterKeys.parse(
                vault_config.get_master_keys(self.sudo().secret_name) or ""
            )

    def _describe_missing_key(self):
        self = self.sudo()
        option = vault_config.get_option_name(self.secret_name, "master_keys")
        return self.env._(
            "“%(name)s” is to encrypt, and there is no master key. Make one with "
            "“openssl rand -base64 32”, put it as “%(option)s = NAME:KEY” into the "
            "server's configuration file (or as %(variable)s into its environment), "
            "and start the server again. Keep a copy of it where the backups are not.",
            name=self.name,
            option=option,
            variable=option.upper(),
        )

    def _lock_keys(self):
        """Keep others from changing key rings of this store until the commit.

        Who destroys a record's key takes this first: a rotation that has read the
        ring before would write the destroyed key back.

        :raise LockError: when somebody else is at it
        """
        self.sudo().lock_for_update(allow_referencing=True)

    # ------------------------------------------------------------
    # ROTATION
    # ------------------------------------------------------------

    def action_rotate_keys(self):
        """Wrap the keys of all that is stored with the present master key.

        Bundles stay as they are. Every key ring is tried before the first is written,
        so that a wrong or missing key changes nothing. It can be done again at any
        time, and goes on where it was stopped.

        :return: notification
        :raise UserError: when a master key is missing or wrong
        """
        self.ensure_one()
        self.check_access("write")
        self._check_writable()
        self._lock_keys()
        count = self._check_rotation()
        if count > INLINE_MAX:
            self.is_rotating = True
            cron = self.env.ref("crm_archive_policy.ir_cron_rotate_keys")
            cron.sudo()._trigger()
            return self._notify_rotation(
                self.env._(
                    "%(count)s key rings will be changed by the scheduled action. Keep "
                    "the old master key until it has finished.",
                    count=count,
                )
            )
        done = 0
        for changed, error in self._rotate_keys():
            done += changed
            if error and not done:
                raise vault_error(self.env, error) from error
            if error:
                # What is written in another store is written, and on record.
                return self._notify_rotation(
                    str(vault_error(self.env, error)), "danger"
                )
        return self._notify_rotation(
            self.env._(
                "%(count)s key rings changed to the present master key.", count=done
            )
        )

    def _notify_rotation(self, message, kind="success"):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": kind,
                "sticky": kind != "success",
                "title": self.name,
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    @api.model
    def _cron_rotate_keys(self):
        """Go on with the rotations that were too much for a button."""
        cron = self.env["ir.cron"]
        stores = self.search([("is_rotating", "=", True)])
        cron._commit_progress(remaining=len(stores))
        for store in stores:
            for error in store._rotate_safely():
                if error:
                    store._remind_of_rotation(error)
                if not cron._commit_progress():
                    return
            if not cron._commit_progress(1):
                return

    def _rotate_safely(self):
        """Do batch after batch, and yield after each so that it can be committed.

        The lock ends with each commit and is taken again.

        :return: iterator of ``None``, or of the error that was the end
        """
        if not self.try_lock_for_update(allow_referencing=True):
            return
        try:
            self._check_writable()
            batches = self._rotate_keys()
            for _count, error in batches:
                yield error and vault_error(self.env, error)
                if error or not self.try_lock_for_update(allow_referencing=True):
                    return
        except UserError as error:
            yield error
            return
        self.is_rotating = False
        yield None

    def _remind_of_rotation(self, error):
        """Stop, and ask the responsible to look at it."""
        self.is_rotating = False
        self.activity_schedule(
            "crm_archive_policy.mail_activity_type_store",
            user_id=(self.user_id or self._get_managers()[:1]).id,
            summary=self.env._("Changing the master key has stopped"),
            note=str(error),
        )

    def _check_rotation(self):
        """Try to unwrap every key that is not wrapped with the present master key.

        :return: number of key rings to change
        :raise UserError: when one cannot be unwrapped
        """
        masters = self._get_rotation_masters()
        count = 0
        with vault_errors(self.env), self._open() as store:
            for _key, ring in self._iter_old_rings(store, masters):
                ring.rewrap(masters.current)
                count += 1
        return count

    def _rotate_keys(self):
        """Wrap the keys of all rings with the present master key, batch by batch.

        :return: iterator of ``(rings changed, error)``; an error of the library is
            the end, and what was changed before it is on record
        :raise UserError: when there is no master key
        """
        masters = self._get_rotation_masters()
        changed, trouble = Counter(), None
        with self._open() as store:
            try:
                for key, ring in self._iter_old_rings(store, masters):
                    new = ring.rewrap(masters.current)
                    store.put(key, new.dumps(), overwrite=True)
                    changed[ring.key_id] += 1
                    if changed.total() == BATCH_SIZE:
                        yield self._log_rotation(changed, masters), None
            except VAULT_ERRORS as error:
                trouble = error
            yield self._log_rotation(changed, masters), trouble

    def _log_rotation(self, changed, masters):
        """Append the audit line of a batch.

        :param changed: number of rings by the key they were wrapped with; emptied
        :param masters: master keys
        :return: number of rings
        """
        count = changed.total()
        if count:
            self.env["crm.archive.log"]._append(
                "rotate", self, {"to": masters.current, "key_rings": dict(changed)}
            )
        changed.clear()
        return count

    def _get_rotation_masters(self):
        masters = self._get_reading_masters()
        if not masters:
            raise UserError(self._describe_missing_key())
        return masters

    @api.model
    def _iter_old_rings(self, store, masters):
        """Yield ``(key, ring)`` of each ring under another master key.

        :param store: the library's store
        :param masters: master keys
        :raise BundleCorrupt: when a ring is damaged, and no mirror has a sound one
        """
        for stat in store.iter_objects():
            if stat.key.endswith(KEYRING_SUFFIX):
                ring = _read_ring(store, stat.key, masters)
                if ring.key_id != masters.current:
                    yield stat.key, ring


def _read_ring(store, key, masters):
    """Return a key ring, healed from the mirror when it is damaged."""
    try:
        return Keyring.loads(store.get(key, MAX_RING), masters)
    except BundleCorrupt:
        store.check(key, lambda source: Keyring.loads(source.read(MAX_RING)))
        return Keyring.loads(store.get(key, MAX_RING), masters)
