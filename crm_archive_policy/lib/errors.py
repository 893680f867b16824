"""What can go wrong with a bundle, so that callers can tell one from another."""


class BundleError(Exception):
    """A bundle cannot be written or read."""


class BundleCorrupt(BundleError):
    """Bytes are not what was written."""


class BundleTruncated(BundleCorrupt):
    """The end of the bundle is missing."""


class BundleForeign(BundleError):
    """A sound bundle or record, but not the one that was asked for."""


class BundleKeyError(BundleError):
    """The key is wrong or missing; nothing is known against the data."""


class BundleKeyDestroyed(BundleKeyError):
    """The record's key was destroyed on purpose: it is erased for good."""


class BundleTooLarge(BundleError):
    """More bytes than the bundle's own limits, or the reader's, allow."""


class BundleUnsupported(BundleError):
    """A format, an algorithm or a Python package that is not there."""
