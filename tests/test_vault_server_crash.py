"""The database server crashes under the vault: nothing lost, nothing there twice.

It is stopped `immediate`, which is what a crash is: sessions are cut off and nothing
is written out. In a cluster of the test's own; vault_server_driver.py does it.
"""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from private_cluster import PREFIX, Cluster, find_programs
from test_vault_crash import FILES, RECORDS, once_each, vaulted
from vault_fill import LEADS, environment


@pytest.fixture(scope="module")
def cluster():
    """A cluster of the version that Odoo's has."""
    with closing(psycopg2.connect(dbname="postgres")) as connection:
        major = connection.server_version // 10000
        role = connection.info.user
    programs = find_programs(major)
    if not programs:
        pytest.skip(f"The programs of PostgreSQL {major} are not on this machine")
    cluster = Cluster.make(programs, role)
    yield cluster
    cluster.remove()


def test_a_killed_test_leaves_no_cluster(cluster):
    """The next one removes it; those of living processes stay."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    stale = cluster.folder.with_name(f"{PREFIX}{ended.pid}_stale")
    cluster.call("initdb", "-D", stale / "data", "-A", "trust", "--no-sync")
    Cluster.remove_stale(cluster.programs)
    assert not stale.exists()
    assert cluster.is_running()


@pytest.fixture(scope="module")
def template(make_database, cluster):
    """A database with the add-on in that cluster; its files are where Odoo's are."""
    name = make_database()
    host = ["-h", cluster.folder, "-p", "5432"]
    subprocess.run([cluster.programs / "createdb", *host, name], check=True)
    dump = [cluster.programs / "pg_dump", "--no-owner", "--no-privileges", name]
    load = [cluster.programs / "psql", *host, "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    with subprocess.Popen(dump, stdout=subprocess.PIPE) as dumping:
        subprocess.run(
            [*load, "-d", name],
            stdin=dumping.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    assert dumping.returncode == 0
    return name


@pytest.fixture
def crash(template, cluster, tmp_path):
    """Return a function that crashes the server again and again, and returns what was
    seen: what there was once, and of each work every crash."""

    def run(kind, encrypt):
        driver = Path(__file__).with_name("vault_server_driver.py")
        own = {"PGHOST": str(cluster.folder), "PGPORT": "5432"}
        done = subprocess.run(
            [sys.executable, str(driver), template, str(tmp_path)]
            + [str(cluster.folder), str(cluster.programs), kind, encrypt],
            capture_output=True,
            text=True,
            env={**environment(tmp_path), **own},
            check=False,
        )
        assert done.returncode == 0, done.stderr[-6000:]
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        once = {line["what"]: line["value"] for line in lines if "half" not in line}
        crashes = [line for line in lines if "half" in line]
        return once, crashes

    return run


@pytest.mark.parametrize(
    ("kind", "encrypt"), [("fsspec", "1"), ("database", "")], ids=["folder", "database"]
)
def test_server_crashes(crash, kind, encrypt):
    once, crashes = crash(kind, encrypt)
    vault_crashes = [line for line in crashes if line["what"] == "vault"]
    check_vault(once, vault_crashes)
    [line] = [line for line in crashes if line["what"] == "restore"]
    check_restore(once, line)


def check_vault(once, crashes):
    original, undisturbed = once["original"], once["vault undisturbed"]
    assert len(vaulted(undisturbed)) == undisturbed["vaulted"] == RECORDS
    # What had been committed is there, what had not been is not.
    assert [(line["name"], len(line["half"]["entries"])) for line in crashes] == [
        ("vault: bundle verified", 0),
        ("vault: rows deleted", 0),
        ("run: batch committed", LEADS),
    ]
    for line in crashes:
        half, end, name = line["half"], line["value"], line["name"]
        # Each record is live or in the vault, and what is in the vault can be read.
        assert half["whole"] == original["live"], name
        assert (half["all files"], half["chain"]) == (FILES, True), name
        assert once_each(half, "vault") == vaulted(half), name
        assert half["vaulted"] == len(half["entries"]), name
        # Finished, it is as if nothing had happened.
        assert end["chain"], name
        for key in undisturbed.keys() - {"waste", "not used"}:
            assert end[key] == undisturbed[key], (name, key)
        assert once_each(end, "vault") == vaulted(undisturbed), name


def check_restore(once, line):
    """One transaction: everything in the vault, or everything live."""
    original, undisturbed = once["original"], once["restore undisturbed"]
    assert (undisturbed["entries"], undisturbed["files"]) == ([], FILES)
    half, end = line["half"], line["value"]
    assert len(half["entries"]) == RECORDS
    assert (half["whole"], half["all files"]) == (original["live"], FILES)
    assert half["chain"]
    assert once_each(half, "restore") == set()
    assert len(once_each(end, "restore")) == RECORDS
    assert end["chain"]
    assert end == undisturbed
