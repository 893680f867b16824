"""Hash chain of the audit log.

Each line is digested together with the digest of the line before it, so a line
that was changed, taken out, moved or slipped in breaks the chain from there on.
The digest is taken over canonical JSON of an object that holds the format
version, the previous digest and every field under its own key: no two different
lines can ever give the same bytes, which a plain concatenation cannot promise.
"""

import hashlib

from . import canonical

#: Version of the payload; a new one is added beside the old, never instead.
VERSION = 1

#: What the first line names as the digest of the line before it.
GENESIS = "0" * 64


def digest(previous: str, fields: dict) -> str:
    """Return the digest of one line.

    :param previous: hexadecimal digest of the line before, or :data:`GENESIS`
    :param fields: the line's own fields as JSON values
    :return: SHA-256 as 64 hexadecimal digits
    """
    payload = {"version": VERSION, "previous": previous, "fields": fields}
    return hashlib.sha256(canonical.dumps(payload)).hexdigest()


def verify(lines, previous: str = GENESIS, sequence: int = 0):
    """Walk a chain and stop at the first line that does not fit.

    :param lines: iterable of ``(key, sequence, previous, digest, fields)`` in
        the order of their sequence numbers
    :param previous: digest that the first line must name
    :param sequence: number of the line before the first one
    :return: ``(number of lines that fit, key of the first bad line or None,
        digest of the last good line)``
    """
    checked = 0
    for key, number, before, own, fields in lines:
        if (
            number != sequence + 1
            or before != previous
            or own != digest(previous, fields)
        ):
            return checked, key, previous
        checked, sequence, previous = checked + 1, number, own
    return checked, None, previous
