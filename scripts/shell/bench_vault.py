"""One measurement of the vault on a filled database; see `bench_measure.py`."""

import hashlib
import json
import os

TABLES = ("crm_lead", "mail_message", "ir_attachment", "mail_followers")
#: Leads created through the ORM for the comparison with a restore.
ORM_TAKE = 500


def first_leads():
    """Return the ids of the first TAKE idle leads."""
    env.cr.execute(
        "SELECT id FROM crm_lead WHERE create_date < now() - interval '2 years'"
        " AND name LIKE 'Opportunity%%' ORDER BY id LIMIT %s",
        [TAKE],
    )
    return [row[0] for row in env.cr.fetchall()]


def live_bytes():
    """Return the bytes of what leads are made of, rewritten so that gaps are gone."""
    outside_transaction(*(f"VACUUM FULL {table}" for table in TABLES))
    env.cr.execute(
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname = ANY(%s)"
        " AND relnamespace = current_schema::regnamespace",
        [list(TABLES)],
    )
    return int(env.cr.fetchone()[0])


def archived_policy():
    """Archive the first leads, unmeasured, by a policy that moves them to the vault."""
    env["crm.archive.policy"].search([]).active = False
    ids = first_leads()
    policy = env["crm.archive.policy"].create(
        {
            "name": "bench",
            "model_id": env["ir.model"]._get_id("crm.lead"),
            "domain": f"[('id', '>=', {ids[0]}), ('id', '<=', {ids[-1]})]",
            "idle_number": 2,
            "idle_unit": "years",
            "mode": "automatic",
            "vault_enabled": True,
            "vault_after_days": 0,
        }
    )
    env.cr.commit()
    env["crm.archive.policy"]._cron_run()
    outside_transaction("VACUUM ANALYZE crm_lead", "VACUUM ANALYZE mail_message")
    return policy


def vault(policy):
    """Move what is archived to the vault, as the scheduled action does.

    :return: what it took, see `spent`
    """
    # The run of this very moment would archive what is due since then.
    policy.domain = "[('id', '=', 0)]"
    env.cr.commit()
    return spent(lambda: env["crm.archive.policy"]._cron_run())


def recycle_delete():
    ids = first_leads()
    recycle = env["data_recycle.model"].create(
        {
            "name": "bench",
            "res_model_id": env["ir.model"]._get_id("crm.lead"),
            "recycle_mode": "automatic",
            "recycle_action": "unlink",
            "domain": f"[('id', '>=', {ids[0]}), ('id', '<=', {ids[-1]}),"
            " ('create_date', '<', 'today -2y')]",
        }
    )
    env.cr.commit()
    took = spent(lambda: (recycle._recycle_records(True), env.cr.commit()))
    return {"count": len(ids), "spent": took}


def vault_leads():
    policy = archived_policy()
    before = live_bytes()
    memory, queries = peak_mib(), env.cr.sql_log_count
    took = vault(policy)
    memory, queries = peak_mib() - memory, env.cr.sql_log_count - queries
    run = policy.run_ids.filtered(lambda run: run.kind == "vault")
    count = run.vaulted_count
    assert count and not run.error_count, (count, run.error_count)
    bundles = run.env["crm.archive.bundle"].search([("run_id", "=", run.id)])
    stored = sum(bundles.mapped("size"))
    freed = before - live_bytes()
    env.cr.execute(
        "SELECT pg_total_relation_size('crm_archive_entry')"
        " + pg_total_relation_size('crm_archive_log')"
    )
    index = int(env.cr.fetchone()[0])
    return {
        "count": count,
        "spent": took,
        "queries": queries,
        "memory": memory,
        "freed": freed,
        "stored": stored,
        "index": index,
        "compression": bundles[0].compression,
    }


def restore_leads():
    policy = archived_policy()
    vault(policy)
    entries = env["crm.archive.entry"].search([("policy_id", "=", policy.id)])
    count = len(entries)
    env["crm.archive.run"]._start_restore(entries, {"cause": "audit"}, {})
    env.cr.commit()
    memory = peak_mib()
    took = spent(lambda: env["crm.archive.policy"]._cron_run())
    memory = peak_mib() - memory
    run = env["crm.archive.run"].search([("kind", "=", "restore")], limit=1)
    assert run.restored_count == count, (run.restored_count, count)
    return {"count": count, "spent": took, "memory": memory}


