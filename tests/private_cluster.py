"""A PostgreSQL cluster that a test may crash: nobody else's databases are in it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

#: Folders of clusters begin so; the number of the process that made one follows.
PREFIX = "crm_archive_pg_"

#: Like PostgreSQL as it comes, but for the disk: a crash of the server loses nothing
#: that the system still has in memory.
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
unix_socket_permissions = 0700
fsync = off
"""


def find_programs(major):
    """Return the folder of PostgreSQL's programs.

    :param int major: the wanted version
    :return: :class:`~pathlib.Path`, ``None`` when this machine has none
    """
    found = shutil.which("initdb")
    folders = [Path(f"/usr/lib/postgresql/{major}/bin")]
    folders += [Path(found).parent] if found else []
    for folder in folders:
        if not (folder / "initdb").exists():
            continue
        command = [folder / "postgres", "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        if f" {major}." in said.stdout:
            return folder
    return None


class Cluster:
    """A cluster in a folder of its own, which listens on a socket in it only."""

    def __init__(self, folder, programs):
        """
        :param folder: where it is
        :param programs: see :func:`find_programs`
        """
        self.folder, self.programs = Path(folder), Path(programs)

    @classmethod
    def make(cls, programs, role):
        """Make a cluster and start it.

        :param str role: its superuser
        """
        cls.remove_stale(programs)
        # Not where pytest puts things: the server's own user has to get there.
        cluster = cls(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}_"), programs)
        if account := _get_account():
            os.chown(cluster.folder, account.pw_uid, account.pw_gid)
        try:
            cluster.call(
                *("initdb", "-D", cluster.data, "-U", role, "-A", "trust"),
                *("--locale=C.UTF-8", "--encoding=UTF8", "--no-sync"),
            )
            with (cluster.data / "postgresql.conf").open("a") as file:
                file.write(SETTINGS.format(folder=cluster.folder))
            cluster.start()
        except BaseException:
            cluster.remove()
            raise
        return cluster

    @classmethod
    def remove_stale(cls, programs):
        """Remove clusters whose test was killed before it could do so itself."""
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*_*"):
            pid = folder.name.removeprefix(PREFIX).partition("_")[0]
            is_own = folder.is_dir() and not folder.is_symlink()
            is_ours = is_own and folder.stat().st_uid == _get_owner()
            if pid.isdigit() and is_ours and not Path("/proc", pid).exists():
                cls(folder, programs).remove()

    @property
    def data(self) -> Path:
        """:return: the folder of the server's files"""
        return self.folder / "data"

    def call(self, program, *arguments, check=True):
        """Run a program of the server as the server's user."""
        account = _get_account()
        options = {}
        if account:
            options = {"user": account.pw_uid, "group": account.pw_gid}
            options["extra_groups"] = []
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **options,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self):
        """Start the server, which mends what a crash has left."""
        log = self.folder / "log"
        done = self.call(
            *("pg_ctl", "-D", self.data, "-l", log, "-w", "-t", "90", "-s", "start"),
            check=False,
        )
        assert done.returncode == 0, log.read_text()[-3000:]

    def crash(self):
        """Stop the server at once: sessions are cut off, nothing is written out."""
        self.call("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "-s", "stop")

    def is_running(self) -> bool:
        """:return: whether the server runs"""
        done = self.call("pg_ctl", "-D", self.data, "status", check=False)
        return done.returncode == 0

    def remove(self):
        """Stop the server and remove everything."""
        if self.is_running():
            self.crash()
        shutil.rmtree(self.folder)


def _get_owner():
    """Return whose the folders of clusters are."""
    account = _get_account()
    return account.pw_uid if account else os.geteuid()


def _get_account():
    """Return whom the server runs as: it refuses root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None
