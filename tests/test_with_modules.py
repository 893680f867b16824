"""Next to sales, invoicing and mailings: what only shows when they are installed."""

import re

import databases
import pytest
from helpers import free_port

MODULES = ["crm", "contacts", "sale_crm", "account", "mass_mailing", "website_crm"]
TAGS = [
    "TestRecontactMailings",
    "TestGuard",
    "TestGuardDocuments",
    "TestInteraction",
    "TestCascade",
    "TestClass",
    "TestClassOrders",
    "TestWebForm",
]


@pytest.fixture(scope="module")
def log(make_database):
    database = make_database([*MODULES, databases.ADDON])
    tags = ",".join(f"/{databases.ADDON}:{tag}" for tag in TAGS)
    port = f"--http-port={free_port()}"
    return databases.run_odoo(
        database, port, "-u", databases.ADDON, "--test-tags", tags
    )


def test_all_pass(log):
    found = re.search(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", log)
    assert found, log[-4000:]
    assert found.group(1, 2) == ("0", "0"), log[-6000:]
    assert int(found.group(3)) > 30


def test_none_is_skipped(log):
    assert not re.findall(r"skipped .*", log)
