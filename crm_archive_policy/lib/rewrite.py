"""Write a bundle again without some of its records, to forget them for good."""

import functools
from collections.abc import Container

from .header import Spec
from .reader import BundleReader
from .records import Blob, Record
from .writer import Summary, write_bundle


def rewrite(
    bundle: BundleReader, out, drop: Container[int], keyring=None, bundle_id=None
) -> Summary:
    """Copy a bundle except for some records.

    The copy has an identity, keys and a dictionary of its own: nothing of the
    records left out remains in it. Records erased by key are left out as well.

    :param bundle: the bundle to copy
    :param out: object with ``write(bytes)``
    :param drop: ids of the records to leave out
    :param keyring: new ring for the copy, None for a copy in the clear
    :param bundle_id: identity of the copy, a new one if None
    :return: what was written
    """
    header = bundle.header
    erased = bundle.keyring.destroyed if bundle.keyring is not None else ()
    kept = [
        ref
        for ref in bundle.index().values()
        if ref.id not in drop and ref.id not in erased
    ]
    identity = {"bundle_id": bundle_id} if bundle_id else {}
    spec = Spec(
        database_uuid=header.database_uuid,
        model=header.model,
        tables=[table._replace(rows=None) for table in header.tables],
        records=len(kept),
        producer=header.producer,
        limits=dict(header.limits),
        **identity,
    )
    return write_bundle(
        out, spec, (_copy(bundle, ref) for ref in kept), keyring=keyring
    )


def _copy(bundle, ref) -> Record:
    source = bundle.record(ref)
    blobs = [
        Blob(blob.name, functools.partial(source.open_blob, blob))
        for blob in source.blobs
    ]
    return Record(source.id, _Rows(source), blobs, source.meta)


class _Rows:
    """Rows of a record by table, streamed: the writer asks in the file's order."""

    def __init__(self, record):
        self._lines = record.lines()
        self._names = {table.name for table in record.bundle.header.tables}
        self._next = next(self._lines, None)

    def keys(self):
        return self._names

    def get(self, name, _default=()):
        while self._next is not None and self._next[0] == name:
            line = self._next[1]
            self._next = next(self._lines, None)
            yield line
