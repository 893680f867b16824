"""scripts/host: every failure is one clear sentence, and a second call does nothing.

Commands are replaced by others of the same name at the front of PATH, so nothing is
downloaded here and nothing of the machine is changed.
"""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOST = ROOT / "scripts" / "host"
REAL_ODOO = os.environ.get("CRM_ARCHIVE_ODOO", "")
RELEASE = "version_info = (19, 0, 0, FINAL, 0, '')\n"
# What a person waits for is announced by lines that end so.
PROGRESS = "…"


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


class Sandbox:
    """An empty cache and a PATH in which any command can be replaced."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.cache = folder / "cache" / "crm_archive_policy"
        self.calls = folder / "calls"
        self.variables = {"XDG_CACHE_HOME": str(folder / "cache")}
        self.path = f"{self.bin}:{os.environ['PATH']}"

    def replace(self, command, script):
        """Put a shell script in the place of a command; its calls are recorded."""
        file = self.bin / command
        file.write_text(f'#!/bin/bash\necho "{command} $*" >>{self.calls}\n{script}\n')
        file.chmod(0o755)

    def hide(self, *commands):
        """Make a PATH of links to everything but these commands."""
        for folder in ("/usr/bin", "/bin"):
            for file in Path(folder).iterdir():
                link = self.bin / file.name
                if file.name not in commands and not link.is_symlink():
                    link.symlink_to(file)
        self.path = str(self.bin)

    def run(self, *arguments, command=HOST):
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PG", "ODOO_", "CRM_ARCHIVE_", "VIRTUAL_ENV"))
        }
        environment |= {"PATH": self.path, **self.variables}
        return subprocess.run(
            [command, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def fail(self, *arguments):
        """Run the host and check the manner of its failure.

        :return: the sentence
        """
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout + done.stderr
        *before, sentence = done.stderr.strip().splitlines()
        assert sentence.startswith("scripts/host: "), done.stderr
        assert all(line.endswith(PROGRESS) for line in before), done.stderr
        assert re.search(r"[:,;] |\. [A-Z]", sentence.split(": ", 1)[1]), sentence
        assert not done.stdout
        return sentence

    def use_real_odoo(self):
        self.variables["ODOO_HOME"] = REAL_ODOO

    def use_real_cache(self):
        cache = Path(os.environ["CRM_ARCHIVE_CACHE"]).parent
        self.variables["XDG_CACHE_HOME"] = str(cache)

    def pretend_mirror(self, package=None, fraction=1.0):
        """Replace apt by one that "downloads" a package, or only a part of it."""
        size = int(_size(package) * fraction)
        self.replace(
            "apt-get",
            "case $1 in\n"
            "indextargets) echo 'http://mirror.invalid/debian/ bookworm main' ;;\n"
            f"update) exit {0 if package else 100} ;;\n"
            f"download) head -c {size} {package} >odoo.deb ;;\n"
            "esac",
        )
        self.replace("apt-cache", "echo 'fonts | 5.0.10+really4.7.0 | mirror'")
        self.replace("apt-config", "")
        self.replace("git", "exit 128")


def _size(file):
    return file.stat().st_size if file else 0


@pytest.fixture
def odoo_deb(tmp_path):
    """A Debian package with just enough in it to look like Odoo."""
    root = tmp_path / "package"
    package = root / "usr/lib/python3/dist-packages/odoo"
    (package / "addons" / "crm").mkdir(parents=True)
    (package / "release.py").write_text(RELEASE)
    (package / "padding").write_bytes(os.urandom(200_000))
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN" / "control").write_text(
        "Package: odoo-19\nVersion: 19\nArchitecture: all\n"
        "Maintainer: nobody <nobody@example.com>\nDescription: test\n"
    )
    file = tmp_path / "whole.deb"
    subprocess.run(["dpkg-deb", "--build", root, file], check=True, capture_output=True)
    return file


needs_debian = pytest.mark.skipif(
    not (shutil.which("dpkg-deb") and Path("/usr/share/keyrings").is_dir()),
    reason="needs Debian's tools",
)


class TestWaysToOdoo:
    def test_neither_apt_nor_git(self, sandbox):
        sandbox.hide("apt-get", "git")
        sentence = sandbox.fail()
        assert "no apt-get" in sentence
        assert "git is not installed" in sentence
        assert "ODOO_HOME" in sentence

    @needs_debian
    def test_no_network(self, sandbox):
        sandbox.pretend_mirror()
        sentence = sandbox.fail()
        assert "apt-get update failed" in sentence
        assert "cannot be reached" in sentence

    @needs_debian
    def test_no_debian_mirror(self, sandbox):
        sandbox.replace("apt-get", "echo 'http://example.invalid/ubuntu/ noble main'")
        sandbox.replace("git", "exit 128")
        assert "no Debian mirror" in sandbox.fail()

    @needs_debian
    def test_download_cut_in_half(self, sandbox, odoo_deb):
        sandbox.pretend_mirror(odoo_deb, fraction=0.5)
        assert "damaged" in sandbox.fail()
        assert not list(sandbox.cache.glob("odoo-*"))
        assert not list(sandbox.cache.glob("tmp/odoo*"))

        # The next call begins anew, and gets as far as the next thing it needs.
        sandbox.pretend_mirror(odoo_deb)
        sandbox.variables["PYTHON"] = "/nonexistent/python"
        assert "no Python found" in sandbox.fail()
        assert (sandbox.cache / "odoo-19.0" / ".complete").exists()

    @needs_debian
    def test_unfinished_folder_is_not_taken(self, sandbox):
        left = sandbox.cache / "odoo-19.0/usr/lib/python3/dist-packages/odoo"
        left.mkdir(parents=True)
        (left / "release.py").write_text(RELEASE)
        sandbox.pretend_mirror()
        assert "the cache (empty)" in sandbox.fail()

    def test_clone_when_there_is_no_package(self, sandbox):
        sandbox.hide("apt-get", "git")
        sandbox.replace(
            "git",
            'mkdir -p "${@: -1}"/{odoo/addons/base,addons/crm}\n'
            f'echo "{RELEASE.strip()}" >"${{@: -1}}/odoo/release.py"',
        )
        sandbox.variables["PYTHON"] = "/nonexistent/python"
        assert "no Python found" in sandbox.fail()
        assert (sandbox.cache / "odoo-19.0/addons/crm").is_dir()

    def test_home_is_no_folder(self, sandbox):
        sandbox.variables["ODOO_HOME"] = "/nonexistent/odoo"
        assert "is not a folder" in sandbox.fail()

    def test_home_holds_no_odoo(self, sandbox):
        sandbox.variables["ODOO_HOME"] = str(sandbox.folder)
        assert "there is no Odoo in" in sandbox.fail()

    def test_home_holds_another_version(self, sandbox):
        (sandbox.folder / "odoo").mkdir()
        release = RELEASE.replace("19", "17")
        (sandbox.folder / "odoo" / "release.py").write_text(release)
        sandbox.variables["ODOO_HOME"] = str(sandbox.folder)
        assert "holds Odoo 17.0" in sandbox.fail()


class TestMachine:
    def test_no_permission(self, sandbox):
        sandbox.variables["XDG_CACHE_HOME"] = "/dev/null"
        assert "cannot write to /dev/null" in sandbox.fail()

    def test_no_disk(self, sandbox):
        sandbox.replace("df", "echo; echo 'disk 100 90 10 90% /'")
        assert "only 10 MB are free" in sandbox.fail()

    def test_wrong_python(self, sandbox):
        sandbox.use_real_odoo()
        sandbox.replace("oldpython", "echo 3.8")
        sandbox.variables["PYTHON"] = "oldpython"
        assert "Python 3.8 does not suit" in sandbox.fail()

    def test_packages_cannot_be_installed(self, sandbox):
        sandbox.use_real_odoo()
        sandbox.variables |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/nonexistent"}
        assert "pip could not install" in sandbox.fail()
        assert not list(sandbox.cache.glob("venv-*/.complete"))

    def test_foreign_server_does_not_answer(self, sandbox):
        sandbox.use_real_cache()
        sandbox.variables["PGHOST"] = "/nonexistent"
        sentence = sandbox.fail()
        assert "does not answer" in sentence
        assert "PGHOST" in sentence

    def test_no_database_server_and_no_right_to_install_it(self, sandbox):
        sandbox.replace("id", "echo 1000")
        sandbox.replace("sudo", "exit 1")
        library = ROOT / "scripts" / "lib"
        code = (
            f"set -euo pipefail; . {library}/common.sh; . {library}/postgres.sh\n"
            "prepare_cache; find_pg_bin() { return 1; }; prepare_postgres"
        )
        done = sandbox.run("-c", code, command="bash")
        assert done.returncode != 0
        (sentence,) = done.stderr.strip().splitlines()
        assert "apt-get install postgresql" in sentence
        assert "PGHOST" in sentence

    def test_unknown_option(self, sandbox):
        assert "unknown option --nonsense; see" in sandbox.fail("--nonsense")


class TestSecondCall:
    def test_does_nothing(self, sandbox):
        sandbox.use_real_cache()
        for command in ("apt-get", "git", "pip", "dpkg", "initdb", "pg_ctl", "setpriv"):
            if command != "setpriv":
                sandbox.replace(command, "exit 1")
        done = sandbox.run()
        assert (done.returncode, done.stderr) == (0, "")
        assert not sandbox.calls.exists()

    def test_calls_at_once(self, sandbox):
        sandbox.use_real_cache()
        command = [HOST, "--env"]
        environment = dict(os.environ)
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
            for _number in range(4)
        ]
        outputs = {process.communicate(timeout=120)[0] for process in processes}
        assert [process.returncode for process in processes] == [0] * 4
        assert len(outputs) == 1

    def test_cluster_listens_on_a_closed_socket_only(self):
        if "CRM_ARCHIVE_SOCKET" not in os.environ:
            pytest.skip("these tests use somebody else's server")
        folder = Path(os.environ["CRM_ARCHIVE_SOCKET"])
        assert folder.stat().st_mode & 0o777 == 0o700
        settings = (folder.parent / "crm_archive_policy.conf").read_text()
        assert "listen_addresses = ''" in settings


class TestRun:
    def test_taken_port_is_named_before_any_work(self, sandbox):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            sandbox.variables["PORT"] = str(port)
            done = sandbox.run(command=ROOT / "scripts" / "run")
        assert done.returncode != 0
        assert f"port {port} of this machine is taken" in done.stderr
        assert "PORT=" in done.stderr
        assert not sandbox.cache.exists()

    def test_port_is_no_number(self, sandbox):
        sandbox.variables["PORT"] = "http"
        done = sandbox.run(command=ROOT / "scripts" / "run")
        assert done.returncode != 0
        assert "PORT=http is not a port number" in done.stderr
