"""The examples of docs/api.md, run as they stand there against a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: The user of the page: who may do all of it, and no more.
PREPARE = """
from datetime import timedelta
groups = ["sales_team.group_sale_salesman_all_leads", "base.group_partner_manager"]
groups += ["crm_archive_policy.group_archive_manager"]
groups += ["crm_archive_policy.group_archive_auditor"]
user = env["res.users"].with_context(no_reset_password=True).create({
    "name": "Archive robot",
    "login": "archive-robot",
    "group_ids": [(6, 0, [env.ref(name).id for name in groups])],
})
mill = env["res.partner"].create({"name": "Windmill in the vault"})
mill.action_archive()
mill._vault()
keys = env(user=user.id)["res.users.apikeys"]
expires = env.cr.now() + timedelta(days=1)
print("KEY", keys._generate("rpc", "robot", expires), mill.id)
env.cr.commit()
"""


@pytest.fixture(scope="module")
def blocks():
    return BLOCK.findall(PAGE.read_text())


@pytest.fixture
def connection(server, odoo_shell):
    key, vaulted_id = re.search(
        r"KEY (\w+) (\d+)", odoo_shell(server.database, PREPARE)
    ).groups()
    return vaulted_id, {
        **os.environ,
        "ODOO_URL": server.url,
        "ODOO_DB": server.database,
        "ODOO_LOGIN": "archive-robot",
        "ODOO_API_KEY": key,
    }


def run(command, code, environment):
    done = subprocess.run(
        command,
        input=code,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_examples(blocks, server, connection, odoo_shell):
    vaulted_id, environment = connection
    assert {language for language, _code in blocks} == {"bash", "python"}
    for language, code in blocks:
        if language == "bash":
            assert '"pending_count"' in run(["bash", "-e"], code, environment)
    python = "\n".join(code for language, code in blocks if language == "python")
    assert run([sys.executable, "-"], python, environment).strip()
    # What the page claims has happened.
    found = odoo_shell(
        server.database,
        f"""
partners = env["res.partner"].with_context(active_test=False)
print(partners.browse({vaulted_id}).archive_state)
print(*partners.search([("ref", "=", "FORMER")]).mapped("archive_state"))
print(env["crm.archive.log"].verify_chain()["ok"])
""",
    )
    assert found.split() == ["live", "live", "archived", "True"] or found.split() == [
        "live",
        "archived",
        "live",
        "True",
    ]
