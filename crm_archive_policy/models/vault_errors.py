"""One place that tells people what went wrong with a store or a bundle."""

from contextlib import contextmanager

from odoo.exceptions import UserError

from ..lib.errors import (
    BundleError,
    BundleKeyDestroyed,
    BundleKeyError,
    BundleUnsupported,
)
from ..lib.stores import ObjectExists, ObjectNotFound, StoreError

#: What callers may catch from the library.
VAULT_ERRORS = (StoreError, BundleError)

#: Troubles of a store, a master key or the server, whatever record is asked for.
_OF_ALL = (StoreError, BundleKeyError, BundleUnsupported)
#: Those among them that are the trouble of one bundle or one record.
_OF_ONE = (ObjectNotFound, ObjectExists, BundleKeyDestroyed)


def concerns_all(error):
    """Tell whether the next record would fail for the same reason.

    :param error: an error of the library, or what :func:`vault_error` made of it
    """
    error = error if isinstance(error, VAULT_ERRORS) else error.__cause__
    return isinstance(error, _OF_ALL) and not isinstance(error, _OF_ONE)


def vault_error(env, error):
    """Return what an error of the library means, and what to do about it.

    :param env: environment, for the language
    :param error: an error of :data:`VAULT_ERRORS`; secrets are blotted out of it by
        the library already
    :return: :class:`~odoo.exceptions.UserError`, to be raised ``from error``, so that
        a run still sees in ``__cause__.retry`` whether to try again
    """
    for cls in type(error).__mro__:
        if sentence := describe_vault_error(env, cls.__name__, str(error)):
            return UserError(sentence)
    return UserError(str(error))


@contextmanager
def vault_errors(env):
    """Turn the library's errors into :class:`~odoo.exceptions.UserError`.

    :param env: environment, for the language
    """
    try:
        yield
    except VAULT_ERRORS as error:
        raise vault_error(env, error) from error


def describe_vault_error(env, code, detail):
    """Return a kind of error in words.

    :param env: environment, for the language
    :param str code: name of the error's class
    :param str detail: what the library said of it
    :return: a sentence or two, ``None`` for an unknown kind
    """
    describe = _STORE.get(code) or _BUNDLE.get(code)
    return describe(env, detail) if describe else None


_STORE = {
    "ObjectNotFound": lambda env, detail: env._(
        "The store does not have what was asked for: %(detail)s. Nothing was changed. "
        "Verify the store; if it has a mirror, the object is taken from there.",
        detail=detail,
    ),
    "ObjectExists": lambda env, detail: env._(
        "The store has such an object already, and it was left as it is: %(detail)s. "
        "Try again; a new object gets a name of its own.",
        detail=detail,
    ),
    "StoreFull": lambda env, detail: env._(
        "The store is full or its quota is used up: %(detail)s. Nothing was removed "
        "from Odoo. Make room, or choose another store, and try again.",
        detail=detail,
    ),
    "StoreTemporary": lambda env, detail: env._(
        "The store does not answer as it should at the moment: %(detail)s. Nothing was "
        "changed. Scheduled work tries again by itself.",
        detail=detail,
    ),
    "StorePermission": lambda env, detail: env._(
        "The store does not let Odoo in, or not do this: %(detail)s. Nothing was "
        "changed. Check the credentials in the server's configuration and what they "
        "are allowed to do.",
        detail=detail,
    ),
    "StoreMisconfigured": lambda env, detail: env._(
        "The store cannot work as it is set up: %(detail)s. Nothing was changed. "
        "Correct the store or the server's configuration.",
        detail=detail,
    ),
    "StoreForeign": lambda env, detail: env._(
        "%(detail)s. Nothing was changed. If the other database is gone for good, an "
        "administrator takes the store over from its form.",
        detail=detail,
    ),
    "StoreReadonly": lambda env, detail: env._(
        "%(detail)s. Nothing was changed.",
        detail=detail,
    ),
    "StoreError": lambda env, detail: env._(
        "The store failed: %(detail)s. Nothing was changed.",
        detail=detail,
    ),
}

_BUNDLE = {
    "BundleKeyDestroyed": lambda env, detail: env._(
        "This record was erased for good: %(detail)s.",
        detail=detail,
    ),
    "BundleKeyError": lambda env, detail: env._(
        "The master key is missing or is not the one that was used: %(detail)s. "
        "Nothing is known against the data, and nothing was changed. Put the right key "
        "into the server's configuration and try again.",
        detail=detail,
    ),
    "BundleUnsupported": lambda env, detail: env._(
        "This server cannot read or write such a bundle yet: %(detail)s. Nothing was "
        "changed. Install what is missing, or a newer version of this app.",
        detail=detail,
    ),
    "BundleForeign": lambda env, detail: env._(
        "The store gave back something else than what was asked for: %(detail)s. It "
        "was not used, and nothing was changed.",
        detail=detail,
    ),
    "BundleTooLarge": lambda env, detail: env._(
        "More data than is allowed: %(detail)s. Nothing was changed.",
        detail=detail,
    ),
    "BundleTruncated": lambda env, detail: env._(
        "The end of the stored data is missing: %(detail)s. It was not used, and "
        "nothing was changed. Take it from a mirror or a backup of the store.",
        detail=detail,
    ),
    "BundleCorrupt": lambda env, detail: env._(
        "The stored data is damaged: %(detail)s. It was not used, and nothing was "
        "changed. Take it from a mirror or a backup of the store.",
        detail=detail,
    ),
    "BundleError": lambda env, detail: env._(
        "The bundle cannot be read or written: %(detail)s. Nothing was changed.",
        detail=detail,
    ),
}
