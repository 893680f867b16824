"""Encryption: one data key per record, wrapped by a master key.

The wrapped keys of a bundle are its *key ring*, a small object beside the bundle.
Changing the master key rewrites the ring and not the data; destroying one entry
makes one record unreadable for good. Master keys come from the server's
configuration or environment and are never stored here.
"""

import base64
import binascii
import hashlib
import json
import os
import struct

from . import canonical
from .errors import (
    BundleCorrupt,
    BundleError,
    BundleForeign,
    BundleKeyDestroyed,
    BundleKeyError,
    BundleUnsupported,
)

CIPHER = "aes-256-gcm"
KEY_SIZE = 32
TAG_SIZE = 16
FORMAT = 1
#: A ring of 100,000 records takes about 9 MB.
MAX_RING = 64 << 20

_NONCE_SIZE = 12
_COUNTER = struct.Struct(">QB")
_NONCE = struct.Struct(">IQ")


class MasterKeys(dict):
    """Master keys by id, that never show themselves."""

    @classmethod
    def parse(cls, text: str):
        """Read keys as they are written in a configuration or environment.

        :param text: ``id:key`` pairs separated by commas or white space, each key
            32 bytes in base64 (standard or URL-safe) or 64 hexadecimal digits
        :return: the keys; the first is the one to use for new bundles
        :raise BundleKeyError: when an entry is malformed; it is not quoted
        """
        keys = cls()
        for number, entry in enumerate(text.replace(",", " ").split(), 1):
            key_id, _colon, value = entry.partition(":")
            key = _decode_key(value)
            if not key_id or key is None or key_id in keys:
                raise BundleKeyError(
                    f"master key number {number} is not a new id, a colon and "
                    f"{KEY_SIZE} bytes in base64 or hexadecimal"
                )
            keys[key_id] = key
        return keys

    @property
    def current(self) -> str:
        """:return: id of the first key

        :raise BundleKeyError: when there is none
        """
        if not self:
            raise BundleKeyError("no master key is configured")
        return next(iter(self))

    def __repr__(self):
        return f"MasterKeys({', '.join(self)})"

    __str__ = __repr__


class Keyring:
    """The wrapped data keys of one bundle."""

    def __init__(self, bundle_id, database_uuid, key_id, masters=None):
        """Start an empty ring.

        :param bundle_id: the bundle that the keys are for
        :param database_uuid: the database that the bundle comes from
        :param key_id: id of the master key that wraps
        :param masters: master keys by id (32 bytes each)
        """
        self.bundle_id, self.database_uuid = bundle_id, database_uuid
        self.key_id = key_id
        self._masters = masters or {}
        self._wrapped: dict[int, bytes] = {}
        self._destroyed: set[int] = set()

    def __repr__(self):
        return f"<Keyring of {self.bundle_id}: {len(self._wrapped)} keys>"

    def __contains__(self, record_id):
        return record_id in self._wrapped

    def __len__(self):
        return len(self._wrapped)

    @property
    def destroyed(self) -> frozenset:
        """:return: ids of the records whose key was destroyed"""
        return frozenset(self._destroyed)

    # -- use -------------------------------------------------------------------

    def new_key(self, record_id: int) -> bytes:
        """Make and wrap the data key of a record.

        :return: the data key, fresh from the system's random source
        :raise BundleError: when the record has one already
        :raise BundleKeyError: when the master key is missing
        """
        if record_id in self._wrapped or record_id in self._destroyed:
            raise BundleError(f"record {record_id} has a key already")
        key = os.urandom(KEY_SIZE)
        self._wrapped[record_id] = self._wrap(record_id, key)
        return key

    def data_key(self, record_id: int) -> bytes:
        """Unwrap the data key of a record.

        :raise BundleKeyDestroyed: when the record was erased
        :raise BundleKeyError: when the master key is missing or wrong, or the
            ring has no key for this record
        """
        if record_id in self._destroyed:
            raise BundleKeyDestroyed(f"the key of record {record_id} was destroyed")
        if record_id not in self._wrapped:
            raise BundleKeyError(f"the key ring has no key for record {record_id}")
        wrapped = self._wrapped[record_id]
        aead = _aead(_master(self._masters, self.key_id))
        try:
            return aead.decrypt(
                wrapped[:_NONCE_SIZE], wrapped[_NONCE_SIZE:], self._identity(record_id)
            )
        except _invalid_tag():
            raise BundleKeyError(
                f"master key {self.key_id!r} does not open the key of record "
                f"{record_id}: it is another key than the one used to wrap it"
            ) from None

    def rewrap(self, key_id: str) -> "Keyring":
        """Wrap every key again with another master key; the data stays as it is.

        :param key_id: id of the new master key
        :return: a new ring, to be stored in place of this one
        :raise BundleKeyError: when either master key is missing or wrong
        """
        ring = Keyring(self.bundle_id, self.database_uuid, key_id, self._masters)
        ring._destroyed = set(self._destroyed)
        for record_id in self._wrapped:
            ring._wrapped[record_id] = ring._wrap(record_id, self.data_key(record_id))
        return ring

    def destroy(self, record_id: int) -> bool:
        """Forget the key of a record; store the ring afterwards.

        :return: whether there was one to forget
        """
        self._destroyed.add(record_id)
        return self._wrapped.pop(record_id, None) is not None

    # -- storage ---------------------------------------------------------------

    def dumps(self) -> bytes:
        """:return: the ring as bytes, to be stored beside the bundle"""
        ring = {
            "format": FORMAT,
            "bundle_id": self.bundle_id,
            "database_uuid": self.database_uuid,
            "key_id": self.key_id,
            "keys": {
                str(record_id): base64.b64encode(wrapped).decode()
                for record_id, wrapped in self._wrapped.items()
            },
            "destroyed": sorted(self._destroyed),
        }
        digest = hashlib.sha256(canonical.dumps(ring)).hexdigest()
        return canonical.dumps({"keyring": ring, "sha256": digest}) + b"\n"

    @classmethod
    def loads(cls, data: bytes, masters=None) -> "Keyring":
        """Read a stored ring.

        :param data: what :meth:`dumps` returned
        :param masters: master keys by id
        :raise BundleCorrupt: when the ring is damaged
        :raise BundleUnsupported: when its format is newer
        """
        try:
            outer = json.loads(data)
            ring = outer["keyring"]
            sound = hashlib.sha256(canonical.dumps(ring)).hexdigest() == outer["sha256"]
            # Equal to its own canonical form: not one byte is left uncovered.
            if not sound or canonical.dumps(outer) + b"\n" != data:
                raise BundleCorrupt("the key ring is damaged")
            if ring["format"] != FORMAT:
                raise BundleUnsupported(f"key ring format {ring['format']}")
            self = cls(
                ring["bundle_id"], ring["database_uuid"], ring["key_id"], masters
            )
            for record_id, wrapped in ring["keys"].items():
                self._wrapped[int(record_id)] = base64.b64decode(wrapped)
            self._destroyed = set(ring["destroyed"])
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise BundleCorrupt("the key ring is damaged") from error
        return self

    def check(self, bundle_id: str, database_uuid: str):
        """Refuse to be used for another bundle.

        :raise BundleForeign: when the ring belongs elsewhere
        """
        if (self.bundle_id, self.database_uuid) != (bundle_id, database_uuid):
            raise BundleForeign(f"this is the key ring of bundle {self.bundle_id}")

    def _wrap(self, record_id, key):
        nonce = os.urandom(_NONCE_SIZE)
        aead = _aead(_master(self._masters, self.key_id))
        return nonce + aead.encrypt(nonce, key, self._identity(record_id))

    def _identity(self, record_id) -> bytes:
        return canonical.dumps(
            ["crm_archive key 1", self.database_uuid, self.bundle_id, record_id]
        )


