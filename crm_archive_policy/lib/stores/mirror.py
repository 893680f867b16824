"""Two stores as one: written when both hold it, healed from each other."""

import contextlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import BundleCorrupt, BundleForeign
from .base import Health, Store, Verify, copy
from .errors import ObjectNotFound, StoreError

#: What makes it worth looking at the other side; a wrong key, for one, does not.
_TROUBLES = StoreError, BundleCorrupt, BundleForeign
#: What makes a copy worth replacing.
_KNOWN_BAD = ObjectNotFound, BundleCorrupt, BundleForeign


@dataclass(frozen=True)
class Healed:
    """An object that one side had lost or damaged."""

    key: str
    #: Description of the store that had the trouble.
    store: str
    #: What the trouble was.
    reason: str
    #: False when the copy could be read from the other side but not put back.
    repaired: bool = True


class Mirror(Store):
    """A store with a second copy of everything in another store."""

    kind = "mirror"

    def __init__(
        self,
        first: Store,
        second: Store,
        on_heal: Callable[[Healed], None] = lambda healed: None,
    ):
        """
        :param first: where reading starts
        :param second: the mirror
        :param on_heal: told of each object that was not in order
        """
        super().__init__(database_uuid=first.database_uuid)
        self.first, self.second, self._on_heal = first, second, on_heal

    def describe(self) -> str:
        """:return: both places"""
        return f"{self.first.describe()} mirrored to {self.second.describe()}"

    # -- writing -----------------------------------------------------------------

    @contextmanager
    def create(self, key: str, overwrite: bool = False):
        """Write to both; see :meth:`Store.create`.

        When one side fails, the other is undone: an object that only one side
        holds has not been written.
        """
        first_done = False
        try:
            with self.second.create(key, overwrite) as copy_out:
                with self.first.create(key, overwrite) as out:
                    yield _Tee(out, copy_out)
                first_done = True
        except BaseException:
            # An orphan would be harmless: the sweep finds it if this fails too.
            if first_done and not overwrite:
                with contextlib.suppress(StoreError):
                    self.first.delete(key)
            raise

    def _check_arrived(self, key, size):
        self.second._check_arrived(key, size)
        return self.first._check_arrived(key, size)

    def delete(self, key: str):
        """Delete from both; an object that is left on one side is an error."""
        missing = 0
        for store in (self.first, self.second):
            try:
                store.delete(key)
            except ObjectNotFound:
                missing += 1
        if missing == 2:
            raise ObjectNotFound(f"there is no object {key}")

    # -- reading -----------------------------------------------------------------

    def open(self, key: str, verify: Verify | None = None) -> BinaryIO:
        """Open a copy that is in order, and put the other one in order.

        :param key: name of the object
        :param verify: reads the whole file and raises :class:`BundleCorrupt` when
            it is damaged; without it only missing or unreachable copies count
        :return: a seekable binary file
        :raise StoreError: the first side's trouble, when neither can be read
        :raise BundleCorrupt: when both copies are damaged
        """
        try:
            return self.first.open(key, verify)
        except _TROUBLES as error:
            trouble = error
        try:
            source = self.second.open(key, verify)
        except _TROUBLES:
            raise trouble from None
        self._heal(key, trouble, self.second, self.first)
        return source

    def check(self, key: str, verify: Verify) -> list[Healed]:
        """Check both copies and heal the one that is not in order.

        :param verify: see :meth:`open`
        :return: what was not in order
        :raise StoreError: the first side's trouble, when neither can be read
        :raise BundleCorrupt: when both copies are damaged
        """
        troubles = {}
        for store in (self.first, self.second):
            try:
                store.open(key, verify).close()
            except _TROUBLES as error:
                troubles[store] = error
        if len(troubles) == 2:
            raise troubles[self.first]
        return [
            self._heal(
                key,
                trouble,
                self.second if store is self.first else self.first,
                store,
            )
            for store, trouble in troubles.items()
        ]

    def stat(self, key: str):
        """:return: size and time, from whichever side answers"""
        try:
            return self.first.stat(key)
        except StoreError as error:
            trouble = error
        try:
            return self.second.stat(key)
        except StoreError:
            raise trouble from None

    def exists(self, key: str) -> bool:
        """:return: whether either side holds it"""
        try:
            self.stat(key)
        except ObjectNotFound:
            return False
        return True

    def iter_objects(self, prefix: str = ""):
        """List what either side holds."""
        seen = set()
        for store in (self.first, self.second):
            for stat in store.iter_objects(prefix):
                if stat.key not in seen:
                    seen.add(stat.key)
                    yield stat

    def sweep(self, older_than) -> int:
        """Remove half-written parts of both; see :meth:`Store.sweep`."""
        return self.first.sweep(older_than) + self.second.sweep(older_than)

    def _heal(self, key, trouble, sound, ill) -> Healed:
        repaired = False
        # A side that merely does not answer, or lets nobody in, may be in order.
        if isinstance(trouble, _KNOWN_BAD):
            with contextlib.suppress(StoreError):
                copy(sound, key, ill, overwrite=True)
                repaired = True
        healed = Healed(key, ill.describe(), str(trouble), repaired)
        self._on_heal(healed)
        return healed

    # -- state -------------------------------------------------------------------

    def health(self) -> Health:
        """:return: the first trouble of either side; free space is the smaller"""
        sides = [self.first.health(), self.second.health()]
        for side in sides:
            if not side.ok:
                return side
        free = [side.free_bytes for side in sides if side.free_bytes is not None]
        seconds = sum(side.seconds for side in sides)
        return Health(True, seconds=seconds, free_bytes=min(free, default=None))

    def free_space(self) -> int | None:
        """:return: the smaller of the two, as far as known"""
        sides = (self.first.free_space(), self.second.free_space())
        return min((side for side in sides if side is not None), default=None)

    def owner(self) -> str | None:
        """:return: uuid of the database that the first store belongs to"""
        return self.first.owner()

    def adopt(self):
        """Take over both; see :meth:`Store.adopt`."""
        self.first.adopt()
        self.second.adopt()

    def close(self):
        """Let go of both sides' connections."""
        self.first.close()
        self.second.close()

    # The sides do the work; nothing below is reached.
    def _create(self, key, overwrite):
        raise NotImplementedError

    _open = _stat = _delete = _iter_objects = _create


class _Tee:
    def __init__(self, *outs):
        self._outs = outs

    def write(self, data):
        for out in self._outs:
            out.write(data)
        return len(data)
