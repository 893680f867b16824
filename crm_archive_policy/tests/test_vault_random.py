"""Random records, vaulted and restored in random groups and in random order.

Whatever comes of it, a row is what it was, or a finding names what is not. The seed of
each case is printed with its failure; CRM_ARCHIVE_SEEDS=100-200 tries others.
"""

import os
import random
from collections import defaultdict

from odoo import Command
from odoo.tests import tagged
from odoo.tools import SQL

from .test_vault import HOSTILE_TEXTS
from .vault_common import LIFECYCLE_COLUMNS, VaultCase

#: Short ones: they go into names and subjects.
TEXTS = [text for text in HOSTILE_TEXTS if 0 < len(text) < 99 and "\r" not in text]

SEEDS = "1-2"


def read_seeds():
    """:return: the seeds to try"""
    first, _dash, last = os.environ.get("CRM_ARCHIVE_SEEDS", SEEDS).partition("-")
    return range(int(first), int(last or first) + 1)


@tagged("post_install", "-at_install")
class TestVaultRandom(VaultCase):
    """Nothing is lost whatever hangs on what, and whoever goes first."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("fr_FR")
        cls.company = cls.env["res.company"].create({"name": "Branch"})
        for user in (cls.env.user, cls.officer, cls.manager, cls.seller):
            user.company_ids += cls.company
        cls.team = cls.env["crm.team"].create(
            {
                "name": "Random team",
                "lead_properties_definition": [
                    {"name": "aaa", "type": "char", "string": "Size"},
                    {
                        "name": "bbb",
                        "type": "many2one",
                        "string": "Who",
                        "comodel": "res.partner",
                    },
                ],
            }
        )
        cls.image = cls.make_image()

    # -- making ------------------------------------------------------------------

    def make_records(self, rng):
        """Return contacts and leads that hang on each other at random."""
        contacts = self.env["res.partner"]
        for _number in range(rng.randint(1, 5)):
            contacts += self.make_contact(rng, contacts)
        leads = self.env["crm.lead"]
        for _number in range(rng.randint(1, 5)):
            leads += self.make_lead(rng, contacts, leads)
        records = [*contacts, *leads]
        for _number in range(rng.randint(5, 25)):
            self.make_part(rng, rng.choice(records), records)
        self.flush_tracking()
        return contacts, leads

    def make_contact(self, rng, others):
        is_company = rng.random() < 0.4
        contact = self.create_contact(
            f"Contact {rng.choice(TEXTS)}",
            is_company=is_company,
            parent_id=not is_company and others and rng.choice(others).id,
            type=rng.choice(["contact", "delivery", "other"]),
            email=rng.choice([False, "a@b.example", "no address"]),
            phone=rng.choice([False, "+32470123456"]),
            lang=rng.choice(["en_US", "fr_FR"]),
            tz=rng.choice([False, "Asia/Kathmandu"]),
            company_id=rng.choice([False, self.company.id]) if not others else False,
            image_1920=rng.choice([False, self.image]),
            comment=rng.choice([False, "<p>é</p>"]),
            category_id=[Command.create({"name": "C"})] * rng.randint(0, 2),
            bank_ids=[
                Command.create({"acc_number": f"{rng.getrandbits(60)}"})
                for _number in range(rng.randint(0, 2))
            ],
        )
        contact.barcode = f"{contact.id} one"
        contact.with_company(self.company).barcode = f"{contact.id} two"
        return contact

    def make_lead(self, rng, contacts, others):
        lead = self.create_lead(
            f"Lead {rng.choice(TEXTS)}",
            type=rng.choice(["lead", "opportunity"]),
            partner_id=rng.choice([False, rng.choice(contacts).id]),
            team_id=self.team.id,
            tag_ids=[Command.create({"name": f"{rng.getrandbits(60)}"})],
            expected_revenue=rng.choice([0, 0.1, 7784, 1e9]),
            lead_properties={
                "aaa": rng.choice(TEXTS),
                "bbb": rng.choice(contacts).id,
            },
        )
        how = rng.choice(["open", "open", "won", "lost", "manual", "duplicate"])
        if how == "won":
            lead.action_set_won()
        elif how == "lost":
            lead.action_set_lost()
        elif how == "manual":
            lead.probability = 12.34
        elif others:
            lead._set_duplicate_of({lead.id: rng.choice(others).id})
        return lead

    def make_part(self, rng, record, records):
        """Hang something on a record, that may refer to something of another one."""
        kinds = ["message", "reply", "file", "picture", "activity", "event", "follower"]
        kinds += ["xmlid", "rich", "scheduled", "shared", "rename"]
        getattr(self, f"make_{rng.choice(kinds)}")(rng, record, rng.choice(records))

    def make_message(self, rng, record, other):
        contact = other if other._name == "res.partner" else self.seller.partner_id
        return record.message_post(
            body=rng.choice(TEXTS),
            subject=rng.choice(TEXTS),
            author_id=contact.id,
            message_type=rng.choice(["comment", "email"]),
            partner_ids=contact.ids,
        )

    def make_reply(self, rng, record, other):
        message = self.make_message(rng, record, other)
        message.parent_id = rng.choice(other.message_ids or message)

    def make_file(self, rng, record, _other):
        content = rng.choice([b"", b"the same", b"%d" % rng.getrandbits(60)])
        self.attach(record, rng.choice(TEXTS), raw=content)

    def make_picture(self, _rng, record, _other):
        self.attach(record, "i.png", datas=self.image)

    def make_shared(self, rng, record, other):
        """A message that shows a file of another record."""
        attachment = self.attach(other, "shared", raw=b"shared")
        self.make_message(rng, record, other).attachment_ids += attachment

    def make_activity(self, rng, record, _other):
        todo = "mail.mail_activity_data_todo"
        activity = record.activity_schedule(todo, summary=rng.choice(TEXTS))
        self.attach(activity, "of the activity", raw=b"activity")
        if rng.random() < 0.5:
            activity.action_feedback(feedback=rng.choice(TEXTS))

    def make_event(self, rng, record, other):
        is_lead = record._name == "crm.lead"
        contacts = (record | other) if record._name == other._name else record
        event = self.env["calendar.event"].create(
            {
                "name": rng.choice(TEXTS),
                "start": "2024-02-29 23:30:00",
                "stop": "2024-03-01 01:30:00",
                "res_model_id": self.env["ir.model"]._get_id(record._name),
                "res_id": record.id,
                "opportunity_id": is_lead and record.id,
                "partner_ids": [Command.set([] if is_lead else contacts.ids)],
            }
        )
        if rng.random() < 0.5:
            todo = self.env.ref("mail.mail_activity_data_todo")
            record.activity_schedule(
                activity_type_id=todo.id, calendar_event_id=event.id
            )

    def make_follower(self, _rng, record, other):
        if other._name == "res.partner":
            record.message_subscribe(other.ids)

    def make_xmlid(self, rng, record, _other):
        self.env["ir.model.data"].create(
            {
                "module": "__export__",
                "name": f"x_{rng.getrandbits(60)}",
                "model": record._name,
                "res_id": record.id,
            }
        )

    def make_rich(self, _rng, record, _other):
        self.post_rich_message(record)

    def make_scheduled(self, _rng, record, _other):
        self.schedule_message(record)

    def make_rename(self, rng, record, other):
        """Leave tracking values, and a place in the tree that is not the first."""
        self.flush_tracking()
        record.with_user(self.manager).write({"user_id": self.seller.id})
        if record._name == other._name == "crm.lead":
            record.with_user(self.manager).team_id = rng.choice([False, self.team.id])
        self.flush_tracking()

    # -- moving ------------------------------------------------------------------

    def shuffle(self, rng, records):
        """Divide records into random groups of one model each, in random order."""
        groups = defaultdict(list)
        for record in records:
            groups[record._name, rng.randrange(3)].append(record.id)
        groups = [self.env[name].browse(ids) for (name, _), ids in groups.items()]
        rng.shuffle(groups)
        return groups

    def there_and_back(self, rng, records, bring_back):
        """Vault records and bring them back.

        :return: the findings
        """
        for group in self.shuffle(rng, records):
            entries = self.vault(group)
            self.assertEqual(len(entries), len(group))
        findings = []
        for group in self.shuffle(rng, records):
            findings += bring_back(self.find_entries(group))
        return findings

    def assertExplained(self, before, after, findings):
        """Nothing differs but where a finding says so."""
        named = {(finding[1], finding[2]) for finding in findings}
        for table, rows in before.items():
            gone = set(rows) - set(after[table])
            new = set(after[table]) - set(rows)
            if not any(name == table for name, _column in named):
                self.assertEqual((gone, new), (set(), set()), table)
        if not findings:
            self.assertSameDump(before, after)

    def assertNoOrphans(self, records):
        """Nothing in the live tables tells of what is away."""
        for record in records:
            if record._name != "crm.lead":
                continue
            for table, column, model in [
                ("mail_message", "res_id", "model"),
                ("mail_followers", "res_id", "res_model"),
                ("mail_activity", "res_id", "res_model"),
                ("ir_attachment", "res_id", "res_model"),
                ("ir_model_data", "res_id", "model"),
            ]:
                rows = self.execute(
                    "SELECT id FROM %s WHERE %s = %s AND %s = 'crm.lead'",
                    SQL.identifier(table),
                    SQL.identifier(column),
                    record.id,
                    SQL.identifier(model),
                )
                self.assertEqual(rows, [], table)

    def bring_back_live(self, entries):
        entries._restore()
        return [f for entry in entries for f in entry.restore_report or ()]

    # -- trying ------------------------------------------------------------------

    def check_seed(self, seed):
        rng = random.Random(seed)
        contacts, leads = self.make_records(rng)
        records = [*contacts, *leads]
        records = rng.sample(records, rng.randint(1, len(records)))
        live = self.dump(LIFECYCLE_COLUMNS)
        for name in ("res.partner", "crm.lead"):
            ids = [record.id for record in records if record._name == name]
            self.archive(self.env[name].browse(ids))
        archived = self.dump()
        with self.env.cr.savepoint() as savepoint:
            findings = self.there_and_back(rng, records, self.bring_back)
            self.assertExplained(archived, self.dump(), findings)
            savepoint.rollback()
        self.env.invalidate_all()
        for _again in range(2):
            findings = self.there_and_back(rng, records, self.bring_back_live)
            self.assertExplained(live, self.dump(LIFECYCLE_COLUMNS), findings)
            if findings:
                return findings
        return []

    def test_random(self):
        for seed in read_seeds():
            with self.subTest(seed=seed), self.env.cr.savepoint() as savepoint:
                self.check_seed(seed)
                savepoint.rollback()
            self.env.invalidate_all()
            self.env.registry.clear_all_caches()
