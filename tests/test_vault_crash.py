"""The vault killed with -9 at its fault points: nothing lost, nothing there twice.

By default at the first fault point of each kind; `CRASH=all` kills at every single one,
until none is left, which takes minutes. vault_driver.py does it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from vault_fill import CONTACTS, LEADS, environment

RECORDS = LEADS + CONTACTS
FILES = 2 * RECORDS
SIGKILL = 9

STORES = {
    "folder, encrypted": ("fsspec", "1", "ends"),
    "folder": ("fsspec", "", "first"),
    "database, encrypted": ("database", "1", "first"),
    "database": ("database", "", "first"),
}


@pytest.fixture(scope="module")
def template(make_database):
    return make_database()


@pytest.fixture
def crash(template, tmp_path):
    """Return a function that crashes a scenario and returns what was seen."""

    def run(scenario, kind, encrypt, points):
        points = os.environ.get("CRASH") or points
        driver = Path(__file__).with_name("vault_driver.py")
        done = subprocess.run(
            [sys.executable, str(driver), template, str(tmp_path)]
            + [scenario, kind, encrypt, points],
            capture_output=True,
            text=True,
            env=environment(tmp_path),
            check=False,
        )
        assert done.returncode == 0, done.stderr[-6000:]
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        seen = {line["what"]: line["value"] for line in lines}
        killed = [line for line in lines if line["what"] == "killed"]
        assert all(line["signal"] == SIGKILL for line in killed)
        assert seen.get("after the last", 0) == 0, "there was one more point"
        return seen["original"], seen["undisturbed"], killed

    return run


def once_each(seen, action):
    """:return: the records in the audit lines of an action, each exactly once"""
    lines = [line for line in seen["logged"] if line[0] == action]
    assert all(count == 1 for *_line, count in lines), lines
    return {(model, record) for _action, model, record, _count in lines}


def vaulted(seen):
    return {(entry[0], entry[1]) for entry in seen["entries"]}


@pytest.mark.parametrize("store", STORES)
def test_vault_killed_at_each_point(crash, store):
    original, undisturbed, killed = crash("vault", *STORES[store])
    assert len(vaulted(undisturbed)) == undisturbed["vaulted"] == RECORDS
    assert undisturbed["whole"] == original["live"]
    assert (undisturbed["files"], undisturbed["all files"]) == (0, FILES)
    assert {line["name"] for line in killed} >= {
        "bundle.record",
        "store.committed",
        "vault: bundle verified",
        "vault: rows deleted",
        "run: batch committed",
    }
    for line in killed:
        half, end, name = line["half"], line["value"], line["name"]
        # Each record is live or in the vault, and what is in the vault can be read.
        assert half["whole"] == original["live"], name
        assert half["all files"] == FILES, name
        assert once_each(half, "vault") == vaulted(half), name
        assert half["vaulted"] == len(half["entries"]), name
        # Finished, it is as if nothing had happened.
        for key in undisturbed.keys() - {"waste", "not used"}:
            assert end[key] == undisturbed[key], (name, key)
        assert once_each(end, "vault") == vaulted(undisturbed), name
        # What the crash has left belongs to nobody, and was thrown away without harm.
        assert sum(half["waste"].values()) + half["not used"] <= 3, name
        kept = half["waste"]["orphans"] if store.startswith("database") else 0
        # (In a database it is there again, as the look was rolled back.)
        assert end["waste"]["orphans"] <= kept, name
        assert end["not used"] <= 1, name
    assert any(line["half"]["waste"]["orphans"] for line in killed) or store.startswith(
        "database"
    )


def test_button_killed_while_it_restores(crash):
    """One transaction: everything in the vault, or everything live."""
    original, undisturbed, killed = crash("restore", "fsspec", "1", "ends")
    assert undisturbed["entries"] == []
    assert undisturbed["files"] == original["files"] == FILES
    names = {line["name"] for line in killed}
    assert names >= {"restore: file written", "restore: rows inserted", "restore: done"}
    for line in killed:
        half, end, name = line["half"], line["value"], line["name"]
        assert len(half["entries"]) == RECORDS, name
        assert half["whole"] == original["live"], name
        assert once_each(half, "restore") == set(), name
        assert end == undisturbed, name


def test_run_killed_while_it_restores(crash):
    """A batch is a transaction: each is in the vault or live as a whole."""
    original, undisturbed, killed = crash("restore_run", "database", "1", "ends")
    assert (undisturbed["entries"], undisturbed["restored"]) == ([], RECORDS)
    assert undisturbed["files"] == original["files"] == FILES
    for line in killed:
        half, end, name = line["half"], line["value"], line["name"]
        restored = once_each(half, "restore")
        assert not restored & vaulted(half), name
        assert restored | vaulted(half) == vaulted_before(undisturbed), name
        assert half["restored"] == len(restored), name
        assert half["all files"] == FILES, name
        assert end == undisturbed, name


def vaulted_before(seen):
    return once_each(seen, "vault")
