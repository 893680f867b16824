"""A few archived leads and contacts with all that may belong to one."""

import os

#: Records of each model.
LEADS, CONTACTS = 2, 1

MASTER_KEYS = "k1:" + "11" * 32


def environment(folder):
    """:return: the settings of the server that a test's stores need"""
    return {
        **os.environ,
        "CRM_ARCHIVE_ROOTS": str(folder),
        "CRM_ARCHIVE_MASTER_KEYS": MASTER_KEYS,
    }


def fill(env, url, kind, encrypt=False):
    """Make policies, a store and archived records that are due for it.

    :param env: environment
    :param url: of a store of kind `fsspec`
    :param kind: of the store
    :param encrypt: whether it encrypts
    """
    env["crm.archive.policy"].search([]).active = False
    env["crm.archive.guard"].search([]).active = False
    store = make_store(env, url, kind, encrypt)
    policies = {
        model: env["crm.archive.policy"].create(
            {
                "name": f"Crash {model}",
                "model_id": env["ir.model"]._get_id(model),
                "mode": "automatic",
                "idle_number": 1,
                "idle_unit": "years",
                "domain": "[('name', 'like', 'Crash')]",
                "vault_enabled": True,
                "vault_after_days": 0,
                "store_id": store.id,
            }
        )
        for model in ("crm.lead", "res.partner")
    }
    contacts = env["res.partner"].create(
        [{"name": f"Crash {n}", "email": f"c{n}@example.com"} for n in range(CONTACTS)]
    )
    tags = env["crm.tag"].create([{"name": "Crash A"}, {"name": "Crash B"}])
    leads = env["crm.lead"].create(
        [
            {
                "name": f"Crash lead {n} “ü”",
                "email_from": f"l{n}@example.com",
                "partner_id": contacts[n % CONTACTS].id,
                "expected_revenue": 1000.10 + n,
                "tag_ids": [(6, 0, tags.ids)],
            }
            for n in range(LEADS)
        ]
    )
    for record in [*leads, *contacts]:
        decorate(env, record)
    for lead in leads:
        env["calendar.event"].create(
            {
                "name": "Crash meeting",
                "opportunity_id": lead.id,
                "start": "2020-01-01 10:00:00",
                "stop": "2020-01-01 11:00:00",
            }
        )
    for records in (leads, contacts):
        policy = policies[records._name]
        records.sudo()._archive(policy._prepare_archive_values())
    env.cr.commit()


def make_store(env, url, kind, encrypt):
    """:return: a store of the kind"""
    if kind == "database":
        store = env.ref("crm_archive_policy.crm_archive_store_database")
        store.encrypt = encrypt
        return store
    return env["crm.archive.store"].create(
        {"name": "Folder", "kind": kind, "url": url, "encrypt": encrypt}
    )


def decorate(env, record):
    """Give a record a message with a file, a file of its own, a follower and a task."""
    record.message_post(
        body="Crash message",
        attachments=[(f"Crash {record._name} {record.id}.txt", b"mail %d" % record.id)],
    )
    env["ir.attachment"].create(
        {
            "name": f"Crash own {record.id}",
            "res_model": record._name,
            "res_id": record.id,
            # Two of them share a file of the filestore.
            "raw": b"own %d" % (record.id // 2) * 50,
        }
    )
    record.message_subscribe(env.ref("base.partner_admin").ids)
    record.activity_schedule("mail.mail_activity_data_todo", summary="Crash task")
