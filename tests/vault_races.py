"""What others do at the very moment a record is moved, played in one process.

Run by test_vault_races.py. Each scenario makes records of its own, acts through a
second connection while a fault point of the first is reached, and says what came of it
in a line of JSON.
"""

import json
import sys
import threading
import traceback
from contextlib import contextmanager
from pathlib import Path

import psycopg2
from vault_fill import make_store

import odoo
from odoo import api
from odoo.modules.registry import Registry
from odoo.service.model import retrying

WRITTEN, TAKING = "run: batch committed", "vault: taking"
COMPARED, LATE = "vault: compared", "vault: rows deleted"

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


class Stage:
    """Records of one scenario and the two connections that meet over them."""

    def __init__(self, registry, name):
        self.registry, self.name = registry, name
        with self.other() as env:
            env["crm.archive.policy"].search([]).active = False
            store = env["crm.archive.store"].search([("kind", "=", "fsspec")])
            policy = env["crm.archive.policy"].create(
                {
                    "name": name,
                    "model_id": env["ir.model"]._get_id("crm.lead"),
                    "mode": "automatic",
                    "idle_number": 1,
                    "idle_unit": "years",
                    "domain": [("name", "=", name)],
                    "vault_enabled": True,
                    "vault_after_days": 0,
                    "store_id": store.id,
                }
            )
            leads = env["crm.lead"].create([{"name": name}] * 4)
            for lead in leads:
                lead.message_post(
                    body="First", attachments=[("a.txt", b"%d" % lead.id)]
                )
            leads._archive(policy._prepare_archive_values())
            self.policy_id, self.ids = policy.id, leads.ids
        self.met = []

    @contextmanager
    def other(self):
        """A transaction of somebody else, who does not wait for long."""
        with self.registry.cursor() as cr:
            cr.execute("SET lock_timeout TO '500ms'")
            yield api.Environment(cr, api.SUPERUSER_ID, {})

    def lead(self, env):
        """The record that somebody else is interested in."""
        return env["crm.lead"].browse(self.ids[1])

    @contextmanager
    def meeting(self, point, act):
        """Let somebody else act when a point is reached for the first time."""
        from odoo.addons.crm_archive_policy.lib import faults

        def hook(name):
            if name == point and not self.met:
                self.met.append(name)
                try:
                    with faults.hooked(None):
                        act()
                except psycopg2.errors.LockNotAvailable:
                    self.met.append("had to wait")

        with faults.hooked(hook):
            yield

    def run_cron(self, point=None, act=None):
        """Run the scheduled action once, and somebody else's act in between."""
        with self.registry.cursor() as cr, self.meeting(point, act):
            env = api.Environment(cr, api.SUPERUSER_ID, {})
            env["crm.archive.policy"]._cron_run()
        return self.look()

    def look(self):
        """Say where the records are, and whether anything belongs to nobody."""
        with self.other() as env:
            runs = env["crm.archive.run"].search(
                [("policy_id", "=", self.policy_id), ("kind", "=", "vault")]
            )
            entries = env["crm.archive.entry"].search(
                [("res_model", "=", "crm.lead"), ("res_id", "in", self.ids)]
            )
            live = env["crm.lead"].with_context(active_test=False)
            bundles = runs.env["crm.archive.bundle"].search(
                [("run_id", "in", runs.ids)]
            )
            used = bundles.filtered(lambda bundle: bundle.state == "used")
            return {
                "live": self.number(live.search([("id", "in", self.ids)]).ids),
                "vaulted": self.number(entries.mapped("res_id")),
                "used": len(used),
                "unused": [self.number(bundle.unused_ids or ()) for bundle in used],
                "states": sorted(runs.mapped("state")),
                "changed": sum(runs.mapped("changed_count")),
                "errors": runs.error_ids.mapped("message"),
                "orphans": count_orphans(env),
                "logged": sorted(self.number(count_logged(env, self.ids))),
                "met": self.met,
            }

    def number(self, ids):
        """:return: the records by their place in the scenario, ids tell nothing"""
        return [self.ids.index(record_id) for record_id in sorted(ids)]


def count_logged(env, ids):
    env.cr.execute(
        "SELECT res_id FROM crm_archive_log l, unnest(l.res_ids) res_id"
        " WHERE l.action = 'vault' AND l.res_model = 'crm.lead' AND res_id = ANY(%s)",
        [ids],
    )
    return [row[0] for row in env.cr.fetchall()]


