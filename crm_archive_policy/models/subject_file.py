"""What there is about one person, as a zip that people and machines read."""

import io
import json
import shutil
import zipfile

from ..lib.extract import safe_name

FORMAT = 1

#: Bytes of a file held in memory at once.
BLOCK = 1 << 18


def _open_attachment(attachment):
    """Return the content of an attachment, open; a large file is not read at once.

    :param attachment: ``ir.attachment`` that the user may read
    """
    if attachment.store_fname:
        return open(attachment._full_path(attachment.store_fname), "rb")  # noqa: SIM115 - the caller closes it
    return io.BytesIO(attachment.raw or b"")


class SubjectFile:
    """Collects records into ``data.json``, their files beside it."""

    def __init__(self, out):
        """
        :param out: writable, seekable binary file
        """
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        self.records, self.elsewhere = [], []

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        if kind:
            self._zip.fp = None  # a broken zip is not completed
        self._zip.close()

    def _start(self, path):
        """Begin a file whose size is not known, and may be over 2 GiB."""
        return self._zip.open(path, "w", force_zip64=True)

    def add_attachment(self, attachment):
        """Add the bytes of an attachment.

        :param attachment: ``ir.attachment`` that the user may read
        :return: JSON values that name it
        """
        model = safe_name(attachment.res_model or "")
        number = f"{attachment.id}-{safe_name(attachment.name or '')}"
        values = {"name": attachment.name, "mimetype": attachment.mimetype}
        if attachment.type == "url":
            return {**values, "url": attachment.url}
        path = f"attachments/{model}/{attachment.res_id}/{number}"
        with _open_attachment(attachment) as data, self._start(path) as out:
            shutil.copyfileobj(data, out, BLOCK)
        return {**values, "size": attachment.file_size, "file": path}

    def add_zip(self, folder, file):
        """Take over the files of another zip, one by one.

        :param str folder: where they go
        :param file: the other zip, open
        """
        with zipfile.ZipFile(file) as source:
            for info in source.infolist():
                target = f"{folder}/{info.filename}"
                with source.open(info) as data, self._start(target) as out:
                    shutil.copyfileobj(data, out, BLOCK)

    def close(self, about, cover):
        """Complete the zip.

        :param dict about: JSON values for the head of ``data.json``
        :param str cover: HTML
        """
        data = {
            "format": FORMAT,
            **about,
            "records": self.records,
            "elsewhere": self.elsewhere,
        }
        text = json.dumps(data, indent=2, ensure_ascii=False, default=str)
        # Lone surrogates come from JSON only, and stay readable.
        self._zip.writestr("data.json", text.encode(errors="backslashreplace"))
        self._zip.writestr("index.html", cover.encode(errors="backslashreplace"))
