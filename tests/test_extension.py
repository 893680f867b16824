"""A model of one's own joins the lifecycle: the add-on that the documentation shows."""

import os
import re
from pathlib import Path

import databases
import pytest
from helpers import free_port

ROOT = Path(__file__).resolve().parents[1]
ADDONS = ROOT / "tests" / "addons"
CARD = ADDONS / "customer_card"
PATH = f"--addons-path={os.environ['CRM_ARCHIVE_ADDONS_PATH']},{ADDONS}"


@pytest.fixture(scope="module")
def database(make_database):
    return make_database()


def test_whole_life(database, run_odoo, odoo_shell):
    port = f"--http-port={free_port()}"
    tags = ["--test-tags", "/customer_card"]
    log = run_odoo(database, PATH, port, "-i", "customer_card", *tags)
    found = re.search(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", log)
    assert found, log[-4000:]
    assert found.group(1, 2) == ("0", "0"), log[-6000:]
    assert int(found.group(3)) >= 11
    # Updating repeats nothing, uninstalling leaves nothing.
    run_odoo(database, PATH, "-u", "customer_card")
    assert odoo_shell(database, COUNT).split() == ["2", "1"]
    odoo_shell(database, MARK_FOR_REMOVAL)
    run_odoo(database, PATH, "-u", "base")
    assert odoo_shell(database, COUNT).split() == ["0", "0"]


COUNT = """
guards = env["crm.archive.guard"].with_context(active_test=False)
rules = env["ir.rule"].with_context(active_test=False)
print(guards.search_count([("model_name", "=", "customer.card")]))
print(rules.search_count([("name", "like", "Customer Card: %")]))
"""

MARK_FOR_REMOVAL = """
env["ir.module.module"]._get("customer_card").button_uninstall()
env.cr.commit()
"""


@pytest.mark.parametrize(
    "file",
    ["__manifest__.py", "models/customer_card.py", "security/ir.model.access.csv"],
)
def test_documentation_shows_it(file):
    """What the page shows is what has been tested, to the letter."""
    page = (ROOT / "docs" / "extending.md").read_text()
    blocks = re.findall(r"^```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert (CARD / file).read_text() in blocks


def test_documented_hooks_exist():
    """Every method that the page names is there."""
    page = (ROOT / "docs" / "extending.md").read_text()
    named = set(
        re.findall(r"`(_get\w+|_prepare\w+|_is\w+|_check\w+|_archive\w+)`", page)
    )
    assert len(named) > 10
    code = "".join(
        path.read_text() for path in (ROOT / databases.ADDON / "models").glob("*.py")
    )
    assert {name for name in named if name not in code} == set()
