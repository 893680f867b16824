"""What the measurements share; goes before `bench_measure.py` or `bench_vault.py`."""

import os
import resource
import time
from pathlib import Path

WHAT = os.environ["MEASURE"]
TAKE = int(os.environ["TAKE"]) or None  # 0: all there are


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_seconds(cr):
    """Return the CPU time that this process and its database process have used.

    What else the machine does delays both, but is not counted here. None when the
    server runs somewhere else.
    """
    stat = Path("/proc", str(cr._cnx.info.backend_pid), "schedstat")
    if not cr._cnx.info.host.startswith("/") or not stat.exists():
        return None
    return time.process_time() + int(stat.read_text().split()[0]) / 1e9


def spent(act, cr=None):
    """Return the seconds that an act takes: ``[by the clock, of CPU]``."""
    cr = cr or env.cr
    cpu, start = cpu_seconds(cr), time.perf_counter()
    act()
    seconds = time.perf_counter() - start
    return [seconds, None if cpu is None else cpu_seconds(cr) - cpu]


def outside_transaction(*statements):
    """Run statements that want no transaction around them."""
    env.cr.commit()
    connection = env.cr._cnx
    connection.autocommit = True
    for statement in statements:
        connection.cursor().execute(statement)
    connection.autocommit = False
