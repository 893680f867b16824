"""The bundle: records in separate storage, each readable and provable alone.

This is the public face of the codec; the byte format is written down in
docs/bundle-format.md. Writing::

    keyring = Keyring(spec.bundle_id, spec.database_uuid, masters.current, masters)
    summary = write_bundle(out, spec, records, keyring=keyring)

Reading::

    bundle = BundleReader(source, Expect(bundle_id=…), keyring)
    for table, row in bundle.record(entry).iter_rows(): …
"""

from .crypto import Keyring, MasterKeys
from .errors import (
    BundleCorrupt,
    BundleError,
    BundleForeign,
    BundleKeyDestroyed,
    BundleKeyError,
    BundleTooLarge,
    BundleTruncated,
    BundleUnsupported,
)
from .header import FORMAT, Expect, Header, Spec, keyring_key, object_key
from .reader import BundleReader, RecordReader, Ref
from .records import Blob, BlobEntry, Record, Table, encode_row, rows_digest
from .rewrite import rewrite
from .verify import Report, verify
from .writer import BundleWriter, Entry, Summary, write_bundle

__all__ = [
    "FORMAT",
    "Blob",
    "BlobEntry",
    "BundleCorrupt",
    "BundleError",
    "BundleForeign",
    "BundleKeyDestroyed",
    "BundleKeyError",
    "BundleReader",
    "BundleTooLarge",
    "BundleTruncated",
    "BundleUnsupported",
    "BundleWriter",
    "Entry",
    "Expect",
    "Header",
    "Keyring",
    "MasterKeys",
    "Record",
    "RecordReader",
    "Ref",
    "Report",
    "Spec",
    "Summary",
    "Table",
    "encode_row",
    "keyring_key",
    "object_key",
    "rewrite",
    "rows_digest",
    "verify",
    "write_bundle",
]
