"""Every address and protocol by which restricted and vaulted records could be had.

What is hidden is answered like what does not exist.
"""

import re
import xmlrpc.client
from datetime import datetime, timedelta

from odoo.tests import tagged
from odoo.tools import mute_logger

from .attack_common import MARKER, AttackCase, Attacker

#: An id that nothing has.
NOTHING = 2**31 - 1


class EntranceCase(AttackCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prey = (
            cls.hidden_lead,
            cls.hidden_contact,
            cls.vaulted_lead,
            cls.vaulted_contact,
        )
        cls.avatar_token = cls.hidden_contact._get_avatar_128_access_token()

    def setUp(self):
        super().setUp()
        refusals = ("odoo.http", "odoo.addons.base.models.ir_rule", "odoo.addons.rpc")
        self.enterContext(mute_logger(*refusals))

    def each_attack(self, *users):
        for user in users or (self.seller, self.portal, self.foreigner):
            spy = Attacker(self, user)
            for record in self.prey:
                yield spy, record, self.get_traces(record)

    def assertRefused(self, answer, missing, what):
        """Neither a secret, nor anything else than of what does not exist."""
        self.assertNoSecret(answer, what)
        self.assertEqual(answer.split(b" ")[0], missing.split(b" ")[0], what)


@tagged("post_install", "-at_install")
class TestEntrances(EntranceCase):
    # -- files, pictures and pages --------------------------------------------------

    def test_files(self):
        """By their number, with an old token, with a signed one, and public ones."""
        for spy, record, traces in self.each_attack():
            for kind, token in (
                ("plain", ""),
                ("public", ""),
                ("open", traces["token"]),
                ("plain", traces["signed"]),
            ):
                for route in ("content", "image"):
                    url = f"/web/{route}/{{}}?access_token={token}".rstrip(
                        "="
                    ).removesuffix("?access_token")
                    with self.subTest(
                        user=spy.user.login, record=record, url=url, kind=kind
                    ):
                        answer = spy.get(url.format(traces[kind].id))
                        self.assertRefused(
                            answer, spy.get(f"/web/{route}/{NOTHING}"), url
                        )
                        self.assertFalse(
                            answer.startswith(b"200") and route == "content"
                        )

    def test_files_without_signing_in(self):
        self.authenticate(None, None)
        for record in self.prey:
            traces = self.get_traces(record)
            for url in (
                f"/web/content/{traces['public'].id}",
                f"/web/content/{traces['open'].id}?access_token={traces['token']}",
                f"/web/content/{traces['plain'].id}?access_token={traces['signed']}",
            ):
                with self.subTest(record=record, url=url):
                    self.assertEqual(self.url_open(url).status_code, 404)

    def test_pictures(self):
        """A contact's picture is not even there as its initial."""
        contact = self.hidden_contact
        for user in (self.seller, self.portal, self.foreigner):
            spy = Attacker(self, user)
            for field, token in (
                ("image_1920", ""),
                ("image_128", ""),
                ("avatar_128", ""),
                ("avatar_128", f"?access_token={self.avatar_token}"),
            ):
                for route in ("image", "content"):
                    with self.subTest(user=user.login, field=field, token=token):
                        answer, missing = (
                            spy.get(f"/web/{route}/res.partner/{res_id}/{field}{token}")
                            for res_id in (contact.id, NOTHING)
                        )
                        if route == "image":
                            self.assertEqual(answer, missing)
                        self.assertFalse(route == "content" and answer[:3] == b"200")

    def test_pages(self):
        """Links in mails, and pages of the portal."""
        for spy, record, traces in self.each_attack():
            note = traces["messages"][:1]
            for url, missing in (
                (
                    f"/mail/view?model={record._name}&res_id={record.id}",
                    f"/mail/view?model={record._name}&res_id={NOTHING}",
                ),
                (f"/mail/message/{note.id}", f"/mail/message/{NOTHING}"),
                (
                    f"/mail/avatar/mail.message/{note.id}/author_avatar/50x50",
                    f"/mail/avatar/mail.message/{NOTHING}/author_avatar/50x50",
                ),
                (f"/json/1/contacts/{record.id}", f"/json/1/contacts/{NOTHING}"),
                ("/my/home", "/my/home"),
            ):
                with self.subTest(user=spy.user.login, record=record, url=url):
                    self.assertRefused(spy.get(url), spy.get(missing), url)

    def test_downloads_of_the_vault(self):
        for user in (self.seller, self.portal, self.foreigner):
            spy = Attacker(self, user)
            for entry in self.entries:
                record = self.env[entry.res_model].browse(entry.res_id)
                file = self.get_traces(record)["plain"]
                url = f"/crm_archive/entry/{entry.id}/attachment/{file.id}"
                with self.subTest(user=user.login, url=url):
                    self.assertTrue(spy.get(url).startswith(b"404"))

    def test_the_group_gets_them(self):
        """These addresses are right: whoever may see them does."""
        spy = Attacker(self, self.officer)
        traces = self.get_traces(self.hidden_lead)
        for kind in ("plain", "public"):
            self.assertTrue(
                spy.get(f"/web/content/{traces[kind].id}").startswith(b"200")
            )
        entry = self.entries[0]
        file = self.get_traces(self.vaulted_lead)["plain"]
        url = f"/crm_archive/entry/{entry.id}/attachment/{file.id}"
        self.assertTrue(spy.get(url).startswith(b"200"))

    def test_links_are_taken_back(self):
        """Also for whoever still may see the record, and after a restore."""
        for record in (self.hidden_lead, self.hidden_contact):
            file = self.get_traces(record)["open"]
            self.assertFalse(file.access_token)
            record._restore()
        self.vaulted_lead.flush_recordset()
        self.entries[0]._restore()
        self.assertFalse(self.get_traces(self.vaulted_lead)["open"].access_token)

    def test_signing_up_is_taken_back(self):
        """The page that a person signs up with shows who they are."""
        contact = self.create_contact(f"{MARKER} signs up", email=f"{MARKER}@x.example")
        contact.signup_prepare()
        url = contact._get_signup_url()
        self.authenticate(None, None)
        self.assertIn(MARKER, self.url_open(url).text)
        contact._archive({"archive_restricted": True})
        self.env.flush_all()
        self.assertNotIn(MARKER, self.url_open(url).text.replace(url, ""))

    # -- the chatter, the inbox and Discuss ----------------------------------------

    def test_lists(self):
        for user in (self.seller, self.portal, self.foreigner):
            spy = Attacker(self, user)
            for path, params in (
                ("/mail/data", {"fetch_params": ["init_messaging", "failures"]}),
                ("/mail/data", {"fetch_params": ["systray_get_activities"]}),
                ("/mail/inbox/messages", {}),
                ("/mail/history/messages", {}),
                ("/mail/starred/messages", {}),
                ("/mail/inbox/messages", {"fetch_params": {"search_term": MARKER}}),
                ("/discuss/search", {"term": MARKER}),
            ):
                with self.subTest(user=user.login, path=path, params=params):
                    self.assertNoSecret(spy.post(path, params), path)

    def test_counters(self):
        """Nothing waits in the inbox of a former recipient, nor among the planned
        activities of a former responsible."""
        spy = Attacker(self, self.seller)
        lists = ("init_messaging", "systray_get_activities")
        present, absent = [], []
        for answers in (present, absent):
            for name in lists:
                answers.append(spy.post("/mail/data", {"fetch_params": [name]}))
            if answers is present:
                self.remove_prey()
        self.assertEqual(present, absent)

    def get_thread_questions(self, record, traces):
        """Yield route, parameters, and those of what does not exist."""
        note = traces["messages"][:1].id
        for res_id, message_id in ((record.id, note), (NOTHING, NOTHING)):
            thread = {"thread_model": record._name, "thread_id": res_id}
            request = {
                **thread,
                "request_list": ["followers", "attachments", "activities"],
            }
            yield [
                ("/mail/data", {"fetch_params": [["mail.thread", request]]}),
                ("/mail/thread/messages", thread),
                ("/mail/thread/recipients", thread),
                ("/mail/thread/recipients/get_suggested_recipients", thread),
                (
                    "/mail/chatter_fetch",
                    {**thread, "fetch_params": {}},
                ),
                ("/portal/chatter_init", thread),
                (
                    "/mail/message/post",
                    {
                        **thread,
                        "post_data": {"body": "Hello", "message_type": "comment"},
                    },
                ),
                ("/mail/link_preview", {"message_id": message_id}),
                (
                    "/mail/message/update_content",
                    {"message_id": message_id, "update_data": {"body": "x"}},
                ),
                (
                    "/mail/message/reaction",
                    {"message_id": message_id, "content": "x", "action": "add"},
                ),
            ]

    def test_threads(self):
        for spy, record, traces in self.each_attack():
            if record == self.vaulted_contact:
                continue  # its nameless row is there for everybody
            asked, missing = self.get_thread_questions(record, traces)
            for (path, params), (_path, without) in zip(asked, missing, strict=True):
                with self.subTest(user=spy.user.login, record=record, path=path):
                    answer = spy.post(path, params)
                    self.assertNoSecret(answer, path)
                    self.assertEqual(
                        self.without_numbers(answer, record, traces),
                        self.without_numbers(spy.post(path, without), record, traces),
                    )

    def without_numbers(self, answer, record, traces):
        """Return an answer without the numbers that were asked for."""
        for number in (record.id, traces["messages"][:1].id, NOTHING):
            answer = re.sub(rb"\b%d\b" % number, b"", answer)
        return answer

    def test_an_address_finds_nobody(self):
        """Core looks for the owner of an address as superuser."""
        for user in (self.seller, self.portal, self.foreigner):
            spy = Attacker(self, user)
            for name in ("contact", "lead"):
                params = {
                    "thread_model": "crm.lead",
                    "thread_id": self.lead.id,
                    "emails": [f"{MARKER}-{name}@example.com"],
                }
                with self.subTest(user=user.login, name=name):
                    answer = spy.post("/mail/partner/from_email", params)
                    self.assertNotIn(b'"id": %d,' % self.hidden_contact.id, answer)

    def test_mentions_and_cards(self):
        for user in (self.seller, self.foreigner):
            spy = Attacker(self, user)
            for model, method, args in (
                ("res.partner", "get_mention_suggestions", [MARKER]),
                ("res.partner", "search_for_channel_invite", [MARKER]),
                ("res.partner", "get_contacts_for_channel_invite", [MARKER]),
                ("mail.activity", "get_activity_data", ["res.partner", [], 50]),
            ):
                with self.subTest(user=user.login, method=method):
                    self.assertNoSecret(spy.call(model, method, *args), method)
            card = {"id": self.hidden_contact.id, "model": "res.partner"}
            answer = spy.post("/mail/data", {"fetch_params": [["avatar_card", card]]})
            self.assertNoSecret(answer, "avatar_card")

    # -- the same rights, whichever protocol is spoken ------------------------------

    def get_calls(self, record):
        names = ["display_name", "create_date"]
        one = [("id", "=", record.id)]
        yield "search_read", [], {"domain": one, "fields": names}, []
        yield "search_count", [], {"domain": one}, 0
        yield "name_search", [], {"name": MARKER}, []
        yield "web_read", record.ids, {"specification": {"display_name": {}}}, None
        yield "read", record.ids, {"fields": names}, None
        yield "export_data", record.ids, {"fields_to_export": ["display_name"]}, None
        yield "write", record.ids, {"vals": {"active": True}}, None
        yield "action_archive_restore", record.ids, {}, None
        yield "message_post", record.ids, {"body": "x"}, None
        yield "copy", record.ids, {}, None

    def get_hidden(self):
        return (self.hidden_lead, self.hidden_contact, self.vaulted_lead)

    def test_json_rpc(self):
        for user in (self.seller, self.portal, self.foreigner):
            spy = Attacker(self, user)
            for record in self.get_hidden():
                for method, ids, kwargs, expected in self.get_calls(record):
                    args = [ids] if ids else []
                    with self.subTest(user=user.login, record=record, method=method):
                        answer = spy.call(record._name, method, *args, **kwargs)
                        self.assertNoSecret(answer, method)
                        result = spy.result(record._name, method, *args, **kwargs)
                        self.assertIn(result, (expected, None, []))

    def test_json_2(self):
        for user in (self.seller, self.foreigner):
            key = self.env(user=user)["res.users.apikeys"]._generate(
                "rpc", "spy", datetime.now() + timedelta(days=1)
            )
            self.env.flush_all()
            headers = {"Authorization": f"Bearer {key}"}
            self.authenticate(None, None)
            for record in self.get_hidden():
                for method, ids, kwargs, expected in self.get_calls(record):
                    body = {**kwargs, "context": {"active_test": False}}
                    if ids:
                        body["ids"] = ids
                    with self.subTest(user=user.login, record=record, method=method):
                        answer = self.url_open(
                            f"/json/2/{record._name}/{method}",
                            json=body,
                            headers=headers,
                        )
                        self.assertNoSecret(answer.content, method)
                        if answer.status_code == 200:
                            self.assertIn(answer.json(), (expected, []))
                        else:
                            self.assertIsNone(expected)
                            self.assertIn(answer.status_code, (403, 404, 422))

    def test_xml_rpc(self):
        """With names for all arguments, as other programs call it."""
        for user in (self.seller, self.portal, self.foreigner):
            password = user.login.ljust(8, "x")
            for record in self.get_hidden():
                for method, ids, kwargs, expected in self.get_calls(record):
                    with self.subTest(user=user.login, record=record, method=method):
                        try:
                            answer = self.xmlrpc_object.execute_kw(
                                self.env.cr.dbname,
                                user.id,
                                password,
                                record._name,
                                method,
                                [ids] if ids else [],
                                {**kwargs, "context": {"active_test": False}},
                            )
                        except xmlrpc.client.Fault as fault:
                            self.assertNoSecret(fault.faultString.encode(), method)
                        else:
                            self.assertIn(answer, (expected, []))

    def test_errors_in_developer_mode_name_nobody(self):
        """Core's error lists the records for whoever has switched it on."""
        self.seller.group_ids += self.env.ref("base.group_no_one")
        spy = Attacker(self, self.seller)
        spy.get("/odoo?debug=1")
        for record in (self.hidden_lead, self.hidden_contact):
            for method in ("read", "write", "unlink"):
                args = {"read": [["name"]], "write": [{"name": "x"}]}.get(method, [])
                with self.subTest(record=record, method=method):
                    answer = spy.call(record._name, method, record.ids, *args)
                    self.assertIn(b"AccessError", answer)
                    self.assertNoSecret(answer, method)
