"""Stores elsewhere: what is refused, what is kept secret, what troubles are called."""

import logging
import os
import socket
import subprocess
import sys
import threading
import traceback

import lib_samples as samples
import pytest
from lib.stores import (
    FsspecStore,
    ObjectNotFound,
    PostgresStore,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StorePermission,
    StoreTemporary,
)
from lib.stores.errors import classify
from lib.stores.fsspec import check_endpoint, check_host
from lib.stores.tables import classify_sql

SECRET = "Geheim-7f3a9c"


def s3(url="s3://bucket/x", **options):
    return FsspecStore(database_uuid=samples.DATABASE, url=url, options=options)


def told(caught, caplog):
    """:return: all that a log or a screen may show of an error"""
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error)
    return shown + str(error.args) + caplog.text


# -- addresses ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket",
        "/etc/passwd",
        "http://host/x",
        "https://host/x",
        "ftp://host/x",
        "memory://x",
        "local:///etc",
        "simplecache::s3://bucket/x",
        "zip://x::file:///etc/x.zip",
        "s3://bucket::file:///etc",
        "s3://bucket/../other",
        "s3://bucket/%2e%2e/other",
        "s3://bucket/x?versionId=1",
        "s3://bucket/a b",
        "S3://bucket",
        "file:///etc",
        "github://org:repo@/x",
        "jupyter://localhost/x",
        "reference://x",
        f"sftp://user:{SECRET}@host/x",
    ],
)
def test_a_url_that_is_not_allowed_is_refused(url):
    with pytest.raises(StoreMisconfigured) as caught:
        FsspecStore(database_uuid=samples.DATABASE, url=url)
    assert SECRET not in str(caught.value)


def test_options_that_reach_further_are_refused():
    for name in ("config_kwargs", "client_kwargs", "profile", "fo", "session", "fs"):
        with pytest.raises(StoreMisconfigured, match=name):
            s3(**{name: {"proxies": "x"}})
    with pytest.raises(StoreMisconfigured):
        FsspecStore(
            database_uuid="x",
            url="sftp://host/x",
            options={"key_filename": "/etc/ssh/ssh_host_rsa_key"},
        )


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://169.254.169.254:80/latest",
        "http://2852039166/",
        "http://0xA9FEA9FE/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://224.0.0.1/",
        "file:///etc/passwd",
        "gopher://host/",
        "http://user@host/",
        "//host",
        "http://",
    ],
)
def test_an_endpoint_that_leads_to_the_machines_secrets_is_refused(url):
    with pytest.raises(StoreMisconfigured):
        check_endpoint(url)
    with pytest.raises(StoreMisconfigured):
        s3(endpoint_url=url).put("a", b"x")


def test_a_name_that_resolves_to_such_an_address_is_refused(monkeypatch):
    def getaddrinfo(host, port, *_arguments):
        good = (socket.AF_INET, 1, 6, "", ("203.0.113.9", port))
        bad = (socket.AF_INET, 1, 6, "", ("169.254.169.254", port))
        return [good, bad] if host == "evil.example" else [good]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    check_endpoint("https://good.example/")
    with pytest.raises(StoreMisconfigured, match="link-local"):
        check_endpoint("https://evil.example/")


def test_loopback_and_private_networks_are_allowed():
    for url in ("http://127.0.0.1:9000", "http://10.1.2.3", "https://192.168.0.9:9000"):
        check_endpoint(url)


def test_a_server_that_is_this_very_machine_or_keeps_its_secrets_is_refused():
    for host in ("127.0.0.1", "0.0.0.0", "user@127.0.0.1", "169.254.169.254"):
        store = FsspecStore(database_uuid="x", url=f"sftp://{host}/x")
        with pytest.raises(StoreMisconfigured, match="address|resolve"):
            store.put("a", b"x")
    for loopback, host in ((True, "127.0.0.1"), (False, "10.1.2.3")):
        check_host(host, 22, loopback)


def test_credentials_that_are_missing_are_no_passing_trouble():
    class NoCredentialsError(Exception):
        """As botocore's, which has neither code nor number."""

    assert classify(NoCredentialsError("Unable to locate")) is StorePermission


@pytest.mark.parametrize("package", ["fsspec", "s3fs"])
def test_a_missing_package_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    store = s3(endpoint_url="http://127.0.0.1:1")
    with pytest.raises(StoreMisconfigured, match=f"'{package}'"):
        store.put("a", b"x")
    assert store.health().error == "StoreMisconfigured"