def count_orphans(env):
    """Return how many rows belong to a lead that is not there."""
    total = 0
    for table, column in (
        ("mail_message", "model"),
        ("mail_followers", "res_model"),
        ("mail_activity", "res_model"),
        ("ir_attachment", "res_model"),
    ):
        env.cr.execute(
            f"SELECT count(*) FROM {table} t WHERE {column} = 'crm.lead' AND res_id > 0"
            " AND NOT EXISTS (SELECT 1 FROM crm_lead l WHERE l.id = t.res_id)"
        )
        total += env.cr.fetchone()[0]
    return total


def twice(stage, point, act):
    """Meet in the first run; the next one takes what had changed."""
    return {"first": stage.run_cron(point, act), "second": stage.run_cron()}


# -- C2: somebody posts ------------------------------------------------------------


def post(stage):
    with stage.other() as env:
        stage.lead(env).message_post(body="Late")


@scenario
def message_after_writing(stage):
    return twice(stage, WRITTEN, lambda: post(stage))


@scenario
def message_before_the_lock(stage):
    return twice(stage, TAKING, lambda: post(stage))


@scenario
def message_after_comparing(stage):
    return twice(stage, COMPARED, lambda: post(stage))


@scenario
def message_after_the_late_look(stage):
    return twice(stage, LATE, lambda: post(stage))


def insert_file(stage):
    """Write a row that touches nothing else of the record, past the ORM."""
    with stage.other() as env:
        env.cr.execute(
            "INSERT INTO ir_attachment (name, type, res_model, res_id)"
            " VALUES ('Late', 'url', 'crm.lead', %s)",
            [stage.ids[1]],
        )


@scenario
def file_in_sql_before_the_lock(stage):
    return twice(stage, TAKING, lambda: insert_file(stage))


@scenario
def file_in_sql_after_the_late_look(stage):
    return twice(stage, LATE, lambda: insert_file(stage))


@scenario
def file_of_a_task_before_the_lock(stage):
    """What belongs to the record only through something else that belongs to it."""
    with stage.other() as env:
        env["crm.archive.guard"].search([]).active = False
        activity = stage.lead(env).activity_schedule("mail.mail_activity_data_todo")

    def act():
        with stage.other() as env:
            env["ir.attachment"].create(
                {
                    "name": "Late",
                    "raw": b"late",
                    "res_model": "mail.activity",
                    "res_id": activity.id,
                }
            )

    return twice(stage, TAKING, act)


# -- C3: somebody writes -----------------------------------------------------------


def write(stage):
    with stage.other() as env:
        stage.lead(env).description = "Late"


@scenario
def row_written_after_writing(stage):
    return twice(stage, WRITTEN, lambda: write(stage))


@scenario
def row_written_before_the_lock(stage):
    return twice(stage, TAKING, lambda: write(stage))


@scenario
def part_written_before_the_lock(stage):
    def act():
        with stage.other() as env:
            stage.lead(env).message_ids[0].body = "Changed"

    return twice(stage, TAKING, act)


@scenario
def reference_made_before_the_lock(stage):
    def act():
        with stage.other() as env:
            env["calendar.event"].create(
                {
                    "name": "Late",
                    "opportunity_id": stage.ids[1],
                    "start": "2020-01-01 10:00:00",
                    "stop": "2020-01-01 11:00:00",
                }
            )

    return twice(stage, TAKING, act)


# -- C4: somebody places a hold ----------------------------------------------------


def hold(stage):
    with stage.other() as env:
        lead = stage.lead(env)
        holds = env["crm.archive.hold"].with_user(env.ref("base.user_admin"))
        holds.create(
            {"name": "Court", "reason": "Case", "lead_ids": [(6, 0, lead.ids)]}
        ).action_start()


@scenario
def hold_after_writing(stage):
    return twice(stage, WRITTEN, lambda: hold(stage))


@scenario
def hold_before_the_lock(stage):
    return twice(stage, TAKING, lambda: hold(stage))


# -- C1: two runs ------------------------------------------------------------------


def click(stage, point=None, act=None):
    """Click the button as the web client does: conflicts are tried again."""
    with stage.registry.cursor() as cr, stage.meeting(point, act):
        env = api.Environment(cr, api.SUPERUSER_ID, {})
        retrying(env["crm.archive.policy"].browse(stage.policy_id).action_run, env)
    return stage.look()


def run_cron(stage):
    with stage.registry.cursor() as cr:
        api.Environment(cr, api.SUPERUSER_ID, {})["crm.archive.policy"]._cron_run()


@scenario
def button_while_the_cron_writes(stage):
    return stage.run_cron("vault: bundle verified", lambda: click(stage))


