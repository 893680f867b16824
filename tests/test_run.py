"""`make run`, as somebody sees it who has just cloned the repository."""

import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import databases
import pytest
from helpers import free_port

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def database():
    name = databases.unique_name("run")
    yield name
    databases.drop(name)


def make_run(database, **variables):
    return subprocess.Popen(
        ["make", "--no-print-directory", "run"],
        cwd=ROOT,
        env={**os.environ, "DB": database, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_summary(database):
    process = make_run(database, SERVE="0")
    output = process.communicate(timeout=900)[0]
    assert process.returncode == 0, output
    assert "Traceback" not in output
    total = re.search(r"Total +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +[\d.]+", output)
    looked_at, archived, proposed, kept, errors = map(int, total.groups())
    assert looked_at == archived + proposed + kept
    assert min(archived, proposed, kept) > 0
    assert errors == 0
    assert re.search(r"kept \d+: \w", output)
    moved = re.search(r"(\d+) leads moved to the vault", output)
    assert int(moved[1]) > 0


def test_serves_until_interrupted(database):
    port = free_port()
    process = make_run(database, PORT=str(port))
    try:
        for line in process.stdout:
            if "Ctrl+C" in line:
                break
        else:
            pytest.fail(f"make run ended with status {process.wait()}")
        url = f"http://127.0.0.1:{port}/web/login"
        with _open_patiently(url, process) as page:
            assert b"Log in" in page.read()

        # A second one names what is in its way, and leaves the first alone.
        second = make_run(database, SERVE="0")
        output = second.communicate(timeout=300)[0]
        assert second.returncode != 0
        assert f"{database} is in use" in output
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=5)


def _open_patiently(url, process):
    for _attempt in range(600):
        try:
            return urllib.request.urlopen(url, timeout=60)
        except OSError:
            assert process.poll() is None
            time.sleep(0.2)
    raise AssertionError("the server does not answer")
