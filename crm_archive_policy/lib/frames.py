"""Frames: a stream cut into chunks, each sealed and bound to its place.

The seal of a chunk is a SHA-256 over the seal before it, so the last seal stands
for the whole frame, and a chunk that is changed, moved, dropped, repeated or taken
from elsewhere does not fit. The first link binds the bundle's header, the kind of
frame and the record: see docs/bundle-format.md.
"""

import hashlib
import struct
from typing import NamedTuple

from .errors import (
    BundleCorrupt,
    BundleForeign,
    BundleTruncated,
    BundleUnsupported,
)

#: Bytes of a chunk before encryption: small enough to buffer, large enough that
#: its seal does not count.
CHUNK = 256 << 10

#: Bytes that a cipher may add to a chunk.
MAX_TAG = 16

SEAL_SIZE = hashlib.sha256().digest_size

_PREFIX = struct.Struct(">4sBBQI")
_WORD = struct.Struct(">I")
_FINAL = 1 << 31
_MARK = b"FRM\x1a"
_MAX_OFFSET = 1 << 62
_LABEL = b"crm_archive frame 1\0"

DICTIONARY, BLOB, RECORD, INDEX = b"DBRI"


class Prefix(NamedTuple):
    """What a frame says of itself, in the clear, before its chunks."""

    kind: int
    #: 0: kept as it is, 1: compressed with the bundle's compression.
    encoding: int
    record_id: int
    #: Number of the stream within its record: 0 for rows, 1… for blobs.
    ordinal: int

    def pack(self) -> bytes:
        """:return: the prefix as bytes"""
        return _PREFIX.pack(_MARK, *self)

    def context(self, binding: bytes) -> bytes:
        """:return: the first link of the chain of seals

        :param binding: digest of the bundle's header
        """
        return hashlib.sha256(_LABEL + binding + self.pack()).digest()


class FrameWriter:
    """Write one frame; data may come in pieces of any size."""

    def __init__(self, out, binding: bytes, prefix: Prefix, cipher=None):
        """
        :param out: object with ``write(bytes)``
        :param binding: digest of the bundle's header
        :param prefix: the frame's place
        :param cipher: :class:`crypto.FrameCipher`, or None
        """
        self._out, self._cipher = out, cipher
        #: Goes out with the first chunk, for most frames the only one.
        self._packed = prefix.pack()
        self._context = self._seal = prefix.context(binding)
        self._buffer, self._number, self.length = bytearray(), 0, 0

    def write(self, data):
        """Add bytes to the frame."""
        self._buffer += data
        # Strictly more: the last chunk, which says so, must not be written yet.
        while len(self._buffer) > CHUNK:
            self._chunk(bytes(self._buffer[:CHUNK]), False)
            del self._buffer[:CHUNK]

    def close(self) -> bytes:
        """Write the final chunk.

        :return: the frame's digest, its last seal
        """
        self._chunk(bytes(self._buffer), True)
        self._buffer = None
        return self._seal

    def _chunk(self, body, final):
        if self._cipher:
            body = self._cipher.encrypt(self._context, self._number, final, body)
        word = _WORD.pack(len(body) | (_FINAL if final else 0))
        self._seal = hashlib.sha256(self._seal + word + body).digest()
        data = self._packed + word + body + self._seal
        self._out.write(data)
        self.length += len(data)
        self._packed = b""
        self._number += 1


class Cursor:
    """A place in a shared file: several may be read in turn."""

    def __init__(self, source, offset: int):
        """
        :param source: seekable binary file
        :param offset: where to start
        :raise BundleCorrupt: when no file reaches that far
        """
        if not 0 <= offset <= _MAX_OFFSET:
            raise BundleCorrupt(f"byte {offset} cannot be in a bundle")
        self._source, self.offset = source, offset

    def read(self, size: int) -> bytes:
        """Read exactly `size` bytes.

        :raise BundleTruncated: when the file ends before
        """
        self._source.seek(self.offset)
        data = self._source.read(size)
        while len(data) < size:
            more = self._source.read(size - len(data))
            if not more:
                raise BundleTruncated(f"the bundle ends at byte {self.offset}")
            data += more
        self.offset += size
        return data


class FrameReader:
    """Read one frame; nothing is handed on before its seal has been checked."""

    def __init__(self, cursor: Cursor, binding: bytes):
        """
        :param cursor: where the frame starts
        :param binding: digest of the bundle's header
        :raise BundleCorrupt: when there is no frame here
        """
        self._cursor, self._start = cursor, cursor.offset
        mark, *fields = _PREFIX.unpack(cursor.read(_PREFIX.size))
        if mark != _MARK:
            raise BundleCorrupt(f"no frame at byte {self._start}")
        self.prefix = Prefix(*fields)
        self._seal = self._context = self.prefix.context(binding)
        self._expected = self.digest = None

    @property
    def length(self) -> int:
        """:return: bytes read of this frame so far, all of it after the end"""
        return self._cursor.offset - self._start

    def expect(self, kind: int, record_id: int, ordinal: int = 0):
        """Say which frame this must be; told only once its seal has been checked.

        So a damaged prefix counts as damage, and only a sound one as foreign.
        """
        self._expected = kind, record_id, ordinal

    def chunks(self, cipher_for=None, digest: bytes | None = None):
        """Iterate over the chunks, decrypted.

        :param cipher_for: called with the prefix once its seal has been checked,
            gives a :class:`crypto.FrameCipher` or None; None to get stored bytes
        :param digest: what the frame's digest must be, when it is known
        :raise BundleCorrupt: when a seal does not fit
        :raise BundleForeign: when the frame is sound but not the expected one
        """
        cipher, final, number = None, False, 0
        while not final:
            word = self._cursor.read(_WORD.size)
            (size,) = _WORD.unpack(word)
            final, size = bool(size & _FINAL), size & (_FINAL - 1)
            if size > CHUNK + MAX_TAG:
                raise BundleCorrupt(f"a chunk of {size} bytes is not possible")
            data = self._cursor.read(size + SEAL_SIZE)
            body, seal = data[:size], data[size:]
            self._seal = hashlib.sha256(self._seal + word + body).digest()
            if seal != self._seal:
                raise BundleCorrupt(
                    f"chunk {number} of the frame at byte {self._start} is damaged"
                )
            if final:
                self._finish(seal, digest)
            if number == 0:
                self._check_place()
                cipher = cipher_for(self.prefix) if cipher_for else None
            if cipher:
                body = cipher.decrypt(self._context, number, final, body)
            yield body
            number += 1

    def _check_place(self):
        prefix = self.prefix
        found = prefix.kind, prefix.record_id, prefix.ordinal
        if self._expected not in (None, found):
            raise BundleForeign(f"frame {found} was found in place of {self._expected}")
        if prefix.encoding not in (0, 1):
            raise BundleUnsupported(f"unknown encoding {prefix.encoding}")

    def _finish(self, seal, digest):
        self.digest = seal
        if digest not in (None, seal):
            raise BundleForeign(
                f"the frame at byte {self._start} is sound but not the one that was "
                "written: replaced or replayed"
            )

    def skip(self, digest: bytes | None = None) -> bytes:
        """Check the seals without looking inside.

        :return: the frame's digest
        """
        for _chunk in self.chunks(digest=digest):
            pass
        return self.digest
