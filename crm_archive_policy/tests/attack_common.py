"""What an attack on restricted and vaulted records needs: prey, attackers, a client."""

import hashlib
import json
import re
from datetime import timedelta

from odoo import Command, fields
from odoo.tests import HttpCase, new_test_user

from .common import ArchiveCase

#: In everything that nobody may learn; in nothing else of the database.
MARKER = "qzxv"

#: Seconds that an answer may take where other programs work as well.
TIMEOUT = 120

#: What tells of the server's program, or changes with every request.
NOISE = re.compile(rb'"debug": "(?:[^"\\]|\\.)*"|"[a-z_]*bus_(?:last_)?id": [0-9]+')


class Attacker:
    """A session of a person, with a way to every entrance."""

    def __init__(self, case, user, context=None):
        self.case = case
        self.user = user
        self.context = context or {}
        case.authenticate(user.login, user.login.ljust(8, "x"))
        self.session = case.session.sid

    def post(self, path, params):
        """Call a JSON-RPC route.

        :return: the answer as bytes, without what changes by itself
        """
        body = {"jsonrpc": "2.0", "id": 0, "method": "call", "params": params}
        answer = self.case.url_open(path, json=body, timeout=TIMEOUT)
        return NOISE.sub(b'"": ""', answer.content)

    def call(self, model, method, *args, **kwargs):
        """Call a method of a model as the web client does."""
        context = {"active_test": False, **self.context, **kwargs.pop("context", {})}
        return self.post(
            f"/web/dataset/call_kw/{model}/{method}",
            {
                "model": model,
                "method": method,
                "args": args,
                "kwargs": {**kwargs, "context": context},
            },
        )

    def result(self, model, method, *args, **kwargs):
        """Return what a method returns, or None when it was refused."""
        return json.loads(self.call(model, method, *args, **kwargs)).get("result")

    def get(self, path):
        """Return status and digest or text of what an address answers."""
        answer = self.case.url_open(path, allow_redirects=False, timeout=TIMEOUT)
        kind = answer.headers.get("Content-Type", "")
        body = answer.content
        if "text" not in kind and "json" not in kind:
            body = hashlib.sha1(body).hexdigest().encode()
        # Tokens and assets differ from page to page.
        body = re.sub(
            rb'csrf_token: "[^"]*"|name="csrf_token" value="[^"]*"', b"", body
        )
        return b"%d %s" % (answer.status_code, body)


