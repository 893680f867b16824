"""Read a bundle: one record alone, all of them, or just prove that it is sound."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from . import codec, crypto, frames
from .errors import BundleCorrupt, BundleForeign, BundleKeyError
from .frames import Cursor, FrameReader
from .header import Expect, Header, read_trailer
from .records import (
    BlobEntry,
    RowsDigest,
    decode_head,
    decode_row,
    encode_end,
    split_lines,
)
from .writer import Entry

#: A frame up to this size is fetched in one go: one request to the store.
_SMALL = 1 << 20
#: About two million records.
_MAX_INDEX = 64 << 20


_MALFORMED = LookupError, TypeError, ValueError, AttributeError, RecursionError


class Ref(NamedTuple):
    """Where a record's frame is: the part of :class:`Entry` that reading needs."""

    id: int
    offset: int
    length: int
    #: Expected digest; None takes the frame's own word for it.
    digest: str | None = None


class IndexRow(NamedTuple):
    """What the index says of a record; offsets are sums of what is stored."""

    id: int
    #: Bytes of the record's frame and the frames of its blobs.
    stored: int
    #: Bytes of the record's frame.
    length: int
    rows: int
    #: Uncompressed bytes of the record and of its blobs.
    size: int
    blob_size: int


class BundleReader:
    """Random access to the records of a bundle.

    Only the header is read at first. Given a :class:`Ref` or :class:`Entry` kept
    elsewhere, a record is read without the index at the end of the file.
    """

    def __init__(
        self,
        source,
        expect: Expect | None = None,
        keyring: crypto.Keyring | None = None,
        limits: Mapping[str, int] | None = None,
    ):
        """
        :param source: seekable binary file
        :param expect: what the caller knows of the bundle
        :param keyring: the bundle's key ring, with master keys
        :param limits: stricter limits than the header's own, same keys
        :raise BundleCorrupt: when the header is damaged
        :raise BundleForeign: when it is another bundle
        :raise BundleUnsupported: when a format or package is missing
        """
        self.source = source
        cursor = Cursor(source, 0)
        self.header, self.binding = Header.read(cursor)
        self.header.check(expect or Expect(), self.binding)
        if keyring is not None:
            keyring.check(self.header.bundle_id, self.header.database_uuid)
        self.keyring = keyring
        self.limits = dict(self.header.limits)
        for name, limit in (limits or {}).items():
            self.limits[name] = min(limit, self.limits[name])
        #: Offset of the first frame.
        self.start = cursor.offset
        self._codec = None
        self._index = None

    # -- the index ---------------------------------------------------------------

    def index(self) -> dict[int, Ref]:
        """Read where each record is from the end of the file, once.

        :return: references by record id, in the order of the file
        :raise BundleCorrupt: when the index is damaged
        :raise BundleTruncated: when the end of the file is missing
        """
        index = self._read_index()
        end = self.start + index["dictionary"]
        refs = {}
        for row in map(IndexRow._make, index["records"]):
            end += row.stored
            refs[row.id] = Ref(row.id, end - row.length, row.length)
        return refs

    def index_rows(self) -> "list[IndexRow]":
        """:return: what the index says of each record"""
        return [IndexRow(*row) for row in self._read_index()["records"]]

    def counts(self) -> dict[str, int]:
        """:return: number of rows by table, from the index"""
        return self._read_index()["tables"]

    def _read_index(self):
        if self._index is None:
            offset, end, _digest = read_trailer(self.source, self.start)
            frame = FrameReader(Cursor(self.source, offset), self.binding)
            self._index = self.parse_index(frame)
            if offset + frame.length != end:
                raise BundleCorrupt("the index does not reach up to the trailer")
        return self._index

    def parse_index(self, frame: FrameReader) -> dict:
        """Read the index out of its frame.

        :raise BundleCorrupt: when it is malformed
        """
        frame.expect(frames.INDEX, 0)
        pieces = self._decoded(frame, self.header.codec(), _MAX_INDEX, "the index")
        try:
            index = json.loads(b"".join(pieces))
            numbers = [index["dictionary"], *index["tables"].values()]
            for row in index["records"]:
                numbers += IndexRow(*row)
            if not all(type(number) is int and number >= 0 for number in numbers):
                raise ValueError("numbers expected")
        except _MALFORMED as error:
            raise BundleCorrupt("the index is malformed") from error
        return index

    # -- records -----------------------------------------------------------------

    def record(self, ref: "int | Ref | Entry") -> "RecordReader":
        """Read one record.

        :param ref: its id (looked up in the bundle's index) or where it is
        :raise BundleForeign: when the frame there belongs to another record, or
            has another digest than `ref` says
        :raise BundleKeyError: when the bundle is encrypted and the key is missing
        """
        if isinstance(ref, int):
            found = self.index().get(ref)
            if found is None:
                raise BundleForeign(f"record {ref} is not in this bundle")
            ref = found
        frame = self.frame(ref.offset, ref.length)
        frame.expect(frames.RECORD, ref.id)
        return RecordReader(self, frame, ref.id, ref.digest)

    def records(self) -> "Iterator[RecordReader]":
        """:return: every record in turn, in the order of the file"""
        for ref in self.index().values():
            yield self.record(ref)

    def open_blob(self, record_id: int, blob: BlobEntry) -> io.BufferedReader:
        """Stream a blob. Trust it only after its end has been reached.

        :param record_id: the record it belongs to
        :param blob: from :attr:`RecordReader.blobs`
        :return: binary file; reading it raises what is wrong with it
        """
        frame = self.frame(blob.offset, blob.length)
        frame.expect(frames.BLOB, record_id, blob.ordinal)
        pieces = self.blob_pieces(frame, blob)
        return io.BufferedReader(_PieceFile(pieces), 1 << 18)

    def blob_pieces(self, frame: FrameReader, blob: BlobEntry) -> Iterator[bytes]:
        """Iterate over a blob's bytes; size and digest are checked at the end."""
        content, size = hashlib.sha256(), 0
        for piece in self.decoded(frame, self.header.codec(), "blob", blob.digest):
            size += len(piece)
            content.update(piece)
            yield piece
        if (size, content.hexdigest()) != (blob.size, blob.sha256):
            raise BundleCorrupt(f"blob {blob.ordinal} is not what the record names")

    # -- frames ------------------------------------------------------------------

    def frame(self, offset: int, length: int) -> FrameReader:
        """:return: the frame at `offset`, fetched at once when it is small"""
        if length > _SMALL:
            return FrameReader(Cursor(self.source, offset), self.binding)
        data = Cursor(self.source, offset).read(length)
        return FrameReader(Cursor(io.BytesIO(data), 0), self.binding)

    def record_codec(self) -> codec.Stored:
        """:return: the bundle's compression with its dictionary"""
        if self._codec is None and self.header.dictionary:
            self.load_dictionary(
                FrameReader(Cursor(self.source, self.start), self.binding)
            )
        elif self._codec is None:
            self._codec = self.header.codec()
        return self._codec

    def load_dictionary(self, frame: FrameReader):
        """Read the dictionary out of its frame.

        :raise BundleCorrupt: when it is not the one that the header names
        """
        frame.expect(frames.DICTIONARY, 0)
        pieces = self._decoded(
            frame,
            self.header.codec(),
            codec.MAX_DICTIONARY,
            "the dictionary",
            cipher_for=self._cipher,
        )
        dictionary = b"".join(pieces)
        if hashlib.sha256(dictionary).hexdigest() != self.header.dictionary:
            raise BundleCorrupt("the dictionary is damaged")
        self._codec = self.header.codec(dictionary)

    def decoded(self, frame, codec_, limit: str, digest: str | None = None):
        """Iterate over a frame's content, decrypted and decompressed.

        :param frame: the frame
        :param codec_: its compression
        :param limit: name of the limit that applies
        :param digest: expected digest of the frame, if known
        """
        return self._decoded(
            frame, codec_, self.limits[limit], frame.prefix, digest, self._cipher
        )

    def _decoded(self, frame, codec_, limit, what, digest=None, cipher_for=None):
        if frame.prefix.encoding == 0:
            codec_ = codec.Stored()
        chunks = frame.chunks(cipher_for, bytes.fromhex(digest) if digest else None)
        return codec.limited(codec_.pieces(chunks), limit, what)

    def _cipher(self, prefix):
        """Find the cipher of a frame; None when the bundle is in the clear."""
        if self.header.cipher is None:
            return None
        if self.keyring is None:
            raise BundleKeyError("the bundle is encrypted and its key ring is missing")
        key = self.keyring.data_key(prefix.record_id)
        return crypto.FrameCipher(key, prefix.ordinal)


