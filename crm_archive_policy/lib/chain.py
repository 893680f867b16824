"""Hash chain of the audit log.

Each line is digested together with the digest of the line before it, so a line
that was changed, taken out, moved or slipped in breaks the chain from there on.
The digest is taken over canonical JSON of an object that holds the format
version, the previous digest and every field under its own key: no two different
lines can ever give the same bytes, which a plain concatenation cannot promise.
"""

import hashlib
from dataclasses import dataclass

from . import canonical

#: Version of the payload; a new one is added beside the old, never instead.
VERSION = 1

#: Columns of a line, in the order of the table.
COLUMNS = (
    "sequence",
    "date",
    "user_id",
    "action",
    "res_model",
    "res_ids",
    "company_id",
    "policy_id",
    "run_id",
    "reason_id",
    "details",
    "remote_address",
    "version",
    "previous",
    "digest",
)

#: Those that the digest is taken over.
DIGESTED = COLUMNS[:-3]

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


@dataclass(frozen=True)
class Verdict:
    """What a walk along the chain has found."""

    #: Lines that fit, from the first one on.
    checked: int
    #: Key of the first bad line; of the last line where the tail was cut off.
    bad_key: object = None
    #: ``broken``, ``anchor`` (the chain fits, but is not the one that was anchored),
    #: ``cut`` (anchored lines are missing at the end), or ``None``.
    trouble: str | None = None
    #: Number and digest of the last line that fits.
    sequence: int = 0
    digest: str = GENESIS
    #: Number of the last line that an anchor vouches for.
    anchored: int = 0

    @property
    def ok(self) -> bool:
        """Whether every line is the one that was written."""
        return self.trouble is None


def prepare_line(row: dict):
    """Put a row of the table into the form that :func:`verify` takes.

    :param row: values of ``id`` and of every column of :data:`COLUMNS`, by name
    :return: ``(key, sequence, previous, digest, fields)``; without a digest when the
        row claims another version, which no line has
    """
    fields = {name: row[name] for name in DIGESTED}
    if fields["date"] is not None:
        fields["date"] = fields["date"].isoformat(sep=" ", timespec="microseconds")
    own = row["digest"] if row["version"] == VERSION else None
    return row["id"], row["sequence"], row["previous"], own, fields


def verify(lines, anchors=None) -> Verdict:
    """Walk a chain and stop at the first line that does not fit.

    :param lines: iterable of ``(key, sequence, previous, digest, fields)`` in
        the order of their sequence numbers
    :param anchors: digests that were noted outside, ``{sequence: set of digests}``
    """
    anchors = anchors or {}
    checked = sequence = anchored = 0
    previous, last_key = GENESIS, None
    for key, number, before, own, fields in lines:
        trouble = None
        if (
            number != sequence + 1
            or before != previous
            or own != digest(previous, fields)
        ):
            trouble = "broken"
        elif number in anchors and anchors[number] != {own}:
            trouble = "anchor"
        if trouble:
            return Verdict(checked, key, trouble, sequence, previous, anchored)
        checked, sequence, previous, last_key = checked + 1, number, own, key
        if number in anchors:
            anchored = number
    trouble = "cut" if max(anchors, default=0) > sequence else None
    bad_key = last_key if trouble else None
    return Verdict(checked, bad_key, trouble, sequence, previous, anchored)
