"""The header of a bundle: what it holds, how it is encoded, what it may become."""

import hashlib
import json
import struct
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from . import canonical, codec, crypto, frames
from .errors import (
    BundleCorrupt,
    BundleError,
    BundleForeign,
    BundleTooLarge,
    BundleTruncated,
    BundleUnsupported,
)
from .records import Table

FORMAT = 1
MAGIC = b"\x89CRMARC\n"
END_MAGIC = b"\x89CRMEND\n"
DIGEST_SIZE = hashlib.sha256().digest_size

#: Start of the file: magic and length of the header.
HEAD = struct.Struct(f">{len(MAGIC)}sI")
#: End of the file: offset of the index, SHA-256 of all before it, magic.
TRAILER = struct.Struct(f">Q{DIGEST_SIZE}s{len(END_MAGIC)}s")

#: Follows a bundle's name in that of its key ring.
KEYRING_SUFFIX = ".keys"

#: Read before anything is authenticated, hence small and fixed.
MAX_HEADER = 16 << 20

#: Uncompressed bytes of a record's rows, of one row, of one blob.
DEFAULT_LIMITS = {"record": 4 << 30, "row": 256 << 20, "blob": 64 << 30}


def object_key(bundle_id: str) -> str:
    """:return: the key under which a store keeps a bundle"""
    return f"{bundle_id[:2]}/{bundle_id}.crmarc"


def keyring_key(bundle_id: str) -> str:
    """:return: the key of the bundle's key ring, beside it"""
    return object_key(bundle_id) + KEYRING_SUFFIX


@dataclass(frozen=True)
class Spec:
    """What the caller says of a bundle before writing it."""

    database_uuid: str
    model: str
    tables: Sequence[Table]
    #: Number of records, when it is known; checked at the end.
    records: int | None = None
    #: Who writes, for example ``crm_archive_policy 19.0.1.0.0``.
    producer: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    bundle_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Expect:
    """What the caller knows of a bundle before reading it; None: do not check.

    `header_digest` makes the header, with its limits, as trustworthy as the place
    where the digest was kept, encrypted or not.
    """

    bundle_id: str | None = None
    database_uuid: str | None = None
    model: str | None = None
    header_digest: str | None = None


