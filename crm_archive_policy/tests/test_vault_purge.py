from datetime import timedelta
from unittest.mock import patch

from psycopg2 import OperationalError

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from ..lib import faults
from ..lib.bundle import BundleKeyDestroyed
from ..lib.stores import StoreTemporary
from ..models import crm_archive_run_purge
from .vault_purge_common import PurgeCase


@tagged("post_install", "-at_install")
class TestVaultPurge(PurgeCase):
    """The end of retention: asked, approved by another, carried out, certified."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.boss = new_test_user(
            cls.env,
            "boss",
            groups="sales_team.group_sale_manager,base.group_partner_manager,"
            "crm_archive_policy.group_archive_manager",
        )

    def _create_pair(self, **values):
        lead = self.create_lead(
            "Zebulon deal",
            email_from="zebulon@example.com",
            phone="+32 470 11 22 33",
            country_id=self.country.id,
            expected_revenue=1200,
            **values,
        )
        return lead, self.create_lead("Other deal")

    # ------------------------------------------------------------
    # In the vault
    # ------------------------------------------------------------

    def test_vaulted_lead_is_deleted(self):
        lead, other = self._create_pair()
        entries = self.vault(self.archive(lead + other))
        entry = entries.filtered(lambda e: e.res_id == lead.id)
        self.assertEqual(entry.name, "Zebulon deal")
        old = entry.bundle_id
        purge = self.approve(self.ask(entry))
        self.assertEqual(purge.state, "done")
        self.assertEqual(purge.line_ids.state, "done")
        self.assertEqual(entry.state, "purged")
        for name in ("name", "email", "phone", "country_id", "expected_revenue"):
            self.assertFalse(entry[name], name)
        self.assertEqual(old.state, "removed")
        self.assertFalse([path for path in self.read_store() if old.name in path])
        # The other one is still there, whole.
        (entries - entry)._restore()
        self.assertTrue(other.exists())
        self.assertFalse(lead.exists())
        log = self.env["crm.archive.log"].search([("action", "=", "purge")])
        line = log.filtered(lambda line: line.res_model == "crm.lead")
        self.assertEqual(line.res_id, lead.id)
        self.assertTrue(self.env["crm.archive.log"].verify_chain()["ok"])

    def test_anonymised_entry_keeps_statistics(self):
        self.category.end_action = "anonymise"
        lead, _other = self._create_pair()
        entry = self.vault(self.archive(lead))
        self.approve(self.ask(entry))
        self.assertFalse(entry.name or entry.email or entry.phone)
        self.assertEqual(entry.country_id, self.country)
        self.assertEqual(entry.expected_revenue, 1200)

    def test_last_record_takes_the_object_along(self):
        lead, _other = self._create_pair()
        entry = self.vault(self.archive(lead))
        self.approve(self.ask(entry))
        self.assertEqual(entry.bundle_id.state, "removed")
        self.assertFalse([p for p in self.read_store() if entry.bundle_id.name in p])

    def test_encrypted_record_loses_its_key(self):
        self.encrypt()
        lead, other = self._create_pair()
        entries = self.vault(self.archive(lead + other))
        entry = entries.filtered(lambda e: e.res_id == lead.id)
        bundle, ref = entry.bundle_id, entry._get_ref()
        self.approve(self.ask(entry))
        self.assertEqual(bundle.state, "used")
        with bundle._open_reader() as reader:
            self.assertIn(lead.id, reader.keyring.destroyed)
            with self.assertRaises(BundleKeyDestroyed):
                list(reader.record(ref).lines())
        (entries - entry)._restore()
        self.assertTrue(other.exists())

    def test_contact_leaves_a_nameless_shell(self):
        contact = self.create_contact(
            "Zebulon Pike", email="zebulon@example.com", is_company=True
        )
        invoice_like = self.create_lead("Stays", partner_id=contact.id)
        entry = self.vault(self.archive(contact))
        self.assertEqual(contact.name, "Zebulon Pike")  # a company keeps its name …
        self.approve(self.ask(entry))
        self.assertTrue(contact.exists())  # … until it is purged
        self.assertNotIn("Zebulon", contact.name + contact.display_name)
        self.assertFalse(contact.email)
        self.assertEqual(invoice_like.partner_id, contact)
        self.assertFalse(contact.retention_date)

    def test_restored_copy_in_a_bundle_goes_too(self):
        """A bundle still holds what was restored from it."""
        lead, other = self._create_pair()
        entries = self.vault(self.archive(lead + other))
        entry = entries.filtered(lambda e: e.res_id == lead.id)
        old = entry.bundle_id
        entry._restore()
        self.archive(lead)
        purge = self.approve(self.ask(lead))
        self.assertEqual(purge.line_ids.state, "done")
        self.assertFalse(lead.exists())
        self.assertEqual(entry.state, "purged")
        self.assertFalse(entry.name)
        self.assertEqual(old.state, "removed")
        (entries - entry)._restore()

    def test_copy_written_in_vain_goes_too(self):
        lead, other = self._create_pair()
        self.archive(lead + other)
        bundles = self.env["crm.archive.bundle"].sudo()
        written = bundles._write_records(lead + other)
        written.settle(written.take(other))
        bundle = written.bundles
        self.assertEqual(bundle.unused_ids, [lead.id])
        self.approve(self.ask(lead))
        self.assertEqual(bundle.state, "removed")
        self.env["crm.archive.entry"]._find_for("crm.lead", other.ids)._restore()

    def test_object_that_waits_for_the_sweep_goes_too(self):
        lead, other = self._create_pair()
        entries = self.vault(self.archive(lead + other))
        old = entries.bundle_id
        entry = entries.filtered(lambda e: e.res_id == other.id)
        entry._restore()
        new = old._rewrite_without(other.ids)
        # Written and never taken, as by a run that is between its two steps.
        self.archive(other)
        self.env["crm.archive.bundle"].sudo()._write_records(other)
        stays = old.search([("state", "=", "written")])
        self.assertEqual((old.state, new.state), ("obsolete", "used"))
        self.approve(self.ask(entries - entry))
        self.assertEqual((old.state, new.state), ("removed", "removed"))
        self.assertEqual(stays.state, "written")
        self.approve(self.ask(other))
        self.assertEqual(stays.state, "removed")

    # ------------------------------------------------------------
    # Live
    # ------------------------------------------------------------

    def test_archived_lead_is_deleted_with_everything(self):
        lead, _other = self._create_pair()
        lead.message_post(body="About Zebulon", attachments=[("a.txt", b"secret")])
        attachment = self.env["ir.attachment"].search(
            [("res_model", "=", "crm.lead"), ("res_id", "=", lead.id)]
        )
        self.assertTrue(attachment)
        self.archive(lead)
        self.approve(self.ask(lead))
        self.assertFalse(lead.exists() or attachment.exists())
        messages = self.env["mail.message"].search(
            [("model", "=", "crm.lead"), ("res_id", "=", lead.id)]
        )
        self.assertFalse(messages)

    def test_anonymised_lead_keeps_statistics(self):
        source = self.env["utm.source"].create({"name": "Fair"})
        lead, _other = self._create_pair(
            description="<p>Zebulon likes fish</p>",
            partner_id=self.contact.id,
            source_id=source.id,
        )
        lead.message_post(body="About Zebulon", attachments=[("a.txt", b"secret")])
        closed = lead.date_closed
        self.archive(lead)
        self.approve(self.ask(lead, act="anonymise"))
        self.assertEqual(
            (lead.country_id, lead.expected_revenue, lead.source_id, lead.date_closed),
            (self.country, 1200, source, closed),
        )
        self.assertEqual(lead.name, f"Anonymised lead {lead.id}")
        for name in (
            "email_from",
            "phone",
            "description",
            "partner_id",
        ):
            self.assertFalse(lead[name], name)
        self.assertFalse(lead.email_normalized or lead.phone_sanitized)
        self.assertFalse(lead.message_ids or lead.message_follower_ids)
        self.assertFalse(
            self.env["ir.attachment"].search(
                [("res_model", "=", "crm.lead"), ("res_id", "=", lead.id)]
            )
        )

    def test_custom_fields_count_as_personal(self):
        model = self.env["ir.model"]._get("crm.lead")
        field = self.env["ir.model.fields"].create(
            {
                "name": "x_birthday",
                "model_id": model.id,
                "ttype": "date",
                "field_description": "Birthday",
            }
        )
        self.assertTrue(field)
        lead, _other = self._create_pair(x_birthday="1980-05-05")
        self.archive(lead)
        self.approve(self.ask(lead, act="anonymise"))
        self.assertFalse(lead.x_birthday)

    def test_contact_that_is_needed_is_anonymised_instead(self):
        contact = self.create_contact("Zebulon Pike", email="zebulon@example.com")
        self.env["calendar.filters"].create(
            {"partner_id": contact.id, "user_id": self.seller.id}
        )
        self.archive(contact)
        purge = self.approve(self.ask(contact))
        self.assertTrue(contact.exists())
        line = purge.line_ids
        self.assertEqual((line.state, line.outcome), ("done", "linked"))
        self.assertNotIn("Zebulon", contact.name)
        self.assertFalse(contact.email)
        free = self.archive(self.create_contact("Free"))
        self.approve(self.ask(free))
        self.assertFalse(free.exists())

    def test_one_bad_record_does_not_stop_the_others(self):
        leads = self.env["crm.lead"].union(*(self._create_pair()[0] for _ in range(4)))
        self.archive(leads)
        bad = leads[1]
        anonymise = type(leads)._anonymise

        def fail(records):
            if bad in records:
                raise ValueError("Zebulon deal cannot be read")
            return anonymise(records)

        purge = self.ask(leads, act="anonymise")
        with patch.object(type(leads), "_anonymise", fail):
            self.approve(purge)
        self.assertEqual(purge.done_count, 3)
        kept = purge.line_ids.filtered(lambda line: line.state == "kept")
        self.assertEqual((kept.res_id, kept.outcome), (bad.id, "failed"))
        self.assertEqual(bad.email_from, "zebulon@example.com")
        error = purge.run_ids.error_ids
        self.assertEqual(error.res_id, bad.id)
        self.assertNotIn("Zebulon", error.message)

    # ------------------------------------------------------------
    # Two people
    # ------------------------------------------------------------

    def test_asker_does_not_approve(self):
        purge = self.ask(self.vault(self.archive(self.lead)))
        mine = purge.with_user(self.manager)
        for method in ("action_approve", "action_reject"):
            with self.subTest(method), self.assertRaisesRegex(AccessError, "yourself"):
                getattr(mine, method)()
        for other in (self.officer, self.auditor, self.seller):
            with self.subTest(other.login), self.assertRaises(AccessError):
                purge.with_user(other).action_approve()
        self.assertEqual(purge.state, "asked")
        with self.assertRaises(AccessError):
            purge.with_user(self.second).action_withdraw()
        mine.action_withdraw()
        self.assertEqual(purge.state, "cancelled")

    def test_nobody_writes_requests_directly(self):
        purge = self.ask(self.vault(self.archive(self.lead)))
        for user in (self.manager, self.second, self.auditor, self.officer):
            own = purge.with_user(user)
            for act in (
                lambda r: r.write({"state": "approved"}),
                lambda r: r.write({"user_id": self.auditor.id}),
                lambda r: r.create({"reason": "x", "state": "approved"}),
                lambda r: r.unlink(),
                lambda r: r.web_save({"decide_user_id": r.env.uid}, {}),
                lambda r: r.line_ids.write({"state": "waiting"}),
                lambda r: r.env["crm.archive.purge.line"].create(
                    {
                        "purge_id": r.id,
                        "res_model": "crm.lead",
                        "res_id": 1,
                        "act": "delete",
                    }
                ),
            ):
                with self.assertRaises(AccessError):
                    act(own)

    def test_only_managers_ask(self):
        entry = self.vault(self.archive(self.lead))
        for user in (self.officer, self.auditor, self.seller):
            with self.subTest(user.login), self.assertRaises(AccessError):
                entry.with_user(user).action_purge()
            with self.subTest(user.login), self.assertRaises(AccessError):
                self.contact.with_user(user).action_archive_purge()
            with self.subTest(user.login), self.assertRaises(AccessError):
                self.env["crm.archive.purge"].with_user(user)._ask(
                    "retention", "x", [{"res_model": "crm.lead", "res_id": 1}]
                )

    def test_reason_and_records_are_needed(self):
        entry = self.vault(self.archive(self.lead))
        with self.assertRaisesRegex(UserError, "Say why"):
            self.ask(entry, reason="  ")
        with self.assertRaisesRegex(UserError, "nothing to destroy"):
            self.env["crm.archive.purge"].with_user(self.manager)._ask(
                "retention", "x", []
            )

    def test_other_managers_are_told_without_names(self):
        purge = self.ask(self.vault(self.archive(self.lead)))
        message = self.env["mail.message"].search(
            [("model", "=", "crm.archive.purge"), ("res_id", "=", purge.id)]
        )
        self.assertIn(self.second.partner_id, message.notified_partner_ids)
        self.assertNotIn(self.manager.partner_id, message.notified_partner_ids)
        self.assertNotIn("Silent", message.body)

    def test_request_expires(self):
        purge = self.ask(self.vault(self.archive(self.lead)))
        purge.expire_date = self.env.cr.now() - timedelta(seconds=1)
        with self.assertRaisesRegex(UserError, "expired"):
            purge.with_user(self.second).action_approve()
        self.run_cron()
        self.assertEqual(purge.state, "expired")
        with self.assertRaisesRegex(UserError, "decided already"):
            purge.with_user(self.second).action_approve()

    def test_other_companies_see_nothing(self):
        purge = self.ask(self.vault(self.archive(self.lead)))
        company = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = new_test_user(
            self.env,
            "stranger",
            groups="crm_archive_policy.group_archive_manager",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        self.assertFalse(self.env["crm.archive.purge"].with_user(stranger).search([]))
        with self.assertRaises(AccessError):
            purge.with_user(stranger).action_approve()

    # ------------------------------------------------------------
    # What is due
    # ------------------------------------------------------------

    def test_nothing_before_its_day(self):
        lead, _other = self._create_pair()
        self.archive(lead)
        entry = self.vault(lead)
        self.env.cr.execute(
            "UPDATE crm_archive_entry SET retention_date = %s WHERE id = %s",
            [self.today, entry.id],
        )
        self.env.invalidate_all()
        with self.assertRaisesRegex(UserError, "not at the end"):
            self.ask(entry)
        self.assertFalse(
            self.env["crm.archive.entry"].search_count(
                [("id", "=", entry.id), *entry._get_purgeable_domain()]
            )
        )

    def test_day_is_asked_again_when_it_is_done(self):
        lead, other = self._create_pair()
        self.archive(lead + other)
        purge = self.ask(lead + other)
        lead._move({"retention_date": self.today + timedelta(days=9)})
        self.approve(purge)
        self.assertTrue(lead.exists())
        self.assertFalse(other.exists())
        line = purge.line_ids.filtered(lambda line: line.res_id == lead.id)
        self.assertEqual((line.state, line.outcome), ("kept", "retention"))

    def test_restored_meanwhile_stays(self):
        lead, _other = self._create_pair()
        entry = self.vault(self.archive(lead))
        purge = self.ask(entry)
        entry._restore()
        self.approve(purge)
        self.assertTrue(lead.exists())
        self.assertEqual(lead.email_from, "zebulon@example.com")
        self.assertEqual(purge.line_ids.outcome, "changed")

    def test_review_needs_a_decision(self):
        self.category.end_action = "review"
        entry = self.vault(self.archive(self.lead))
        with self.assertRaisesRegex(UserError, "review"):
            self.ask(entry)
        purge = self.ask(entry, act="delete")
        self.assertEqual(purge.line_ids.act, "delete")

    def test_live_record_is_not_on_the_worklist(self):
        self.end_retention(self.lead)
        with self.assertRaisesRegex(UserError, "not at the end"):
            self.ask(self.lead)

    def test_plain_delete_waits_for_the_day(self):
        for record in (self.lead, self.contact):
            record.retention_date = self.today + timedelta(days=9)
            for target in (record.with_user(self.boss), record.sudo()):
                with self.assertRaisesRegex(UserError, "has to be kept until"):
                    target.unlink()
                with self.assertRaisesRegex(UserError, "has to be kept until"):
                    target.with_context(
                        archive_permit={"model": record._name, "ids": record.ids}
                    ).unlink()
        self.end_retention(self.lead)
        self.lead.unlink()

    def test_merge_carries_retention_on(self):
        a, b = self.create_contact("A", email="a@x.com"), self.create_contact("B")
        a.retention_date = self.today + timedelta(days=9)
        self.env["base.partner.merge.automatic.wizard"]._merge((a + b).ids, b)
        self.assertFalse(a.exists())
        self.assertEqual(b.retention_date, self.today + timedelta(days=9))
        c, d = self.create_lead("C"), self.create_lead("D")
        (c + d).write({"retention_date": self.today + timedelta(days=9)})
        head = (c + d).merge_opportunity()
        self.assertEqual(len((c + d).exists()), 1)
        self.assertEqual(head.retention_date, self.today + timedelta(days=9))

    def test_entry_and_shell_are_not_deleted_by_hand(self):
        entry = self.vault(self.archive(self.contact))
        with self.assertRaisesRegex(UserError, "Erase person"):
            entry.sudo().unlink()
        with self.assertRaisesRegex(UserError, "stands for a record in the vault"):
            self.contact.sudo().unlink()

    # ------------------------------------------------------------
    # Stops and starts
    # ------------------------------------------------------------

    def test_goes_on_after_the_store_failed(self):
        lead, _other = self._create_pair()
        entry = self.vault(self.archive(lead))
        purge = self.ask(entry)
        with (
            patch.object(
                type(entry.bundle_id),
                "_destroy_records",
                side_effect=StoreTemporary("no answer"),
            ),
            self.assertLogs("odoo.addons.crm_archive_policy", "ERROR"),
        ):
            self.approve(purge)
        # Decided for good: nobody gets it back, though its bytes are still there.
        self.assertEqual(purge.state, "approved")
        self.assertEqual(entry.state, "purged")
        self.assertFalse(entry.name)
        self.assertEqual(purge.run_ids.state, "waiting")
        purge.run_ids.date_retry = False
        purge.run_ids.try_count = 99
        with (
            patch.object(
                type(entry.bundle_id),
                "_destroy_records",
                side_effect=StoreTemporary("no answer"),
            ),
            self.assertLogs("odoo.addons.crm_archive_policy", "ERROR"),
        ):
            self.run_cron()
        self.assertEqual(purge.run_ids.state, "failed")
        message = self.env["mail.message"].search(
            [
                ("model", "=", "crm.archive.purge"),
                ("res_id", "=", purge.id),
                ("subject", "like", "has stopped"),
            ]
        )
        self.assertEqual(
            message.notified_partner_ids, (self.manager + self.second).partner_id
        )
        with self.assertRaises(AccessError):
            purge.with_user(self.officer).action_retry()
        purge.with_user(self.manager).action_retry()
        self.run_cron()
        self.assertEqual(purge.state, "done")
        self.assertEqual(entry.bundle_id.state, "removed")

    def test_goes_on_from_every_stop(self):
        """Thrown back at each of its steps, as by a conflict, and done in the end."""
        steps = ["begun", "decided", "content destroyed"]
        for name in [f"purge: {step}" for step in (*steps, "objects removed")] + [
            "rewrite: object written",
            "rewrite: entries moved",
        ]:
            with self.subTest(name):
                self._stop_at(name)
        self.encrypt()
        for step in steps:
            with self.subTest(step, encrypted=True):
                self._stop_at(f"purge: {step}")

    def _stop_at(self, name):
        lead, other = self._create_pair()
        entries = self.vault(self.archive(lead + other))
        entry = entries.filtered(lambda e: e.res_id == lead.id)
        purge = self.ask(entry)
        purge.with_user(self.second).action_approve()
        fired = []

        def stop(point):
            if point == name and not fired:
                fired.append(point)
                raise OperationalError(point)

        with faults.hooked(stop):
            self.run_cron()
        self.assertTrue(fired)
        self.assertEqual((purge.state, purge.line_ids.state), ("done", "done"))
        self.assertEqual(entry.state, "purged")
        (entries - entry)._restore()
        self.assertTrue(other.exists())

    def test_batches(self):
        leads = self.env["crm.lead"].union(*(self._create_pair()[0] for _ in range(5)))
        self.vault(self.archive(leads[:3]))
        self.archive(leads[3:])
        entries = self.env["crm.archive.entry"]._find_for("crm.lead", leads.ids)
        purge = self.ask(entries)
        with patch.object(crm_archive_run_purge, "PURGE_BATCH", 2):
            self.approve(purge)
        self.assertEqual(purge.done_count, 3)
        self.assertEqual(purge.run_ids.purged_count, 3)

    # ------------------------------------------------------------
    # Certificate
    # ------------------------------------------------------------

    def test_certificate(self):
        policy = self.create_policy(domain=f"[('id', '=', {self.lead.id})]")
        lead = self.lead
        lead.write({"email_from": "zebulon@example.com", "contact_name": "Zebulon"})
        policy.action_run()
        self.end_retention(lead)
        purge = self.ask(self.vault(lead))
        with self.assertRaisesRegex(UserError, "only when the request is done"):
            purge.with_user(self.manager).action_print()
        self.approve(purge)
        certificate = purge.certificate
        [group] = certificate["groups"]
        self.assertEqual(
            (
                group["count"],
                group["category"],
                group["policies"],
                group["legal_basis"],
            ),
            (1, "Prospects", ["Test policy"], "Commercial code, section 257"),
        )
        self.assertEqual(certificate["asked"]["user_id"], self.manager.id)
        self.assertEqual(certificate["approved"]["user_id"], self.second.id)
        # Years later: names of rules have changed.
        self.category.name = "Renamed"
        report = self.env["ir.actions.report"].with_user(self.auditor)
        html = report._render_qweb_html(
            "crm_archive_policy.crm_archive_purge_report", purge.ids
        )[0].decode()
        for text in (
            "Prospects",
            "section 257",
            self.manager.name,
            self.second.name,
            purge.certificate_digest,
            "Test policy",
        ):
            self.assertIn(text, html)
        for text in ("Silent", "zebulon", "Zebulon", "Renamed"):
            self.assertNotIn(text, html)
        self.assertEqual(
            purge.with_user(self.auditor).action_print()["type"], "ir.actions.report"
        )
