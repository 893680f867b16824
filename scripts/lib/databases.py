"""Databases for tests and demonstrations: cached templates and quick copies of them.

Installing Odoo's CRM takes half a minute; copying a database takes a second. So every
wanted combination of modules is installed once into a template, and again only after
its files have changed.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psycopg2
from psycopg2 import sql

ROOT = Path(__file__).resolve().parents[2]
ADDON = "crm_archive_policy"
TEMPLATE_PREFIX = "crm_archive_tpl_"
TEST_PREFIX = "crm_archive_test_"
# Templates with the add-on that are kept: one a branch somebody works on.
ADDON_TEMPLATES_KEPT = 6
SKIPPED_FOLDERS = {"tests", "__pycache__", "readme"}


class InstallError(Exception):
    """Odoo could not install the modules; the message holds the end of its log."""


def cache():
    return Path(os.environ["CRM_ARCHIVE_CACHE"])


def filestore(name):
    return cache() / "data" / "filestore" / name


@contextlib.contextmanager
def maintenance_cursor():
    """Yield an autocommitting cursor outside of all our databases."""
    connection = psycopg2.connect(dbname="postgres")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def exists(name):
    with maintenance_cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        return bool(cursor.fetchone())


def drop(name):
    """Drop a database with its files, whoever is connected."""
    query = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
        sql.Identifier(name)
    )
    with maintenance_cursor() as cursor:
        for attempt in range(100):
            try:
                cursor.execute(query)
                break
            except psycopg2.errors.InsufficientPrivilege:
                # The server's own autovacuum is at it: it ends soon.
                if attempt == 99:
                    raise
                time.sleep(0.1)
    shutil.rmtree(filestore(name), ignore_errors=True)


def unique_name(label="db"):
    """Return a name for a test database that tells whose it is."""
    return f"{TEST_PREFIX}{os.getpid()}_{label}_{uuid.uuid4().hex[:6]}"


def drop_orphans():
    """Drop the test databases whose process is gone. Only in our own cluster: a
    process number says nothing about a server that others share."""
    if os.environ.get("CRM_ARCHIVE_SOCKET") != os.environ.get("PGHOST", ""):
        return
    with maintenance_cursor() as cursor:
        query = "SELECT datname FROM pg_database WHERE datname ~ %s"
        cursor.execute(query, (f"^{TEST_PREFIX}[0-9]+_",))
        names = [row[0] for row in cursor.fetchall()]
    for name in names:
        pid = re.match(TEST_PREFIX + "([0-9]+)", name)[1]
        if not Path("/proc", pid).exists():
            drop(name)


def drop_all():
    """Drop every database that this project has made on the server."""
    with maintenance_cursor() as cursor:
        query = "SELECT datname FROM pg_database WHERE datname LIKE 'crm\\_archive\\_%'"
        cursor.execute(query)
        names = [row[0] for row in cursor.fetchall()]
    for name in names:
        drop(name)


def addon_digest():
    """Return a digest of everything of the add-on that an installation reads."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(ROOT / ADDON):
        folders[:] = sorted(set(folders) - SKIPPED_FOLDERS)
        for file in sorted(files):
            path = Path(folder, file)
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def template_name(modules, demo):
    parts = [os.environ["CRM_ARCHIVE_ODOO"], *sorted(modules), str(bool(demo))]
    kind = "base"
    if ADDON in modules:
        parts.append(addon_digest())
        kind = "addon"
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return f"{TEMPLATE_PREFIX}{kind}_{digest}"


@contextlib.contextmanager
def locked(name):
    folder = cache() / "lock"
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def copy(source, target):
    """Copy a database nobody is connected to, with its files and an own identity."""
    with maintenance_cursor() as cursor:
        query = "CREATE DATABASE {} TEMPLATE {}"
        cursor.execute(
            sql.SQL(query).format(sql.Identifier(target), sql.Identifier(source))
        )
    with contextlib.suppress(FileNotFoundError):
        # Files of a filestore are never changed in place, so links are enough.
        shutil.copytree(
            filestore(source),
            filestore(target),
            copy_function=os.link,
            dirs_exist_ok=True,
        )
    connection = psycopg2.connect(dbname=target)
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        for key in ("database.uuid", "database.secret"):
            query = "UPDATE ir_config_parameter SET value = %s WHERE key = %s"
            cursor.execute(query, (str(uuid.uuid4()), key))


def run_odoo(database, *arguments, log=None, timeout=1800):
    """Run Odoo's command to its end.

    :return: its log
    :raise InstallError: when it fails
    """
    command = [sys.executable, "-m", "odoo", "server", "--no-http"]
    command += ["--stop-after-init", "--max-cron-threads=0", "-d", database]
    done = subprocess.run(
        [*command, *arguments],
        cwd=cache(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    output = done.stdout + done.stderr
    if log:
        Path(log).write_text(output)
    if done.returncode:
        raise InstallError(f"{find_failures(output)}\n{output[-6000:]}")
    return output


def find_failures(log):
    """Return the parts of Odoo's log that tell of tests that failed.

    :param str log: whole output of Odoo's command
    """
    found = re.findall(r"^[^\n]* (?:FAIL|ERROR): .*?(?=^20\d\d-)", log, re.S | re.M)
    return "\n".join(part[:3000] for part in found)


def install(database, modules, demo=False):
    """Install modules into a database, which is created if it does not exist."""
    flags = ["--with-demo"] if demo else []
    return run_odoo(database, "-i", ",".join(sorted(modules)), *flags)


def _is_complete(name):
    with maintenance_cursor() as cursor:
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname = %s",
            (name,),
        )
        row = cursor.fetchone()
    return bool(row and (row[0] or "").startswith("complete"))


def _mark_complete(name):
    with maintenance_cursor() as cursor:
        cursor.execute("SELECT to_char(now(), 'YYYYMMDDHH24MISS')")
        remark = f"complete {cursor.fetchone()[0]}"
        query = "COMMENT ON DATABASE {} IS %s"
        cursor.execute(sql.SQL(query).format(sql.Identifier(name)), (remark,))


def _drop_old_addon_templates():
    """Keep the newest templates of the add-on; those of other versions pile up."""
    with maintenance_cursor() as cursor:
        cursor.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s"
            " ORDER BY shobj_description(oid, 'pg_database') DESC NULLS LAST",
            (f"{TEMPLATE_PREFIX}addon\\_%",),
        )
        names = [row[0] for row in cursor.fetchall()]
    for name in names[ADDON_TEMPLATES_KEPT:]:
        with locked(name):
            drop(name)


def _build_template(name, modules, demo, report):
    drop(name)
    try:
        if ADDON in modules:
            base = set(modules) - {ADDON} or {"crm", "contacts"}
            clone(name, base, demo, report)
            report(f"Installing the add-on into a template ({', '.join(base)}) …")
            install(name, [ADDON], demo)
        else:
            report(f"Installing a template ({', '.join(modules)}; half a minute) …")
            install(name, modules, demo)
    except BaseException:
        drop(name)
        raise
    _mark_complete(name)


def clone(target, modules, demo=False, report=lambda line: None):
    """Create database `target` with `modules` installed, from a cached template.

    :param modules: technical names; the add-on's own name among them or not
    :param report: called with a line when something slow begins
    :raise InstallError: when Odoo cannot install the modules
    """
    modules = sorted(set(modules))
    name = template_name(modules, demo)
    with locked(name):
        if not _is_complete(name):
            _build_template(name, modules, demo, report)
        copy(name, target)
    if ADDON in modules:
        _drop_old_addon_templates()


if __name__ == "__main__" and sys.argv[1:] == ["drop-all"]:
    drop_all()
