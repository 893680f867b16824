"""The command line: no Odoo, no database, only the files."""

import base64
import hashlib
import json
import os
import subprocess
import sys

import lib_samples as samples
import pytest
from lib import cli
from lib.bundle import Record

HOSTILE_NAMES = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "",
    "a\0b\n",
    "x" * 300,
    "CON",
]
HOSTILE_NAMES += ["\u202egnp.exe", "same", "same", "-rf", "ä\x1b[31m", ".ssh"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a plain and an encrypted bundle, and the key for the latter."""
    blobs = [
        samples.blob(name, f"content {number}".encode())
        for number, name in enumerate(HOSTILE_NAMES)
    ]
    rows = {"crm_lead": [["1", value, None] for value in samples.HOSTILE[:20]]}
    records = [Record(1, rows, blobs, {"a": 1}), samples.simple(2), samples.simple(3)]
    for name, encrypted in (("plain", False), ("sealed", True)):
        data, _summary, ring = samples.write(records, encrypted)
        (tmp_path / name).write_bytes(data)
        if ring:
            ring.destroy(3)
            (tmp_path / f"{name}.keys").write_bytes(ring.dumps())
    key = base64.b64encode(samples.MASTERS["k1"]).decode()
    monkeypatch.setenv("CRM_ARCHIVE_MASTER_KEYS", f"k1:{key}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    "start",
    [
        [os.path.join(samples.ADDON, "lib")],
        ["-m", "lib"],
        ["-I", os.path.join(samples.ADDON, "lib", "__main__.py")],
    ],
)
def test_it_runs_without_odoo(folder, start):
    blocked = (
        "import sys, runpy\n"
        "for name in ('odoo', 'psycopg2'):\n"
        "    sys.modules[name] = None\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            *start,
            "verify",
            str(folder / "plain"),
            str(folder / "sealed"),
        ],
        cwd=samples.ADDON,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": sound, 3 records") == 2
    assert "1 erased" in done.stdout
    # Not even importable: nothing on the way asks for them.
    code = f"{blocked}sys.argv = ['lib', 'list', {str(folder / 'plain')!r}]\n"
    code += (
        f"runpy.run_path({os.path.join(samples.ADDON, 'lib')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "record       1: 20 rows" in done.stdout, done.stderr


def test_list_shows_what_is_in_it(folder, capsys):
    assert cli.main(["list", "plain"]) == 0
    shown = capsys.readouterr().out
    for text in ("crm.lead", samples.DATABASE, "crm_lead: 3 columns, 22 rows"):
        assert text in shown
    assert cli.main(["list", "sealed"]) == 0
    assert "aes-256-gcm" in capsys.readouterr().out


def test_nothing_in_a_bundle_commands_the_terminal(tmp_path, capsys):
    spec = samples.spec(producer="\x1b[2J\x07evil\u202e")
    data, _summary, _ring = samples.write([samples.simple(1)], bundle_spec=spec)
    (tmp_path / "b").write_bytes(data)
    assert cli.main(["list", str(tmp_path / "b")]) == 0
    shown = capsys.readouterr().out
    assert "evil" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_verify_finds_damage_and_goes_on(folder, capsys):
    data = bytearray((folder / "plain").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "bad").write_bytes(data)
    assert cli.main(["verify", "bad", "missing", "plain"]) == 1
    captured = capsys.readouterr()
    assert "plain: sound, 3 records, 26 rows, 13 blobs, sha256 " in captured.out
    digest = hashlib.sha256((folder / "plain").read_bytes()).hexdigest()
    assert digest in captured.out
    assert "bad: BundleCorrupt" in captured.err
    assert "missing: FileNotFoundError" in captured.err


def test_a_missing_key_is_told_and_the_seals_can_be_checked(
    folder, capsys, monkeypatch
):
    monkeypatch.delenv("CRM_ARCHIVE_MASTER_KEYS")
    assert cli.main(["verify", "sealed"]) == 1
    assert "BundleKeyError" in capsys.readouterr().err
    assert cli.main(["verify", "--without-keys", "sealed"]) == 0
    (folder / "sealed.keys").rename(folder / "elsewhere")
    assert cli.main(["verify", "sealed"]) == 1
    assert "key ring is missing" in capsys.readouterr().err
    assert cli.main(["verify", "sealed", "--keyring", "nowhere"]) == 1


@pytest.mark.parametrize("name", ["plain", "sealed"])
def test_extract_gives_everything_back(folder, name, capsys):
    (folder / "sealed.keys").rename(folder / "ring")
    arguments = ["--keyring", "ring"] if name == "sealed" else []
    assert cli.main(["extract", name, "--output", "out", *arguments]) == 0
    found = lines(folder / "out" / "records.jsonl")
    first = [line for line in found if line["record"] == 1]

    assert first[0] == {"record": 1, "meta": {"a": 1}}
    rows = [line["row"] for line in first if line.get("table") == "crm_lead"]
    assert [row["name"] for row in rows] == samples.HOSTILE[:20]
    assert rows[0] == {"id": "1", "name": None, "color": None}
    blobs = [line["blob"] for line in first if "blob" in line]
    assert [blob["name"] for blob in blobs] == HOSTILE_NAMES
    for number, blob in enumerate(blobs):
        path = folder / "out" / blob["file"]
        assert path.read_bytes() == f"content {number}".encode()
        assert hashlib.sha256(path.read_bytes()).hexdigest() == blob["sha256"]
        assert path.resolve().parent == folder / "out" / "attachments"
        assert len(path.name) < 120
        assert path.name.isascii()
    assert len({blob["file"] for blob in blobs}) == len(HOSTILE_NAMES)
    if name == "sealed":
        assert "record 3: erased" in capsys.readouterr().err
        assert found[-1] == {
            "record": 3,
            "error": "BundleKeyDestroyed: the key of record 3 was destroyed",
        }
    else:
        assert found[-1]["row"] == {"id": "2", "body": ""}


def test_extract_takes_some_records_and_never_overwrites(folder):
    assert cli.main(["extract", "plain", "--output", "out", "--record", "2"]) == 0
    found = lines(folder / "out" / "records.jsonl")
    assert {line["record"] for line in found} == {2}
    assert not (folder / "out" / "attachments").exists()
    assert cli.main(["extract", "plain", "--output", "out"]) == 1
    assert lines(folder / "out" / "records.jsonl") == found
    assert cli.main(["extract", "plain", "sealed", "--output", "out2"]) == 2


def test_extract_saves_what_can_be_saved(folder, capsys):
    data = (folder / "plain").read_bytes()
    bundle = samples.reader(data)
    place = bundle.index()[2].offset + 60
    (folder / "bad").write_bytes(
        data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    )
    assert cli.main(["extract", "bad", "--output", "out"]) == 1
    found = lines(folder / "out" / "records.jsonl")
    assert {line["record"] for line in found if "row" in line} == {1, 3}
    assert "record 2: BundleCorrupt" in capsys.readouterr().err


def test_urls(folder, capsys):
    assert cli.main(["verify", f"file://{folder}/sealed"]) == 0
    assert "sound" in capsys.readouterr().out
    assert cli.main(["verify", "http://host/x"]) == 1
    assert "not allowed" in capsys.readouterr().err


def test_s3(folder, s3_bucket, monkeypatch, capsys):
    from lib.stores import open_store

    bucket, options = s3_bucket
    store = open_store(
        "fsspec", database_uuid="x", url=f"s3://{bucket}/a", options=options
    )
    for name in ("sealed", "sealed.keys"):
        store.put(f"se/{name}", (folder / name).read_bytes())
    monkeypatch.setenv("CRM_ARCHIVE_STORE_OPTIONS", json.dumps(options))
    assert cli.main(["verify", f"s3://{bucket}/a/se/sealed"]) == 0
    assert "sound, 3 records, 1 erased" in capsys.readouterr().out


def test_postgres(folder, postgres_dsn, monkeypatch, capsys):
    from lib.stores import open_store

    store = open_store("postgres", database_uuid="x", dsn=postgres_dsn)
    for name in ("sealed", "sealed.keys"):
        store.put(f"se/{name}", (folder / name).read_bytes())
    monkeypatch.setenv("CRM_ARCHIVE_DSN", postgres_dsn)
    assert cli.main(["verify", "postgres:se/sealed", "postgres:se/plain"]) == 1
    captured = capsys.readouterr()
    assert "sound, 3 records, 1 erased" in captured.out
    assert "ObjectNotFound" in captured.err
    import psycopg2

    store.close()
    with psycopg2.connect(postgres_dsn) as connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA crm_archive CASCADE")
    connection.close()
