"""What a store is: named objects, written whole or not at all.

To add a kind of store, subclass :class:`Store`, give it a `kind`, and write the
methods marked as such; :func:`register` makes it known by its name.
"""

import contextlib
import io
import json
import re
import secrets
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from .. import canonical, faults
from .errors import (
    ObjectExists,
    ObjectNotFound,
    StoreError,
    StoreForeign,
    StoreMisconfigured,
    StoreReadonly,
    classify,
)

#: Bytes moved at a time.
BLOCK = 1 << 20

#: Bytes read beyond what was asked: frames of small records lie side by side.
READ_AHEAD = 64 << 10

#: Says which database the store belongs to.
MARKER = "crm-archive-store.json"

_HEALTH_PREFIX = "health/"

# Nothing a file system or a person could stumble over, and nothing personal: keys
# are made of digests and uuids.
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}(/[a-z0-9][a-z0-9._-]{0,127}){0,7}")

#: Reads a file to its end; raises when it is not what it should be.
Verify = Callable[[BinaryIO], object]

_KINDS: dict[str, type["Store"]] = {}


@dataclass(frozen=True)
class ObjectStat:
    """What a store says of an object."""

    key: str
    size: int
    #: Last change, in UTC.
    modified: datetime


@dataclass(frozen=True)
class Health:
    """Result of writing, reading and deleting a small object."""

    ok: bool
    message: str = ""
    #: Name of the error's class when it is not ok.
    error: str = ""
    seconds: float = 0.0
    free_bytes: int | None = None


def register(cls: type["Store"]) -> type["Store"]:
    """Make a kind of store known by its `kind` (class decorator)."""
    _KINDS[cls.kind] = cls
    return cls


def kinds() -> dict[str, type["Store"]]:
    """:return: every kind of store by name"""
    return dict(_KINDS)


def open_store(kind: str, *, database_uuid: str, **config: Any) -> "Store":
    """Open a store of any kind.

    :param kind: ``database``, ``postgres``, ``fsspec``, or what was registered
    :param database_uuid: the database on whose behalf it is used
    :param config: what the kind's class takes
    :raise StoreMisconfigured: when the kind is unknown or the values make no sense
    """
    if kind not in _KINDS:
        raise StoreMisconfigured(f"unknown kind of store {kind!r}")
    return _KINDS[kind](database_uuid=database_uuid, **config)


def check_key(key: str) -> str:
    """Refuse a key that could leave the store or upset a file system.

    :return: the key
    :raise StoreMisconfigured: when it is not lower-case words joined by slashes
    """
    if not _is_key(key):
        raise StoreMisconfigured(f"{key!r} is not a valid object key")
    return key


def _is_key(key):
    return bool(_KEY.fullmatch(key)) and ".." not in key


