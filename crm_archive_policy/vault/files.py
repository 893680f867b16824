"""The files of attachments: read with their digest checked, written durably."""

import contextlib
import hashlib
import io
import os
import re
import tempfile

from odoo.tools import SQL

from ..lib import faults
from ..lib.bundle import Blob

_SHA1 = re.compile("[0-9a-f]{40}")
_BLOCK = 1 << 20


class FileDamaged(Exception):
    """The file of an attachment is missing, or not what its row says."""

    def __init__(self, root: int, attachment_id: int):
        """
        :param root: the record it belongs to
        :param attachment_id: the attachment
        """
        super().__init__(f"attachment {attachment_id}")
        self.root, self.attachment_id = root, attachment_id


class _Checked(io.RawIOBase):
    """A file that raises at its end when it is not what it should be."""

    def __init__(self, source, size, sha1, damaged):
        self._source, self._left, self._sha1 = source, size, sha1
        self._hash, self._damaged = hashlib.sha1(usedforsecurity=False), damaged

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._source.read(len(buffer))
        self._hash.update(data)
        self._left -= len(data)
        if not data:
            wrong = self._sha1 and self._hash.hexdigest() != self._sha1
            if self._left or wrong:
                raise self._damaged
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        self._source.close()
        super().close()


def find_files(env, found) -> dict[int, list[Blob]]:
    """Return the files of the attachments among found rows.

    :param found: :class:`.capture.Found`
    :return: ``{record id: blobs}``, each named by the id of its attachment
    """
    roots, ids = found.pairs("ir_attachment")
    if not ids:
        return {}
    rows = env.execute_query(
        SQL(
            "SELECT x.root, a.id, a.store_fname, a.file_size, a.checksum"
            " FROM unnest(%s::bigint[], %s::bigint[]) x(root, id)"
            " JOIN ir_attachment a ON a.id = x.id"
            " WHERE a.store_fname IS NOT NULL ORDER BY a.id",
            roots,
            ids,
        )
    )
    blobs = {}
    for root, attachment_id, fname, size, checksum in rows:
        opener = _Opener(env, root, attachment_id, fname, size, checksum)
        blobs.setdefault(root, []).append(Blob(str(attachment_id), opener))
    return blobs


class _Opener:
    """Opens one attachment's file when the bundle is about to take it in."""

    def __init__(self, env, root, attachment_id, fname, size, checksum):
        self._attachments = env["ir.attachment"].sudo()
        self._damaged = FileDamaged(root, attachment_id)
        self._fname, self._size = fname, size
        # Where the row does not tell, core's file name does.
        sha1 = checksum or os.path.basename(fname)
        self._sha1 = sha1 if _SHA1.fullmatch(sha1) else None

    def __call__(self):
        path = self._attachments._full_path(self._fname)
        try:
            size = os.path.getsize(path)
            source = open(path, "rb")  # noqa: SIM115 - closed by the writer
        except OSError:
            # Kept elsewhere by another module; core's own answer is empty then.
            data = self._attachments._file_read(self._fname)
            if not data:
                raise self._damaged from None
            size, source = len(data), io.BytesIO(data)
        if self._size is not None and size != self._size:
            source.close()
            raise self._damaged
        return io.BufferedReader(_Checked(source, size, self._sha1, self._damaged))


def release_files(env, ids):
    """Let the garbage collection look at the files of attachments that are deleted.

    It removes a file only when no row refers to it any more, so this is harmless
    whatever becomes of the transaction.

    :param ids: ids of attachments, before their rows are deleted
    """
    attachments = env["ir.attachment"].sudo()
    rows = env.execute_query(
        SQL(
            "SELECT DISTINCT store_fname FROM ir_attachment"
            " WHERE id = ANY(%s) AND store_fname IS NOT NULL",
            list(ids),
        )
    )
    for (fname,) in rows:
        attachments._file_delete(fname)


def restore_file(env, reader, blob):
    """Write the file of an attachment whose row is inserted in this transaction.

    The row comes first: the garbage collection waits for its lock on the table, and
    sees the row afterwards.

    :param reader: the record
    :param blob: its :class:`~..lib.bundle.BlobEntry`
    """
    attachments = env["ir.attachment"].sudo()
    rows = env.execute_query(
        SQL(
            "SELECT store_fname, checksum FROM ir_attachment WHERE id = %s",
            int(blob.name),
        )
    )
    if not rows or not rows[0][0]:
        return
    fname, checksum = rows[0]
    path = attachments._full_path(fname)
    if "://" in fname:
        # Another module's storage: it takes the bytes in its own way.
        with reader.open_blob(blob) as source:
            attachments._file_write(source.read(), checksum)
        return
    if _is_intact(path, blob):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # Should this transaction fail, the file has no row and is collected.
    attachments._mark_for_gc(fname)
    faults.point("restore: file due")
    _write_durably(path, reader, blob)
    faults.point("restore: file written")


def _is_intact(path, blob):
    """Tell whether the file is there and holds what the bundle holds."""
    digest, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as source:
            while data := source.read(_BLOCK):
                digest.update(data)
                size += len(data)
    except OSError:
        return False
    return (size, digest.hexdigest()) == (blob.size, blob.sha256)


def _write_durably(path, reader, blob):
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb") as out, reader.open_blob(blob) as source:
            while data := source.read(_BLOCK):
                out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
