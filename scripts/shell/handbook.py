"""Put a demonstration database into the middle of its life, for the pictures.

Goes after `demo.py` and `run_policies.py`: people of every role, somebody who has
written again, a legal hold, what is at the end of its retention, a purge that is done
and one that waits, drills, a signed report. All names are invented. Prints one line
`RECORDS {json}` that tells the pictures which records are whose.
"""

import json
from datetime import timedelta
from email.message import EmailMessage

from odoo import fields

LANGUAGE = "zh_CN"
ROLES = {
    "ines": ("Ines Halloran", ["archive_manager"], ["base.group_system"]),
    "tomas": ("Tomas Vellinga", ["archive_manager"], []),
    "ruta": ("Ruta Mazeika", ["archive_auditor"], []),
}
OFFICER, SELLER = "samuel", "petra"
CHINESE_NAMES = {
    "Leads silent for eighteen months": "沉寂十八个月的线索",
    "Contacts silent for fifteen months": "沉寂十五个月的联系人",
    "Commercial records (example)": "商业往来记录（示例）",
    "Prospects (example)": "潜在客户（示例）",
    "Trade fair": "展会",
    "Newsletter": "电子期刊",
    "Reference customer": "标杆客户",
    "Spring campaign": "春季推广",
    "Inbound call": "客户来电",
    "Referral": "客户推荐",
}
CHINESE_BASIS = "示例：从未成交的潜在客户，其信息保留不超过一年。具体期限请自行核实。"
RECORDS = {}


def load_language():
    env["base.language.install"].create(
        {
            "lang_ids": [
                (
                    6,
                    0,
                    env["res.lang"]
                    .with_context(active_test=False)
                    .search([("code", "=", LANGUAGE)])
                    .ids,
                )
            ],
            "overwrite": True,
        }
    ).lang_install()


def translate_names():
    """Give the example's own names in the other language, where they have one."""
    for model in (
        "crm.archive.policy",
        "crm.archive.category",
        "res.partner.category",
        "crm.tag",
    ):
        records = env[model].with_context(active_test=False)
        for record in records.search([("name", "in", list(CHINESE_NAMES))]):
            record.with_context(lang=LANGUAGE).name = CHINESE_NAMES[record.name]
    category = env["crm.archive.category"].browse(RECORDS["category"])
    category.with_context(lang=LANGUAGE).legal_basis = CHINESE_BASIS


def group(name):
    module = "crm_archive_policy.group_" if name.startswith("archive") else ""
    return (4, env.ref(module + name).id)


def create_people():
    """Give every role of the handbook a person who can sign in."""
    users = env["res.users"].with_context(no_reset_password=True)
    sales = ["sales_team.group_sale_salesman_all_leads", "base.group_partner_manager"]
    for login, (name, roles, more) in ROLES.items():
        users.create(
            {
                "name": name,
                "login": login,
                "password": login,
                "email": f"{login}@example.com",
                "group_ids": [group(g) for g in [*roles, *sales, *more]],
            }
        )
    people = {u.login: u for u in env["res.users"].search([])}
    for login, role in ((OFFICER, "archive_officer"), (SELLER, "archive_user")):
        people[login].write(
            {"password": login, "group_ids": [group(g) for g in [role, *sales]]}
        )
    for user in people.values():
        user.tz = "UTC"
    # Odoo would look the company up on the internet.
    env["res.company"].search([]).iap_enrich_auto_done = True
    return people


def find(model, domain=(), **how):
    records = env[model].with_context(active_test=False)
    return records.search(list(domain), order="id", **how)


def archived(model, **how):
    return find(model, [("archive_state", "=", "archived")], **how)


def restore_some(officer):
    """Bring a few leads back, so that there is something to learn about policies."""
    leads = archived("crm.lead", limit=6).with_user(officer)
    for lead, cause in zip(
        leads, ["came_back"] * 3 + ["too_early"] * 2 + ["mistake"], strict=True
    ):
        wizard = env["crm.archive.restore"].with_user(officer)
        wizard.with_context(
            active_model="crm.lead", active_ids=lead.ids, restore_cause=cause
        ).create({}).action_restore()


def spread_archive_dates():
    """Let what the policies have archived today have been archived bit by bit."""
    env.flush_all()
    for table in ("crm_lead", "res_partner"):
        env.cr.execute(
            f"""UPDATE {table} SET archive_date = archive_date
                       - id % 17 * interval '31 days' - id % 7 * interval '1 day'
                 WHERE archive_state = 'archived'"""
        )
    env.invalidate_all()


