"""What a record looks like inside its frame: lines of JSON.

The first line is an object (identity, the caller's `meta`, the list of blobs);
then for each table its number in the header, alone on a line, and its rows, each
an array of strings or nulls; the last line is ``{"end": number of rows}``.
A row is exactly what PostgreSQL's ``array_to_json(ARRAY[a::text, …])`` prints, so
that rows may come from the database encoded and go back as they are.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from . import canonical
from .errors import BundleCorrupt, BundleError, BundleTooLarge

#: A row: values as ``::text`` or None, in the order of the table's columns, or the
#: same already encoded as one line of JSON.
Row = Sequence[str | None] | str | bytes

_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False
).encode
_DIGEST = re.compile("[0-9a-f]{64}")
_VALUE_TYPES = {str, type(None)}


class Table(NamedTuple):
    """A table of the bundle: its rows hold the columns in this order."""

    name: str
    #: ``(name, PostgreSQL type as format_type() prints it)``
    columns: tuple[tuple[str, str], ...]
    #: Number of rows, announced by the writer; None when it was not known.
    rows: int | None = None


@dataclass
class Blob:
    """Bytes that travel with a record, for example an attachment's file."""

    name: str
    open: Callable[[], BinaryIO]


@dataclass
class Record:
    """A record to be written."""

    id: int
    #: Rows by table name; any iterable, consumed once and never held as a whole.
    rows: Mapping[str, Iterable[Row]]
    blobs: Iterable[Blob] = ()
    #: Anything in JSON that the caller needs to bring the record back.
    meta: Mapping[str, Any] = field(default_factory=dict)


class BlobEntry(NamedTuple):
    """Where a blob of a record is, and what it must be."""

    name: str
    ordinal: int
    size: int
    sha256: str
    offset: int
    length: int
    digest: str


def encode_row(row: Row, width: int | None = None) -> bytes:
    """Encode a row as one line of canonical JSON, without the line feed.

    :param row: values, or a line that is encoded already
    :param width: number of columns that it must have
    :raise BundleError: when the row is not strings and nulls, or of another width
    """
    if isinstance(row, str):
        # Other than UTF-8 cannot come from PostgreSQL; escaped, it is valid JSON.
        row = row.encode(errors="backslashreplace")
    if isinstance(row, bytes):
        if not row.startswith(b"[") or b"\n" in row:
            raise BundleError("an encoded row must be one line of JSON, an array")
        return row
    if not _VALUE_TYPES.issuperset(map(type, row)):
        raise BundleError("a row holds strings and None only: cast to ::text")
    if width is not None and len(row) != width:
        raise BundleError(f"a row of {len(row)} values for {width} columns")
    row = list(row)
    try:
        return _encode(row).encode()
    except UnicodeEncodeError:
        line = canonical.dumps(row)
        if json.loads(line) != row:
            # JSON takes a high and a low surrogate, each alone, for one character.
            raise BundleError("a pair of lone surrogates cannot be kept") from None
        return line


def table_order(tables: Sequence[Table]) -> dict[str, int]:
    """:return: the tables' numbers in the header, by name"""
    return {table.name: number for number, table in enumerate(tables)}


def encode_rows(
    rows: Mapping[str, Iterable[Row]],
    tables: Sequence[Table],
    digest=None,
    line=0,
    order: Mapping[str, int] | None = None,
) -> Iterator[bytes]:
    """Encode the rows of a record, table by table in the header's order.

    :param rows: rows by table name
    :param tables: tables of the header
    :param digest: :class:`RowsDigest` to keep up to date, or None
    :param line: largest number of bytes of a row, 0 for no limit
    :param order: the tables' numbers by name, for who encodes many records
    :return: lines, each with its line feed
    :raise BundleError: when a table is not in the header
    :raise BundleTooLarge: when a row is larger than `line`
    """
    if order is None:
        order = table_order(tables)
    if unknown := rows.keys() - order.keys():
        raise BundleError(f"tables that the header does not name: {sorted(unknown)}")
    for number in sorted(map(order.__getitem__, rows.keys())):
        table = tables[number]
        width, opened = len(table.columns), False
        for row in rows.get(table.name, ()):
            if not opened:
                yield b"%d\n" % number
                opened = True
            encoded = encode_row(row, width) + b"\n"
            if line and len(encoded) > line:
                raise BundleTooLarge(
                    f"a row of {table.name} takes {len(encoded)} bytes, "
                    f"more than {line}"
                )
            if digest:
                digest.add(number, encoded)
            yield encoded