class RecordReader:
    """The content of one record; rows are streamed."""

    def __init__(self, bundle: BundleReader, frame, record_id: int, digest=None):
        """
        :param bundle: the bundle
        :param frame: the record's frame
        :param record_id: which record it must be
        :param digest: expected digest of the frame
        """
        self.id, self.bundle = record_id, bundle
        self._tables = bundle.header.tables
        #: Uncompressed bytes read so far.
        self.size = 0
        pieces = bundle.decoded(frame, bundle.record_codec(), "record", digest)
        self._lines = split_lines(self._counted(pieces), bundle.limits["row"])
        head = next(self._lines, b"")
        self.meta, self.blobs = decode_head(head, record_id)
        self._digest = RowsDigest(self._tables)

    @property
    def rows_digest(self) -> str:
        """:return: digest of the rows read so far, of all of them after the end"""
        return self._digest.hexdigest()

    @property
    def rows_count(self) -> int:
        """:return: number of rows read so far"""
        return self._digest.total

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Stream the rows as they are encoded, each a line of JSON.

        :return: name of the table and the row's line
        :raise BundleCorrupt: when the record is malformed; at the latest at the
            end, so rows are to be trusted only after that
        """
        for number, line in self._numbered():
            yield self._tables[number].name, line

    def iter_rows(self) -> Iterator[tuple[str, list[str | None]]]:
        """Stream the rows.

        :return: name of the table and the row's values
        :raise BundleCorrupt: see :meth:`lines`
        """
        for number, line in self._numbered():
            table = self._tables[number]
            yield table.name, decode_row(line, len(table.columns))

    def rows(self) -> dict[str, list[list[str | None]]]:
        """:return: all rows by table, for a record known to be small"""
        rows = {}
        for table, row in self.iter_rows():
            rows.setdefault(table, []).append(row)
        return rows

    def open_blob(self, blob: BlobEntry) -> io.BufferedReader:
        """:return: the blob as a binary file, see :meth:`BundleReader.open_blob`"""
        return self.bundle.open_blob(self.id, blob)

    def _counted(self, pieces):
        for piece in pieces:
            self.size += len(piece)
            yield piece

    def _numbered(self):
        number = -1
        for line in self._lines:
            start = line[:1]
            if start == b"[":
                if number < 0:
                    raise BundleCorrupt("a row comes before its table")
                self._digest.add(number, line + b"\n")
                yield number, line
            elif start == b"{":
                self._finish(line)
                return
            else:
                number = self._table_number(line, number)
        raise BundleCorrupt(f"record {self.id} has no end")

    def _table_number(self, line, previous):
        if not line.isdigit() or not previous < int(line[:9]) < len(self._tables):
            raise BundleCorrupt(f"record {self.id} names a table that is not there")
        return int(line)

    def _finish(self, line):
        if line + b"\n" != encode_end(self._digest.total):
            raise BundleCorrupt(f"record {self.id} has lost rows")
        # Running out of lines is what checks the last seal.
        if next(self._lines, None) is not None:
            raise BundleCorrupt(f"record {self.id} goes on after its end")


class _PieceFile(io.RawIOBase):
    """File over an iterator of pieces."""

    def __init__(self, pieces):
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size