# -- secrets and troubles -------------------------------------------------------------


def test_s3_secrets_are_never_shown(s3_bucket, caplog):
    bucket, options = s3_bucket
    caplog.set_level(logging.INFO)
    options = {**options, "secret": SECRET, "token": SECRET + "-token"}
    store = FsspecStore(
        database_uuid=samples.DATABASE, url=f"s3://{bucket}/x", options=options
    )
    store.put("a", b"x")
    assert SECRET not in repr(store) + store.describe() + caplog.text
    for trouble in (f"bad {SECRET}", f"x={SECRET}-token;"):
        with pytest.raises(StoreError) as caught, store._translated():
            raise ValueError(trouble)
        assert SECRET not in told(caught, caplog)


def test_a_bucket_that_is_not_there(s3_bucket):
    _bucket, options = s3_bucket
    store = s3("s3://no-such-bucket-here/x", **options)
    with pytest.raises(StoreMisconfigured):
        store.put("a", b"x")
    health = store.health()
    assert (health.ok, health.error) == (False, "StoreMisconfigured")
    assert "no-such-bucket-here" in health.message


def test_a_server_that_is_not_there(s3_bucket):
    _bucket, options = s3_bucket
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        options = {**options, "endpoint_url": f"http://127.0.0.1:{port}"}
        store = s3(**options)
        with pytest.raises(StoreTemporary) as caught:
            store.put("a", b"x")
    assert caught.value.retry
    assert options["secret"] not in str(caught.value)


def test_a_large_object_goes_up_in_parts_and_an_aborted_one_leaves_none(s3_bucket):
    import boto3

    bucket, options = s3_bucket
    store = s3(f"s3://{bucket}/x", **options)
    size = 20 << 20
    stat = store.put("big", samples.Endless(size, seed=1))
    assert stat.size == size
    with pytest.raises(ZeroDivisionError):
        with store.create("broken") as out:
            out.write(bytes(size))
            raise ZeroDivisionError
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id="x",
        aws_secret_access_key="x",
        region_name="us-east-1",
    )
    keys = [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert sorted(keys) == ["x/big", "x/crm-archive-store.json"]
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("QuotaExceeded", StoreFull),
        ("XMinioStorageFull", StoreFull),
        ("AccessDenied", StorePermission),
        ("SignatureDoesNotMatch", StorePermission),
        ("NoSuchKey", ObjectNotFound),
        ("NoSuchBucket", StoreMisconfigured),
        ("SlowDown", StoreTemporary),
        ("InternalError", StoreTemporary),
    ],
)
def test_s3_answers_are_told_apart(code, kind):
    pytest.importorskip("botocore")
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": code, "Message": "x"}}
    error = OSError("what s3fs makes of it")
    error.__cause__ = ClientError(answer, "PutObject")
    assert classify(error) is kind


DSN_PARTS = "host=127.0.0.1 user=nobody dbname=nothing"


@pytest.mark.parametrize(
    "dsn",
    [
        f"password={SECRET} '",
        f"postgres://u:{SECRET}@/x?nonsense={SECRET}",
        f"host=h password={SECRET} passfile=/etc/shadow",
        f"host=h password={SECRET} service=x",
        f"host=h password={SECRET} options='-c session_preload_libraries=x'",
        f"nonsense {SECRET}",
    ],
)
def test_a_bad_connection_string_is_refused_and_not_quoted(dsn, caplog):
    with pytest.raises(StoreMisconfigured) as caught:
        PostgresStore(database_uuid=samples.DATABASE, dsn=dsn)
    assert SECRET not in told(caught, caplog)


def test_postgres_secrets_are_never_shown(caplog):
    pytest.importorskip("psycopg2")
    caplog.set_level(logging.DEBUG)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        dsn = f"{DSN_PARTS} port={port} password={SECRET}"
        store = PostgresStore(database_uuid=samples.DATABASE, dsn=dsn)
        assert SECRET not in repr(store) + str(store) + store.describe()
        assert "nobody" not in store.describe()
        with pytest.raises(StoreTemporary) as caught:
            store.put("a", b"x")
    assert SECRET not in told(caught, caplog)
    for trouble in (f"bad {SECRET}", f"dsn was {dsn}"):
        with pytest.raises(StoreError) as caught, store._translated():
            raise ValueError(trouble)
        assert SECRET not in told(caught, caplog)


