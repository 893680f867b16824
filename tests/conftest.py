"""What tests of a whole system need: databases, servers and Odoo's shell.

These tests start processes and look at them from outside; they run in plain pytest.
"""

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts" / "lib"), str(ROOT / "tests")]

import databases  # noqa: E402
from community import addons_path  # noqa: E402
from community import fetch as fetch_community  # noqa: E402
from helpers import free_port  # noqa: E402

ADDON = databases.ADDON


def pytest_collection_modifyitems(items):
    """Refuse to run half prepared: everything here needs the host's environment."""
    if items and "CRM_ARCHIVE_CACHE" not in os.environ:
        pytest.exit("Start the tests with `make test` or `scripts/test PATH`.", 4)


class Server:
    """A running Odoo server of one database."""

    def __init__(self, database, process, port, log):
        self.database = database
        self.process = process
        self.port = port
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    def wait_until_ready(self, timeout=180):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{self.url}/web/health", timeout=10).close()
                return
            time.sleep(0.3)
        pytest.fail(f"The server did not start:\n{self.log.read_text()[-4000:]}")

    def stop(self, timeout=60):
        """End the server, by its own process number."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        """End the server as a power cut would."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def make_database():
    """Return a function that makes a database, dropped when the module is done.

    `make_database(["crm", "sale_crm", ADDON], demo=True)` returns its name.
    """
    names = []

    def make(modules=("crm", "contacts", ADDON), demo=False):
        name = databases.unique_name("system")
        names.append(name)
        databases.clone(name, modules, demo)
        return name

    yield make
    for name in names:
        databases.drop(name)


@pytest.fixture
def start_server(tmp_path):
    """Return a function that starts an Odoo server, ended when the test is done."""
    servers = []

    def start(database, *arguments, wait=True):
        port = free_port()
        log = tmp_path / f"server_{len(servers)}.log"
        command = [sys.executable, "-m", "odoo", "server", "-d", database]
        command += [f"--http-port={port}", f"--db-filter=^{database}$", *arguments]
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
        server = Server(database, process, port, log)
        servers.append(server)
        if wait:
            server.wait_until_ready()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(make_database, start_server):
    """A running server of a fresh database with the add-on."""
    return start_server(make_database())


@pytest.fixture
def odoo_shell():
    """Return a function that runs code in Odoo's shell and returns what it printed.

    The code is kept by `env.cr.commit()`, as in the shell; an exception fails the test.
    """

    def run(database, code, timeout=600, check=True):
        # The shell prints an exception and goes on; here the first one is the end.
        wrapped = (
            "import os, sys, traceback\n"
            f"code = {code!r}\n"
            "try:\n"
            "    exec(compile(code, '<odoo_shell>', 'exec'), globals())\n"
            "except BaseException:\n"
            "    traceback.print_exc()\n"
            "    sys.stdout.flush(); sys.stderr.flush()\n"
            "    os._exit(3)\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "odoo", "shell", "-d", database, "--no-http"],
            input=wrapped,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=ROOT,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"The shell failed:\n{done.stdout}\n{done.stderr[-6000:]}")
        return done.stdout

    return run


@pytest.fixture(scope="module")
def community():
    """The option that makes Odoo find the community's add-ons, with the path set."""
    folder = fetch_community()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield addons_path(folder)


@pytest.fixture
def run_odoo():
    """Return a function that runs `odoo server … --stop-after-init` and returns its
    log: `run_odoo(database, "-u", "crm")`."""
    return databases.run_odoo
