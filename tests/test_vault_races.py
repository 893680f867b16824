"""Others at work while records leave for the vault and come back (vault_races.py)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from vault_fill import environment

ALL, OTHERS = [0, 1, 2, 3], [0, 2, 3]

#: Who comes while the record is not locked yet is seen, and the record stays.
SEEN = [
    "message_after_writing",
    "message_before_the_lock",
    "file_in_sql_before_the_lock",
    "file_of_a_task_before_the_lock",
    "row_written_after_writing",
    "row_written_before_the_lock",
    "part_written_before_the_lock",
    "reference_made_before_the_lock",
]

#: Who comes later waits for the end of the transaction, and finds nothing.
TOO_LATE = [
    "message_after_comparing",
    "message_after_the_late_look",
    "file_in_sql_after_the_late_look",
]

TWO_RUNS = [
    "button_while_the_cron_writes",
    "button_while_the_cron_takes",
    "cron_while_the_button_writes",
    "cron_while_the_button_takes",
]


@pytest.fixture(scope="module")
def played(make_database, tmp_path_factory):
    """What became of each scenario."""
    folder = tmp_path_factory.mktemp("store")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("vault_races.py"))]
        + [make_database(), str(folder)],
        capture_output=True,
        text=True,
        env=environment(folder),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return {
        line["name"]: line["found"]
        for line in map(json.loads, done.stdout.splitlines())
    }


@pytest.fixture
def see(played):
    """Return a function that returns what became of a scenario."""

    def look(name):
        found = played[name]
        assert "failure" not in found, found["failure"]
        return found

    return look


def check_all_vaulted(seen):
    assert (seen["live"], seen["vaulted"], seen["orphans"]) == ([], ALL, 0)
    assert seen["logged"] == ALL, "each has one audit line"
    assert seen["errors"] == []


@pytest.mark.parametrize("name", SEEN)
def test_who_comes_in_time_keeps_the_record_live(see, name):
    first, second = see(name)["first"], see(name)["second"]
    assert first["met"] == [first["met"][0]], "nobody had to wait"
    assert (first["live"], first["vaulted"], first["orphans"]) == ([1], OTHERS, 0)
    assert (first["changed"], first["errors"]) == (1, []), "that is no error"
    assert first["unused"] == [[1]], "the bundle knows what it holds in vain"
    assert first["logged"] == OTHERS
    check_all_vaulted(second)


@pytest.mark.parametrize("name", TOO_LATE)
def test_who_comes_too_late_leaves_nothing_behind(see, name):
    first = see(name)["first"]
    assert first["met"][1:] == ["had to wait"]
    check_all_vaulted(first)


@pytest.mark.parametrize("name", ["hold_after_writing", "hold_before_the_lock"])
def test_a_hold_is_obeyed_up_to_the_last_moment(see, name):
    for seen in (see(name)["first"], see(name)["second"]):
        assert len(seen["met"]) == 1
        assert (seen["live"], seen["vaulted"]) == ([1], OTHERS)
        assert seen["logged"] == OTHERS


@pytest.mark.parametrize("name", TWO_RUNS)
def test_of_two_runs_one_wins(see, name):
    seen = see(name)
    assert len(seen["met"]) == 1, "they met, and nobody had to wait"
    check_all_vaulted(seen)
    assert seen["used"] == 1, "one object is in use"
    assert set(seen["states"]) == {"done"}


def test_a_batch_is_finished_when_the_time_is_over(see):
    seen = see("no_time_left_after_each_step")
    check_all_vaulted(seen)
    assert seen["by call"][0] == 2, "the first batch is safe"
    assert (seen["used"], seen["states"]) == (2, ["done"])


def test_files_survive_the_garbage_collection(see):
    found = {
        name: see(name)["files"]
        for name in (
            "collection_while_it_is_written",
            "collection_while_a_taking_fails",
            "collection_while_files_come_back",
            "collection_after_a_quick_return",
        )
    }
    assert found == dict.fromkeys(found, [4, 4])
