"""Records and bundles for the tests."""

import functools
import io
import random
from pathlib import Path

from lib.bundle import (
    Blob,
    BundleReader,
    Keyring,
    MasterKeys,
    Record,
    Spec,
    Table,
    write_bundle,
)

ADDON = str(Path(__file__).resolve().parents[2] / "crm_archive_policy")
DATABASE = "6f1c2a52-0000-4000-8000-000000000001"
MASTERS = MasterKeys({"k1": bytes(range(32)), "k2": bytes(range(32, 64))})

TABLES = [
    Table("crm_lead", (("id", "integer"), ("name", "text"), ("color", "integer"))),
    Table("mail_message", (("id", "integer"), ("body", "text"))),
    Table("crm_tag_rel", (("lead_id", "integer"), ("tag_id", "integer"))),
]

#: Everything that PostgreSQL may print and that has broken somebody's archive before.
HOSTILE = [
    None,
    "",
    " ",
    "null",
    "NULL",
    "\\N",
    "\\",
    '"',
    "\\u0041",
    "a\nb\r\n\tc\x0b\x0c\x08",
    "\x01\x1f\x7f\x80\x85\u2028\u2029\ufeff",
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "\u202eעברית العربية\u202c",
    "e\u0301 é",
    "\ud800",
    "a\udfffb",
    "\udfff\ud800",
    "NaN",
    "Infinity",
    "-Infinity",
    "7784.00",
    "0.1000000000000000055511151231257827",
    "1e-320",
    "2024-03-31 02:30:00.123456",
    "infinity",
    "{}",
    '{"a": "b"}',
    "[1,2]",
    "\\x00ff",
    "'; DROP TABLE crm_lead; --",
    "0",
    "x" * 300_000,
]


def spec(**values) -> Spec:
    return Spec(DATABASE, "crm.lead", values.pop("tables", TABLES), **values)


def blob(name, data) -> Blob:
    return Blob(name, functools.partial(io.BytesIO, data))


def simple(record_id, text="hello", blobs=()) -> Record:
    rows = {
        "crm_lead": [[str(record_id), text, None]],
        "mail_message": [["1", "<p>one</p>"], ["2", ""]],
    }
    return Record(record_id, rows, blobs, {"note": text})


def like_real(count, seed=1):
    """Records that look alike, as they do in life."""
    numbers = random.Random(seed)
    words = "offer price delivery project meeting demo contract budget phone".split()
    for record_id in range(1, count + 1):
        text = " ".join(numbers.choices(words, k=12))
        rows = {
            "crm_lead": [[str(record_id), text, "0"]],
            "mail_message": [
                [str(numbers.randrange(10**6)), f"<p>Dear customer, {text}</p>"]
                for _number in range(4)
            ],
        }
        yield Record(record_id, rows)


def new_keyring(bundle_spec, key_id="k1", masters=MASTERS) -> Keyring:
    return Keyring(bundle_spec.bundle_id, bundle_spec.database_uuid, key_id, masters)


def write(records, encrypted=False, out=None, bundle_spec=None, **options):
    """:return: the bundle's bytes, its summary and its key ring"""
    bundle_spec = bundle_spec or spec()
    keyring = new_keyring(bundle_spec) if encrypted else None
    out = out or io.BytesIO()
    summary = write_bundle(out, bundle_spec, records, keyring=keyring, **options)
    data = out.getvalue() if isinstance(out, io.BytesIO) else None
    return data, summary, keyring


def reader(data, **options) -> BundleReader:
    return BundleReader(io.BytesIO(data), **options)


def reloaded(keyring, masters=MASTERS):
    """:return: the ring as it comes back from where it was stored"""
    return Keyring.loads(keyring.dumps(), masters) if keyring else None


class Endless(io.RawIOBase):
    """A file of pseudo-random or constant bytes that is never in memory."""

    def __init__(self, size, seed=None):
        self._left = size
        self._numbers = None if seed is None else random.Random(seed)

    def read(self, size=-1):
        size = min(self._left, 1 << 18 if size < 0 else size)
        self._left -= size
        return self._numbers.randbytes(size) if self._numbers else bytes(size)


def small(encrypted, compression="zlib", **options):
    """A small bundle with two records, a blob and a dictionary."""
    records = [simple(1, blobs=[blob("b", b"abc")]), simple(2)]
    return write(
        records, encrypted, compression=compression, dictionary=b"hello one", **options
    )