class Store(ABC):
    """Named objects that are written whole or not at all."""

    kind = ""
    #: Whether another database could reach it, so that it needs a marker.
    shared = True
    #: Set by whoever opens the store, to refuse every write and delete.
    readonly = False

    def __init__(self, *, database_uuid: str):
        """:param database_uuid: the database on whose behalf the store is used"""
        self.database_uuid = database_uuid
        self._is_ours = False

    def __repr__(self):
        return f"<{type(self).__name__} {self.describe()}>"

    # -- to be written by each kind ------------------------------------------------

    @abstractmethod
    def describe(self) -> str:
        """:return: where the store is, without any secret"""

    @abstractmethod
    def _create(self, key: str, overwrite: bool):
        """Context manager giving a binary file for writing.

        Leaving it makes the object durable and visible at once; leaving it by an
        exception leaves the store as it was.
        """

    @abstractmethod
    def _open(self, key: str) -> BinaryIO:
        """:return: a seekable binary file"""

    @abstractmethod
    def _stat(self, key: str) -> ObjectStat:
        """:raise ObjectNotFound: when there is no such object"""

    @abstractmethod
    def _delete(self, key: str):
        """:raise ObjectNotFound: when there is no such object"""

    @abstractmethod
    def _iter_objects(self, prefix: str) -> Iterator[ObjectStat]:
        """:return: objects whose key starts with `prefix`, in any order"""

    @contextmanager
    def _translated(self):
        """Turn errors of the system and of libraries into :class:`StoreError`.

        Nothing of the original survives but its text with secrets blotted out:
        causes and contexts end up in logs.
        """
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  libraries raise what they like
            kind = classify(error)
            text = self._redact(f"{type(error).__name__}: {error}".strip())
            raise kind(f"{self.describe()}: {text}") from None

    def _redact(self, text: str) -> str:
        """:return: `text` without the store's secrets"""
        return text

    def free_space(self) -> int | None:
        """:return: bytes left, None when the store cannot tell"""
        return None

    def close(self):  # noqa: B027  most kinds hold nothing
        """Let go of connections; the store may be used again afterwards."""

    def _sweep(self, older_than: datetime) -> int:
        """:return: number of half-written parts removed; most kinds leave none"""
        return 0

    # -- what everybody uses -------------------------------------------------------

    @contextmanager
    def create(self, key: str, overwrite: bool = False) -> Iterator["Writer"]:
        """Write an object by parts.

        :param key: name of the object
        :param overwrite: replace an existing object
        :return: object with ``write(bytes)``; the object exists once the context
            is left, and only then. What the caller raises inside passes unchanged
        :raise StoreForeign: when the store belongs to another database
        :raise StoreReadonly: when writing is switched off
        :raise ObjectExists: when it exists and is not to be replaced
        """
        check_key(key)
        self._claim()
        faults.point("store.create")
        with self._translated():
            manager = self._create(key, overwrite)
            if not overwrite and self._exists(key):
                raise ObjectExists(f"{key} exists already")
            writer = Writer(manager.__enter__(), self._translated)
        try:
            yield writer
            writer.flush()
        except BaseException:
            # The trouble itself matters, not what giving up may add to it.
            with contextlib.suppress(StoreError), self._translated():
                manager.__exit__(*sys.exc_info())
            raise
        faults.point("store.written")
        with self._translated():
            manager.__exit__(None, None, None)
        faults.point("store.committed")

    def put(
        self, key: str, source: BinaryIO | bytes, overwrite: bool = False
    ) -> ObjectStat:
        """Write an object from a file, in bounded memory.

        :param source: bytes, or a binary file read up to its end
        :return: what the store says of it, asked anew
        :raise StoreError: when it is not there, or not as long, afterwards
        """
        if isinstance(source, bytes):
            source = io.BytesIO(source)
        size = 0
        with self.create(key, overwrite) as out:
            while block := source.read(BLOCK):
                out.write(block)
                size += len(block)
        return self._check_arrived(key, size)

    def open(self, key: str, verify: Verify | None = None) -> BinaryIO:
        """Open an object for reading.

        :param key: name of the object
        :param verify: reads the whole file first, and raises what is wrong with it
        :return: a seekable binary file, to be closed
        :raise ObjectNotFound: when there is no such object
        """
        check_key(key)
        with self._translated():
            reader = _Reader(self._open(key), self._translated)
        source = io.BufferedReader(reader, READ_AHEAD)
        if verify is not None:
            try:
                verify(source)
                source.seek(0)
            except BaseException:
                source.close()
                raise
        return source

    def check(self, key: str, verify: Verify) -> list:
        """Check every copy of an object.

        :param verify: reads the whole file and raises what is wrong with it
        :return: what was not in order and has been healed; only a mirror can
        """
        self.open(key, verify).close()
        return []

    def get(self, key: str, limit: int = 64 << 20) -> bytes:
        """Read a small object at once.

        :param limit: largest size in bytes
        :raise StoreError: when it is larger
        """
        with self.open(key) as source:
            data = source.read(limit + 1)
        if len(data) > limit:
            raise StoreError(f"{key} is larger than {limit} bytes")
        return data

    def stat(self, key: str) -> ObjectStat:
        """:return: size and time of an object

        :raise ObjectNotFound: when there is no such object
        """
        check_key(key)
        with self._translated():
            return self._stat(key)

    def exists(self, key: str) -> bool:
        """:return: whether there is such an object"""
        check_key(key)
        with self._translated():
            return self._exists(key)

    def delete(self, key: str):
        """Delete an object.

        :raise ObjectNotFound: when there is no such object
        :raise StoreForeign: when the store belongs to another database
        """
        check_key(key)
        self._claim()
        with self._translated():
            faults.point("store.delete")
            self._delete(key)
            faults.point("store.deleted")

    def iter_objects(self, prefix: str = "") -> Iterator[ObjectStat]:
        """List what the store holds, the store's own objects and strangers left out.

        :param prefix: beginning of the keys
        """
        with self._translated():
            for stat in self._iter_objects(prefix):
                own = stat.key == MARKER or stat.key.startswith(_HEALTH_PREFIX)
                if not own and _is_key(stat.key):
                    yield stat

    def sweep(self, older_than: datetime) -> int:
        """Remove what crashes have left half-written, which is no object yet.

        :param older_than: UTC; younger parts may still be growing
        :return: number of parts removed
        :raise StoreForeign: when the store belongs to another database
        """
        self._claim()
        with self._translated():
            return self._sweep(older_than)

    def health(self) -> Health:
        """Write, read back and delete a small object.

        :return: the outcome; never raises for what is wrong with the store
        """
        start = time.monotonic()
        try:
            self._probe()
            return Health(
                True,
                seconds=time.monotonic() - start,
                free_bytes=self.free_space(),
            )
        except StoreError as error:
            return Health(
                False,
                str(error),
                type(error).__name__,
                seconds=time.monotonic() - start,
            )

    def owner(self) -> str | None:
        """:return: uuid of the database that the store belongs to, None if new"""
        with self._translated():
            return self._owner()

    def adopt(self):
        """Take the store over from the database it belonged to.

        For a database that has been given a new uuid, for instance by restoring
        it as a copy that becomes the real one. A person's decision.

        :raise StoreReadonly: when writing is switched off
        """
        self._check_not_readonly()
        with self._translated(), self._create(MARKER, True) as out:
            out.write(canonical.dumps({"database_uuid": self.database_uuid}))
        self._is_ours = True

    # -- helpers -------------------------------------------------------------------

    def _check_arrived(self, key, size) -> ObjectStat:
        """Ask for an object that has just been written."""
        stat = self.stat(key)
        if stat.size != size:
            raise StoreError(f"{key} has {stat.size} bytes after writing {size}")
        return stat

    def _exists(self, key):
        try:
            with self._translated():
                self._stat(key)
        except ObjectNotFound:
            return False
        return True

    def _owner(self):
        try:
            with self._translated(), self._open(MARKER) as source:
                marker = source.read(4096)
            return json.loads(marker)["database_uuid"]
        except ObjectNotFound:
            return None
        except (ValueError, LookupError, TypeError) as error:
            raise StoreMisconfigured(f"{MARKER} is damaged") from error

    def _check_not_readonly(self):
        if self.readonly:
            raise StoreReadonly(f"{self.describe()} is switched to read-only")

    def _claim(self):
        """Make the store ours, or refuse to write to another database's."""
        self._check_not_readonly()
        if self._is_ours or not self.shared:
            return
        with self._translated():
            owner = self._owner()
            if owner is None:
                marker = canonical.dumps({"database_uuid": self.database_uuid})
                with contextlib.suppress(ObjectExists):
                    with self._create(MARKER, False) as out:
                        out.write(marker)
                # Read again: of two that claim at once, one must lose.
                owner = self._owner()
        if owner != self.database_uuid:
            raise StoreForeign(
                f"the store belongs to database {owner}: this one may read it only"
            )
        self._is_ours = True

    def _probe(self):
        key = f"{_HEALTH_PREFIX}{secrets.token_hex(8)}"
        data = secrets.token_bytes(64)
        self.put(key, data)
        try:
            if self.get(key) != data:
                raise StoreError("the store gives back other bytes than it was given")
        finally:
            with contextlib.suppress(ObjectNotFound):
                self.delete(key)


