"""Next to the add-ons of others that meet the same records: all of them installed."""

import re

import databases
import pytest
from helpers import free_port
from test_install import get_complaints

CORE = ["data_recycle", "privacy_lookup"]
COMMUNITY = ["auditlog", "base_tier_validation"]
TAGS = ["TestLifecycle", "TestVault.test_lead", "TestVault.test_contact"]

#: Other tools look at the same records: a log of every field, the search for a person,
#: and core's own recycling of records.
TOGETHER = """
env = env(user=env.ref("base.user_admin").id)
env["auditlog.rule"].create({
    "name": "Contacts",
    "model_id": env.ref("base.model_res_partner").id,
    "log_type": "full",
    "log_write": True, "log_create": True, "log_unlink": True,
}).set_to_confirmed()
partner = env["res.partner"].create({
    "name": "Rosa Example", "email": "rosa@mail.example", "comment": "Likes tea",
})
before = partner.read(["name", "email", "comment", "active"])
partner.action_archive()
print(partner.archive_state)
partner._vault()
env.cr.commit()
env.invalidate_all()
print(partner.archive_state)
lookup = env["privacy.lookup.wizard"].create(
    {"name": "Rosa Example", "email": "rosa@mail.example"}
)
lookup.action_lookup()
entry = env["crm.archive.entry"]._find_for("res.partner", partner.ids)
entry._restore()
env.cr.commit()
env.invalidate_all()
after = partner.read(["name", "email", "comment", "active"])
print(partner.archive_state, after == before)
rule = env["data_recycle.model"].create({
    "name": "Old leads", "res_model_id": env.ref("crm.model_crm_lead").id,
    "domain": "[('name', '=', 'To recycle')]", "recycle_mode": "manual",
    "recycle_action": "archive",
})
lead = env["crm.lead"].create({"name": "To recycle"})
rule._recycle_records()
rule.env["data_recycle.record"].search([]).action_validate()
print(lead.active, lead.archive_state)
noted = env["auditlog.log.line"].search([("log_id.res_id", "=", partner.id)])
print("active" in noted.mapped("field_name"))
"""


@pytest.fixture(scope="module")
def database(make_database):
    return make_database(["crm", "contacts", *CORE])


def test_installs_and_works(database, community, run_odoo, odoo_shell):
    wanted = ",".join([databases.ADDON, *COMMUNITY])
    assert get_complaints(run_odoo(database, community, "-i", wanted)) == []
    tags = ",".join(f"/{databases.ADDON}:{tag}" for tag in TAGS)
    port = f"--http-port={free_port()}"
    log = run_odoo(
        database, community, port, "-u", databases.ADDON, "--test-tags", tags
    )
    found = re.search(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", log)
    assert found, log[-4000:]
    assert found.group(1, 2) == ("0", "0"), log[-6000:]
    assert int(found.group(3)) > 15
    printed = odoo_shell(database, TOGETHER).splitlines()
    assert printed == ["archived", "vaulted", "live True", "False archived", "True"]
