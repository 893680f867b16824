"""Stores as an administrator sets them up: a second PostgreSQL cluster, an S3 server.

Odoo runs in a process of its own with the settings in its environment, as in life.
"""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg2
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "lib"))

from lib_servers import s3_bucket, s3_server  # noqa: E402

__all__ = ["s3_bucket", "s3_server"]

SECRET = "hunter2-very-secret"


@pytest.fixture(scope="module")
def database(make_database):
    return make_database()


@pytest.fixture(scope="module")
def second_dsn():
    """Connection string of a database in another cluster than Odoo's."""
    host, user = os.environ["PGHOST"], os.environ["PGUSER"]
    if host == os.environ.get("CRM_ARCHIVE_SOCKET"):
        # The benchmark's cluster: PostgreSQL as it comes, durable commits included.
        script = str(ROOT / "scripts" / "host")
        command = f'eval "$("{script}" --env --profile bench)"; echo "$PGHOST"'
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=True
        )
        host = done.stdout.split()[-1]
        assert host != os.environ["PGHOST"]
    name = f"crm_archive_second_{uuid.uuid4().hex[:12]}"
    admin = psycopg2.connect(host=host, user=user, dbname="postgres")
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        yield f"host={host} user={user} dbname={name} password={SECRET}"
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    admin.close()


def read_key(dsn, key):
    """:return: the bytes of an object, None when there is none"""
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('crm_archive.object')")
        if not cursor.fetchone()[0]:
            return None
        cursor.execute(
            "SELECT string_agg(data, '' ORDER BY number) FROM crm_archive.chunk c"
            " JOIN crm_archive.object o ON o.id = c.object_id WHERE key = %s",
            [key],
        )
        data = cursor.fetchone()[0]
    connection.close()
    return data and bytes(data)


BOTH = """
bucket, second = env["crm.archive.store"].create([
    {"name": "Bucket", "kind": "fsspec", "url": os.environ["TEST_URL"],
     "secret_name": "offsite"},
    {"name": "Second server", "kind": "postgres", "secret_name": "second"},
])
bucket.mirror_id = second
bucket.action_check_health()
print("STATE", bucket.state, bucket.message, second.location)
with bucket._open() as store:
    store.put("ab/one.crmarc", b"one" * 1000)
# Behind the store's back.
with second._open() as store:
    store.put("ab/one.crmarc", b"damaged", overwrite=True)

from odoo.addons.crm_archive_policy.lib.bundle import BundleCorrupt

def verify(source):
    if source.read() != b"one" * 1000:
        raise BundleCorrupt("it is damaged")

with bucket._open() as store:
    healed = store.check("ab/one.crmarc", verify)
print("HEALED", [item.repaired for item in healed])
log = env["crm.archive.log"].search([("action", "=", "heal")])
print("LOG", len(log), log.res_id == bucket.id)
env["ir.config_parameter"].set_param("database.uuid", "a-clone")
try:
    bucket._check_writable()
except Exception as error:
    print("CLONE", error)
print("FIELDS", bucket.read(), second.read())
env.cr.rollback()
"""


def test_bucket_with_a_second_cluster_as_mirror(
    database, odoo_shell, s3_bucket, second_dsn, monkeypatch
):
    bucket, options = s3_bucket
    monkeypatch.setenv("TEST_URL", f"s3://{bucket}/vault")
    monkeypatch.setenv("CRM_ARCHIVE_SECOND_DSN", second_dsn)
    for name, value in options.items():
        monkeypatch.setenv(f"CRM_ARCHIVE_OFFSITE_{name.upper()}", value)
    output = odoo_shell(database, BOTH)
    assert "STATE ok False postgres://" in output, output
    assert "HEALED [True]" in output, output
    assert "LOG 1 True" in output, output
    assert "CLONE The store “Bucket” belongs to another database" in output, output
    assert read_key(second_dsn, "ab/one.crmarc") == b"one" * 1000
    for secret in (SECRET, options["secret"]):
        assert secret not in output


KILLED = """
import signal
store = env["crm.archive.store"].search([("kind", "=", os.environ["TEST_KIND"])])
if not store:
    store = store.create(
        {"name": "Second server", "kind": "postgres", "secret_name": "second"}
    )
lead = env["crm.lead"].create({"name": "Killed"})
env.cr.commit()
with store._open() as opened:
    opened.put("ab/killed.crmarc", b"the lead")
lead.unlink()
env.flush_all()
print("KILLING", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

FOUND = """
store = env["crm.archive.store"].search([("kind", "=", os.environ["TEST_KIND"])])
with store._open() as opened:
    print("FOUND", env["crm.lead"].search_count([("name", "=", "Killed")]),
          opened.exists("ab/killed.crmarc"))
env["crm.lead"].search([("name", "=", "Killed")]).unlink()
env.cr.commit()
"""


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        # One transaction: the row or the bundle, never both and never neither.
        ("database", "1 False"),
        # Durable first: an orphan beside the row, never neither.
        ("postgres", "1 True"),
    ],
)
def test_killed_between_bundle_and_commit(
    database, odoo_shell, second_dsn, monkeypatch, kind, found
):
    monkeypatch.setenv("TEST_KIND", kind)
    monkeypatch.setenv("CRM_ARCHIVE_SECOND_DSN", second_dsn)
    assert "KILLING" in odoo_shell(database, KILLED, check=False)
    assert f"FOUND {found}" in odoo_shell(database, FOUND)


NEUTRALIZED = """
from odoo.modules.neutralize import neutralize_database
stores = env["crm.archive.store"]
store = stores.search([("kind", "=", "postgres")]) or stores.create(
    {"name": "Second server", "kind": "postgres", "secret_name": "second"}
)
with store._open() as opened:
    opened.put("ab/kept.crmarc", b"kept", overwrite=True)
neutralize_database(env.cr)
env["ir.config_parameter"].set_param("database.uuid", "a-duplicate")
env.invalidate_all()
errors = []
with store._open() as opened:
    print("READ", opened.get("ab/kept.crmarc"))
    for action in (
        lambda: opened.put("ab/new.crmarc", b"x"),
        lambda: opened.delete("ab/kept.crmarc"),
    ):
        try:
            action()
        except Exception as error:
            errors.append(type(error).__name__)
print("REFUSED", *errors)
print("CRONS", env["ir.cron"].search_count([("cron_name", "like", "Archive: ")]))
env.cr.rollback()
"""


def test_duplicated_and_neutralized_database_reads_only(
    database, odoo_shell, second_dsn, monkeypatch
):
    """As `odoo db duplicate --neutralize` leaves it, through Odoo's own code."""
    monkeypatch.setenv("CRM_ARCHIVE_SECOND_DSN", second_dsn)
    output = odoo_shell(database, NEUTRALIZED)
    assert "READ b'kept'" in output, output
    assert "REFUSED StoreReadonly StoreReadonly" in output, output
    assert "CRONS 0" in output, output
