"""List, verify and extract bundles without Odoo and without its database."""

import argparse
import json
import os
import sys
from contextlib import contextmanager

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

Exit status: 0 all is well, 1 a bundle is damaged or cannot be read, 2 wrong usage.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    :param arguments: without the program's name; those of the process if None
    :return: exit status
    """
    options = _parser().parse_args(arguments)
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
        store = open_store(
            "postgres", database_uuid="", dsn=os.environ.get(DSN_VARIABLE, "")
        )
        return store.open(name.removeprefix("postgres:"))
    if "://" not in name:
        return open(name, "rb")
    folder, _slash, key = name.rpartition("/")
    store = open_store(
        "fsspec",
        database_uuid="",
        url=folder,
        options=json.loads(os.environ.get(OPTIONS_VARIABLE, "{}")),
        # Whoever runs this command chooses the place: nothing to confine.
        roots=["/"],
    )
    return store.open(key)


def _show(text, file=None):
    """Write a line, without what in it could command a terminal."""
    plain = "".join(char if char.isprintable() else "?" for char in text)
    (file or sys.stdout).write(plain + "\n")


def _say(text):
    """Write a line for whoever looks at the errors."""
    _show(text, sys.stderr)
