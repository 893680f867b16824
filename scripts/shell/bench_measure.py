"""One measurement on a filled database; run by `scripts/lib/bench.py` in Odoo's shell.

Prints one line `RESULT {json}`.
"""

import json
import os
from itertools import islice

REPEAT = 40


def first_leads():
    """Return between which ids the first TAKE idle leads lie, and how many they are."""
    env.cr.execute(
        "SELECT min(id), max(id), count(*) FROM (SELECT id FROM crm_lead"
        " WHERE create_date < now() - interval '2 years' AND name LIKE 'Opportunity%%'"
        " ORDER BY id LIMIT %s) first",
        [TAKE],
    )
    return env.cr.fetchone()


def relation_bytes():
    """Return the bytes of contacts, leads and of everything of ours, with indexes."""
    env.cr.execute(
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r'"
        " AND (relname LIKE 'crm_archive_%' OR relname = 'crm_lead')"
    )
    return int(env.cr.fetchone()[0])


def compact():
    """Rewrite the leads: dead rows of an UPDATE are reused, not bookkeeping."""
    outside_transaction("VACUUM FULL crm_lead", "VACUUM FULL ANALYZE crm_archive_log")


def recycle_archive():
    low, high, count = first_leads()
    recycle = env["data_recycle.model"].create(
        {
            "name": "bench",
            "res_model_id": env["ir.model"]._get_id("crm.lead"),
            "recycle_mode": "automatic",
            "recycle_action": "archive",
            "domain": f"[('id', '>=', {low}), ('id', '<=', {high}),"
            " ('create_date', '<', 'today -2y')]",
        }
    )
    env.cr.commit()
    both = spent(lambda: (recycle._recycle_records(True), env.cr.commit()))
    return {"count": count, "spent": both}


def orm_archive():
    low, high, count = first_leads()
    leads = env["crm.lead"].search(
        [("id", ">=", low), ("id", "<=", high), ("create_date", "<", "today -2y")]
    )

    def act():
        for start in range(0, len(leads), 1000):
            batch = leads[start : start + 1000].with_context(tracking_disable=True)
            batch.write({"active": False})
            env.cr.commit()

    return {"count": count, "spent": spent(act)}


def sql_archive():
    low, high, count = first_leads()

    def act():
        env.cr.execute(
            "UPDATE crm_lead SET active = false, write_date = now()"
            " WHERE id BETWEEN %s AND %s"
            " AND create_date < now() - interval '2 years'",
            [low, high],
        )
        env.cr.commit()

    return {"count": count, "spent": spent(act)}


def only_policy(model, domain, **values):
    env["crm.archive.policy"].search([]).active = False
    return env["crm.archive.policy"].create(
        {
            "name": "bench",
            "model_id": env["ir.model"]._get_id(model),
            "domain": domain,
            "idle_number": 2,
            "idle_unit": "years",
            "mode": "automatic",
            **values,
        }
    )


def policy_archive():
    low, high, count = first_leads()
    env.cr.execute("ALTER TABLE crm_lead SET (autovacuum_enabled = false)")
    compact()
    before = relation_bytes()
    policy = only_policy("crm.lead", f"[('id', '>=', {low}), ('id', '<=', {high})]")
    env.cr.commit()
    memory, queries = peak_mib(), env.cr.sql_log_count
    both = spent(env["crm.archive.policy"]._cron_run)
    done = policy.run_ids.archived_count
    assert abs(done - count) <= count / 100, done
    memory, queries = peak_mib() - memory, env.cr.sql_log_count - queries
    compact()
    return {
        "count": done,
        "spent": both,
        "queries": queries,
        "memory": memory,
        "bytes": relation_bytes() - before,
    }


PLAIN_SQL = """
SELECT record.id FROM {table} record
 WHERE record.archive_state = 'live'
   AND record.create_date < %(date)s
   AND NOT EXISTS (
       SELECT 1 FROM mail_message
        WHERE model = %(model)s AND res_id = record.id AND date >= %(date)s
          AND message_type IN ('comment', 'email', 'sms', 'whatsapp_message'))
   AND NOT EXISTS (
       SELECT 1 FROM mail_activity
        WHERE res_model = %(model)s AND res_id = record.id AND NOT active
          AND date_done >= %(date)s)
   AND NOT EXISTS (
       SELECT 1 FROM {table} copy
        WHERE copy.archive_duplicate_of_id = record.id
          AND copy.archive_date >= %(date)s)
   AND NOT EXISTS (
       SELECT 1 FROM crm_archive_candidate kept
        WHERE kept.res_id = record.id AND kept.policy_id = %(policy)s
          AND kept.verdict = 'kept')
   {more}
 ORDER BY record.id
"""
MORE = {
    "crm.lead": """
   AND NOT EXISTS (SELECT 1 FROM calendar_event
        WHERE opportunity_id = record.id AND start >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM mail_message m
        JOIN mail_tracking_value t ON t.mail_message_id = m.id
        JOIN ir_model_fields f ON f.id = t.field_id
        WHERE m.model = 'crm.lead' AND m.res_id = record.id AND m.date >= %(date)s
          AND m.message_type = 'notification'
          AND f.model = 'crm.lead' AND f.name = 'stage_id')""",
    "res.partner": """
   AND NOT EXISTS (SELECT 1 FROM mail_message WHERE author_id = record.id
        AND date >= %(date)s AND message_type IN ('comment', 'email'))
   AND NOT EXISTS (SELECT 1 FROM calendar_attendee a JOIN calendar_event e
        ON e.id = a.event_id WHERE a.partner_id = record.id AND e.start >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM crm_lead
        WHERE partner_id = record.id AND create_date >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM res_users_log l JOIN res_users u
        ON u.id = l.create_uid WHERE u.partner_id = record.id
        AND l.create_date >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM res_partner child WHERE child.parent_id = record.id
        AND child.active AND child.create_date >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM res_partner child JOIN mail_message m
        ON m.model = 'res.partner' AND m.res_id = child.id
        WHERE child.parent_id = record.id AND child.active AND m.date >= %(date)s
          AND m.message_type IN ('comment', 'email', 'sms', 'whatsapp_message'))
   AND NOT EXISTS (SELECT 1 FROM res_partner child JOIN mail_message m
        ON m.author_id = child.id WHERE child.parent_id = record.id AND child.active
        AND m.date >= %(date)s AND m.message_type IN ('comment', 'email'))
   AND NOT EXISTS (SELECT 1 FROM res_partner child JOIN mail_activity a
        ON a.res_model = 'res.partner' AND a.res_id = child.id AND NOT a.active
        WHERE child.parent_id = record.id AND child.active AND a.date_done >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM res_partner child
        JOIN calendar_attendee a ON a.partner_id = child.id
        JOIN calendar_event e ON e.id = a.event_id
        WHERE child.parent_id = record.id AND child.active AND e.start >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM res_partner child
        JOIN res_partner copy ON copy.archive_duplicate_of_id = child.id
        WHERE child.parent_id = record.id AND child.active
          AND copy.archive_date >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM res_partner child
        JOIN res_users u ON u.partner_id = child.id
        JOIN res_users_log l ON l.create_uid = u.id
        WHERE child.parent_id = record.id AND child.active
          AND l.create_date >= %(date)s)
   AND NOT EXISTS (SELECT 1 FROM res_partner child
        JOIN crm_lead l ON l.partner_id = child.id
        WHERE child.parent_id = record.id AND child.active
          AND l.create_date >= %(date)s)""",
}


