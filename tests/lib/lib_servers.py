"""Servers that some tests need: PostgreSQL, and S3 as moto speaks it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

import pytest


@pytest.fixture(scope="session")
def postgres_dsn(tmp_path_factory):
    """Connection string of an empty database, dropped afterwards.

    The server is the one that PGHOST, PGPORT and PGUSER name; without them the test
    is skipped.
    """
    psycopg2 = pytest.importorskip("psycopg2")
    if not os.environ.get("PGHOST"):
        pytest.skip("PGHOST does not name a PostgreSQL server")
    name = f"crm_archive_lib_{uuid.uuid4().hex[:12]}"
    admin = psycopg2.connect(dbname="postgres")
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        parts = {
            "host": os.environ["PGHOST"],
            "port": os.environ.get("PGPORT", "5432"),
            "user": os.environ.get("PGUSER", ""),
            "password": os.environ.get("PGPASSWORD", ""),
            "dbname": name,
        }
        yield " ".join(f"{key}={value}" for key, value in parts.items() if value)
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    admin.close()


@pytest.fixture
def cursor(postgres_dsn):
    """A cursor whose transaction is rolled back."""
    import psycopg2

    connection = psycopg2.connect(postgres_dsn)
    with connection.cursor() as cursor:
        yield cursor
    connection.rollback()
    connection.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """Address of an S3 server, a process of its own on the loopback interface."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    pytest.importorskip("flask_cors")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    program = shutil.which("moto_server", path=os.path.dirname(sys.executable))
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=output,
            # Nothing of the machine's own account may be used by mistake.
            env={"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url + "/moto-api/", process, log)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _wait(url, process, log):
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the S3 server did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def s3_bucket(s3_server):
    """A new bucket: the server's address, credentials and the bucket's name."""
    import boto3

    name = f"bucket-{uuid.uuid4().hex[:8]}"
    options = {
        "endpoint_url": s3_server,
        "key": "test-key",
        "secret": "test-secret-value",
        "region": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=s3_server,
        aws_access_key_id=options["key"],
        aws_secret_access_key=options["secret"],
        region_name=options["region"],
    )
    client.create_bucket(Bucket=name)
    return name, options
