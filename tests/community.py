"""Add-ons of the Odoo Community Association, from PyPI, for the tests that need them.

They are kept in the cache and out of the Python environment, so that nothing else
meets them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import databases

REQUIREMENTS = databases.ROOT / "requirements-addons.txt"


def fetch():
    """Fetch the pinned add-ons, once for every version of the list.

    :return: folder to put on Python's path; its ``odoo/addons`` holds the add-ons
    :raise AssertionError: when pip cannot fetch them, with what it said
    """
    digest = databases.hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    folder = databases.cache() / f"community-{digest}"
    with databases.locked("community"):
        if not (folder / ".complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = ["-m", "pip", "install", "--no-deps", "--no-input", "--quiet"]
            command += ["--disable-pip-version-check", "--target", folder]
            done = subprocess.run(
                [sys.executable, *map(str, command), "-r", str(REQUIREMENTS)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            (folder / ".complete").touch()
    return folder


def addons_path(folder):
    """:return: the option that lets Odoo find these add-ons as well"""
    known = os.environ["CRM_ARCHIVE_ADDONS_PATH"]
    return f"--addons-path={known},{Path(folder, 'odoo', 'addons')}"
