"""Objects as files under one folder, durable and confined to it."""

import contextlib
import errno
import os
import secrets
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

from .. import faults
from .base import ObjectStat, Store
from .errors import ObjectExists, ObjectNotFound, StoreMisconfigured

_TEMPORARY = ".part-"
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)


class LocalStore(Store):
    """Files are written under another name, made durable, then given theirs.

    Needs no package. A part left behind by a crash is no object; see :meth:`sweep`.
    """

    kind = "local"

    def __init__(self, *, database_uuid: str, path: str, roots: Sequence[str]):
        """
        :param path: folder of the store, made if its parent exists
        :param roots: folders that the server's administrator allows; `path` must
            be inside one of them
        :raise StoreMisconfigured: when it is not
        """
        super().__init__(database_uuid=database_uuid)
        if not os.path.isabs(path):
            raise StoreMisconfigured("the folder of a store must be an absolute path")
        self.path = os.path.realpath(path)
        if not any(_is_inside(self.path, os.path.realpath(root)) for root in roots):
            raise StoreMisconfigured(
                f"{path} is not inside a folder that the server allows for stores"
            )

    def describe(self) -> str:
        """:return: the folder as a URL"""
        return f"file://{self.path}"

    def free_space(self) -> int:
        """:return: bytes left for an ordinary user"""
        with self._translated():
            found = os.statvfs(self.path)
            return found.f_bavail * found.f_frsize

    def _sweep(self, older_than):
        removed = 0
        for folder, _folders, names in os.walk(self.path):
            for name in names:
                path = os.path.join(folder, name)
                if name.startswith(_TEMPORARY) and _modified(path) < older_than:
                    os.unlink(path)
                    removed += 1
        return removed

    def _path(self, key):
        path = os.path.realpath(os.path.join(self.path, key))
        # A symbolic link may lead out although the key is harmless.
        if not _is_inside(path, self.path):
            raise StoreMisconfigured(f"{key} leads out of the store")
        return path

    @contextmanager
    def _create(self, key, overwrite):
        path = self._path(key)
        folder = os.path.dirname(path)
        self._make_folders(folder)
        part = os.path.join(folder, _TEMPORARY + secrets.token_hex(8))
        try:
            with open(part, "xb", buffering=0) as out:
                os.fchmod(out.fileno(), 0o600)
                yield _Whole(out)
                faults.point("local.fsync")
                os.fsync(out.fileno())
            faults.point("local.rename")
            if overwrite:
                os.replace(part, path)
            else:
                _rename_new(part, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
            raise
        faults.point("local.fsync_folder")
        _fsync_folder(folder)

    def _open(self, key):
        return open(self._path(key), "rb", buffering=0)

    def _stat(self, key):
        path = self._path(key)
        found = os.stat(path)
        if not os.path.isfile(path):
            raise ObjectNotFound(f"{key} is not an object")
        return ObjectStat(key, found.st_size, _utc(found.st_mtime))

    def _delete(self, key):
        path = self._path(key)
        os.unlink(path)
        _fsync_folder(os.path.dirname(path))

    def _iter_objects(self, prefix):
        for folder, folders, names in os.walk(self.path):
            folders.sort()
            for name in sorted(names):
                key = os.path.relpath(os.path.join(folder, name), self.path)
                if name.startswith(_TEMPORARY) or not key.startswith(prefix):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    yield self._stat(key)

    def _make_folders(self, folder):
        """Make missing folders, each durable in its parent."""
        missing = []
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for path in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
            _fsync_folder(os.path.dirname(path))


class _Whole:
    """Unbuffered file whose writes are never partial."""

    def __init__(self, out):
        self._out = out

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[self._out.write(view) :]


def _rename_new(part, path):
    """Give a file its name unless the name is taken."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise ObjectExists(f"{os.path.basename(path)} exists already") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(part, path)
    else:
        os.unlink(part)


def _fsync_folder(path):
    """Make names in a folder durable: a rename alone may not survive a power cut."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _is_inside(path, root):
    return os.path.commonpath([path, root]) == root


def _modified(path):
    return _utc(os.stat(path).st_mtime)


def _utc(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc)
