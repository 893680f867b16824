"""Stores: where bundles are kept. Importing this makes every kind known."""

from . import database, fsspec, postgres  # noqa: F401  registers the kinds
from .base import (
    Health,
    ObjectStat,
    Store,
    check_key,
    copy,
    kinds,
    open_store,
    register,
)
from .database import DatabaseStore
from .errors import (
    ObjectExists,
    ObjectNotFound,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreMisconfigured,
    StorePermission,
    StoreReadonly,
    StoreTemporary,
)
from .fsspec import FsspecStore
from .local import LocalStore
from .mirror import Healed, Mirror
from .postgres import PostgresStore

__all__ = [
    "DatabaseStore",
    "FsspecStore",
    "Healed",
    "Health",
    "LocalStore",
    "Mirror",
    "ObjectExists",
    "ObjectNotFound",
    "ObjectStat",
    "PostgresStore",
    "Store",
    "StoreError",
    "StoreForeign",
    "StoreFull",
    "StoreMisconfigured",
    "StorePermission",
    "StoreReadonly",
    "StoreTemporary",
    "check_key",
    "copy",
    "kinds",
    "open_store",
    "register",
]
