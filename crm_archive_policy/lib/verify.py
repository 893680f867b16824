"""Prove a bundle: one pass over the file, in order, every byte accounted for."""

import hashlib
from dataclasses import dataclass, field

from . import frames
from .errors import BundleCorrupt
from .frames import Cursor, FrameReader
from .header import END_MAGIC, TRAILER, Header
from .reader import BundleReader, RecordReader


@dataclass
class Report:
    """What a verification found; it raises instead when something is wrong."""

    records: int = 0
    rows: int = 0
    blobs: int = 0
    size: int = 0
    #: SHA-256 of the whole file.
    sha256: str = ""
    #: Digest of each record's frame, and of its rows where they could be read.
    digests: dict[int, str] = field(default_factory=dict)
    rows_digests: dict[int, str] = field(default_factory=dict)
    #: Records whose key was destroyed: sealed, and unreadable for good.
    erased: list[int] = field(default_factory=list)


def verify(bundle: BundleReader, decrypt: bool = True, parse: bool = True) -> Report:
    """Read the whole file once and check every byte of it.

    :param bundle: the bundle, opened
    :param decrypt: False: check the seals of an encrypted bundle without its keys
    :param parse: False: leave out the check that each row is well-formed JSON of
        the right width, for a bundle whose rows' digests are compared anyway
    :return: what was found
    :raise BundleError: the first thing that is wrong
    """
    return _Verifier(bundle, decrypt, parse).run()


class _Verifier:
    def __init__(self, bundle, decrypt, parse):
        self.bundle, self.parse = bundle, parse
        self.readable = decrypt or bundle.header.cipher is None
        self.source = _Sequential(bundle.source)
        self.cursor = Cursor(self.source, 0)
        self.report = Report()
        #: What the index must say, and the blobs since the last record.
        self.rows, self.blobs = [], []
        self.dictionary_length = 0

    def run(self) -> Report:
        _header, binding = Header.read(self.cursor)
        if binding != self.bundle.binding:
            raise BundleCorrupt("the header changed while it was read")
        while self._frame():
            pass
        report = self.report
        report.size = self.cursor.offset
        report.records = len(self.rows)
        report.sha256 = self.source.sha256.hexdigest()
        return report

    def _frame(self) -> bool:
        """:return: False after the last frame"""
        offset = self.cursor.offset
        frame = FrameReader(self.cursor, self.bundle.binding)
        kind = frame.prefix.kind
        if kind == frames.INDEX:
            self._index(frame)
            self._trailer(offset)
            return False
        if kind == frames.DICTIONARY and offset == self.bundle.start:
            self._dictionary(frame)
        elif kind == frames.BLOB:
            self._blob(frame, offset)
        elif kind == frames.RECORD:
            self._record(frame)
        else:
            raise BundleCorrupt(f"a frame of kind {kind} has no place here")
        return True

    def _dictionary(self, frame):
        if self.readable:
            self.bundle.load_dictionary(frame)
        else:
            frame.skip()
        self.dictionary_length = frame.length

    def _blob(self, frame, offset):
        content, size = hashlib.sha256(), 0
        if self._can_read(frame.prefix.record_id):
            codec = self.bundle.header.codec()
            for piece in self.bundle.decoded(frame, codec, "blob"):
                content.update(piece)
                size += len(piece)
        else:
            frame.skip()
        prefix, digest = frame.prefix, frame.digest.hex()
        sha256 = content.hexdigest()
        place = (prefix.ordinal, size, sha256, offset, frame.length, digest)
        self.blobs.append((prefix.record_id, place))

    def _record(self, frame):
        record_id, blobs = frame.prefix.record_id, self.blobs
        if record_id in self.report.digests:
            raise BundleCorrupt(f"record {record_id} comes twice")
        if any(owner != record_id for owner, _place in blobs):
            raise BundleCorrupt("a blob belongs to no record")
        self.blobs = []
        sizes = None
        if self._can_read(record_id):
            sizes = self._content(frame, [place for _owner, place in blobs])
        else:
            frame.skip()
            if self.readable:
                self.report.erased.append(record_id)
        digest = frame.digest.hex()
        self.report.digests[record_id] = digest
        self.report.blobs += len(blobs)
        stored = frame.length + sum(place[4] for _owner, place in blobs)
        self.rows.append(([record_id, stored, frame.length], sizes))

    def _content(self, frame, blobs):
        """Read the rows and compare the blobs with what the record names."""
        frame.expect(frames.RECORD, frame.prefix.record_id)
        record = RecordReader(self.bundle, frame, frame.prefix.record_id)
        for _row in record.iter_rows() if self.parse else record.lines():
            pass
        if [blob[1:] for blob in record.blobs] != blobs:
            raise BundleCorrupt(f"record {record.id} names other blobs")
        self.report.rows += record.rows_count
        self.report.rows_digests[record.id] = record.rows_digest
        return [record.rows_count, record.size, sum(blob[1] for blob in blobs)]

    def _can_read(self, record_id) -> bool:
        keyring = self.bundle.keyring
        erased = keyring is not None and record_id in keyring.destroyed
        return self.readable and not erased

    def _index(self, frame):
        index = self.bundle.parse_index(frame)
        if len(index["records"]) != len(self.rows) or self.blobs:
            raise BundleCorrupt("the index names other records than there are")
        for named, (place, sizes) in zip(index["records"], self.rows, strict=True):
            if named != place + (named[3:] if sizes is None else sizes):
                raise BundleCorrupt(f"the index is wrong about record {place[0]}")
        if index["dictionary"] != self.dictionary_length:
            raise BundleCorrupt("the index is wrong about the dictionary")
        announced = self.bundle.header.records
        if announced is not None and announced != len(self.rows):
            raise BundleCorrupt(f"{len(self.rows)} records, {announced} announced")

    def _trailer(self, index_offset):
        expected = self.cursor.read(8)
        if int.from_bytes(expected, "big") != index_offset:
            raise BundleCorrupt("the trailer points elsewhere")
        digest = self.source.sha256.digest()
        rest = self.cursor.read(TRAILER.size - 8)
        if rest != digest + END_MAGIC:
            raise BundleCorrupt("the file is not the one that was written")
        if self.source.read(1):
            raise BundleCorrupt("bytes after the end of the bundle")


class _Sequential:
    """The file from start to end, digested on the way.

    A frame is read in small steps: they are served out of larger ones.
    """

    _READ = 1 << 20

    def __init__(self, source):
        self._source, self._position = source, 0
        self._buffer, self._taken, self._digested = b"", 0, 0
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self):
        """:return: the digest of what has been read so far"""
        view = memoryview(self._buffer)
        self._sha256.update(view[self._digested : self._taken])
        self._digested = self._taken
        return self._sha256

    def seek(self, offset):
        if offset != self._position:
            raise AssertionError("verification reads in order")

    def read(self, size):
        end = self._taken + size
        if end > len(self._buffer):
            self._fill(size)
            end = self._taken + size
        data = self._buffer[self._taken : end]
        self._taken += len(data)
        self._position += len(data)
        return data

    def _fill(self, size):
        """Have at least so many bytes at hand, if the file has them."""
        _digest = self.sha256
        rest = self._buffer[self._taken :]
        self._source.seek(self._position + len(rest))
        pieces, held = [rest], len(rest)
        while held < size and (more := self._source.read(self._READ)):
            pieces.append(more)
            held += len(more)
        self._buffer, self._taken, self._digested = b"".join(pieces), 0, 0
