"""Runs worked through by the community's job queue, with its real runner."""

import re
import time

import psycopg2
import pytest
from helpers import free_port

GLUE = "crm_archive_policy_queue"

PREPARE = """
from datetime import datetime, timedelta
env["crm.archive.policy"].search([]).active = False
for number in range(3):
    leads = env["crm.lead"].create([{"name": f"Batch {number}"} for _ in range(40)])
    env.flush_all()
    date = datetime.now() - timedelta(days=900)
    env.cr.execute("UPDATE crm_lead SET create_date = %s WHERE id = ANY(%s)",
                   [date, leads.ids])
    env.cr.execute("UPDATE mail_message SET date = %s WHERE model = 'crm.lead'", [date])
    env["crm.archive.policy"].create({
        "name": f"Policy {number}",
        "model_id": env.ref("crm.model_crm_lead").id,
        "domain": f"[('name', '=', 'Batch {number}')]",
        "mode": "automatic",
    })
env.cr.commit()
env["ir.config_parameter"].set_param("web.base.url", "http://127.0.0.1")
env["crm.archive.run"]._run_all()
env.cr.commit()
"""

LOOK = """
print(env["ir.module.module"]._get("crm_archive_policy_queue").state)
print(env["crm.archive.log"].verify_chain()["ok"])
"""


@pytest.fixture(scope="module")
def database(make_database):
    return make_database()


def read(database, query):
    connection = psycopg2.connect(dbname=database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


def test_installs_itself_and_passes_its_tests(database, community, run_odoo):
    port = f"--http-port={free_port()}"
    tags = ["--test-tags", f"/{GLUE}"]
    log = run_odoo(database, community, port, "-i", "queue_job", *tags)
    found = re.search(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", log)
    assert found, log[-4000:]
    assert found.group(1, 2) == ("0", "0"), log[-6000:]
    assert int(found.group(3)) >= 6


def test_runner_works(database, community, start_server, odoo_shell, monkeypatch):
    """Three policies, a job each, carried out over HTTP by the real runner."""
    odoo_shell(database, PREPARE)
    jobs = "SELECT state, count(*) FROM queue_job GROUP BY state"
    assert read(database, jobs) == [("pending", 3)]
    monkeypatch.setenv("ODOO_QUEUE_JOB_CHANNELS", "root:2")
    options = ["--load=base,rpc,web,queue_job", "--max-cron-threads=0"]
    server = start_server(database, community, *options)
    end = time.monotonic() + 120
    while read(database, jobs) != [("done", 3)]:
        assert time.monotonic() < end, server.log.read_text()[-5000:]
        time.sleep(0.2)
    runs = "SELECT DISTINCT state, archived_count FROM crm_archive_run"
    assert read(database, runs) == [("done", 40)]
    states = "SELECT archive_state, count(*) FROM crm_lead GROUP BY 1"
    assert read(database, states) == [("archived", 120)]
    assert odoo_shell(database, LOOK).split() == ["installed", "True"]