class RowsDigest:
    """SHA-256 over a record's rows, independent of the bundle that holds them.

    Equal rows give equal digests, so a record captured again can be compared with
    what was written. Tables count in the header's order, which must be the same.
    """

    def __init__(self, tables: Sequence[Table]):
        """:param tables: tables of the header"""
        self._tables = tables
        self._hash, self._number = hashlib.sha256(), None
        self.counts = [0] * len(tables)

    def add(self, number: int, line: bytes):
        """Take in a row.

        :param number: of the table in the header
        :param line: the encoded row with its line feed
        """
        if number != self._number:
            self._hash.update(_label(self._tables[number].name))
            self._number = number
        self._hash.update(line)
        self.counts[number] += 1

    @property
    def total(self) -> int:
        """:return: number of rows so far"""
        return sum(self.counts)

    def hexdigest(self) -> str:
        """:return: the digest of the rows so far"""
        return self._hash.hexdigest()


@functools.lru_cache(maxsize=1024)
def _label(table_name: str) -> bytes:
    return canonical.dumps(table_name) + b"\n"


def rows_digest(rows: Mapping[str, Iterable[Row]], tables: Sequence[Table]) -> str:
    """Digest the rows of a record as they are now.

    :param rows: rows by table name
    :param tables: tables in the order of the bundle's header
    :return: 64 hexadecimal digits, equal to ``Entry.rows_digest`` for equal rows
    """
    digest = RowsDigest(tables)
    for _line in encode_rows(rows, tables, digest):
        pass
    return digest.hexdigest()


def encode_head(record_id: int, meta: Mapping, blobs: Iterable[BlobEntry]) -> bytes:
    """:return: the first line of a record"""
    blobs = [list(blob) for blob in blobs]
    if not meta and not blobs:
        return b'{"blobs":[],"id":%d,"meta":{}}\n' % record_id
    head = {"id": record_id, "meta": meta, "blobs": blobs}
    return canonical.dumps(head) + b"\n"


def decode_head(line: bytes, record_id: int) -> tuple[dict, list[BlobEntry]]:
    """Read the first line of a record.

    :return: the caller's `meta` and the blobs
    :raise BundleCorrupt: when it is malformed or names another record
    """
    try:
        head = json.loads(line)
        blobs = [BlobEntry(*blob) for blob in head["blobs"]]
        for blob in blobs:
            _check_blob(blob)
        if head["id"] != record_id:
            raise BundleCorrupt(f"record {record_id} says it is {head['id']}")
        return head["meta"], blobs
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise BundleCorrupt(f"the head of record {record_id} is malformed") from error


def _check_blob(blob):
    numbers = blob.ordinal, blob.size, blob.offset, blob.length
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("numbers expected")
    if type(blob.name) is not str:
        raise TypeError("text expected")
    if not all(_DIGEST.fullmatch(text) for text in (blob.sha256, blob.digest)):
        raise ValueError("digest expected")


def encode_end(rows: int) -> bytes:
    """:return: the last line of a record

    :param rows: number of its rows
    """
    return b'{"end":%d}\n' % rows


def decode_row(line: bytes, width: int) -> list[str | None]:
    """Read an encoded row.

    :raise BundleCorrupt: when it is not `width` strings or nulls
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BundleCorrupt("a row is not JSON") from error
    if (
        type(row) is not list
        or len(row) != width
        or not _VALUE_TYPES.issuperset(map(type, row))
    ):
        raise BundleCorrupt(f"a row is not {width} strings or nulls")
    return row


def split_lines(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Cut pieces into lines, each without its line feed.

    :param limit: largest number of bytes of a line
    :raise BundleTooLarge: when a line is longer
    :raise BundleCorrupt: when the last line has no line feed
    """
    rest = []
    size = 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        rest.append(first)
        size += len(first)
        if size > limit:
            raise BundleTooLarge(f"a row takes more than {limit} bytes")
        if others:
            yield b"".join(rest)
            *lines, last = others
            yield from lines
            rest, size = [last], len(last)
    if size:
        raise BundleCorrupt("a record ends in the middle of a line")
