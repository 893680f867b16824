"""Next to sales, events, invoicing, mailings …: what shows only with them installed.

One database with all of them runs every test that skips itself without an app, so that
no skip is a hole, and those that go through whatever is installed.
"""

import ast
import re

import databases
import pytest
from helpers import free_port

MODULES = ["crm", "contacts", "sale_crm", "event_crm", "website_crm", "account"]
MODULES += ["mass_mailing", "data_recycle", "privacy_lookup"]
#: Tests that never skip and have more to do the more is installed.
ALWAYS = ["TestGuard", "TestInteraction", "TestCascade", "TestClass"]
ALWAYS += ["TestVault.test_lead", "TestVault.test_contact"]


def find_skipping():
    """Return the test tags of all tests of the add-on that may skip themselves."""
    tags = set()
    for path in (databases.ROOT / databases.ADDON / "tests").glob("test_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                tags.update(_find_in_class(node))
    return tags


def _find_in_class(node):
    for method in node.body:
        calls = (n for n in ast.walk(method) if isinstance(n, ast.Attribute))
        if any(call.attr == "skipTest" for call in calls):
            is_test = method.name.startswith("test_")
            # A helper or setUp that skips: every test of the class may.
            yield f"{node.name}.{method.name}" if is_test else node.name


@pytest.fixture(scope="module")
def log(make_database):
    database = make_database([*MODULES, databases.ADDON])
    tags = ",".join(f"/{databases.ADDON}:{tag}" for tag in {*ALWAYS, *find_skipping()})
    port = f"--http-port={free_port()}"
    return databases.run_odoo(
        database, port, "-u", databases.ADDON, "--test-tags", tags
    )


def test_all_pass(log):
    found = re.search(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", log)
    assert found, log[-4000:]
    assert found.group(1, 2) == ("0", "0"), log[-6000:]
    assert int(found.group(3)) > 40


def test_none_is_skipped(log):
    assert not re.findall(r"skipped .*", log)


def test_tests_that_skip_are_found():
    found = find_skipping()
    assert {"TestVaultModules", "TestVaultErase.test_invoices_have_to_be_kept"} <= found