class AttackCase(ArchiveCase, HttpCase):
    """Restricted, archived and vaulted records of one company, full of secrets."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.raise_sequences("crm_lead", "res_partner", "mail_message")
        cls.theirs = cls.env["res.company"].create({"name": "Another company"})
        cls.own = cls.env.company
        cls.portal = new_test_user(cls.env, "portal_spy", groups="base.group_portal")
        cls.foreigner = new_test_user(
            cls.env,
            "foreign_spy",
            groups="sales_team.group_sale_salesman_all_leads,"
            "crm_archive_policy.group_archive_officer",
            company_id=cls.theirs.id,
            company_ids=[Command.set(cls.theirs.ids)],
        )
        cls.seller.notification_type = "inbox"
        cls.seller.group_ids += cls.env.ref("base.group_allow_export")
        cls.traces = {}
        cls.tag = cls.env["crm.tag"].create({"name": "Harmless"})
        cls.team = cls.env["crm.team"].create({"name": "Team of spies"})
        cls.hidden_lead = cls.prepare(cls.create_lead(**cls.get_lead_secrets()))
        cls.hidden_contact = cls.prepare(
            cls.create_contact(**cls.get_contact_secrets())
        )
        cls.meet(cls.hidden_contact)
        cls.vaulted_lead = cls.prepare(cls.create_lead(**cls.get_lead_secrets()))
        cls.vaulted_contact = cls.prepare(
            cls.create_contact(**cls.get_contact_secrets())
        )
        values = {"archive_reason_id": cls.reason.id}
        cls.entries = cls.env["crm.archive.entry"]
        for record in (cls.vaulted_lead, cls.vaulted_contact):
            cls.get_meetings(record).unlink()
            record._archive(values)
            record._vault()
            cls.entries += cls.entries.search(
                [("res_model", "=", record._name), ("res_id", "=", record.id)]
            )
        for record in (cls.hidden_lead, cls.hidden_contact):
            record._archive({"archive_restricted": True, **values})
        cls.env.flush_all()
        cls.env.cr.precommit.run()

    @classmethod
    def raise_sequences(cls, *tables):
        """Give new records ids that are unlike any other number in an answer."""
        for table in tables:
            sequence = f"{table}_id_seq"
            cls.env.cr.execute("SELECT setval(%s, nextval(%s))", [sequence] * 2)
            (last,) = cls.env.cr.fetchone()
            cls.env.cr.execute("SELECT setval(%s, %s)", [sequence, last + 7_340_000])
            # A sequence does not take part in the rollback.
            cls.addClassCleanup(
                cls.env.cr.execute, "SELECT setval(%s, %s)", [sequence, last]
            )

    @classmethod
    def get_meetings(cls, record):
        return cls.env["calendar.event"].search(
            [("res_model", "=", record._name), ("res_id", "=", record.id)]
        )

    @classmethod
    def secret(cls, text):
        return f"{MARKER} {text}"

    @classmethod
    def get_lead_secrets(cls):
        return {
            "name": cls.secret("lead"),
            "email_from": f"{MARKER}-lead@example.com",
            "phone": "+32 470 91 82 73",
            "partner_name": cls.secret("Ltd"),
            "contact_name": cls.secret("person"),
            "description": f"<p>{cls.secret('notes')}</p>",
            "expected_revenue": 918273.0,
            "tag_ids": [Command.set(cls.tag.ids)],
            "company_id": cls.own.id,
            "user_id": cls.seller.id,
            "team_id": cls.team.id,
        }

    @classmethod
    def get_contact_secrets(cls):
        return {
            "name": cls.secret("contact"),
            "email": f"{MARKER}-contact@example.com",
            "phone": "+32 470 91 82 73",
            "street": cls.secret("street"),
            "comment": f"<p>{cls.secret('notes')}</p>",
            "ref": cls.secret("ref"),
            "image_1920": cls.make_picture(),
            "company_id": cls.own.id,
            "user_id": cls.seller.id,
            "bank_ids": [Command.create({"acc_number": cls.secret("bank")})],
        }

    @classmethod
    def make_picture(cls):
        # A picture with the marker in its text would be recompressed; bytes tell.
        from .vault_common import VaultCase

        return VaultCase.make_image()

    @classmethod
    def prepare(cls, record):
        """Give a record what people and programs leave on it.

        The attackers have taken part: as author, recipient, follower, responsible.
        """
        spies = cls.seller.partner_id + cls.portal.partner_id
        name = f"{record._table}_{record.id}"
        record.message_subscribe(spies.ids)
        sent = record.with_user(cls.officer).message_post(
            body=cls.secret("body"),
            subject=cls.secret("subject"),
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
            partner_ids=spies.ids,
            attachments=[(cls.secret("offer.txt"), MARKER.encode())],
        )
        written = record.with_user(cls.seller).message_post(
            body=cls.secret("written"),
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
        )
        for message in (sent, written):
            message.sudo().notification_ids.create(
                {
                    "mail_message_id": message.id,
                    "res_partner_id": cls.manager.partner_id.id,
                    "author_id": spies[:1].id,
                    "notification_type": "email",
                    "notification_status": "exception",
                    "mail_email_address": f"{MARKER}@example.com",
                    "failure_reason": cls.secret("failure"),
                }
            )
        for user in (cls.seller, cls.officer):
            record.activity_schedule(
                "mail.mail_activity_data_todo",
                summary=cls.secret("activity"),
                note=cls.secret("note"),
                user_id=user.id,
            )
        done = record.activity_schedule(
            "mail.mail_activity_data_todo",
            summary=cls.secret("done"),
            user_id=cls.seller.id,
        )
        done.action_feedback(feedback=cls.secret("feedback"))
        plain, public, open_ = cls.env["ir.attachment"].create(
            [
                {
                    "name": cls.secret(f"{kind}.txt"),
                    "raw": f"{cls.secret(kind)} {name}".encode(),
                    "res_model": record._name,
                    "res_id": record.id,
                    "public": kind == "public",
                }
                for kind in ("plain", "public", "open")
            ]
        )
        cls.traces[name] = {
            "plain": plain,
            "public": public,
            "open": open_,
            "token": open_.generate_access_token()[0],
            "signed": plain._get_raw_access_token(),
            "messages": sent + written,
        }
        cls.env["mail.scheduled.message"].create(
            {
                "model": record._name,
                "res_id": record.id,
                "author_id": cls.seller.partner_id.id,
                "body": cls.secret("later"),
                "scheduled_date": fields.Datetime.now() + timedelta(days=9),
            }
        )
        cls.env["calendar.event"].create(
            {
                "name": cls.secret("meeting"),
                "start": "2024-02-29 10:00:00",
                "stop": "2024-02-29 11:00:00",
                "res_model_id": cls.env["ir.model"]._get_id(record._name),
                "res_id": record.id,
                "opportunity_id": record.id if record._name == "crm.lead" else False,
                "partner_ids": [Command.set(cls.seller.partner_id.ids)],
            }
        )
        cls.env.flush_all()
        cls.env.cr.precommit.run()
        return record

    @classmethod
    def meet(cls, contact):
        """Let a contact take part in what others see."""
        cls.meeting = cls.env["calendar.event"].create(
            {
                "name": "Harmless meeting",
                "start": "2024-02-28 10:00:00",
                "stop": "2024-02-28 11:00:00",
                "partner_ids": [Command.set((contact + cls.seller.partner_id).ids)],
            }
        )
        # What people write into documents of their own is theirs.
        cls.meeting.description = False
        cls.lead.message_subscribe(contact.ids)

    def assertNoSecret(self, answer, what):
        self.assertNotIn(MARKER.encode(), answer.lower(), what)
        self.assertNotIn(b"918273", answer.replace(b" ", b""), what)

    def get_traces(self, record):
        """Return the files, tokens and messages of a record, as they were."""
        return self.traces[f"{record._table}_{record.id}"]

    def execute(self, query, *args):
        self.env.flush_all()
        self.env.cr.execute(query, args)

    def remove_prey(self):
        """Make the database one in which the records have never been."""
        prey = (self.hidden_lead, self.hidden_contact)
        for record in prey:
            self.get_meetings(record).unlink()
            self.env["mail.scheduled.message"].search(
                [("model", "=", record._name), ("res_id", "=", record.id)]
            ).unlink()
            record.unlink()
        bundles = self.entries.bundle_id
        self.execute(
            "DELETE FROM crm_archive_entry WHERE id = ANY(%s)", self.entries.ids
        )
        self.execute("DELETE FROM crm_archive_bundle WHERE id = ANY(%s)", bundles.ids)
        self.env.flush_all()
        self.env.invalidate_all()
