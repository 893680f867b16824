"""Make the golden bundle of a new format, as the vault itself writes it.

Run once for each format, in the shell of a fresh database that is thrown away:
``scripts/odoo shell -d NAME < scripts/shell/vault_golden.py``. It refuses to replace
what is there: bundles of earlier formats must always restore.
"""

import json
from pathlib import Path

from odoo.addons import crm_archive_policy
from odoo.addons.crm_archive_policy.lib.bundle import FORMAT, object_key
from odoo.addons.crm_archive_policy.models.crm_archive_written import PLACE_COLUMNS
from odoo.addons.crm_archive_policy.vault.catalog import fix_text_format

FOLDER = Path(crm_archive_policy.__file__).parent / "tests" / "golden"
#: Ids that no test database ever reaches.
FIRST_ID = 900_000
TABLES = ["crm_lead", "mail_message", "ir_attachment", "ir_model_data"]


def make_lead():
    for table in TABLES:
        env.cr.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, FIRST_ID]
        )
    lead = (
        env["crm.lead"]
        .with_context(mail_create_nosubscribe=True)
        .create(
            {
                "name": "Golden 👑 lead",
                "type": "opportunity",
                "user_id": False,
                "team_id": False,
                "email_from": "golden@example.com",
                "expected_revenue": 7784.0,
                "description": "<p>שלום</p>",
            }
        )
    )
    lead.with_context(mail_post_autofollow=False).message_post(
        body="Hello 👋", attachments=[("golden.bin", bytes(range(256)))]
    )
    env["ir.model.data"].create(
        {
            "module": "__import__",
            "name": "golden_lead",
            "model": "crm.lead",
            "res_id": lead.id,
        }
    )
    lead._archive({})
    env.flush_all()
    return lead


def read_row(lead):
    fix_text_format(env.cr)
    env.cr.execute("SELECT * FROM crm_lead WHERE false")
    names = [column.name for column in env.cr.description]
    texts = ", ".join(f'"{name}"::text' for name in names)
    env.cr.execute(f"SELECT {texts} FROM crm_lead WHERE id = %s", [lead.id])
    return dict(zip(names, env.cr.fetchone(), strict=True))


def main():
    lead = make_lead()
    row = read_row(lead)
    entry = lead._vault() and env["crm.archive.entry"]._find_for("crm.lead", lead.ids)
    bundle = entry.bundle_id
    with bundle.store_id._open() as store:
        data = store.get(object_key(bundle.name))
    expected = {
        "database_uuid": bundle.store_id._get_database_uuid(),
        "bundle": {
            name: bundle[name]
            for name in ("name", "res_model", "keeps_row", "header_digest", "sha256")
        },
        "entry": {
            name: entry[name]
            for name in ("name", "res_model", "res_id", "keeps_row")
            + tuple(f"place_{name}" for name in PLACE_COLUMNS)
        },
        "row": row,
    }
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"v{FORMAT}-lead.crmarc").open("xb") as out:
        out.write(data)
    with (FOLDER / f"v{FORMAT}-lead.json").open("x") as out:
        json.dump(expected, out, indent=1)
        out.write("\n")


main()
env.cr.rollback()
