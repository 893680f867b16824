"""Fill a database with a customer base that has a past; run by `scripts/odoo shell`.

A few hundred contacts and leads of six countries, with messages, won and lost deals,
planned activities and people to spare; between yesterday and four years old. The same
every time, counted from today.
"""

import random
from datetime import timedelta

from odoo import fields

CHANCE = random.Random(19)
NOW = fields.Datetime.now()
COMPANY_COUNT, PERSON_COUNT, LEAD_COUNT = 90, 210, 320
OLDEST_DAYS = 4 * 365

PLACES = {
    "be": (["Brussels", "Ghent", "Liège"], "SA"),
    "de": (["Hamburg", "Leipzig", "Stuttgart"], "GmbH"),
    "fr": (["Lyon", "Nantes", "Lille"], "SARL"),
    "it": (["Turin", "Bologna", "Bari"], "S.r.l."),
    "nl": (["Utrecht", "Eindhoven", "Groningen"], "B.V."),
    "us": (["Portland", "Austin", "Madison"], "Inc."),
}
NAMES = {
    "be": (["Lotte", "Arthur", "Noor", "Louis"], ["Peeters", "Maes", "Dubois"]),
    "de": (["Anke", "Jonas", "Greta", "Uwe"], ["Brandt", "Schuster", "Vogel"]),
    "fr": (["Camille", "Hugo", "Inès", "Luc"], ["Lefèvre", "Garnier", "Roux"]),
    "it": (["Giulia", "Marco", "Sofia", "Dario"], ["Ferri", "Greco", "Conti"]),
    "nl": (["Sanne", "Daan", "Femke", "Ruben"], ["de Vries", "Bakker", "Visser"]),
    "us": (["Grace", "Owen", "Ruth", "Caleb"], ["Turner", "Hayes", "Mitchell"]),
}
TRADE = ["Timber", "Optics", "Bakeries", "Freight", "Ceramics", "Textiles", "Pumps"]
STYLE = ["Northern", "Harbour", "Old Mill", "Blue Heron", "Union", "Linden", "Summit"]
JOBS = ["Buyer", "Office Manager", "Head of Logistics", "Owner", "Accountant"]
WISHES = [
    "Office furniture for {}",
    "Framework contract with {}",
    "{}: replacement of the warehouse shelves",
    "Trial order of {}",
    "{} asks for a quotation",
    "Service agreement for {}",
]
QUESTIONS = [
    "Could you send me the price list for next season?",
    "Thank you for the call. We will talk about it internally.",
    "What would delivery take to our second site?",
    "We are comparing three suppliers and will decide next month.",
]
ANSWERS = [
    "The offer is attached. I am happy to go through it with you.",
    "I have put the delivery time in writing, as you asked.",
    "Shall we meet at the fair? I have Thursday morning free.",
]


def quiet(model):
    """Return a model that writes no notes about what it creates."""
    return env[model].with_context(
        tracking_disable=True,
        mail_create_nolog=True,
        mail_create_nosubscribe=True,
        mail_notrack=True,
        mail_activity_quick_update=True,
        no_reset_password=True,
    )


def age_in_days():
    """Return how long ago something happened: a good third of it recently."""
    if CHANCE.random() < 0.35:
        return CHANCE.randint(1, 250)
    return CHANCE.randint(400, OLDEST_DAYS)


def mail_address(name, domain):
    plain = name.lower().replace(" ", ".").encode("ascii", "ignore").decode()
    return f"{plain}@{domain}"


def create_salespeople():
    team = env.ref("sales_team.team_sales_department")
    users = quiet("res.users").create(
        [
            {
                "name": name,
                "login": name.split()[0].lower(),
                "email": mail_address(name, "example.com"),
                "group_ids": [(4, env.ref("sales_team.group_sale_salesman").id)],
            }
            for name in ("Petra Lindqvist", "Samuel Okafor", "Clara Jansen")
        ]
    )
    team.member_ids = [(4, user.id) for user in users]
    return users


def create_labels():
    categories = env["res.partner.category"].create(
        [{"name": name} for name in ("Trade fair", "Newsletter", "Reference customer")]
    )
    tags = env["crm.tag"].create(
        [{"name": name} for name in ("Spring campaign", "Inbound call", "Referral")]
    )
    return categories, tags