def test_postgres_says_what_is_wrong(postgres_dsn):
    wrong = postgres_dsn.replace("dbname=", "dbname=no_")
    store = PostgresStore(database_uuid=samples.DATABASE, dsn=wrong)
    with pytest.raises(StoreMisconfigured, match="does not exist"):
        store.put("a", b"x")
    assert store.health().error == "StoreMisconfigured"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("53100", StoreFull),
        ("54000", StoreFull),
        ("42501", StorePermission),
        ("25006", StorePermission),
        ("28P01", StorePermission),
        ("3D000", StoreMisconfigured),
        ("42P01", StoreMisconfigured),
        ("40001", StoreTemporary),
        ("57P01", StoreTemporary),
        ("XX000", StoreTemporary),
        ("FATAL:  password authentication failed for user", StorePermission),
        ("could not connect to server", StoreTemporary),
    ],
)
def test_postgres_troubles_are_told_apart(code, kind):
    class Error(Exception):
        pgcode = code if len(code) == 5 else None

    assert classify_sql(Error(code)) is kind


def test_postgres_reconnects(postgres_dsn):
    import psycopg2

    store = PostgresStore(database_uuid=samples.DATABASE, dsn=postgres_dsn)
    store.put("reconnect", b"x")
    with psycopg2.connect(postgres_dsn) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'crm_archive_policy'"
            " AND datname = current_database()"
        )
    connection.close()
    with pytest.raises(StoreTemporary):
        store.get("reconnect")
    assert store.get("reconnect") == b"x"
    store.close()
    store.delete("reconnect")
    store.close()


def test_what_is_being_written_is_not_committed_by_what_is_read(postgres_dsn):
    store = PostgresStore(database_uuid=samples.DATABASE, dsn=postgres_dsn)
    store.put("base", b"x")
    with pytest.raises(ZeroDivisionError):
        with store.create("half") as out:
            out.write(bytes(3 << 20))
            assert store.get("base") == b"x"
            assert not store.exists("half")
            store.delete("base")
            raise ZeroDivisionError
    assert [stat.key for stat in store.iter_objects()] == []
    store.close()


CRASH = """
import os, signal, sys
sys.path.append(sys.argv[1])
sys.path.append(sys.argv[2])
import lib_samples as samples
from lib import faults
from lib.stores import PostgresStore

store = PostgresStore(database_uuid=samples.DATABASE, dsn=sys.argv[3])

def die(_name):
    os.kill(os.getpid(), signal.SIGKILL)

with faults.crash_at(int(sys.argv[4]), die):
    store.put("crash", samples.Endless(3 << 20))
"""


def test_a_killed_process_leaves_a_whole_object_or_none(postgres_dsn):
    store = PostgresStore(database_uuid=samples.DATABASE, dsn=postgres_dsn)
    store.put("other", b"x")
    outcomes = []
    for number in range(1, 30):
        if store.exists("crash"):
            store.delete("crash")
        arguments = [
            samples.ADDON,
            os.path.dirname(__file__),
            postgres_dsn,
            str(number),
        ]
        status = subprocess.run(
            [sys.executable, "-c", CRASH, *arguments], check=False
        ).returncode
        outcomes.append(store.stat("crash").size if store.exists("crash") else None)
        if status == 0:
            break
        assert status == -9
    assert set(outcomes) == {None, 3 << 20}
    assert len(outcomes) > 6
    store.delete("crash")
    store.delete("other")
    store.close()


def test_two_databases_claim_a_store_at_once(postgres_dsn):
    """One wins; nobody writes to a store that is not theirs."""
    import psycopg2

    with psycopg2.connect(postgres_dsn) as connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS crm_archive CASCADE")
    connection.close()
    setup = PostgresStore(database_uuid="x", dsn=postgres_dsn)
    assert setup.owner() is None
    setup.close()
    outcomes = {}
    barrier = threading.Barrier(4)

    def claim(name):
        store = PostgresStore(database_uuid=name, dsn=postgres_dsn)
        barrier.wait()
        outcomes[name] = store.health().ok
        store.close()

    threads = [threading.Thread(target=claim, args=(f"db{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes.values()) == [False, False, False, True]
    with psycopg2.connect(postgres_dsn) as connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS crm_archive CASCADE")
    connection.close()
