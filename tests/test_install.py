"""Installing, upgrading, uninstalling and reinstalling leave nothing in the log."""

import re
import subprocess
import sys

import pytest

ADDON = "crm_archive_policy"
LOG_LINE = re.compile(
    r"^\S+ \S+ \d+ (?:WARNING|ERROR|CRITICAL) \S+ (?P<logger>[\w.]+): (?P<text>.*)"
)
# What Odoo says about itself: it calls functions that its own pinned libraries have
# deprecated. A warning about a file of the add-on is not allowed.
DEPRECATION = re.compile(
    r"(?!.*/crm_archive_policy/(models|wizard|lib|hooks)).*Deprecat"
)


def get_complaints(log):
    """:return: the lines of a log that are not as they should be"""
    found = [match for match in map(LOG_LINE.match, log.splitlines()) if match]
    return [
        match[0]
        for match in found
        if match["logger"] != "py.warnings" or not DEPRECATION.match(match["text"])
    ]


def module(action, database, *, refused=False):
    """Run `odoo module`, as an administrator would.

    :param refused: it must fail
    :return: its log
    """
    done = subprocess.run(
        [sys.executable, "-m", "odoo", "module", action, "-d", database, ADDON],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == refused, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("demo", [False, True], ids=["plain", "demo"])
def test_whole_life(make_database, run_odoo, odoo_shell, demo):
    database = make_database(["crm", "contacts"], demo)
    flags = ["--with-demo"] if demo else []
    before = odoo_shell(database, LIST_TRACES)

    assert get_complaints(run_odoo(database, "-i", ADDON, *flags)) == []
    assert get_complaints(run_odoo(database, "-u", ADDON)) == []
    # Records in every state, so that there is something to leave behind.
    odoo_shell(database, ARCHIVE_SOMETHING)
    # Not while records are in the vault, whichever way; afterwards at once.
    assert "Leave the Vault" in module("uninstall", database, refused=True)
    assert "refused as well" in odoo_shell(database, FORCE_THE_WAY)
    assert "installed 4" in odoo_shell(database, LOOK_AROUND)
    assert "restored 4" in odoo_shell(database, RESTORE_EVERYTHING)
    assert get_complaints(module("uninstall", database)) == []
    assert odoo_shell(database, LIST_TRACES) == before
    assert get_complaints(run_odoo(database, "-i", ADDON, *flags)) == []
    assert get_complaints(run_odoo(database, "-u", "base")) == []


ARCHIVE_SOMETHING = """
partners = env["res.partner"].create([{"name": f"Partner {n}"} for n in range(4)])
leads = env["crm.lead"].create([{"name": f"Lead {n}"} for n in range(4)])
for records in (partners[:2], leads[:2]):
    records.action_archive()
policy = env["crm.archive.policy"].create({
    "name": "All silent leads",
    "model_id": env.ref("crm.model_crm_lead").id,
    "idle_number": 0,
    "mode": "automatic",
})
policy.action_run()
for records in (partners[:2], leads[:2]):
    records._vault()
env.cr.commit()
"""

# Past the ORM, as a hand in the database would: the last barrier is the hook.
FORCE_THE_WAY = """
from odoo.modules.registry import Registry
env.cr.execute('''
    UPDATE ir_module_module SET state = 'to remove' WHERE name = 'crm_archive_policy'
''')
env.cr.commit()
try:
    Registry.new(env.cr.dbname, update_module=True)
except Exception as error:
    assert "Leave the Vault" in str(error), error
    print("refused as well")
"""

LOOK_AROUND = """
modules = env["ir.module.module"]
print(modules._get("crm_archive_policy").state, modules._count_vaulted())
"""

RESTORE_EVERYTHING = """
env = env(user=env.ref("base.user_admin").id)
run = env["crm.archive.leave"].create({}).action_restore_all()
run = env["crm.archive.run"].browse(run["res_id"])
env.cr.commit()
env.ref("crm_archive_policy.ir_cron_run_policies").sudo().method_direct_trigger()
env.cr.commit()
env.invalidate_all()
print("restored", run.restored_count)
"""

# Tables, columns, triggers, functions and schemas that bear the add-on's name.
LIST_TRACES = """
env.cr.execute('''
    SELECT 'table ' || table_schema || '.' || table_name
      FROM information_schema.tables
     WHERE table_name LIKE 'crm\\\\_archive%' OR table_schema LIKE 'crm\\\\_archive%'
     UNION
    SELECT 'column ' || table_name || '.' || column_name
      FROM information_schema.columns
     WHERE table_name IN ('res_partner', 'crm_lead')
     UNION
    SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE '%crm\\\\_archive%'
     UNION
    SELECT 'function ' || proname FROM pg_proc WHERE proname LIKE '%crm\\\\_archive%'
     UNION
    SELECT 'xmlid ' || name FROM ir_model_data WHERE module = 'crm_archive_policy'
''')
print("\\n".join(sorted(row[0] for row in env.cr.fetchall())))
"""
