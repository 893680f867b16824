"""A vault that is killed at every fault point, and what is left of it each time.

Run by test_vault_crash.py in a process of its own, which loads Odoo's registry once.
For each point it makes a fresh copy of the database, forks a child that is killed
there, looks at what is left, lets the work be finished and looks again. Prints a line
of JSON for each.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "lib"))

import databases
import psycopg2
from vault_fill import fill

import odoo
from odoo import api
from odoo.modules.registry import Registry
from odoo.sql_db import close_all
from odoo.tools import SQL

NEVER = 10**9


class Driver:
    """One configuration of the vault, in databases of its own."""

    def __init__(self, template, folder):
        """
        :param template: database with the add-on
        :param folder: empty folder for a store
        """
        self.folder = Path(folder)
        self.base = databases.unique_name("base")
        self.work = databases.unique_name("work")
        databases.copy(template, self.work)
        self.registry = Registry(self.work)

    def close(self):
        """Drop the databases."""
        close_all()
        for name in (self.base, self.work):
            databases.drop(name)

    # -- processes -----------------------------------------------------------------

    def call(self, function, *arguments):
        """Call a function of an environment in a child.

        :return: ``(number of the signal that ended it, what it returned)``
        """
        close_all()
        sys.stdout.flush()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "result")
            if not (child := os.fork()):
                self._run_child(path, function, arguments)
            _pid, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                self._wait_until_alone()
                return os.WTERMSIG(status), None
            if os.WEXITSTATUS(status):
                raise SystemExit("a child failed, see above")
            return 0, json.loads(path.read_text())

    def _run_child(self, path, function, arguments):
        try:
            self.registry.clear_all_caches()
            with self.registry.cursor() as cr:
                env = api.Environment(cr, api.SUPERUSER_ID, {})
                path.write_text(json.dumps(function(env, *arguments), default=str))
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child must never go on as its parent
            traceback.print_exc()
            os._exit(3)

    def _wait_until_alone(self):
        """Wait until the server has noticed that a client is gone, with its locks."""
        with databases.maintenance_cursor() as cursor:
            for _attempt in range(500):
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s",
                    (self.work,),
                )
                if not cursor.fetchone()[0]:
                    return
                time.sleep(0.01)
        raise SystemExit("the server has not noticed the crash")

    # -- databases -----------------------------------------------------------------

    def keep(self):
        """Keep the present state, to begin with it again and again."""
        close_all()
        self._replace(self.work, self.base, self.folder / "store", self._kept_store())

    def begin_anew(self):
        """Go back to what was kept."""
        close_all()
        self._replace(self.base, self.work, self._kept_store(), self.folder / "store")

    def _kept_store(self):
        return self.folder / "kept"

    def _replace(self, source, target, store, other_store):
        databases.drop(target)
        with closing(psycopg2.connect(dbname="postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
        files = databases.filestore(target)
        shutil.rmtree(files, ignore_errors=True)
        shutil.rmtree(other_store, ignore_errors=True)
        if databases.filestore(source).exists():
            shutil.copytree(databases.filestore(source), files, copy_function=os.link)
        if store.exists():
            shutil.copytree(store, other_store)

    # -- the loop ------------------------------------------------------------------

    def crash_everywhere(self, work, points):
        """Kill `work` at each point, and let it be finished.

        :param work: function of an environment
        :param points: see :func:`choose`
        """
        self.begin_anew()
        _signal, names = self.call(work)
        show("undisturbed", self.call(look)[1])
        numbers = choose(names, points)
        for number in numbers:
            self.begin_anew()
            ended, _result = self.call(work, number)
            _signal, (half, end) = self.call(finish, work)
            show("killed", end, name=names[number - 1], half=half, signal=ended)
        if points == "all":
            self.begin_anew()
            show("after the last", self.call(work, len(names) + 1)[0])


def choose(names, points):
    """Return the numbers of the fault points to crash at.

    :param names: of the points of an undisturbed run
    :param points: `all`; `ends`: the first and the last of each name; or `first`
    """
    numbered = list(enumerate(names, 1))
    if points == "all":
        return [number for number, _name in numbered]
    chosen = {name: number for number, name in reversed(numbered)}
    last = {name: number for number, name in numbered} if points == "ends" else {}
    return sorted({*chosen.values(), *last.values()})


def show(what, value, **more):
    print(json.dumps({"what": what, "value": value, **more}), flush=True)


# -- what is done in children ------------------------------------------------------


def kill(_name):
    os.kill(os.getpid(), signal.SIGKILL)


def run_cron(env, crash_at=NEVER, action=kill):
    """Run the scheduled action, in batches of two records."""
    from odoo.addons.crm_archive_policy.lib import faults
    from odoo.addons.crm_archive_policy.models import (
        crm_archive_run_restore,
        crm_archive_run_vault,
    )

    crm_archive_run_vault.VAULT_BATCH = 2
    crm_archive_run_restore.RESTORE_BATCH = 2
    with faults.crash_at(crash_at, action) as names:
        env.ref("crm_archive_policy.ir_cron_run_policies").method_direct_trigger()
    return names


def restore(env, crash_at=NEVER, action=kill):
    """Restore everything as a button does, in one transaction."""
    from odoo.addons.crm_archive_policy.lib import faults

    with faults.crash_at(crash_at, action) as names:
        for entries in get_vaulted(env).grouped("res_model").values():
            entries._restore()
        env.cr.commit()
    return names


def finish(env, work):
    """Look at what a crash has left, do the work to its end, and look again."""
    half = look(env)
    work(env)
    env.cr.rollback()
    env.invalidate_all()
    return half, look(env)


def leave_restore(env):
    """Leave the restore of everything to the scheduled action."""
    for entries in get_vaulted(env).grouped("res_model").values():
        env["crm.archive.run"]._start_restore(entries, {"cause": "came_back"}, {})


def collect_files(env):
    env["ir.attachment"]._gc_file_store()


def get_vaulted(env):
    return env["crm.archive.entry"].search([("state", "=", "vaulted")], order="id")


# -- what is left ------------------------------------------------------------------


def look(env):
    """Say where everything is, and bring back what is in the vault to see that it is
    what it was (which is rolled back).

    :return: dict
    """
    entries = get_vaulted(env)
    found = {
        "chain": env["crm.archive.log"].verify_chain()["ok"],
        "live": digest_rows(env),
        "entries": [
            [e.res_model, e.res_id, e.name, e.email, e.policy_id.id, e.keeps_row]
            for e in entries.sorted(lambda e: (e.res_model, e.res_id))
        ],
        "logged": count_logged(env),
        "files": check_files(env),
        **look_at_bundles(env, entries),
        **look_at_runs(env),
    }
    for bundle, group in entries.grouped("bundle_id").items():
        assert bundle.state == "used"
        assert not group._bring_back(bundle, None)
    found["whole"] = digest_rows(env)
    found["all files"] = check_files(env)
    env.cr.rollback()
    return found


def look_at_bundles(env, entries):
    """Throw away what nobody refers to: that it is harmless is seen afterwards."""
    bundles = env["crm.archive.bundle"].search([])
    used = bundles.filtered(lambda bundle: bundle.state == "used")
    assert entries.bundle_id <= used
    names = set(used.mapped("name"))
    orphans = parts = 0
    store = env["crm.archive.policy"].search([("name", "like", "Crash")]).store_id
    with store._open() as opened:
        for stat in list(opened.iter_objects()):
            if Path(stat.key).name.split(".")[0] not in names:
                orphans += 1
                opened.delete(stat.key)
    if store.url:
        parts = len(list(Path(store.url.removeprefix("file://")).rglob(".part-*")))
    return {
        "used": [[b.res_model, b.record_count, b.unused_ids] for b in used],
        "waste": {"orphans": orphans, "parts": parts},
        "not used": len(bundles - used),
    }


def look_at_runs(env):
    runs = env["crm.archive.run"].search([("kind", "in", ("vault", "restore"))])
    return {
        "runs": sorted(Counter(runs.mapped("state")).items()),
        "vaulted": sum(runs.mapped("vaulted_count")),
        "restored": sum(runs.mapped("restored_count")),
        "changed": sum(runs.mapped("changed_count")),
        "errors": sum(runs.mapped("error_count")),
    }


def count_logged(env):
    env.cr.execute(
        """
        SELECT l.action, l.res_model, res_id, count(*)
          FROM crm_archive_log l, unnest(l.res_ids) res_id
         WHERE l.action IN ('vault', 'restore')
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """
    )
    return env.cr.fetchall()


#: What tells when something was done, not what.
VOLATILE = ("write_date", "date_last_stage_update")


def digest_rows(env):
    """Return a digest of the rows of each table that belongs to the records."""
    from odoo.addons.crm_archive_policy.vault.graph import Graph

    tables = {"calendar_event", "res_users"}
    for model in ("crm.lead", "res.partner"):
        tables |= set(Graph(env, model).tables)
    digests = {}
    for table in sorted(tables):
        env.cr.execute(
            SQL(
                "SELECT (to_jsonb(t) - %s::text[])::text FROM %s t ORDER BY 1",
                list(VOLATILE),
                SQL.identifier(table),
            )
        )
        rows = "\n".join(row[0] for row in env.cr.fetchall())
        digests[table] = hashlib.sha256(rows.encode()).hexdigest()[:16]
    return digests


def check_files(env):
    """Return the number of attachments whose file is there and is theirs."""
    sound = 0
    for attachment in env["ir.attachment"].search([("name", "like", "Crash")]):
        path = Path(attachment._full_path(attachment.store_fname))
        sha1 = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
        assert sha1 == attachment.checksum
        sound += 1
    return sound


def main(template, folder, scenario, kind, encrypt, points):
    """Print what becomes of each crash.

    :param template: database with the add-on
    :param folder: empty folder
    :param scenario: `vault`, `restore` or `restore_run`
    :param kind: of the store
    :param encrypt: `1` or nothing
    :param points: see :func:`choose`
    """
    odoo.tools.config.parse_config(["-d", template, "--log-level=error"])
    driver = Driver(template, folder)
    try:
        driver.call(fill, f"file://{folder}/store", kind, bool(encrypt))
        show("original", driver.call(look)[1])
        if scenario != "vault":
            driver.call(run_cron)
            driver.call(collect_files)
        if scenario == "restore_run":
            driver.call(leave_restore)
        driver.keep()
        work = restore if scenario == "restore" else run_cron
        driver.crash_everywhere(work, points)
    finally:
        driver.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
