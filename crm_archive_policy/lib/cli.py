"""List, verify and extract bundles, and verify the audit log, without Odoo."""

import argparse
import json
import os
import sys
from contextlib import closing, contextmanager

from .bundle import (
    BundleError,
    BundleKeyDestroyed,
    BundleReader,
    Keyring,
    MasterKeys,
    verify,
)
from .extract import extract_jsonl
from .header import KEYRING_SUFFIX
from .stores import ObjectNotFound, StoreError, open_store
from .verify_log import (
    LOG_DSN_VARIABLE,
    connect,
    describe,
    parse_anchor,
    verify_log,
)

KEYS_VARIABLE = "CRM_ARCHIVE_MASTER_KEYS"
OPTIONS_VARIABLE = "CRM_ARCHIVE_STORE_OPTIONS"
DSN_VARIABLE = "CRM_ARCHIVE_DSN"

_EPILOG = f"""
A bundle is a file, or a URL (s3://bucket/folder/name, gs:, abfs:, sftp:, file:), or
postgres:KEY for an object of a PostgreSQL store. Secrets come from the environment:

  {KEYS_VARIABLE}   master keys, "id:base64 id:base64"
  {OPTIONS_VARIABLE}  credentials of a URL, a JSON object
  {DSN_VARIABLE}           connection string for postgres:KEY

An encrypted bundle needs its key ring, looked for under the bundle's name followed
by "{KEYRING_SUFFIX}" unless --keyring names it.

verify-log reads the audit log of an Odoo database, and compares it with the anchors
in that database, in the stores that are named and in the e-mails of the auditors:

  {LOG_DSN_VARIABLE}       connection string of the Odoo database; without it libpq's
                            own variables (PGHOST, PGDATABASE, ...)

Exit status: 0 all is well, 1 a bundle or the log is damaged or cannot be read,
2 wrong usage.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    :param arguments: without the program's name; those of the process if None
    :return: exit status
    """
    options = _parser().parse_args(arguments)
    if options.command == "verify-log":
        return _verify_log(options)
    if options.command == "extract" and len(options.bundle) > 1:
        _say("extract takes one bundle at a time")
        return 2
    status = 0
    for name in options.bundle:
        try:
            with _opened(name, options.keyring) as bundle:
                status |= options.run(name, bundle, options)
        except (BundleError, StoreError, OSError) as error:
            _say(f"{name}: {type(error).__name__}: {error}")
            status = 1
    return status


def _parser():
    parser = argparse.ArgumentParser(
        prog="crm_archive_policy.lib",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for run in (_list, _verify, _extract):
        command = commands.add_parser(
            run.__name__.strip("_"), help=run.__doc__, description=run.__doc__
        )
        command.add_argument("bundle", nargs="+", help="file or URL")
        command.add_argument("--keyring", help="file or URL of the key ring")
        command.set_defaults(run=run)
    log = commands.add_parser(
        "verify-log", help=_verify_log.__doc__, description=_verify_log.__doc__
    )
    log.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="URL",
        help='folder or URL with anchors, or "postgres:" for a PostgreSQL store; '
        "repeatable",
    )
    log.add_argument(
        "--anchor",
        action="append",
        default=[],
        type=parse_anchor,
        metavar="NUMBER:DIGEST",
        help="number and digest of a line from an e-mail; repeatable",
    )
    commands.choices["verify"].add_argument(
        "--without-keys",
        action="store_true",
        help="check an encrypted bundle without decrypting it",
    )
    extract = commands.choices["extract"]
    extract.add_argument("--format", choices=["jsonl"], default="jsonl")
    extract.add_argument("--output", required=True, help="folder to make or fill")
    extract.add_argument(
        "--record", type=int, action="append", help="only this record; repeatable"
    )
    return parser


