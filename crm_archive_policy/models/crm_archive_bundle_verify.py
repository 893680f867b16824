from functools import partial

from odoo import SUPERUSER_ID, api, fields, models

from ..lib.bundle import (
    BundleCorrupt,
    BundleForeign,
    BundleReader,
    BundleTooLarge,
    Keyring,
    keyring_key,
    object_key,
    verify,
)
from ..lib.crypto import MAX_RING
from ..lib.stores import ObjectNotFound, StoreError, StoreTemporary
from .vault_errors import VAULT_ERRORS

#: What speaks against the stored data. Any other trouble is one of the moment, of the
#: settings or of the keys, and says nothing of the data. What is written is within the
#: limits of its own header, so who meets more than that meets a forgery.
DAMAGES = (BundleCorrupt, BundleForeign, BundleTooLarge, ObjectNotFound)


class CrmArchiveBundle(models.Model):
    """Reading bundles again, byte by byte, and what follows when one is damaged."""

    _inherit = "crm.archive.bundle"

    damage_date = fields.Datetime("Found Damaged on", readonly=True)

    # ------------------------------------------------------------
    # CHECKING
    # ------------------------------------------------------------

    def _check_object(self):
        """Read every copy of the object, and compare it with what was written.

        A mirror puts a damaged copy in order, with an audit line.

        :return: list of :class:`~..lib.stores.mirror.Healed`
        :raise BundleError: when it is damaged, foreign, or a key is missing
        :raise StoreError: when it is not there or cannot be reached
        """
        self.ensure_one()
        places = dict(
            self.env["crm.archive.entry"]._read_group(
                [("bundle_id", "=", self.id), ("state", "=", "vaulted")],
                ["res_id", "place_digest"],
            )
        )
        with self.store_id.sudo()._open() as store:
            healed = []
            if self.is_encrypted:
                healed += self._check_keyring(store, places)
            healed += store.check(object_key(self.name), partial(self._check, places))
        return healed

    def _check(self, places, source):
        """Check one copy: every byte, and that the index finds its records in it."""
        # The seals and the digest of all bytes need no key, nor any content.
        reader = BundleReader(source, self._get_expect())
        report = verify(reader, decrypt=False, parse=False)
        if report.sha256 != self.sha256:
            raise BundleForeign("the object is sound but not the one written")
        for record_id, digest in places.items():
            if report.digests.get(record_id) != digest:
                raise BundleForeign(f"record {record_id} is not where the index says")

    def _check_keyring(self, store, places):
        """Check every copy of the key ring, and that it opens what is in the vault.

        :raise BundleKeyError: when the master key is missing or another one; nothing
            is known against the data then
        """
        uuid = self.database_uuid

        def check(source):
            ring = Keyring.loads(source.read(MAX_RING))
            ring.check(self.name, uuid)
            if any(record_id not in ring for record_id in places):
                raise BundleForeign("the key ring lacks keys of records in the vault")

        healed = store.check(keyring_key(self.name), check)
        if places:
            self._load_keyring(store).data_key(next(iter(places)))
        return healed

    def _verify(self):
        """Check bundles, note the outcome of each, and ring when one is damaged.

        :return: ``({bundle: error} of those that are not in order, number of copies
            that were put in order)``
        :raise StoreTemporary: when a store does not answer at the moment
        """
        troubles, repaired = {}, 0
        for bundle in self:
            try:
                healed = bundle._check_object()
            except StoreTemporary:
                raise
            except DAMAGES as error:
                bundle._mark_damaged(error)
                troubles[bundle] = error
            except VAULT_ERRORS as error:
                troubles[bundle] = error
            else:
                bundle._mark_sound()
                for copy in healed:
                    repaired += copy.repaired
                    if not copy.repaired:
                        troubles[bundle] = StoreError(
                            f"{copy.store}: {copy.reason}; this copy could not be "
                            "replaced by the other one, which is sound"
                        )
        return troubles, repaired

    # ------------------------------------------------------------
    # NOTING
    # ------------------------------------------------------------

    def _mark_damaged(self, error):
        """Note that the stored bytes are not what was written, and ring.

        Who finds it out while reading will not get what was asked for, so that the
        transaction, or a savepoint in it, is rolled back: it is noted again when the
        transaction has ended, however it ends.

        :param error: what was found, one of :data:`DAMAGES`
        """
        text = f"{type(error).__name__}: {error}"
        if not self.env.cr.readonly:
            self.sudo()._note_damage(text)
        note = partial(_note_in_new_transaction, self.env.registry, self.ids, text)
        self.env.cr.postcommit.add(note)
        self.env.cr.postrollback.add(note)

    def _note_damage(self, text):
        """Note damage that is new; what is known already rings no second time."""
        used = self.filtered(lambda bundle: bundle.state == "used")
        if used:
            self.env["crm.archive.log"]._append("verify", used, {"damaged": text})
        used.write(
            {
                "state": "damaged",
                "trouble": text,
                "damage_date": fields.Datetime.now(),
            }
        )
        for store in used.store_id:
            store._ring()

    def _mark_sound(self):
        """Note that all is as it was written; the alarm ends with its reason."""
        was_damaged = self.filtered(lambda bundle: bundle.state == "damaged")
        self.write({"verify_date": fields.Datetime.now()})
        was_damaged.write({"state": "used", "trouble": False, "damage_date": False})
        for store in was_damaged.store_id:
            store._settle_alarm()

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_verify(self):
        """Read the bundles again now.

        :return: notification, or the run where there are many
        """
        self.env["crm.archive.store"].check_access("write")
        self.check_access("read")
        bundles = self.sudo().filtered(lambda b: b.state in ("used", "damaged"))
        return self.env["crm.archive.run"]._start_verify(bundles)._get_action()


def _note_in_new_transaction(registry, ids, text):
    with registry.cursor() as cursor:
        env = api.Environment(cursor, SUPERUSER_ID, {})
        env["crm.archive.bundle"].browse(ids).exists()._note_damage(text)
