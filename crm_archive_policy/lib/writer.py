"""Write a bundle: records and their blobs stream through, in bounded memory."""

import hashlib
import itertools
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from . import canonical, codec, crypto, faults, frames
from .errors import BundleError, BundleTooLarge
from .frames import FrameWriter, Prefix
from .header import END_MAGIC, Header, Spec, all_limits
from .records import (
    BlobEntry,
    Record,
    RowsDigest,
    encode_end,
    encode_head,
    encode_rows,
    table_order,
)

#: Records looked at before the dictionary is made, and how many bytes of them.
_SAMPLES, _SAMPLE_BYTES = 256, 4 << 20
_READ = 256 << 10
#: A blob whose first bytes do not shrink by this much is kept as it is.
_WORTHWHILE = 0.95


class Entry(NamedTuple):
    """Where a record is, what it must be: enough to read it alone."""

    id: int
    offset: int
    length: int
    #: Last seal of the record's frame.
    digest: str
    rows: int
    #: Uncompressed bytes of the rows and of the blobs.
    size: int
    blob_size: int
    #: Bytes that the record and its blobs take in the bundle.
    stored: int
    #: See :func:`records.rows_digest`; not kept in the bundle.
    rows_digest: str


@dataclass(frozen=True)
class Summary:
    """What was written."""

    bundle_id: str
    header_digest: str
    entries: list[Entry]
    #: Rows by table.
    tables: dict[str, int]
    #: Bytes and SHA-256 of the whole file, as ``sha256sum`` prints it.
    size: int
    sha256: str
    compression: str
    cipher: str | None
    dictionary: bool


class _Output:
    """Counts and digests what goes out."""

    def __init__(self, out):
        self._out, self.sha256, self.offset = out, hashlib.sha256(), 0

    def write(self, data):
        self._out.write(data)
        self.sha256.update(data)
        self.offset += len(data)