def _list(name, bundle, _options):
    """Show what a bundle says of itself and the records in it."""
    header = bundle.header
    _show(f"{name}: bundle {header.bundle_id}, format {header.format}")
    _show(f"  model        {header.model}")
    _show(f"  database     {header.database_uuid}")
    _show(f"  created      {header.created} by {header.producer}")
    _show(f"  compression  {header.compression}, cipher {header.cipher or 'none'}")
    counts = bundle.counts()
    for table in header.tables:
        columns = len(table.columns)
        rows = counts.get(table.name, 0)
        _show(f"  table        {table.name}: {columns} columns, {rows} rows")
    for row in bundle.index_rows():
        _show(
            f"  record       {row.id}: {row.rows} rows, {row.size} bytes, "
            f"{row.blob_size} bytes of blobs, {row.stored} stored"
        )
    return 0


def _verify(name, bundle, options):
    """Check every byte of a bundle."""
    report = verify(bundle, decrypt=not options.without_keys)
    erased = f", {len(report.erased)} erased" if report.erased else ""
    _show(
        f"{name}: sound, {report.records} records{erased}, {report.rows} rows, "
        f"{report.blobs} blobs, sha256 {report.sha256}"
    )
    return 0


def _extract(_name, bundle, options):
    """Write records as JSON Lines and their blobs as files."""
    status = 0
    for record_id, error in extract_jsonl(bundle, options.output, options.record):
        if isinstance(error, BundleKeyDestroyed):
            _say(f"record {record_id}: erased")
        elif error:
            _say(f"record {record_id}: {type(error).__name__}: {error}")
            status = 1
    return status


def _verify_log(options):
    """Check every line of the audit log, against the one before and the anchors."""
    import psycopg2

    try:
        stores = [_store(name) for name in options.store]
        with closing(connect()) as connection:
            verdict, count, unread = verify_log(connection, stores, options.anchor)
    except (StoreError, OSError, psycopg2.Error) as error:
        # The text of the driver names the server, and never a password.
        _say(f"verify-log: {type(error).__name__}: {error}".strip())
        return 1
    for trouble in unread:
        _say(f"verify-log: not read: {trouble}")
    _show(f"audit log: {describe(verdict)}; {count} anchors compared")
    return int(not verdict.ok or bool(unread))


@contextmanager
def _opened(name, keyring_name):
    with _source(name) as source:
        keyring = _keyring(keyring_name or name + KEYRING_SUFFIX, bool(keyring_name))
        yield BundleReader(source, keyring=keyring)


def _keyring(name, required):
    """:return: the key ring called `name`, None when it may be missing and is"""
    try:
        with _source(name) as source:
            data = source.read()
    except (FileNotFoundError, ObjectNotFound):
        if required:
            raise
        return None
    return Keyring.loads(data, MasterKeys.parse(os.environ.get(KEYS_VARIABLE, "")))


def _source(name):
    """:return: binary file of a path or URL"""
    if name.startswith("postgres:"):
        return _store("postgres:").open(name.removeprefix("postgres:"))
    if "://" not in name:
        return open(name, "rb")
    folder, _slash, key = name.rpartition("/")
    return _store(folder).open(key)


def _store(name):
    """:return: store of a URL or a folder; ``postgres:`` for the one of the variable"""
    if name == "postgres:":
        dsn = os.environ.get(DSN_VARIABLE, "")
        return open_store("postgres", database_uuid="", dsn=dsn)
    if "://" not in name:
        name = f"file://{os.path.abspath(name)}"
    return open_store(
        "fsspec",
        database_uuid="",
        url=name,
        options=json.loads(os.environ.get(OPTIONS_VARIABLE, "{}")),
        # Whoever runs this command chooses the place: nothing to confine.
        roots=["/"],
    )


def _show(text, file=None):
    """Write a line, without what in it could command a terminal."""
    plain = "".join(char if char.isprintable() else "?" for char in text)
    (file or sys.stdout).write(plain + "\n")


def _say(text):
    """Write a line for whoever looks at the errors."""
    _show(text, sys.stderr)