def archive_by_hand(seller):
    """Archive some people with a reason, as a salesperson does."""
    people = find(
        "res.partner",
        [
            ("active", "=", True),
            ("is_company", "=", False),
            ("parent_id.user_id", "=", seller.id),
            ("archive_state", "=", "live"),
            ("archive_exempt", "=", False),
            ("opportunity_ids", "=", False),
        ],
    )
    for number, person in enumerate(people[:10]):
        reason = ("closed", "request", "unreachable")[number % 3]
        reason = env.ref(f"crm_archive_policy.crm_archive_reason_{reason}")
        person.with_user(seller)._archive({"archive_reason_id": reason.id})
    RECORDS["archived_contact"] = people[0].id
    live = find(
        "res.partner",
        [
            ("active", "=", True),
            ("is_company", "=", True),
            ("user_id", "=", seller.id),
            ("child_ids", "!=", False),
            ("archive_state", "=", "live"),
        ],
        limit=1,
    )
    RECORDS["live_contact"] = live.id


def keep_candidates(officer, seller):
    """Decide on some of what waits, and leave the rest."""
    waiting = find("crm.archive.candidate", [("verdict", "=", "pending")])
    wizard = env["crm.archive.keep"].with_user(officer)
    wizard.with_context(
        active_model="crm.archive.candidate", active_ids=waiting[:2].ids
    ).create(
        {
            "keep_until": fields.Date.today() + timedelta(days=120),
            "note": "We meet at the trade fair in spring",
        }
    ).action_keep()
    waiting[2:5].with_user(officer).action_approve()
    RECORDS["candidate"] = waiting[6].id
    mine = waiting[5:].filtered(lambda c: c.owner_id == seller)[:1] or waiting[6]
    RECORDS["pending_contact"] = mine.res_id


def write_again(person):
    """Deliver an e-mail of somebody who is archived."""
    mail = EmailMessage()
    mail["From"] = person.email_formatted
    mail["To"] = "sales@example.com"
    mail["Subject"] = "Our new office: can you make an offer?"
    mail["Message-Id"] = f"<again-{person.id}@{person.email.split('@')[1]}>"
    mail.set_content(
        "Good morning, we are moving to a larger office and need furniture for "
        "twelve people. Could you make us an offer?"
    )
    env["mail.thread"].message_process("crm.lead", mail.as_string())


def receive_mails():
    for lead in archived("crm.lead", limit=40)[-3:]:
        write_again(lead.partner_id)
    people = archived("res.partner").filtered(lambda p: not p.is_company)
    for person in people[-1:]:
        write_again(person)
    found = find("crm.archive.recontact", [("state", "=", "proposed")], limit=1)
    RECORDS["recontact"] = found.id


def start_holds(manager):
    holds = env["crm.archive.hold"].with_user(manager)
    companies = find(
        "res.partner",
        [
            ("is_company", "=", True),
            ("archive_state", "=", "live"),
            ("email", "=like", "office@%.example"),
        ],
    )
    case = holds.create(
        {
            "name": "Product liability: shelf system B4",
            "reference": "2026-114",
            "reason": "Letters and offers about the shelves may be needed as evidence.",
            "partner_ids": [(6, 0, companies[8:11].ids)],
            "date_end": fields.Date.today() + timedelta(days=300),
        }
    )
    case.action_start()
    holds.create(
        {
            "name": "Tax audit of the branch in Ghent",
            "reference": "TA-88",
            "reason": "The auditors asked for all correspondence of three years.",
            "partner_ids": [(6, 0, companies[14:16].ids)],
        }
    )
    RECORDS["hold"] = case.id
    RECORDS["held_contact"] = companies[8].id


def end_retention(managers):
    """Archive some old leads whose retention is over, and purge a part of them."""
    category = env["crm.archive.category"].create(
        {
            "name": "Prospects (example)",
            "minimum_number": 1,
            "minimum_unit": "years",
            "start_event": "interaction",
            "end_action": "anonymise",
            "legal_basis": "Example: nobody needs what was never a customer for longer "
            "than a year. Have your own periods checked.",
        }
    )
    RECORDS["category"] = category.id
    over = archived("crm.lead")[-24:]
    over.with_user(managers[0]).archive_category_id = category
    env.flush_all()
    # A rule never dates back: it takes days until something is over.
    env.cr.execute(
        "UPDATE crm_lead SET retention_date = retention_date - id %% 40 - 1"
        " WHERE id = ANY(%s)",
        [over.ids],
    )
    env.invalidate_all()
    done = ask_purge(over[:5], managers[1], "Yearly clean-up of prospects")
    env.cr.commit()
    done.with_user(managers[0]).action_approve()
    env["crm.archive.run"]._run_all()
    waiting = ask_purge(over[5:11], managers[1], "Prospects of the fair")
    RECORDS["purge_done"], RECORDS["purge"] = done.id, waiting.id