@scenario
def button_while_the_cron_takes(stage):
    return stage.run_cron(COMPARED, lambda: click(stage))


@scenario
def cron_while_the_button_writes(stage):
    return click(stage, "vault: bundle verified", lambda: run_cron(stage))


@scenario
def cron_while_the_button_takes(stage):
    return click(stage, COMPARED, lambda: run_cron(stage))


# -- C5: the time is over ----------------------------------------------------------


@scenario
def no_time_left_after_each_step(stage):
    """Each call has time for one step only, and still gets on by a batch."""
    from odoo.addons.crm_archive_policy.models import crm_archive_run_vault

    batch, crm_archive_run_vault.VAULT_BATCH = crm_archive_run_vault.VAULT_BATCH, 2
    cron = stage.registry["ir.cron"]
    original = cron._commit_progress
    left = []

    def commit(self, *args, **kwargs):
        original(self, *args, **kwargs)
        left.append(1 if not left else 0)
        return left[-1]

    vaulted = []
    cron._commit_progress = commit
    try:
        for _call in range(4):
            left.clear()
            vaulted.append(len(stage.run_cron()["vaulted"]))
    finally:
        cron._commit_progress = original
        crm_archive_run_vault.VAULT_BATCH = batch
    return {**stage.look(), "by call": vaulted}


# -- C6: the garbage collection ----------------------------------------------------


def collect(stage):
    with stage.registry.cursor() as cr:
        api.Environment(cr, api.SUPERUSER_ID, {})["ir.attachment"]._gc_file_store()


def count_files(stage):
    """:return: number of attachments of live records, and of their files"""
    with stage.other() as env:
        attachments = env["ir.attachment"].search(
            [("res_model", "=", "crm.lead"), ("res_id", "in", stage.ids)]
        )
        paths = [Path(a._full_path(a.store_fname)) for a in attachments]
        return [len(paths), sum(path.exists() for path in paths)]


class Collection(threading.Thread):
    """A garbage collection that has begun; it waits for whoever changes files."""

    def __init__(self, stage):
        super().__init__(target=collect, args=[stage])
        self.stage = stage

    def begin(self):
        """Start it, and go on when it waits for the lock or has done its work."""
        self.start()
        while self.is_alive():
            with self.stage.other() as env:
                env.cr.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND query LIKE 'LOCK ir_attachment%'"
                )
                if env.cr.rowcount:
                    return
            self.join(0.02)


@scenario
def collection_while_it_is_written(stage):
    files = []

    def act():
        collect(stage)
        files.extend(count_files(stage))

    return {**stage.run_cron("vault: bundle verified", act), "files": files}


@scenario
def collection_while_a_taking_fails(stage):
    """The rows come back, so the files must be there."""
    from odoo.addons.crm_archive_policy.lib import faults

    collection = Collection(stage)

    def act():
        collection.begin()
        raise faults.InjectedFault

    try:
        stage.run_cron(LATE, act)
    except faults.InjectedFault:
        pass
    collection.join()
    return {"files": count_files(stage)}


def restore(stage, point, act):
    with stage.registry.cursor() as cr, stage.meeting(point, act):
        env = api.Environment(cr, api.SUPERUSER_ID, {})
        env["crm.archive.entry"]._find_for("crm.lead", stage.ids)._restore()


@scenario
def collection_while_files_come_back(stage):
    stage.run_cron()
    collect(stage)
    collection = Collection(stage)
    restore(stage, "restore: file due", collection.begin)
    collection.join()
    collect(stage)
    return {"files": count_files(stage)}


@scenario
def collection_after_a_quick_return(stage):
    """The files are still there, and on the list of what may be collected."""
    stage.run_cron()
    collection = Collection(stage)
    restore(stage, "restore: rows inserted", collection.begin)
    collection.join()
    collect(stage)
    return {"files": count_files(stage)}


def main(database, folder, *wanted):
    odoo.tools.config.parse_config(["-d", database, "--log-level=critical"])
    registry = Registry(database)
    with registry.cursor() as cr:
        env = api.Environment(cr, api.SUPERUSER_ID, {})
        if not env["crm.archive.store"].search([("kind", "=", "fsspec")]):
            make_store(env, f"file://{folder}/store", "fsspec", False)
    for name, act in SCENARIOS.items():
        if wanted and name not in wanted:
            continue
        try:
            found = act(Stage(registry, name))
        except Exception:  # noqa: BLE001 - the others are worth their result
            found = {"failure": traceback.format_exc()}
        print(json.dumps({"name": name, "found": found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
