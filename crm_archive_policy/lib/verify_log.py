"""Verify the audit log without Odoo: from its table, against anchors.

Somebody who does not trust the Odoo server does not let it judge itself. This needs
a connection to the database that may read two tables, and the anchors: from stores,
or typed in from the e-mails of an auditor.
"""

import os
from contextlib import closing

from . import anchor, chain
from .stores import DatabaseStore

#: Connection string of the Odoo database; libpq's own variables without it.
LOG_DSN_VARIABLE = "CRM_ARCHIVE_LOG_DSN"

#: Lines fetched at once.
_BATCH = 5000

_QUERY = f"""
    SELECT id, {", ".join(chain.COLUMNS)} FROM crm_archive_log
     ORDER BY sequence NULLS FIRST, id
"""

_TROUBLES = {
    "broken": "broken at the line with the ID {key}: it or a line before it was "
    "changed, removed or moved",
    "anchor": "computed anew: the line with the ID {key} is not the one that an "
    "anchor vouches for; lines up to No. {anchored} are vouched for",
    "cut": "cut off after the line with the ID {key}: anchors vouch for lines after it",
}


def connect():
    """:return: a read-only connection to the database of the log"""
    import psycopg2

    connection = psycopg2.connect(os.environ.get(LOG_DSN_VARIABLE, ""))
    # Lines that are appended meanwhile must not look like a break.
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    return connection


def parse_anchor(text: str) -> tuple[int, str]:
    """Read ``NUMBER:DIGEST``, as the e-mail to the auditors has it.

    :raise ValueError: when it is something else
    """
    number, _colon, digest = text.partition(":")
    sequence = int(number)
    if sequence < 1 or len(bytes.fromhex(digest)) != 32:
        raise ValueError(f"{text!r} is not NUMBER:DIGEST")
    return sequence, digest.lower()


def verify_log(connection, stores=(), typed=()):
    """Verify the log of a database.

    :param connection: of psycopg2; nothing is written
    :param stores: further stores that hold anchors
    :param typed: pairs of number and digest
    :return: ``(verdict, number of anchors, list of what could not be read)``
    """
    found, unread = {}, []
    with connection.cursor() as cursor:
        uuid = _database_uuid(cursor)
        for store in (*_own_stores(cursor), *stores):
            for key, item in anchor.read_all(store):
                if isinstance(item, Exception):
                    unread.append(f"{key}: {item}")
                elif item.database_uuid == uuid:
                    found[item.sequence, item.digest] = item
    digests = anchor.collect(found.values())
    for sequence, digest in typed:
        digests.setdefault(sequence, set()).add(digest)
    # A name makes it a cursor of the server: a log of any length takes little memory.
    with closing(connection.cursor("crm_archive_log")) as cursor:
        cursor.itersize = _BATCH
        cursor.execute(_QUERY)
        lines = (chain.prepare_line(_as_dict(row)) for row in cursor)
        verdict = chain.verify(lines, digests)
    return verdict, len(found) + len(typed), unread


def describe(verdict) -> str:
    """:return: in a sentence what was found"""
    if verdict.ok:
        end = f"last line No. {verdict.sequence}, sha256 {verdict.digest}"
        return f"intact, {verdict.checked} lines, {end}"
    trouble = _TROUBLES[verdict.trouble].format(
        key=verdict.bad_key if verdict.bad_key is not None else "none",
        anchored=verdict.anchored,
    )
    return f"{trouble}; {verdict.checked} lines before it are intact"


def _as_dict(row):
    return dict(zip(("id", *chain.COLUMNS), row, strict=True))


def _database_uuid(cursor):
    cursor.execute("SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'")
    row = cursor.fetchone()
    return row[0] if row else ""


def _own_stores(cursor):
    """:return: the store within the database, if it is there"""
    cursor.execute("SELECT to_regclass('crm_archive.object')")
    if cursor.fetchone()[0] is None:
        return []
    return [DatabaseStore(database_uuid="", cursor=cursor)]
