"""The built package installs next to Odoo, and Odoo finds the add-on in it."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ADDON = "crm_archive_policy"


def run(*command, cwd, **variables):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What a clone of the working tree would hold, outside of git."""
    target = tmp_path_factory.mktemp("clone") / "repository"
    listing = run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
    )
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    """The wheel, built by way of the source package."""
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable, "-m", "build", "--no-isolation", "-o", folder, ".", cwd=checkout
    )
    assert len(list(folder.glob("*.tar.gz"))) == 1
    (file,) = folder.glob("*.whl")
    return file


def test_name_and_version(wheel):
    assert re.match(r"odoo_addon_crm_archive_policy-19\.0\.\d", wheel.name)


def test_contents(wheel, checkout):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if "dist-info" not in name}
        (metadata,) = [n for n in archive.namelist() if n.endswith("METADATA")]
        text = archive.read(metadata).decode()
    shipped = {
        f"odoo/addons/{path.relative_to(checkout)}"
        for path in (checkout / ADDON).rglob("*")
        if path.is_file() and path.name != "pyproject.toml"
    }
    assert packed == shipped
    assert "License: LGPL-3" in text
    assert re.search(r"Requires-Dist: odoo[ =>(]", text)


def test_addon_folder_gives_the_same_package(wheel, checkout, tmp_path):
    """`pip install git+…#subdirectory=crm_archive_policy`, as OCA's tools do it."""
    command = ["-m", "build", "--wheel", "--no-isolation", "-o", tmp_path, "."]
    run(sys.executable, *command, cwd=checkout / ADDON)
    (other,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(other) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


def test_odoo_finds_it(wheel, make_database, tmp_path):
    target = tmp_path / "site"
    install = ["-m", "pip", "install", "--no-deps", "--no-index", "--target", target]
    run(sys.executable, *install, wheel, cwd=tmp_path)
    database = make_database(["crm", "contacts"])
    addons = os.environ["CRM_ARCHIVE_ADDONS_PATH"].split(",")
    command = ["-m", "odoo", "server", "-d", database, "-i", ADDON]
    command += ["--stop-after-init", "--no-http"]
    command += [f"--addons-path={','.join(p for p in addons if p != str(ROOT))}"]
    run(sys.executable, *command, cwd=tmp_path, PYTHONPATH=str(target))
    shell = ["-m", "odoo", "shell", "-d", database, *command[-2:]]
    code = f"print(env['ir.module.module'].search([('name', '=', '{ADDON}')]).state)\n"
    code += f"import odoo.addons.{ADDON} as addon\nprint(addon.__file__)\n"
    done = subprocess.run(
        [sys.executable, *shell],
        input=code,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    state, file = done.stdout.split()
    assert state == "installed"
    assert Path(file).is_relative_to(target)