def ask_purge(records, manager, reason):
    action = records.with_user(manager).action_archive_purge()
    wizard = env[action["res_model"]].with_user(manager)
    wizard = wizard.with_context(**action["context"]).create(
        {"act": "category", "reason": reason}
    )
    return env["crm.archive.purge"].browse(wizard.action_ask()["res_id"])


def rehearse(manager):
    """Verify the vault, and rehearse restores of a sample."""
    store = env.ref("crm_archive_policy.crm_archive_store_database")
    store.with_user(manager).action_check_health()
    bundles = find("crm.archive.bundle", [("state", "=", "used")])
    env["crm.archive.run"].with_user(manager).sudo()._start_verify(bundles)
    entries = find("crm.archive.entry", [("state", "=", "vaulted")])
    env["crm.archive.run"]._start_drill(entries[:8])
    RECORDS["entry"] = entries[10].id
    RECORDS["bundle"] = bundles[:1].id
    RECORDS["store"] = store.id
    drill = find("crm.archive.run", [("kind", "=", "drill")])[-1:]
    RECORDS["drill_run"] = drill.id


def prepare_store(manager):
    """Write down a store that the server does not know yet."""
    store = env["crm.archive.store"].with_user(manager)
    RECORDS["new_store"] = store.create(
        {
            "name": "Object storage, second site",
            "kind": "fsspec",
            "url": "s3://example-archive/crm",
            "secret_name": "offsite",
            "encrypt": True,
        }
    ).id


def vault_contacts():
    """Move a few archived people to the vault, where one of them is looked for."""
    people = archived("res.partner").filtered(lambda p: not p.is_company)[4:8]
    moved = people.sudo()._vault()
    env.flush_all()
    entry = env["crm.archive.entry"]._find_for("res.partner", moved.ids)[:1]
    RECORDS["vaulted_contact"] = entry.res_id
    RECORDS["contact_entry"] = entry.id
    lead = find(
        "crm.archive.entry", [("res_model", "=", "crm.lead"), ("email", "!=", 0)]
    )
    RECORDS["erase_email"] = lead[:1].email


def audit(manager, auditor):
    anchors = env["crm.archive.anchor"]
    anchors.with_user(manager).action_anchor()
    env["crm.archive.access.review"].with_user(manager).action_ask()
    today = fields.Date.today()
    report = (
        env["crm.archive.report"]
        .with_user(auditor)
        .create(
            {
                "date_from": today - timedelta(days=90),
                "date_to": today,
                "note": "Nothing unusual.",
            }
        )
    )
    report.action_compute()
    RECORDS["report"] = report.id
    RECORDS["review"] = find("crm.archive.access.review")[-1:].id


def run_scheduled():
    """Do what the night does: count, and verify the audit log."""
    for name in ("ir_cron_count_growth", "ir_cron_verify_log"):
        env.ref(f"crm_archive_policy.{name}").method_direct_trigger()


def note_policies():
    for key, name in (
        ("policy_lost", "crm_archive_policy_lost_leads"),
        ("policy_contacts", "crm_archive_policy_silent_contacts"),
        ("policy_leads", "crm_archive_policy_demo_leads"),
    ):
        RECORDS[key] = env.ref(f"crm_archive_policy.{name}").id
    # What a new user would write, for the preview.
    RECORDS["policy_new"] = (
        env.ref("crm_archive_policy.crm_archive_policy_silent_contacts")
        .copy({"name": "Contacts silent for fifteen months", "idle_number": 15})
        .id
    )
    env["crm.archive.policy"].browse(RECORDS["policy_new"]).write(
        {"idle_unit": "months", "active": True}
    )
    run = find("crm.archive.run", [("policy_id", "=", RECORDS["policy_leads"])])[:1]
    RECORDS["run"] = run.id


def main():
    load_language()
    people = create_people()
    manager, second = people["ines"], people["tomas"]
    officer, seller = people[OFFICER], people[SELLER]
    for policy in env["crm.archive.policy"].search([]):
        policy.user_id = manager
    spread_archive_dates()
    archive_by_hand(seller)
    restore_some(officer)
    keep_candidates(officer, seller)
    env.cr.commit()
    receive_mails()
    env.cr.commit()
    start_holds(manager)
    end_retention([manager, second])
    env.cr.commit()
    vault_contacts()
    env.cr.commit()
    rehearse(manager)
    env.cr.commit()
    audit(manager, people["ruta"])
    prepare_store(manager)
    note_policies()
    translate_names()
    env.cr.commit()
    run_scheduled()
    env.cr.commit()
    print("RECORDS", json.dumps(RECORDS))


main()