def create_companies(users, categories):
    values = []
    for number in range(COMPANY_COUNT):
        code = CHANCE.choice(sorted(PLACES))
        cities, form = PLACES[code]
        city = CHANCE.choice(cities)
        style = STYLE[number % len(STYLE)]
        trade = TRADE[number // len(STYLE) % len(TRADE)]
        values.append(
            {
                "name": f"{style} {trade} {city} {form}",
                "is_company": True,
                "city": city,
                "country_id": env.ref(f"base.{code}").id,
                "email": f"office@{style}{trade}{number}.example".replace(
                    " ", ""
                ).lower(),
                "user_id": CHANCE.choice(users).id,
                "category_id": [(4, CHANCE.choice(categories).id)],
            }
        )
    return quiet("res.partner").create(values)


def create_people(companies):
    values = []
    for number in range(PERSON_COUNT):
        company = companies[number % len(companies)]
        first_names, last_names = NAMES[company.country_id.code.lower()]
        name = f"{CHANCE.choice(first_names)} {CHANCE.choice(last_names)}"
        values.append(
            {
                "name": name,
                "parent_id": company.id,
                "function": CHANCE.choice(JOBS),
                "email": mail_address(name, company.email.split("@")[1]),
            }
        )
    return quiet("res.partner").create(values)


def create_leads(people, users, tags):
    stages = env["crm.stage"].search([("is_won", "=", False)])
    won_stage = env["crm.stage"].search([("is_won", "=", True)], limit=1)
    lost_reasons = env["crm.lost.reason"].search([])
    customers = people[: len(people) * 3 // 4]
    values = []
    for number in range(LEAD_COUNT):
        person = CHANCE.choice(customers)
        won = number % 7 == 0
        values.append(
            {
                "name": CHANCE.choice(WISHES).format(person.parent_id.name),
                "type": "opportunity" if number % 4 else "lead",
                "partner_id": person.id,
                "user_id": CHANCE.choice(users).id,
                "stage_id": won_stage.id if won else CHANCE.choice(stages).id,
                "tag_ids": [(4, CHANCE.choice(tags).id)],
                "expected_revenue": CHANCE.randint(5, 400) * 100,
            }
        )
    leads = quiet("crm.lead").create(values)
    lost = leads.filtered(lambda lead: lead.stage_id != won_stage and lead.id % 3 == 0)
    for number, reason in enumerate(lost_reasons):
        lost[number :: len(lost_reasons)].action_set_lost(lost_reason_id=reason.id)
    return leads


def make_exceptions(companies, people, leads, users):
    """Give the guards something to keep: exempt contacts and planned activities."""
    (companies[::15] | people[::30]).archive_exempt = True
    kind = env.ref("mail.mail_activity_data_call")
    for lead in quiet("crm.lead").browse(leads.filtered("active").ids)[::16]:
        lead.activity_schedule(
            activity_type_id=kind.id,
            summary="Call again",
            date_deadline=fields.Date.today() + timedelta(days=lead.id % 20),
            user_id=CHANCE.choice(users).id,
        )


def back_date(records, dates):
    """Set when records came into being, with everything that follows from it."""
    env.flush_all()
    columns = ["create_date", "write_date"]
    if records._name == "crm.lead":
        columns += ["date_open", "date_last_stage_update"]
    assignments = ", ".join(f"{column} = aged.date" for column in columns)
    env.cr.execute(
        f"""UPDATE {records._table} record SET {assignments}
              FROM unnest(%s, %s::timestamp[]) AS aged(id, date)
             WHERE record.id = aged.id""",
        [[record.id for record in records], [dates[r.id] for r in records]],
    )
    if records._name == "crm.lead":
        env.cr.execute(
            """UPDATE crm_lead SET date_closed = create_date + interval '40 days'
                WHERE id = ANY(%s) AND date_closed IS NOT NULL""",
            [records.ids],
        )
    env.invalidate_all()


def create_messages(records, dates, salesperson_of):
    """Write the correspondence, the last of it on the record's date."""
    rows = []
    for record in records:
        for number in range(CHANCE.randint(1, 4)):
            incoming = CHANCE.random() < 0.5
            customer = record.partner_id if record._name == "crm.lead" else record
            author = customer if incoming else salesperson_of(record).partner_id
            date = dates[record.id] - timedelta(days=number * 9)
            rows.append(
                (
                    record._name,
                    record.id,
                    date,
                    author.id,
                    author.email_formatted,
                    "email" if incoming else "comment",
                    f"<p>{CHANCE.choice(QUESTIONS if incoming else ANSWERS)}</p>",
                )
            )
    env.cr.execute(
        """INSERT INTO mail_message (
                   model, res_id, date, author_id, email_from, message_type, body,
                   subtype_id, is_internal, create_uid, write_uid, create_date,
                   write_date
           )
           SELECT model, res_id, date, author_id, email_from, message_type, body,
                  %s, FALSE, 1, 1, date, date
             FROM unnest(%s, %s, %s::timestamp[], %s, %s, %s, %s) AS row(
                   model, res_id, date, author_id, email_from, message_type, body
             )""",
        [env.ref("mail.mt_comment").id, *map(list, zip(*rows, strict=True))],
    )
    return len(rows)


def main():
    users = create_salespeople()
    categories, tags = create_labels()
    companies = create_companies(users, categories)
    people = create_people(companies)
    leads = create_leads(people, users, tags)
    make_exceptions(companies, people, leads, users)

    partners = companies | people
    last_seen = {p.id: NOW - timedelta(days=age_in_days()) for p in partners}
    lead_seen = {lead.id: NOW - timedelta(days=age_in_days()) for lead in leads}
    born = timedelta(days=60)
    back_date(partners, {key: date - born for key, date in last_seen.items()})
    back_date(leads, {key: date - born for key, date in lead_seen.items()})
    messages = create_messages(
        partners, last_seen, lambda p: p.user_id or p.parent_id.user_id
    )
    messages += create_messages(leads, lead_seen, lambda lead: lead.user_id)
    env.cr.commit()
    print(f"{len(partners)} contacts, {len(leads)} leads, {messages} messages")


main()