class Writer:
    """Gathers what is written into blocks; their troubles are told like all others."""

    def __init__(self, out, translated):
        """
        :param out: the store's own file
        :param translated: the store's translation of errors
        """
        self._out, self._translated = out, translated
        self._buffer = bytearray()

    def write(self, data: bytes) -> int:
        """:return: number of bytes taken, all of them"""
        self._buffer += data
        while len(self._buffer) >= BLOCK:
            self._pass_on(BLOCK)
        return len(data)

    def flush(self):
        """Pass on what has been gathered."""
        if self._buffer:
            self._pass_on(len(self._buffer))

    def _pass_on(self, size):
        faults.point("store.write")
        with self._translated():
            self._out.write(bytes(self._buffer[:size]))
        del self._buffer[:size]


class _Reader(io.RawIOBase):
    """A store's file whose troubles while reading are told like all others."""

    def __init__(self, source, translated):
        self._source, self._translated = source, translated

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        with self._translated():
            return self._source.seek(offset, whence)

    def tell(self):
        return self._source.tell()

    def readinto(self, buffer):
        with self._translated():
            data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        if not self.closed:
            self._source.close()
        super().close()


def copy(source: Store, key: str, target: Store, overwrite: bool = False) -> ObjectStat:
    """Copy an object from one store to another, in bounded memory.

    :return: what the target says of it
    """
    with source.open(key) as stream:
        return target.put(key, stream, overwrite)
