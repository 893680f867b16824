"""A vault whose database server crashes, and what is left of it each time.

Run by test_vault_server_crash.py in a process of its own, in the environment of a
cluster of its own. A child works until the server is gone; the server is started
again; other children look at what is left, let the work be finished and look again.
Prints a line of JSON for each.
"""

import os
import sys
import traceback
from contextlib import closing

import psycopg2
from private_cluster import Cluster
from vault_driver import (
    Driver,
    close_all,
    collect_files,
    finish,
    look,
    restore,
    run_cron,
    show,
)
from vault_fill import fill

import odoo
from odoo import api

#: What a child ends with when the database has gone away under it.
GONE = 7


class ServerDriver(Driver):
    """One configuration of the vault, in a cluster that may be crashed."""

    def __init__(self, template, folder, cluster):
        """
        :param template: database with the add-on
        :param folder: empty folder for a store
        :param cluster: :class:`private_cluster.Cluster`
        """
        self.cluster = cluster
        super().__init__(template, folder)

    def close(self):
        """Drop the databases, also after a failure."""
        if not self.cluster.is_running():
            self.cluster.start()
        super().close()

    def begin_anew(self):
        """Go back to what was kept, and have it written out.

        A sequence of a database that was copied a moment ago falls back in a crash:
        PostgreSQL has logged the copy as it was, and believes itself to have logged
        the next numbers too.
        """
        super().begin_anew()
        with closing(psycopg2.connect(dbname="postgres")) as connection:
            connection.autocommit = True
            connection.cursor().execute("CHECKPOINT")

    def crash(self, work, number):
        """Let a child work until the server crashes, and start the server again.

        :param work: function of an environment
        :param number: of the fault point
        """
        close_all()
        sys.stdout.flush()
        if not (child := os.fork()):
            self._work_until_crash(work, number)
        _pid, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != GONE or self.cluster.is_running():
            raise SystemExit("the server has not crashed under the work")
        self.cluster.start()

    def _work_until_crash(self, work, number):
        status = 0
        try:
            self.registry.clear_all_caches()
            with self.registry.cursor() as cr:
                env = api.Environment(cr, api.SUPERUSER_ID, {})
                work(env, number, lambda _name: self.cluster.crash())
        except psycopg2.Error:
            status = GONE
        except BaseException:  # noqa: BLE001 - a child must never go on as its parent
            traceback.print_exc()
            status = 3
        finally:
            os._exit(status)

    def crash_at_points(self, what, work, choose):
        """Crash the server at some points, and let the work be finished.

        :param what: name of the work
        :param work: function of an environment
        :param choose: callable that chooses among the names of the points
        """
        self.begin_anew()
        _signal, names = self.call(work)
        show(f"{what} undisturbed", self.call(look)[1])
        for number in choose(names):
            self.begin_anew()
            self.crash(work, number)
            _signal, (half, end) = self.call(finish, work)
            show(what, end, name=names[number - 1], half=half)


def choose_vault_points(names):
    """Return the numbers of three points: the first bundle is verified; its records
    are deleted; that is committed."""
    deleted = names.index("vault: rows deleted")
    committed = names.index("run: batch committed", deleted)
    return [names.index("vault: bundle verified") + 1, deleted + 1, committed + 1]


def choose_restore_points(names):
    """Return the number of the point where the rows of the last bundle are back."""
    return [len(names) - names[::-1].index("restore: rows inserted")]


def main(template, folder, cluster, programs, kind, encrypt):
    """Print what becomes of each crash.

    :param template: database with the add-on
    :param folder: empty folder
    :param cluster: folder of the cluster
    :param programs: folder of PostgreSQL's programs
    :param kind: of the store
    :param encrypt: `1` or nothing
    """
    options = ["--db_host", cluster, "--db_port", "5432"]
    odoo.tools.config.parse_config(["-d", template, "--log-level=critical", *options])
    driver = ServerDriver(template, folder, Cluster(cluster, programs))
    try:
        driver.call(fill, f"file://{folder}/store", kind, bool(encrypt))
        show("original", driver.call(look)[1])
        driver.keep()
        driver.crash_at_points("vault", run_cron, choose_vault_points)
        driver.begin_anew()
        driver.call(run_cron)
        driver.call(collect_files)
        driver.keep()
        driver.crash_at_points("restore", restore, choose_restore_points)
    finally:
        driver.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