class FrameCipher:
    """AES-256-GCM over the chunks of one frame.

    A data key is used for one record of one bundle only, so the number of the
    stream and of the chunk make a nonce that cannot come twice.
    """

    def __init__(self, key: bytes, ordinal: int):
        """
        :param key: the record's data key
        :param ordinal: number of the stream within the record
        """
        self._aead, self._ordinal = _aead(key), ordinal

    def encrypt(self, context: bytes, number: int, final: bool, data: bytes) -> bytes:
        """:return: the chunk encrypted, with its tag

        :param context: first seal of the frame, which binds header and place
        :param number: of the chunk, from 0
        :param final: whether it is the last
        """
        nonce = _NONCE.pack(self._ordinal, number)
        return self._aead.encrypt(nonce, data, context + _COUNTER.pack(number, final))

    def decrypt(self, context: bytes, number: int, final: bool, data: bytes) -> bytes:
        """Undo :meth:`encrypt`.

        :raise BundleCorrupt: when the chunk is not what was encrypted; the key
            was proven right when it was unwrapped, so it is not to blame
        """
        nonce = _NONCE.pack(self._ordinal, number)
        try:
            return self._aead.decrypt(
                nonce, data, context + _COUNTER.pack(number, final)
            )
        except _invalid_tag():
            raise BundleCorrupt(f"chunk {number} fails authentication") from None


def _decode_key(text):
    if len(text) == KEY_SIZE * 2:
        try:
            return bytes.fromhex(text)
        except ValueError:
            return None
    try:
        key = base64.b64decode(
            text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4),
            validate=True,
        )
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_SIZE else None


def _master(masters, key_id):
    key = masters.get(key_id)
    if key is None:
        raise BundleKeyError(f"master key {key_id!r} is not configured")
    if len(key) != KEY_SIZE:
        raise BundleKeyError(f"master key {key_id!r} is not {KEY_SIZE} bytes long")
    return key


def _aead(key):
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise BundleUnsupported(
            "an encrypted bundle needs the Python package 'cryptography'"
        ) from error
    return AESGCM(key)


def _invalid_tag():
    from cryptography.exceptions import InvalidTag

    return InvalidTag
