"""The round trip through the vault next to sales, events, the website and invoicing."""

import re

import databases
import pytest

MODULES = ["crm", "contacts", "sale_crm", "event_crm", "website_crm", "account"]
TAGS = ["TestVaultModules", "TestVault.test_lead", "TestVault.test_contact"]


@pytest.fixture(scope="module")
def log(make_database):
    database = make_database([*MODULES, databases.ADDON])
    tags = ",".join(f"/{databases.ADDON}:{tag}" for tag in TAGS)
    return databases.run_odoo(database, "-u", databases.ADDON, "--test-tags", tags)


def test_all_pass(log):
    found = re.search(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", log)
    assert found, log[-4000:]
    assert found.group(1, 2) == ("0", "0"), log[-6000:]
    assert int(found.group(3)) >= 5


def test_none_is_skipped(log):
    assert not re.findall(r"skipped .*", log)
