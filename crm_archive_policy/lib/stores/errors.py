"""What can go wrong with a store, so that a run knows whether to try again."""

import errno


class StoreError(Exception):
    """A store cannot do what it was asked."""

    #: Whether the same call may succeed later without anybody's help.
    retry = False


class ObjectNotFound(StoreError):
    """There is no such object."""


class ObjectExists(StoreError):
    """There is such an object already, and it was not to be replaced."""


class StoreFull(StoreError):
    """No space is left, or a quota is used up."""


class StoreTemporary(StoreError):
    """The store does not answer, or not as it should, at this moment."""

    retry = True


class StorePermission(StoreError):
    """The store does not let us in, or not do this."""


class StoreMisconfigured(StoreError):
    """The configuration cannot work."""


class StoreForeign(StoreError):
    """The store belongs to another database: it may be read, not written."""


class StoreReadonly(StoreError):
    """Writing was switched off: a copy of a database must not touch the original's."""


_ERRNO = {
    StoreFull: (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    ObjectNotFound: (errno.ENOENT,),
    StorePermission: (errno.EACCES, errno.EPERM, errno.EROFS),
    StoreMisconfigured: (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
}

#: Codes of S3 and of the servers that speak its language.
_CODES = {
    StoreFull: {
        "QuotaExceeded",
        "XMinioAdminBucketQuotaExceeded",
        "XMinioStorageFull",
        "InsufficientStorage",
        "InsufficientCapacity",
        "EntityTooLarge",
        "507",
    },
    ObjectNotFound: {"NoSuchKey", "NoSuchVersion", "404"},
    StorePermission: {
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "403",
    },
    StoreMisconfigured: {
        "NoSuchBucket",
        "InvalidBucketName",
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
    },
}

#: Libraries' errors that say neither a code nor a number, by the name of their class.
_NAMES = {
    StorePermission: {
        "NoCredentialsError",  # S3
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "DefaultCredentialsError",  # Google
        "RefreshError",
        "ClientAuthenticationError",  # Azure
        "AuthenticationException",  # SFTP
        "BadHostKeyException",
    },
    StoreMisconfigured: {
        "NoRegionError",
        "ParamValidationError",
    },
}


def classify(error: BaseException) -> type[StoreError]:
    """Find the kind of a library's or the system's error.

    :param error: what was raised, with its causes
    :return: one of the classes above; unknown troubles count as temporary
    """
    seen = set()
    kind = None
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        # The innermost answer is the server's own and the most precise.
        kind = _classify_one(error) or kind
        error = error.__cause__
    return kind or StoreTemporary


def _classify_one(error):
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
        for kind, codes in _CODES.items():
            if code in codes:
                return kind
    for kind, names in _NAMES.items():
        if type(error).__name__ in names:
            return kind
    number = getattr(error, "errno", None)
    for kind, numbers in _ERRNO.items():
        if number in numbers:
            return kind
    by_type = (
        (FileNotFoundError, ObjectNotFound),
        (PermissionError, StorePermission),
        (ImportError, StoreMisconfigured),
        (ValueError, StoreMisconfigured),
    )
    for python_type, kind in by_type:
        if isinstance(error, python_type):
            return kind
    return None