@dataclass(frozen=True)
class Header:
    """What a bundle says of itself."""

    format: int
    bundle_id: str
    database_uuid: str
    model: str
    created: str
    producer: str
    tables: tuple[Table, ...]
    records: int | None
    compression: str
    cipher: str | None
    #: SHA-256 of the dictionary, None when there is none.
    dictionary: str | None
    limits: Mapping[str, int]

    @classmethod
    def make(cls, spec: Spec, compression: str, cipher, dictionary) -> "Header":
        """Complete the caller's words.

        :param spec: what the caller says
        :param compression: name of the compression
        :param cipher: name of the cipher or None
        :param dictionary: bytes of the dictionary or None
        """
        now = datetime.now(timezone.utc)
        return cls(
            format=FORMAT,
            bundle_id=spec.bundle_id,
            database_uuid=spec.database_uuid,
            model=spec.model,
            created=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            producer=spec.producer,
            tables=tuple(spec.tables),
            records=spec.records,
            compression=compression,
            cipher=cipher,
            dictionary=hashlib.sha256(dictionary).hexdigest() if dictionary else None,
            limits=all_limits(spec),
        )

    def pack(self) -> tuple[bytes, bytes]:
        """:return: the start of the file and its digest, which follows it

        :raise BundleTooLarge: when there are too many tables and columns
        """
        values = dict(vars(self))
        values["limits"] = dict(self.limits)
        values["tables"] = [
            {
                "name": table.name,
                "columns": [list(column) for column in table.columns],
                "rows": table.rows,
            }
            for table in self.tables
        ]
        body = canonical.dumps(values)
        if len(body) > MAX_HEADER:
            raise BundleTooLarge(f"a header of {len(body)} bytes")
        packed = HEAD.pack(MAGIC, len(body)) + body
        return packed, hashlib.sha256(packed).digest()

    @classmethod
    def read(cls, cursor) -> tuple["Header", bytes]:
        """Read the start of a file.

        :param cursor: :class:`frames.Cursor` at offset 0
        :return: the header and its digest
        :raise BundleCorrupt: when it is damaged or not a bundle at all
        :raise BundleUnsupported: when its format is newer
        """
        head = cursor.read(HEAD.size)
        magic, length = HEAD.unpack(head)
        if magic != MAGIC:
            raise BundleCorrupt("this is not a bundle")
        if length > MAX_HEADER:
            raise BundleCorrupt(f"a header of {length} bytes is not possible")
        body = cursor.read(length)
        digest = cursor.read(DIGEST_SIZE)
        if hashlib.sha256(head + body).digest() != digest:
            raise BundleCorrupt("the header is damaged")
        return cls._parse(body), digest

    @classmethod
    def _parse(cls, body):
        try:
            values = json.loads(body)
            if values["format"] != FORMAT:
                raise BundleUnsupported(
                    f"bundle format {values['format']}, this software reads {FORMAT}"
                )
            values["tables"] = tuple(
                Table(
                    table["name"],
                    tuple((name, kind) for name, kind in table["columns"]),
                    table["rows"],
                )
                for table in values["tables"]
            )
            header = cls(**values)
            header._check()
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise BundleCorrupt("the header is malformed") from error
        return header

    def _check(self):
        """Refuse values of the wrong type here, not later and elsewhere."""
        texts = [self.bundle_id, self.database_uuid, self.model, self.compression]
        texts += [table.name for table in self.tables]
        texts += [text for t in self.tables for column in t.columns for text in column]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("text expected")
        if not all(isinstance(self.limits[key], int) for key in DEFAULT_LIMITS):
            raise TypeError("number expected")
        if len({table.name for table in self.tables}) != len(self.tables):
            raise ValueError("a table comes twice")
        for table in self.tables:
            if len({name for name, _kind in table.columns}) != len(table.columns):
                raise ValueError("a column comes twice")
        if self.cipher not in (None, crypto.CIPHER):
            raise BundleUnsupported(f"unknown cipher {self.cipher!r}")

    def codec(self, dictionary: bytes | None = None):
        """:return: the bundle's compression

        :raise BundleUnsupported: when this interpreter does not have it
        """
        return codec.get(self.compression, dictionary)

    def check(self, expect: Expect, digest: bytes):
        """Compare with what the caller knows.

        :param digest: the header's own digest
        :raise BundleForeign: when this is another bundle
        """
        for name in ("bundle_id", "database_uuid", "model"):
            wanted = getattr(expect, name)
            if wanted is not None and wanted != getattr(self, name):
                raise BundleForeign(
                    f"{name} is {getattr(self, name)!r}, expected {wanted!r}"
                )
        if expect.header_digest not in (None, digest.hex()):
            raise BundleForeign("the header is sound but not the one written")


def read_trailer(source, start: int) -> tuple[int, int, bytes]:
    """Read the end of a file.

    :param source: seekable binary file
    :param start: first byte after the header
    :return: offset of the index, offset of the trailer, SHA-256 of the file
    :raise BundleCorrupt: when the end is missing, or not the end
    """
    size = source.seek(0, 2)
    if size < start + TRAILER.size:
        raise BundleTruncated("the end of the bundle is missing")
    trailer = frames.Cursor(source, size - TRAILER.size).read(TRAILER.size)
    offset, digest, magic = TRAILER.unpack(trailer)
    if magic != END_MAGIC:
        raise BundleCorrupt("the bundle is cut short or followed by other bytes")
    if not start <= offset < size - TRAILER.size:
        raise BundleCorrupt("the trailer is damaged")
    return offset, size - TRAILER.size, digest


def all_limits(spec: Spec) -> dict[str, int]:
    """Complete the limits of a bundle to be written.

    :raise BundleError: for an unknown limit, or a table named twice
    """
    names = [table.name for table in spec.tables]
    if len(set(names)) != len(names):
        raise BundleError("a table is named twice")
    for table in spec.tables:
        if len({name for name, _kind in table.columns}) != len(table.columns):
            raise BundleError(f"a column of {table.name} is named twice")
    if unknown := set(spec.limits) - set(DEFAULT_LIMITS):
        raise BundleError(f"unknown limits: {sorted(unknown)}")
    return {**DEFAULT_LIMITS, **spec.limits}