def orm_create():
    """Create the same leads and their two messages through the ORM."""
    leads = env["crm.lead"].browse(first_leads()[:ORM_TAKE])
    names = ["name", "contact_name", "type", "user_id", "team_id", "stage_id"]
    names += ["company_id", "email_from", "phone", "priority", "expected_revenue"]
    lead_values = [
        {**leads._convert_to_write(row), "description": lead.description}
        for lead in leads
        for row in [{name: lead[name] for name in names}]
    ]
    messages = env["mail.message"].search(
        [("model", "=", "crm.lead"), ("res_id", "in", leads.ids)]
    )
    message_values = [
        {
            "model": "crm.lead",
            "res_id": message.res_id,
            "message_type": message.message_type,
            "body": message.body,
            "date": message.date,
            "author_id": message.author_id.id,
        }
        for message in messages
    ]

    def act():
        quiet = {"tracking_disable": True, "mail_create_nolog": True}
        quiet |= {"mail_create_nosubscribe": True}
        env["crm.lead"].with_context(**quiet).create(lead_values)
        env["mail.message"].create(message_values)
        env.cr.commit()

    return {"count": len(leads), "spent": spent(act)}


def search_index():
    """Search as many entries as there are contacts, and the contacts themselves."""
    policy = archived_policy()
    vault(policy)
    model = env["crm.archive.entry"].search([("policy_id", "=", policy.id)], limit=1)
    env.cr.execute(
        "INSERT INTO crm_archive_entry (name, email, email_normalized, phone,"
        " phone_sanitized, res_model, res_id, state, bundle_id, vault_date)"
        " SELECT complete_name, email, email_normalized, phone, phone_sanitized,"
        " 'res.partner', id, 'vaulted', %s, now() FROM res_partner",
        [model.bundle_id.id],
    )
    for table in ("crm_archive_entry", "res_partner"):
        outside_transaction(f"VACUUM ANALYZE {table}")
    count = env["crm.archive.entry"].search_count([])
    user_env = env(user=env.ref("base.user_admin"))
    result = {"count": count}
    for name in ("crm.archive.entry", "res.partner"):
        model = user_env[name]

        def act(model=model):
            user_env.invalidate_all()
            for word in ("Person 4711", "person123@example", "Person 99"):
                model.name_search(word, limit=8)

        result[name] = min(spent(act)[0] for _ in range(10))
    return result


def create_large_lead(messages, mib):
    """Create a lead with many messages and one huge file, which is all zeros.

    Odoo itself takes no file of 2 GiB or more.
    """
    lead = env["crm.lead"].create({"name": "Large lead", "user_id": False})
    env.flush_all()
    env.cr.execute(
        "INSERT INTO mail_message (model, res_id, message_type, body, date,"
        " message_id, create_date, write_date)"
        " SELECT 'crm.lead', %s, 'comment', n || repeat(' words ' || n, 150), now(),"
        " n || '@large', now(), now() FROM generate_series(1, %s) n",
        [lead.id, messages],
    )
    digest, block = hashlib.sha1(usedforsecurity=False), bytes(1 << 20)
    for _ in range(mib):
        digest.update(block)
    attachments = env["ir.attachment"]
    fname = f"{digest.hexdigest()[:2]}/{digest.hexdigest()}"
    path = attachments._full_path(fname)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(mib << 20)
    env.cr.execute(
        "INSERT INTO ir_attachment (name, type, res_model, res_id, store_fname,"
        " file_size, checksum) VALUES ('huge.bin', 'binary', 'crm.lead', %s, %s, %s,"
        " %s)",
        [lead.id, fname, mib << 20, digest.hexdigest()],
    )
    env.invalidate_all()
    return lead, path


def messages_digest(lead):
    env.cr.execute(
        "SELECT bit_xor(hashtextextended(m::text, 0)), count(*) FROM mail_message m"
        " WHERE model = 'crm.lead' AND res_id = %s",
        [lead.id],
    )
    return env.cr.fetchone()


def vault_large():
    """Move one very large lead to the vault and back, and look at the memory."""
    messages = int(os.environ.get("LARGE_MESSAGES", 100_000))
    mib = int(os.environ.get("LARGE_MIB", 2047))
    env["crm.archive.policy"].search([]).active = False
    lead, path = create_large_lead(messages, mib)
    lead._archive({})
    env.cr.commit()
    before = messages_digest(lead)
    memory = peak_mib()
    result = {"messages": messages, "mib": mib}
    result["vault_seconds"] = spent(lambda: (lead._vault(), env.cr.commit()))[0]
    result["vault_memory"] = peak_mib() - memory
    assert not lead.exists()
    os.unlink(path)
    entry = env["crm.archive.entry"]._find_for("crm.lead", lead.ids)
    result["stored_mib"] = entry.bundle_id.size / (1 << 20)
    memory = peak_mib()
    result["restore_seconds"] = spent(lambda: (entry._restore(), env.cr.commit()))[0]
    result["restore_memory"] = peak_mib() - memory
    assert messages_digest(lead) == before
    assert os.path.getsize(path) == mib << 20
    os.unlink(path)
    return result


print("RESULT " + json.dumps(globals()[WHAT]()))
