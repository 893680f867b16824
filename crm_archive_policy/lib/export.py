"""Records out of bundles as one zip that anything can read, see docs/export-format.md.

Rows go through files on the disk, so that an export of any size takes little memory.
"""

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable

from . import canonical
from .extract import safe_name
from .reader import RecordReader

FORMAT = 1

_README = """\
Records exported from an archive of Odoo, as they were when they left its tables.

manifest.json     what this file holds, and what could not be read
index.csv         one line a record: name, model, number, dates
records.jsonl     one line of JSON for each row of each table, record by record
tables/*.csv      the same rows, one file a table; NULL is an empty field, an empty
                  text is ""; the first column is the number of the record
files.csv         the attachments: which record, which name, which file
attachments/...   their bytes

All values are texts as PostgreSQL prints them; times are UTC.
"""


class ExportZip:
    """Writes records into a zip; a record that is damaged leaves nothing in it."""

    def __init__(
        self, out, *, jsonl: bool = True, csv: bool = True, blobs: bool = True
    ):
        """
        :param out: writable, seekable binary file
        :param jsonl: with ``records.jsonl``
        :param csv: with a CSV file for each table
        :param blobs: with the bytes of attachments
        """
        self._jsonl, self._csv, self._blobs = jsonl, csv, blobs
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        self._folder = tempfile.TemporaryDirectory()
        self._files, self._names = {}, {}
        #: Records in the zip, by model.
        self.counts = {}
        #: Records that could not be read: ``{"model", "record", "error"}``.
        self.errors = []

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        for file in self._files.values():
            file.close()
        self._folder.cleanup()
        if kind:
            self._zip.fp = None  # a broken zip is not completed
        self._zip.close()

    def add(self, model: str, open_record: Callable[[], RecordReader], digest=None):
        """Add a record.

        It is read twice: only what has been proven to its end is written.

        :param model: its model
        :param open_record: returns a fresh reader of the record
        :param digest: of its rows, when the caller knows it
        :return: whether the rows are those of `digest`
        :raise BundleError: when it is damaged; nothing of it is in the zip then
        """
        record = open_record()
        for _table, _line in record.lines():
            pass
        if digest not in (None, record.rows_digest):
            return False
        blobs = self._spool_blobs(record) if self._blobs else []
        try:
            names = self._add_rows(model, open_record())
            for blob, path in blobs:
                self._add_blob(model, record.id, blob, path, names)
        finally:
            for _blob, path in blobs:
                os.unlink(path)
        self.counts[model] = self.counts.get(model, 0) + 1
        return True

    def add_index(self, values: dict[str, str | None]):
        """Add a line to ``index.csv``.

        :param values: texts by column, the same columns each time
        """
        self._write_csv("index.csv", list(values), values.values())

    def refuse(self, model: str, record_id: int, error: str):
        """Note a record that could not be read."""
        self.errors.append({"model": model, "record": record_id, "error": error})

    def close(self, about: dict):
        """Complete the zip.

        :param about: JSON values for the manifest
        """
        for name, file in self._files.items():
            file.close()
            self._zip.write(file.name, name)
        manifest = {
            "format": FORMAT,
            **about,
            "records": self.counts,
            "errors": self.errors,
        }
        self._zip.writestr("README.txt", _README)
        self._zip.writestr(
            "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False)
        )

    # -- rows --------------------------------------------------------------------

    def _add_rows(self, model, record):
        columns = {
            table.name: [name for name, _kind in table.columns]
            for table in record.bundle.header.tables
        }
        self._write_json(model, record.id, {"meta": record.meta})
        names = {}
        for table, row in record.iter_rows():
            values = dict(zip(columns[table], row, strict=True))
            self._write_json(model, record.id, {"table": table, "row": values})
            if self._csv:
                name = self._table_file(table, tuple(columns[table]))
                header = ["record", *columns[table]]
                self._write_csv(name, header, [str(record.id), *row])
            if table == "ir_attachment":
                names[values.get("id")] = values
        return names

    def _write_json(self, model, record_id, values):
        if self._jsonl:
            line = {"model": model, "record": record_id, **values}
            self._get_file("records.jsonl").write(canonical.dumps(line) + b"\n")

    def _table_file(self, table, columns):
        """Return a table's file; bundles from another time may have other columns."""
        known = self._names.setdefault(table, [])
        if columns not in known:
            known.append(columns)
        number = known.index(columns) + 1
        return f"tables/{safe_name(table)}{f'.{number}' if number > 1 else ''}.csv"

    def _write_csv(self, name, header, values):
        if name not in self._files:
            self._get_file(name).write(_csv_line(header))
        self._get_file(name).write(_csv_line(values))

    def _get_file(self, name):
        if name not in self._files:
            path = os.path.join(self._folder.name, str(len(self._files)))
            self._files[name] = open(path, "xb")  # noqa: SIM115 - closed at the end
        return self._files[name]

    # -- blobs -------------------------------------------------------------------

    def _spool_blobs(self, record):
        """Copy the blobs to the disk, which proves them."""
        spooled = []
        try:
            for blob in record.blobs:
                handle, path = tempfile.mkstemp(dir=self._folder.name)
                spooled.append((blob, path))
                with os.fdopen(handle, "wb") as out, record.open_blob(blob) as source:
                    shutil.copyfileobj(source, out, 1 << 20)
        except BaseException:
            for _blob, path in spooled:
                os.unlink(path)
            raise
        return spooled

    def _add_blob(self, model, record_id, blob, path, names):
        row = names.get(blob.name, {})
        file = blob_path(model, record_id, {"id": blob.name, **row})
        self._zip.write(path, file)
        known = {
            "model": model,
            "record": str(record_id),
            "attachment": blob.name,
            "name": row.get("name"),
            "mimetype": row.get("mimetype"),
            "file": file,
            "size": str(blob.size),
            "sha256": blob.sha256,
        }
        self._write_csv("files.csv", list(known), known.values())
        self._write_json(
            model,
            record_id,
            {"blob": {key: known[key] for key in ("attachment", "file", "sha256")}},
        )


def blob_path(model: str, record_id: int, row: dict[str, str | None]) -> str:
    """Return where the bytes of an attachment are in the zip.

    :param row: of ``ir_attachment``
    """
    number, name = safe_name(str(row["id"])), safe_name(row.get("name") or row["id"])
    return f"attachments/{safe_name(model)}/{record_id}/{number}-{name}"


def _csv_line(values: Iterable[str | None]) -> bytes:
    """Encode a line as COPY does: NULL and an empty text differ."""
    fields = ("" if v is None else '"' + v.replace('"', '""') + '"' for v in values)
    # Lone surrogates come from JSON only, and stay readable.
    return (",".join(fields) + "\r\n").encode(errors="backslashreplace")
