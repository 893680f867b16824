"""Run the tests in databases of their own; started by scripts/test.

Two kinds of tests need two kinds of process. Those that run inside Odoo (the add-on's
own, and the browser's in tests/browser) go through pytest-odoo; those that start
servers and scripts (the rest of tests/) go through plain pytest. Both run at once.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import databases

ROOT = databases.ROOT
UNIT_PATHS = [f"{databases.ADDON}/tests", "tests/browser"]
SYSTEM_PATHS = ["tests"]
SUMMARY = re.compile(
    r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|deselected)"
)
NO_TESTS_COLLECTED = 5


def is_unit(path):
    return path.startswith((databases.ADDON, "tests/browser", "/"))


class Phase:
    """One pytest process, its output passed on line by line."""

    def __init__(self, name, arguments, prefixed):
        self.name = name
        self.prefix = f"[{name}] " if prefixed else ""
        self.counts = Counter()
        self.last_line = ""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        command += ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={ROOT}"]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.thread = threading.Thread(target=self._pass_on)
        self.thread.start()

    def _pass_on(self):
        for line in self.process.stdout:
            print(self.prefix + line, end="", flush=True)
            if line.strip():
                self.last_line = line.strip()

    def wait(self):
        """Wait for the end.

        :return: whether all went well
        """
        status = self.process.wait()
        self.thread.join()
        for number, kind in SUMMARY.findall(self.last_line):
            self.counts["error" if kind == "errors" else kind] += int(number)
        return status in (0, NO_TESTS_COLLECTED)

    def stop(self):
        if self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)


def report(line):
    print(line, flush=True)


def common_options():
    options = ["-q", "-ra", "--color=no", "--durations=5"]
    if os.environ.get("K"):
        options += ["-k", os.environ["K"]]
    return options + os.environ.get("PYTEST_ARGS", "").split()


def prepare_unit(paths):
    """Make the database of the tests that run inside Odoo.

    :return: its name and the arguments for pytest
    """
    modules = (os.environ.get("MODULES") or "crm,contacts").split(",")
    database = databases.unique_name("unit")
    databases.clone(database, [*modules, databases.ADDON], report=report)
    options = ["--odoo-http", f"--odoo-database={database}"]
    options += [f"--odoo-config={os.environ['ODOO_RC']}"]
    # The server of a test must show this database only.
    options += [f"--odoo-extra=db-filter=^{database}$"]
    options += ["--odoo-extra=max-cron-threads=0"]
    return database, [*options, *common_options(), *paths]


def system_arguments(paths):
    ignored = ["--ignore=tests/browser"]
    return ["-p", "no:odoo", *ignored, *common_options(), *paths]


def choose(wanted):
    """Sort the wanted paths by the kind of process they need."""
    if not wanted:
        return [p for p in UNIT_PATHS if (ROOT / p).is_dir()], SYSTEM_PATHS
    unit = [path for path in wanted if is_unit(path)]
    return unit, [path for path in wanted if path not in unit]


def main():
    started = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *args: sys.exit(143))
    databases.drop_orphans()
    unit_paths, system_paths = choose(os.environ.get("T", "").split())
    both = bool(unit_paths and system_paths)
    phases, database, good = [], None, True
    try:
        if system_paths:
            phases.append(Phase("system", system_arguments(system_paths), both))
        if unit_paths:
            database, arguments = prepare_unit(unit_paths)
            phases.append(Phase("unit", arguments, both))
        good = all([phase.wait() for phase in phases])
    except databases.InstallError as error:
        good = False
        print(f"{error}\nThe add-on could not be installed, see above.")
        # The other phase is still worth its result.
        for phase in phases:
            phase.wait()
    except KeyboardInterrupt:
        good = False
    finally:
        for phase in phases:
            phase.stop()
        if database:
            databases.drop(database)
    return summarize(phases, good, time.monotonic() - started)


def summarize(phases, good, seconds):
    counts = Counter()
    for phase in phases:
        counts.update(phase.counts)
        if len(phases) > 1:
            print(f"{phase.name}: {phase.last_line.strip('= ')}")
    order = ["failed", "passed", "skipped", "xfailed", "xpassed", "deselected", "error"]
    text = ", ".join(f"{counts[kind]} {kind}" for kind in order if counts[kind])
    if not (counts["passed"] or counts["failed"]):
        good = False
    print(f"{'=' * 10} {text or 'no tests ran'} in {seconds:.2f}s {'=' * 10}")
    if not good:
        print("The tests FAILED.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
