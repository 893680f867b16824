import base64
from contextlib import suppress
from functools import partial
from unittest.mock import patch

from markupsafe import Markup

from odoo.exceptions import AccessError, MissingError, UserError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import SQL, mute_logger

from ..vault import reading
from .common import ArchiveCase

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmM"
    "IQAAAABJRU5ErkJggg=="
)


class ReadingCase(ArchiveCase):
    """A lead and a contact with everything a person looks for, in the vault."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reader = new_test_user(
            cls.env,
            "reader",
            groups="sales_team.group_sale_salesman,"
            "crm_archive_policy.group_archive_user",
        )
        cls.stage = cls.env["crm.stage"].create({"name": "Knocked twice"})
        cls.lead.write(
            {
                "email_from": "ada@example.com",
                "phone": "+32 2 290 34 90",
                "partner_name": "Lovelace & Sons",
                "expected_revenue": 1234.5,
                "stage_id": cls.stage.id,
                "priority": "2",
                "description": "<p>Wants <b>one</b> engine</p>",
                "tag_ids": [(0, 0, {"name": "Engines of test"})],
            }
        )
        cls.write_tracking()
        cls.picture = cls.attach(cls.lead, "engine.png", PNG)
        cls.offer = cls.attach(cls.lead, "Offer é.pdf", b"%PDF-1.4 an offer")
        cls.letter = cls.lead.message_post(
            body=Markup(
                '<p>See <img src="/web/image/%s?access_token=secret"/></p>'
                '<div class="position-fixed" style="position:fixed">fixed</div>'
            )
            % cls.picture.id,
            subject="About the engine",
            message_type="email",
            email_from="Ada <ada@example.com>",
            author_id=cls.contact.id,
            attachment_ids=cls.offer.ids,
        )

    @classmethod
    def write_tracking(cls):
        cls.env.flush_all()
        cls.env.cr.precommit.run()

    @classmethod
    def attach(cls, record, name, data):
        return cls.env["ir.attachment"].create(
            {"name": name, "raw": data, "res_model": record._name, "res_id": record.id}
        )

    @classmethod
    def to_vault(cls, record):
        """Archive a record and move it to the vault.

        :return: its entry
        """
        model, res_id = record._name, record.id
        if record.archive_state == "live":
            record.action_archive()
        record._vault()
        return cls.env["crm.archive.entry"].search(
            [("res_model", "=", model), ("res_id", "=", res_id)], limit=1
        )

    def get_looks(self, entry):
        return self.env["crm.archive.log"].search(
            [
                ("action", "=", "read"),
                ("res_model", "=", entry.res_model),
                ("res_id", "=", entry.res_id),
            ]
        )


@tagged("post_install", "-at_install")
class TestReading(ReadingCase):
    """The content of the vault, as a person reads it, and who may."""

    def read_as(self, user, entry, before=None):
        return entry.with_user(user).get_content(before)

    def test_the_form(self):
        content = self.read_as(self.officer, self.to_vault(self.lead))
        form = content["form"]
        for text in (
            "Silent lead",
            "Lovelace &amp; Sons",
            "ada@example.com",
            "Knocked twice",
            "1,234.50",
            "Engines of test",
            "High",
            "Wants <b>one</b> engine",
        ):
            with self.subTest(text=text):
                self.assertIn(text, form)
        self.assertTrue(content["can_restore"])
        self.assertFalse(self.lead.exists(), "nothing was restored")

    def test_the_chatter(self):
        other = self.env["crm.stage"].create({"name": "Third time lucky"})
        self.lead.stage_id = other
        self.write_tracking()
        messages = self.read_as(self.officer, self.to_vault(self.lead))["messages"]
        self.assertIn("About the engine", messages)
        self.assertIn("Silent contact", messages, "the author's name")
        self.assertRegex(messages, r"(?s)Knocked twice.*Third time lucky.*Stage")
        self.assertIn("Offer é.pdf", messages)
        self.assertLess(
            messages.index("Third time lucky"),
            messages.index("About the engine"),
            "the newest comes first",
        )

    def test_what_is_gone_is_named_by_its_number(self):
        stage_id = self.stage.id
        entry = self.to_vault(self.lead)
        self.stage.unlink()
        form = self.read_as(self.officer, entry)["form"]
        self.assertIn(f"No. {stage_id}", form)

    def test_fields_that_are_gone_keep_their_value(self):
        self.env.cr.execute("ALTER TABLE crm_lead ADD COLUMN x_old text")
        self.env.cr.execute("UPDATE crm_lead SET x_old = 'Of an old module'")
        form = self.read_as(self.officer, self.to_vault(self.lead))["form"]
        self.assertIn("Of an old module", form)

    def test_hidden_fields_stay_hidden(self):
        field = self.env["crm.lead"]._fields["phone"]
        entry = self.to_vault(self.lead)
        self.assertIn("290 34 90", self.read_as(self.officer, entry)["form"])
        with patch.object(field, "groups", "base.group_system"):
            self.assertNotIn("290 34 90", self.read_as(self.officer, entry)["form"])

    def test_foreign_html_is_harmless(self):
        self.env.cr.execute(
            "UPDATE mail_message SET body = %s WHERE id = %s",
            [
                "<p>before</p><script>alert(1)</script><form action='//evil'>"
                "<input name='a'/></form><img src='x' onerror='alert(1)'/>"
                "<a href='javascript:alert(1)'>link</a>"
                "<div class='position-fixed' style='position:fixed;color:red'>x</div>",
                self.letter.id,
            ],
        )
        self.env.cr.execute(
            "UPDATE crm_lead SET description = '<p>d</p><script>x()</script>',"
            " partner_name = '<script>y()</script>' WHERE id = %s",
            [self.lead.id],
        )
        self.env.invalidate_all()
        content = self.read_as(self.officer, self.to_vault(self.lead))
        html = "".join(content[part] for part in ("form", "beside", "messages"))
        for bad in ("<script", "<form", "<input", "onerror", "javascript:", "fixed"):
            self.assertNotIn(bad, html)
        self.assertIn("before", html)

    def test_no_token_and_no_live_address(self):
        entry = self.to_vault(self.lead)
        messages = self.read_as(self.officer, entry)["messages"]
        self.assertNotIn("access_token", messages)
        self.assertNotIn(f"/web/image/{self.picture.id}", messages)
        url = f"/crm_archive/entry/{entry.id}/attachment/{self.picture.id}?inline=1"
        self.assertIn(url, messages)

    def test_pages_of_messages(self):
        self.patch(reading, "PAGE", 4)
        for number in range(10):
            self.lead.message_post(body=f"Word {number}.")
        entry = self.to_vault(self.lead)
        seen, before = [], None
        while before != 0:
            content = self.read_as(self.officer, entry, before)
            seen.append(content["messages"])
            self.assertEqual(bool(content["form"]), before is None)
            before = content["before"]
        self.assertGreaterEqual(len(seen), 3)
        for number in range(10):
            self.assertEqual("".join(seen).count(f"Word {number}."), 1)

    def test_a_long_story_takes_little_memory(self):
        """Of many messages not more than a page is held at any moment."""
        self.env.cr.execute(
            "INSERT INTO mail_message (model, res_id, message_type, date, body)"
            " SELECT 'crm.lead', %s, 'comment', now(), 'Story ' || n"
            " FROM generate_series(1, 20000) n",
            [self.lead.id],
        )
        entry = self.to_vault(self.lead)
        most = 0
        push = reading.heapq.heappush

        def counting_push(heap, item):
            nonlocal most
            push(heap, item)
            most = max(most, len(heap))

        self.patch(reading.heapq, "heappush", counting_push)
        content = self.read_as(self.officer, entry)
        self.assertIn("Story 20000", content["messages"])
        self.assertNotIn("Story 19000", content["messages"])
        self.assertLessEqual(most, max(reading.PAGE, reading.PARTS) + 2)

    # -- who, and the audit ------------------------------------------------------

    def test_every_look_is_noted(self):
        entry = self.to_vault(self.lead)
        for count, user in enumerate((self.officer, self.auditor, self.reader), 1):
            self.read_as(user, entry)
            looks = self.get_looks(entry)
            self.assertEqual(len(looks), count)
            self.assertEqual(looks[0].user_id, user)
        self.assertTrue(self.env["crm.archive.log"].verify_chain()["ok"])

    def test_who_may_not(self):
        mine = self.to_vault(self.create_lead("Mine", user_id=self.reader.id))
        theirs = self.to_vault(self.create_lead("Theirs", user_id=self.officer.id))
        self.read_as(self.reader, mine)
        portal = new_test_user(self.env, "gate", groups="base.group_portal")
        for user, entry in (
            (self.reader, theirs),
            (self.seller, mine),
            (portal, mine),
        ):
            looks = self.get_looks(entry)
            for call in (
                lambda e: e.get_content(),
                lambda e: e.action_view_content(),
                lambda e: e._spool_attachment(1),
            ):
                with self.subTest(user=user.login), self.assertRaises(AccessError):
                    call(entry.with_user(user))
            self.assertEqual(self.get_looks(entry), looks)

    def test_other_companies(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        entry = self.to_vault(self.create_lead("Elsewhere", company_id=company.id))
        with self.assertRaises(AccessError):
            self.read_as(self.officer, entry)

    def test_each_check_holds_by_itself(self):
        """Two stand behind each other: each is asked where the other one is out."""
        company = self.env["res.company"].create({"name": "Elsewhere"})
        entry = self.to_vault(self.create_lead("Elsewhere", company_id=company.id))
        # What is in the cache already is read without the rules being asked.
        entry.read()
        for user, said in ((self.officer, "access"), (self.seller, "archive groups")):
            own = entry.with_user(user)
            calls = (own.get_content, partial(own._spool_attachment, 1))
            with patch.object(type(entry), "_read_from_bundle") as read:
                for call in calls:
                    with self.assertRaisesRegex(AccessError, said):
                        call()
                read.assert_not_called()
            with (
                patch.object(type(entry.bundle_id), "_open_reader") as opened,
                self.assertRaisesRegex(AccessError, said),
            ):
                own._read_from_bundle(lambda get: get())
            opened.assert_not_called()

    def test_names_of_people_follow_the_readers_rights(self):
        self.contact.action_archive()
        self.contact.archive_restricted = True
        content = entry = self.to_vault(self.lead)
        self.assertIn("Silent contact", self.read_as(self.officer, entry)["messages"])
        with patch.object(
            self.env.registry["res.partner"], "has_access", lambda *_args: False
        ):
            content = self.read_as(self.officer, entry)
        self.assertNotIn("Silent contact", content["messages"])

    def test_restored_and_purged_are_not_read(self):
        entry = self.to_vault(self.lead)
        for state in ("restored", "purged"):
            entry.state = state
            with self.assertRaises(UserError):
                self.read_as(self.officer, entry)

    def test_damage_is_said(self):
        entry = self.to_vault(self.lead)
        entry.place_rows_digest = "0" * 64
        looks = self.get_looks(entry)
        with self.assertRaisesRegex(UserError, "gave back something else"):
            with self.env.cr.savepoint():
                self.read_as(self.officer, entry)
        self.assertEqual(self.get_looks(entry), looks)

    # -- attachments -------------------------------------------------------------

    def test_an_attachment_is_the_one_that_was(self):
        entry = self.to_vault(self.lead).with_user(self.officer)
        row, file, size = entry._spool_attachment(self.offer.id)
        with file:
            self.assertEqual(file.read(), b"%PDF-1.4 an offer")
        self.assertEqual((row["name"], size), ("Offer é.pdf", 17))
        self.assertEqual(len(self.get_looks(entry)), 1)

    def test_an_attachment_of_another_record(self):
        entry = self.to_vault(self.lead).with_user(self.officer)
        other = self.attach(self.contact, "other.txt", b"other")
        with self.assertRaises(MissingError):
            entry._spool_attachment(other.id)

    def test_pictures_belong_to_a_look(self):
        entry = self.to_vault(self.lead).with_user(self.officer)
        entry._spool_attachment(self.picture.id, inline=True)[1].close()
        self.assertEqual(len(self.get_looks(entry)), 1, "a picture alone is a look")
        entry._spool_attachment(self.picture.id, inline=True)[1].close()
        self.assertEqual(len(self.get_looks(entry)), 1)
        entry._spool_attachment(self.picture.id)[1].close()
        self.assertEqual(len(self.get_looks(entry)), 2, "a download always is one")

    def test_attachments_kept_in_the_database(self):
        self.env["ir.config_parameter"].set_param("ir_attachment.location", "db")
        kept = self.attach(self.lead, "kept.txt", b"kept \x00 here")
        entry = self.to_vault(self.lead).with_user(self.officer)
        _row, file, _size = entry._spool_attachment(kept.id)
        with file:
            self.assertEqual(file.read(), b"kept \x00 here")

    # -- finding -----------------------------------------------------------------

    def test_found_by_what_people_remember(self):
        entry = self.to_vault(self.lead)
        entries = self.env["crm.archive.entry"].with_user(self.officer)
        for term in ("silent le", "ADA@exam", "Lovelace", "290 34 90", "022903490"):
            with self.subTest(term=term):
                self.assertIn(entry.id, dict(entries.name_search(term)))
        self.assertNotIn(entry.id, dict(entries.name_search("nobody at all")))

    def test_search_uses_the_index(self):
        if not self.env.registry.has_trigram:
            self.skipTest("the database has no trigram search")
        self.to_vault(self.lead)
        entries = self.env["crm.archive.entry"]
        # So few rows are read through, whatever index there is.
        self.env.cr.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off"
        )
        for domain in (
            [("name", "ilike", "silent")],
            [("email", "ilike", "ada@example")],
            [("partner_name", "ilike", "lovelace")],
            [("phone_search", "ilike", "290 34 90")],
            entries._search_display_name("ilike", "silent"),
        ):
            query = entries.sudo()._search(domain, order="id")
            plan = self.env.execute_query(SQL("EXPLAIN %s", query.select()))
            text = "\n".join(row[0] for row in plan)
            with self.subTest(domain=domain):
                self.assertIn("Bitmap Index Scan", text)


@tagged("post_install", "-at_install")
class TestReadingHttp(ReadingCase, HttpCase):
    """Downloads out of the vault, over HTTP."""

    def test_headers_and_bytes(self):
        entry = self.to_vault(self.lead)
        self.authenticate("officer", "officer")
        answer = self.url_open(entry._get_attachment_url(self.offer.id))
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.content, b"%PDF-1.4 an offer")
        headers = answer.headers
        self.assertTrue(headers["Content-Disposition"].startswith("attachment;"))
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertIn("sandbox", headers["Content-Security-Policy"])
        self.assertEqual(headers["Content-Type"], "application/octet-stream")
        self.assertIn("no-store", headers["Cache-Control"])
        picture = f"{entry._get_attachment_url(self.picture.id)}?inline=1"
        answer = self.url_open(picture)
        self.assertEqual(answer.headers["Content-Type"], "image/png")
        # Whatever is no picture is never shown in the page.
        answer = self.url_open(f"{entry._get_attachment_url(self.offer.id)}?inline=1")
        self.assertEqual(answer.headers["Content-Type"], "application/octet-stream")

    def test_strangers(self):
        entry = self.to_vault(self.create_lead("Theirs", user_id=self.officer.id))
        url = entry._get_attachment_url(self.offer.id)
        for login in (None, "reader", "seller"):
            self.authenticate(login, login)
            answer = self.url_open(url, allow_redirects=False)
            with self.subTest(login=login):
                self.assertIn(answer.status_code, (303, 404))
                self.assertNotIn(b"offer", answer.content.lower())
        self.authenticate("officer", "officer")
        for url in (
            "/crm_archive/entry/999999999/attachment/1",
            entry._get_attachment_url(999999999),
        ):
            self.assertEqual(self.url_open(url).status_code, 404)

    @mute_logger("odoo.http")
    def test_live_addresses_and_tokens_are_dead(self):
        token = self.offer.generate_access_token()[0]
        offer_id = self.offer.id
        self.authenticate("officer", "officer")
        url = f"/web/content/{offer_id}?access_token={token}"
        self.assertEqual(self.url_open(url).status_code, 200)
        entry = self.to_vault(self.lead)
        self.assertEqual(self.url_open(url).status_code, 404)
        url = f"{entry._get_attachment_url(offer_id)}?access_token={token}"
        self.authenticate(None, None)
        with suppress(ValueError):
            self.assertNotEqual(self.url_open(url).content, b"%PDF-1.4 an offer")
