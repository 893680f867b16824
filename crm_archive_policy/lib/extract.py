"""Turn a bundle into files that anything can read."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator

from . import canonical
from .errors import BundleError
from .reader import BundleReader

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def extract_jsonl(
    bundle: BundleReader, folder: str, record_ids: Iterable[int] | None = None
) -> Iterator[tuple[int, BundleError | None]]:
    """Write records as JSON Lines and blobs as files, in bounded memory.

    ``records.jsonl`` has a line for each row, ``{"record", "table", "row"}``, after
    one with the record's ``meta`` and one for each blob, which names its file below
    ``attachments/``. Lines of a record that turns out damaged stay in the file and
    are followed by ``{"record", "error"}``.

    :param bundle: the bundle
    :param folder: made if missing; a file in the way is never overwritten
    :param record_ids: which records, all if None
    :return: each record's id and what was wrong with it
    :raise FileExistsError: when the folder holds an extract already
    """
    os.makedirs(folder, exist_ok=True)
    if record_ids is None:
        record_ids = list(bundle.index())
    with open(os.path.join(folder, "records.jsonl"), "xb") as out:
        for record_id in record_ids:
            try:
                for line in _lines(bundle, record_id, folder):
                    out.write(canonical.dumps({"record": record_id, **line}) + b"\n")
            except BundleError as error:
                trouble = f"{type(error).__name__}: {error}"
                line = {"record": record_id, "error": trouble}
                out.write(canonical.dumps(line) + b"\n")
                yield record_id, error
            else:
                yield record_id, None


def _lines(bundle, record_id, folder):
    record = bundle.record(record_id)
    columns = {
        table.name: [name for name, _kind in table.columns]
        for table in bundle.header.tables
    }
    yield {"meta": record.meta}
    for blob in record.blobs:
        name = blob_file_name(record_id, blob)
        os.makedirs(os.path.join(folder, "attachments"), exist_ok=True)
        path = os.path.join(folder, "attachments", name)
        with record.open_blob(blob) as source, open(path, "xb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        yield {
            "blob": {
                "name": blob.name,
                "file": f"attachments/{name}",
                "size": blob.size,
                "sha256": blob.sha256,
            }
        }
    for table, row in record.iter_rows():
        yield {"table": table, "row": dict(zip(columns[table], row, strict=True))}


def blob_file_name(record_id: int, blob) -> str:
    """:return: a name that is unique, short, and means nothing to any file system"""
    return f"{record_id}-{blob.ordinal}-{safe_name(blob.name)}"


def safe_name(name: str) -> str:
    """:return: a name that no file system and no shell takes for anything else"""
    return _UNSAFE.sub("_", name).strip("._")[-80:] or "blob"