class BundleWriter:
    """Write one bundle to a file-like object, front to back.

    Records are kept in memory only until there are enough of them to make a
    dictionary; afterwards each goes out as it comes. When anything raises, the
    bundle is unusable and must be thrown away.
    """

    def __init__(
        self,
        out,
        spec: Spec,
        keyring: crypto.Keyring | None = None,
        compression: str | None = None,
        dictionary: bytes | bool = True,
    ):
        """
        :param out: object with ``write(bytes)``; never sought, never closed
        :param spec: what the bundle is to hold
        :param keyring: encrypt, with keys that this ring makes; store the ring
            beside the bundle
        :param compression: ``zstd``, ``zlib``, ``none``; the best there is if None
        :param dictionary: True: make one where it pays; False: none; bytes: this
            one. Never made for an encrypted bundle, where it would outlive the
            erasure of the records it quotes
        :raise BundleUnsupported: when a package is missing
        """
        limits = all_limits(spec)
        if keyring is not None:
            keyring.check(spec.bundle_id, spec.database_uuid)
        self._out, self._spec, self._keyring = _Output(out), spec, keyring
        self._compression = compression or codec.best()
        codec.get(self._compression)
        self._dictionary = dictionary if isinstance(dictionary, bytes) else None
        if self._dictionary and len(self._dictionary) > codec.MAX_DICTIONARY:
            raise BundleTooLarge("the dictionary is too large")
        self._dictionary_length = 0
        self._collecting = dictionary is True and keyring is None
        self._waiting: list[tuple[Record, list[bytes], RowsDigest]] = []
        self._waiting_bytes = 0
        self._header: Header | None = None
        self._binding = b""
        self._codec = None
        self._ids: set[int] = set()
        self._entries: list[Entry] = []
        self._counts = [0] * len(spec.tables)
        self._row_limit = limits["row"]
        self._order = table_order(spec.tables)
        self._usable = True

    def add(self, record: Record):
        """Write a record, its blobs first.

        :raise BundleError: when the record comes twice or does not fit the header
        :raise BundleTooLarge: when it is larger than the bundle's limits
        """
        if record.id in self._ids or not 0 < record.id < 1 << 63:
            raise BundleError(f"record {record.id} comes twice or has no valid id")
        self._ids.add(record.id)
        digest = RowsDigest(self._spec.tables)
        lines = encode_rows(
            record.rows, self._spec.tables, digest, self._row_limit, self._order
        )
        with self._step():
            if self._collecting:
                self._collect(record, lines, digest)
            else:
                self._write(record, lines, digest)

    def close(self) -> Summary:
        """Write what is left, the index and the trailer.

        :return: what was written
        :raise BundleError: when the numbers announced in `spec` do not hold
        """
        with self._step():
            self._start()
            self._check_announced()
            self._finish()
        self._usable = False
        return Summary(
            bundle_id=self._header.bundle_id,
            header_digest=self._binding.hex(),
            entries=self._entries,
            tables=self._table_counts(),
            size=self._out.offset,
            sha256=self._out.sha256.hexdigest(),
            compression=self._header.compression,
            cipher=self._header.cipher,
            dictionary=self._header.dictionary is not None,
        )

    @contextmanager
    def _step(self):
        """Refuse to go on after a failure: the file has a hole by then."""
        if not self._usable:
            raise BundleError("this bundle is closed, or failed before")
        self._usable = False
        yield
        self._usable = True

    # -- before the header: collect samples --------------------------------------

    def _collect(self, record, lines, digest):
        """Hold a record back until the dictionary can be made."""
        held = []
        for line in lines:
            held.append(line)
            self._waiting_bytes += len(line)
            if self._waiting_bytes > _SAMPLE_BYTES:
                # Enough, and maybe a huge record: the rest of it is not held.
                self._start()
                self._write(record, itertools.chain(held, lines), digest)
                return
        self._waiting.append((record, held, digest))
        if len(self._waiting) >= _SAMPLES:
            self._start()

    def _start(self):
        """Make the dictionary, write the header and the records held back."""
        if self._header:
            return
        if self._collecting:
            samples = [
                b"".join([encode_head(record.id, record.meta, ()), *lines])
                for record, lines, _digest in self._waiting
            ]
            expected = self._spec.records or len(samples)
            self._dictionary = codec.train(self._compression, samples, expected)
            self._collecting = False
        cipher = crypto.CIPHER if self._keyring is not None else None
        self._header = Header.make(
            self._spec, self._compression, cipher, self._dictionary
        )
        packed, self._binding = self._header.pack()
        self._out.write(packed + self._binding)
        self._codec = self._header.codec(self._dictionary)
        faults.point("bundle.header")
        if self._dictionary:
            key = self._keyring.new_key(0) if self._keyring is not None else None
            data = [self._dictionary]
            start = self._out.offset
            self._frame(frames.DICTIONARY, 0, 0, data, self._plain_codec(), key)
            self._dictionary_length = self._out.offset - start
        waiting, self._waiting = self._waiting, []
        for record, lines, digest in waiting:
            self._write(record, lines, digest)

    # -- after the header --------------------------------------------------------

    def _write(self, record, lines: Iterable[bytes], digest: RowsDigest):
        self._start()
        start = self._out.offset
        key = self._keyring.new_key(record.id) if self._keyring is not None else None
        blobs = [
            self._write_blob(record.id, ordinal, blob, key)
            for ordinal, blob in enumerate(record.blobs, 1)
        ]
        offset = self._out.offset
        head = encode_head(record.id, record.meta, blobs)
        if len(head) > self._row_limit:
            raise BundleTooLarge(f"what record {record.id} says of itself is too long")
        body = _joined(itertools.chain([head], lines, _end(digest)))
        size = _Total(self._header.limits["record"], f"record {record.id}")
        seal = self._frame(
            frames.RECORD, record.id, 0, size.count(body), self._codec, key
        )
        self._entries.append(
            Entry(
                id=record.id,
                offset=offset,
                length=self._out.offset - offset,
                digest=seal.hex(),
                rows=digest.total,
                size=size.total,
                blob_size=sum(blob.size for blob in blobs),
                stored=self._out.offset - start,
                rows_digest=digest.hexdigest(),
            )
        )
        for number, count in enumerate(digest.counts):
            self._counts[number] += count
        faults.point("bundle.record")

    def _write_blob(self, record_id, ordinal, blob, key) -> BlobEntry:
        offset = self._out.offset
        content = hashlib.sha256()
        limit = self._header.limits["blob"]
        size = _Total(limit, f"blob {ordinal} of record {record_id}")
        with blob.open() as source:
            first = source.read(_READ)
            pieces = itertools.chain([first], iter(lambda: source.read(_READ), b""))
            seal = self._frame(
                frames.BLOB,
                record_id,
                ordinal,
                _digested(size.count(pieces), content),
                self._blob_codec(first),
                key,
            )
        return BlobEntry(
            name=blob.name,
            ordinal=ordinal,
            size=size.total,
            sha256=content.hexdigest(),
            offset=offset,
            length=self._out.offset - offset,
            digest=seal.hex(),
        )

    def _frame(self, kind, record_id, ordinal, pieces, codec_, key=None) -> bytes:
        """Write a frame of any kind; `codec_` None keeps the bytes as they are."""
        prefix = Prefix(kind, 0 if codec_ is None else 1, record_id, ordinal)
        cipher = crypto.FrameCipher(key, ordinal) if key else None
        frame = FrameWriter(self._out, self._binding, prefix, cipher)
        stream = (codec_ or codec.Stored()).compressor()
        for piece in pieces:
            if packed := stream.compress(piece):
                frame.write(packed)
        frame.write(stream.flush())
        return frame.close()

    def _plain_codec(self):
        """Compression without dictionary, for what is not like a record."""
        return self._header.codec()

    def _blob_codec(self, first: bytes) -> codec.Stored | None:
        """Compress a blob only if its first bytes shrink: photos do not."""
        plain = self._plain_codec()
        stream = plain.compressor()
        packed = len(stream.compress(first)) + len(stream.flush())
        return plain if packed < len(first) * _WORTHWHILE else None

    # -- at the end --------------------------------------------------------------

    def _finish(self):
        """Write the index and the trailer."""
        offset = self._out.offset
        index = canonical.dumps(
            {
                # Offsets follow from lengths, digests are in the frames themselves.
                "records": [
                    [e.id, e.stored, e.length, e.rows, e.size, e.blob_size]
                    for e in self._entries
                ],
                "tables": self._table_counts(),
                "dictionary": self._dictionary_length,
            }
        )
        self._frame(frames.INDEX, 0, 0, [index], self._plain_codec())
        faults.point("bundle.index")
        self._out.write(offset.to_bytes(8, "big"))
        self._out.write(self._out.sha256.digest() + END_MAGIC)
        faults.point("bundle.end")

    def _table_counts(self) -> dict[str, int]:
        names = [table.name for table in self._spec.tables]
        return dict(zip(names, self._counts, strict=True))

    def _check_announced(self):
        wanted = self._spec.records
        if wanted is not None and wanted != len(self._entries):
            raise BundleError(f"{len(self._entries)} records, {wanted} announced")
        for table, count in zip(self._spec.tables, self._counts, strict=True):
            if table.rows not in (None, count):
                raise BundleError(
                    f"{count} rows of {table.name}, {table.rows} announced"
                )


class _Total:
    """Counts bytes on their way and stops at a limit."""

    def __init__(self, limit, what):
        self.total, self._limit, self._what = 0, limit, what

    def count(self, pieces):
        for piece in pieces:
            self.total += len(piece)
            if self.total > self._limit:
                raise BundleTooLarge(
                    f"{self._what} holds more than {self._limit} bytes"
                )
            yield piece


def _joined(lines):
    """Hand lines on by the chunk: a call for each would cost more than its work."""
    held, size = [], 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _READ:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _end(digest: RowsDigest):
    """The last line of a record, made when all its rows have passed."""
    yield encode_end(digest.total)


def _digested(pieces, digest):
    for piece in pieces:
        digest.update(piece)
        yield piece


def write_bundle(out, spec: Spec, records: Iterable[Record], **options) -> Summary:
    """Write a bundle in one call.

    :param out: object with ``write(bytes)``
    :param spec: what the bundle is to hold
    :param records: the records, consumed one by one
    :param options: `keyring`, `compression`, `dictionary` of :class:`BundleWriter`
    :return: what was written
    """
    writer = BundleWriter(out, spec, **options)
    for record in records:
        writer.add(record)
    return writer.close()