def find():
    """Find all that is due as a run does, against one plain query."""
    results = {}
    for model in ("crm.lead", "res.partner"):
        policy = only_policy(model, "[]")
        table = env[model]._table
        query = PLAIN_SQL.format(table=table, more=MORE[model])
        parameters = {
            "date": policy._get_idle_date(),
            "model": model,
            "policy": policy.id,
        }
        found = []

        def plain(query=query, parameters=parameters, found=found):
            found.clear()
            env.cr.execute(query, parameters)
            found.extend(env.cr.fetchall())

        def walk(policy=policy):
            policy._find_ids()

        plain()
        memory = peak_mib()
        policy_seconds = min(spent(walk)[0] for _ in range(2))
        memory = peak_mib() - memory
        sql_seconds = min(spent(plain)[0] for _ in range(2))
        results[model] = {
            "found": len(found),
            "sql": sql_seconds,
            "policy": policy_seconds,
            "memory": memory,
        }
    return results


def screen_acts(env):
    """Return what salespeople open all day, as the web client asks for it.

    They are no archive users, so the record rule on restricted records applies.
    """
    groups = "sales_team.group_sale_salesman_all_leads", "base.group_user"
    user = (
        env["res.users"]
        .with_context(no_reset_password=True)
        .create(
            {
                "name": "bench",
                "login": "bench",
                "email": "bench@example.com",
                "group_ids": [(6, 0, [env.ref(group).id for group in groups])],
            }
        )
    )
    env.flush_all()
    env = env(user=user)
    lead, partner = env["crm.lead"], env["res.partner"]
    columns = {"complete_name": {}, "email": {}, "phone": {}}
    pipeline = {"name": {}, "stage_id": {"fields": {"display_name": {}}}}
    opportunities = [("type", "=", "opportunity")]
    return env, {
        "contact list": lambda: partner.web_search_read(
            [], columns, limit=80, count_limit=10001
        ),
        "lead pipeline": lambda: lead.web_search_read(
            opportunities, pipeline, limit=80, count_limit=10001
        ),
        "pipeline columns": lambda: lead.formatted_read_group(
            opportunities, ["stage_id"], ["__count", "expected_revenue:sum"]
        ),
        "a lead": lambda: lead.search(opportunities, limit=1).web_read(
            {"name": {}, "partner_id": {"fields": {"display_name": {}}}}
        ),
        "name_search": lambda: partner.name_search("Person 4711", limit=8),
    }


def screens():
    """Open every screen with and without the add-on, turn and turn about.

    Without it twice: how far these two are apart is the noise of the measurement.
    """
    if os.environ["RESTRICTED"] == "1":
        # Something to hide, which puts the record rules in force.
        env["crm.lead"].search([], limit=100)._archive({"archive_restricted": True})
        env["res.partner"].search([("name", "like", "Person 1%")], limit=100)._archive(
            {"archive_restricted": True}
        )
        env.cr.commit()
    from odoo import SUPERUSER_ID, api  # noqa: PLC0415 - only there in Odoo's shell
    from odoo.modules.registry import Registry  # noqa: PLC0415

    with Registry(os.environ["OTHER"]).cursor() as cr:
        without = screen_acts(api.Environment(cr, SUPERUSER_ID, {}))
        sides = {"without": without, "again": without, "with": screen_acts(env)}
        results = {name: {side: {"spent": []} for side in sides} for name in without[1]}
        for turn in range(REPEAT + 2):
            # Who goes first changes, and the first turns only warm up.
            order = [*islice(sides, turn % 3, None), *islice(sides, turn % 3)]
            for name, result in results.items():
                for side in order:
                    side_env, acts = sides[side]
                    side_env.invalidate_all()
                    queries = side_env.cr.sql_log_count
                    both = spent(acts[name], side_env.cr)
                    if turn > 1:
                        result[side]["spent"].append(both)
                    result[side]["queries"] = side_env.cr.sql_log_count - queries
    return results


print("RESULT " + json.dumps(globals()[WHAT]()))
