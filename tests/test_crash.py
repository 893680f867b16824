"""A run that is killed, and runs that meet: nothing lost, nothing done twice."""

import json
import os
import subprocess
from pathlib import Path

import databases
import pytest

ROOT = Path(__file__).resolve().parents[1]
LEADS, BATCH = 1000, 400

FILL = f"""
env["crm.archive.policy"].search([]).active = False
env.cr.execute('''
    INSERT INTO crm_lead (name, type, active, won_status, create_date)
    SELECT 'Lead ' || n, 'lead', true, 'pending', now() - interval '3 years'
      FROM generate_series(1, {LEADS}) n
''')
env["crm.archive.policy"].create({{
    "name": "Crash", "mode": "automatic", "idle_number": 1, "idle_unit": "years",
    "model_id": env["ir.model"]._get_id("crm.lead"),
    "domain": "[('name', 'like', 'Lead ')]",
}})
env.cr.commit()
"""

RUN = f"""
import os, signal
from odoo.addons.crm_archive_policy.lib import faults
from odoo.addons.crm_archive_policy.models import crm_archive_run
crm_archive_run.BATCH_SIZE = {BATCH}

def kill(name):
    os.kill(os.getpid(), signal.SIGKILL)

number = int(os.environ.get("CRASH_AT", "0"))
with faults.crash_at(number or 10**9, kill) as reached:
    env["crm.archive.policy"]._cron_run()
print("REACHED", len(reached), set(reached))
"""

RESULT = """
import json
env.cr.execute('''
    SELECT name, active, won_status, archive_state, archive_policy_id,
           archive_restricted, archive_snapshot
      FROM crm_lead WHERE name LIKE 'Lead %%' ORDER BY id
''')
leads = env.cr.fetchall()
env.cr.execute('''
    SELECT count(*), count(DISTINCT res_id)
      FROM crm_archive_log, unnest(res_ids) res_id WHERE action = 'archive'
''')
log = env.cr.fetchone()
runs = env["crm.archive.run"].search([])
print("RESULT", json.dumps({
    "leads": leads,
    "log": log,
    "archived": sum(runs.mapped("archived_count")),
    "states": sorted(set(runs.mapped("state"))),
    "errors": sum(runs.mapped("error_count")),
    "chain": env["crm.archive.log"].verify_chain()["ok"],
}, default=str))
"""


def start(database, code, **environment):
    """Start Odoo's shell on a database, without waiting for it."""
    return subprocess.Popen(
        [str(ROOT / "scripts" / "odoo"), "shell", "--no-http", "--log-level=error"]
        + ["-d", database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    ), code


def finish(started):
    process, code = started
    output, _nothing = process.communicate(code, timeout=300)
    return process.returncode, output


def result(database):
    status, output = finish(start(database, RESULT))
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    assert status == 0 and lines, output
    return json.loads(lines[0].removeprefix("RESULT "))


@pytest.fixture(scope="module")
def filled(make_database):
    database = make_database()
    status, output = finish(start(database, FILL))
    assert status == 0, output
    return database


@pytest.fixture
def copy(filled):
    names = []

    def make():
        names.append(databases.unique_name("crash"))
        databases.copy(filled, names[-1])
        return names[-1]

    yield make
    for name in names:
        databases.drop(name)


@pytest.fixture(scope="module")
def undisturbed(filled):
    name = databases.unique_name("calm")
    databases.copy(filled, name)
    status, output = finish(start(name, RUN))
    assert status == 0 and "REACHED" in output, output
    found = result(name)
    databases.drop(name)
    assert found["archived"] == LEADS
    assert found["log"] == [LEADS, LEADS]
    return found


# The second batch of three, at each of its moments.
@pytest.mark.parametrize("moment", [5, 6, 7, 8])
def test_killed_run_ends_like_an_undisturbed_one(copy, undisturbed, moment):
    database = copy()
    status, output = finish(start(database, RUN, CRASH_AT=str(moment)))
    assert status == -9, f"it was to be killed at {moment}: {output}"
    half = result(database)
    assert half["chain"]
    assert 0 < half["archived"] < LEADS, "the first batch is safe"
    assert half["log"] == [half["archived"]] * 2, "state and audit line are one"
    status, output = finish(start(database, RUN))
    assert status == 0, output
    assert result(database) == undisturbed


def test_two_workers_never_take_the_same_record(copy, undisturbed):
    database = copy()
    workers = [start(database, RUN) for _ in range(2)]
    for process, code in workers:
        process.stdin.write(code)
        process.stdin.close()
        process.stdin = None
    for process, _code in workers:
        output, _nothing = process.communicate(timeout=300)
        assert process.returncode == 0, output
        assert "Traceback" not in output, output
    # What one left to the other for good is taken by the next run.
    finish(start(database, RUN))
    found = result(database)
    assert found["log"] == [LEADS, LEADS], "each lead exactly once"
    assert found["archived"] == LEADS
    assert found["leads"] == undisturbed["leads"]
    assert found["chain"]


APPEND = """
lead = env["crm.lead"].search([], limit=1)
for number in range(25):
    env["crm.archive.log"]._append("keep", lead, {"number": number})
    env.cr.commit()
"""


def test_many_sessions_append_to_one_chain(copy):
    database = copy()
    sessions = [start(database, APPEND) for _ in range(4)]
    for process, code in sessions:
        process.stdin.write(code)
        process.stdin.close()
        process.stdin = None
    for process, _code in sessions:
        output, _nothing = process.communicate(timeout=300)
        assert process.returncode == 0 and "Traceback" not in output, output
    status, output = finish(
        start(
            database,
            "log = env['crm.archive.log']\n"
            "kept = log.search_count([('action', '=', 'keep')])\n"
            "gaps = max(log.search([]).mapped('sequence')) - log.search_count([])\n"
            "print('LINES', kept, gaps, log.verify_chain()['ok'])\n",
        )
    )
    assert status == 0
    assert "LINES 100 0 True" in output, output
