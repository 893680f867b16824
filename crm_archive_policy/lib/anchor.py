"""Anchors: what the audit log looked like, noted in a place outside of it.

Whoever may write to the database can take lines off the end of the log, or compute
the whole chain anew: it fits again. It does not fit what was noted elsewhere before.
An anchor is a small object that says which digest the line with a number has.
"""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass

from . import canonical
from .errors import BundleCorrupt
from .stores.errors import ObjectNotFound, StoreError

#: What an object begins with, and its version.
FORMAT = "crm-archive-anchor"
VERSION = 1

#: Every anchor's key begins like this; nothing that sweeps a store may touch it.
PREFIX = "anchors/"

#: Largest object that is read as an anchor.
MAX_SIZE = 4096


class AnchorError(BundleCorrupt):
    """An object that should be an anchor is none."""


@dataclass(frozen=True)
class Anchor:
    """Number and digest of the last line at a time."""

    sequence: int
    digest: str
    #: UTC, by the clock of the database.
    date: str
    database_uuid: str

    @property
    def key(self) -> str:
        """Name of the object in a store."""
        return f"{PREFIX}{self.date[:10]}-{self.sequence}"

    def dumps(self) -> bytes:
        """:return: the object's bytes"""
        return canonical.dumps({"format": FORMAT, "version": VERSION, **asdict(self)})

    @classmethod
    def loads(cls, data: bytes) -> "Anchor":
        """Read an anchor.

        :raise AnchorError: when it is none
        """
        try:
            values = json.loads(data)
            version = values.pop("format"), values.pop("version")
            anchor = cls(**values)
            if version == (FORMAT, VERSION) and anchor._is_sound():
                return anchor
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise AnchorError(f"not an anchor: {error}") from error
        raise AnchorError("not an anchor of this version")

    def _is_sound(self):
        texts = (self.digest, self.date, self.database_uuid)
        return (
            self.sequence > 0
            and all(isinstance(text, str) for text in texts)
            and len(bytes.fromhex(self.digest)) == 32
        )


def put(store, anchor: Anchor) -> bool:
    """Write an anchor, once and for all.

    :param store: where to; nothing in it is ever overwritten
    :return: whether it is new there
    :raise AnchorError: when the store has another one under this name
    """
    if store.exists(anchor.key):
        known = Anchor.loads(store.get(anchor.key, MAX_SIZE))
        if (known.sequence, known.digest) != (anchor.sequence, anchor.digest):
            raise AnchorError(f"{anchor.key} vouches for another digest already")
        return False
    store.put(anchor.key, anchor.dumps())
    return True


def read_all(store):
    """Yield what a store has noted.

    :return: iterator of ``(key, anchor)``; an :class:`AnchorError` for an object that
        is damaged, which vouches for nothing
    """
    for stat in store.iter_objects(PREFIX):
        try:
            yield stat.key, Anchor.loads(store.get(stat.key, MAX_SIZE))
        except ObjectNotFound:
            continue
        except (AnchorError, StoreError) as error:
            yield stat.key, error


def collect(anchors) -> dict[int, set[str]]:
    """:return: the digests by number, as :func:`.chain.verify` takes them"""
    digests = defaultdict(set)
    for anchor in anchors:
        digests[anchor.sequence].add(anchor.digest)
    return dict(digests)
