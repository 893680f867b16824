from ast import literal_eval
from datetime import date, datetime, timedelta

from dateutil.relativedelta import relativedelta

from odoo.exceptions import AccessError, UserError
from odoo.fields import Date
from odoo.tests import Form, tagged

from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestRetention(ArchiveCase):
    """How long records are kept, by which rule, and who may change it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.act_alone()
        cls.today = Date.today()
        cls.later = cls.today + timedelta(days=100)
        cls.sooner = cls.today + timedelta(days=50)

    def _create_category(self, years=2, **values):
        return self.env["crm.archive.category"].create(
            {
                "name": "Test category",
                "minimum_number": years,
                "minimum_unit": "years",
                **values,
            }
        )

    def _in_years(self, years, start=None):
        return (start or self.today) + relativedelta(years=years)

    def _shorten(self, records, new, reason="Contract ended", user=None):
        user = user or self.manager
        action = records.with_user(user).action_archive_retention()
        form = Form(
            self.env[action["res_model"]]
            .with_user(user)
            .with_context(**action["context"])
        )
        form.retention_date = new
        form.reason = reason
        form.save().action_apply()

    # ------------------------------------------------------------
    # Extends only
    # ------------------------------------------------------------

    def test_extends_only_in_every_entrance(self):
        for record in (self.contact, self.lead):
            record.retention_date = self.later
            for target in (
                record.with_user(self.seller),
                record.with_user(self.manager),
                record.sudo(),
                record.with_user(self.manager).with_context(
                    archive_transition=["move", {"retention_date": "2001-01-01"}]
                ),
            ):
                for value in (self.sooner, str(self.sooner), False, None):
                    with (
                        self.subTest(user=target.env.user.login, value=value),
                        self.assertRaisesRegex(UserError, "only be extended"),
                    ):
                        target.write({"retention_date": value})
            with self.assertRaisesRegex(UserError, "only be extended"):
                record.with_user(self.seller).web_save(
                    {"retention_date": str(self.sooner)}, {}
                )
            result = (
                self.env[record._name]
                .with_user(self.manager)
                .load([".id", "retention_date"], [[str(record.id), str(self.sooner)]])
            )
            self.assertIn("only be extended", result["messages"][0]["message"])
            self.assertEqual(record.retention_date, self.later)
            record.with_user(self.seller).retention_date = self.later + timedelta(1)

    def test_losing_does_not_shorten(self):
        self.lead.retention_date = self.later
        lead = self.lead.with_user(self.seller)
        with self.assertRaisesRegex(UserError, "only be extended"):
            lead.action_set_lost(retention_date=False)

    def test_archiving_does_not_shorten(self):
        self.lead.retention_date = self.later
        wizard = (
            self.env["crm.archive.wizard"]
            .with_user(self.officer)
            .create(
                {
                    "res_model": "crm.lead",
                    "res_ids": self.lead.ids,
                    "reason_id": self.reason.id,
                    "retention_date": self.sooner,
                }
            )
        )
        wizard.action_archive()
        self.assertEqual(self.lead.archive_state, "archived")
        self.assertEqual(self.lead.retention_date, self.later)
        self.lead._move({"retention_date": False})
        self.assertEqual(self.lead.retention_date, self.later)

    def test_restore_keeps_it(self):
        self.lead.retention_date = self.later
        self.lead._archive()
        self.lead._restore()
        self.assertEqual(self.lead.retention_date, self.later)

    def test_one_longer_among_many(self):
        other = self.create_lead("Other")
        other.retention_date = self.later
        with self.assertRaisesRegex(UserError, "Other has to be kept"):
            (self.lead | other).write({"retention_date": self.sooner})
        self.assertFalse(self.lead.retention_date)

    def test_refusal_names_nobody_hidden(self):
        for record in (self.lead, self.contact):
            record.retention_date = self.later
            record._archive({"archive_restricted": True})
            with self.assertRaises(AccessError):
                record.with_user(self.seller).write({"retention_date": False})
            with self.assertRaises(AccessError):
                record.with_user(self.seller)._check_retention_date(False)

    def test_past_is_refused_by_hand(self):
        past = self.today - timedelta(days=5)
        lead = self.lead.with_user(self.seller)
        with self.assertRaisesRegex(UserError, "in the past"):
            lead.retention_date = past
        with self.assertRaisesRegex(UserError, "in the past"):
            lead.create({"name": "New", "retention_date": past})
        lead.retention_date = self.today
        self.assertEqual(self.lead.retention_date, self.today)

    # ------------------------------------------------------------
    # Shortening
    # ------------------------------------------------------------

    def test_shorten_with_reason(self):
        other = self.create_lead("Other")
        self.lead.retention_date = self.later
        other.retention_date = self.later + timedelta(days=1)
        leads = self.lead | other
        self._shorten(leads, self.sooner)
        self.assertEqual(leads.mapped("retention_date"), [self.sooner] * 2)
        for lead, old in ((self.lead, self.later), (other, self.later + timedelta(1))):
            line = self.env["crm.archive.log"].search(
                [
                    ("action", "=", "retention"),
                    ("res_model", "=", "crm.lead"),
                    ("res_id", "in", lead.ids),
                ]
            )
            self.assertEqual(line.user_id, self.manager)
            self.assertEqual(
                line._get_details(),
                {
                    "old": old.isoformat(),
                    "new": self.sooner.isoformat(),
                    "reason": "Contract ended",
                },
            )
        self._shorten(self.lead, False)
        self.assertFalse(self.lead.retention_date)

    def test_shorten_needs_manager_reason_and_future(self):
        self.lead.retention_date = self.later
        for user in (self.seller, self.officer):
            with self.assertRaises(AccessError):
                self._shorten(self.lead, self.sooner, user=user)
            with self.assertRaises(AccessError):
                self.lead.with_user(user)._shorten_retention(self.sooner, "Forged")
        lead = self.lead.with_user(self.manager)
        with self.assertRaisesRegex(UserError, "Say why"):
            lead._shorten_retention(self.sooner, "  ")
        with self.assertRaises(AssertionError):
            self._shorten(self.lead, self.sooner, reason=False)
        with self.assertRaisesRegex(UserError, "in the past"):
            self._shorten(self.lead, self.today - timedelta(days=1))
        wizard = (
            self.env["crm.archive.retention.wizard"]
            .with_user(self.manager)
            .create(
                {"res_model": "res.users", "res_ids": [self.seller.id], "reason": "x"}
            )
        )
        with self.assertRaisesRegex(UserError, "Only contacts and leads"):
            wizard.action_apply()
        self.assertEqual(self.lead.retention_date, self.later)

    def test_a_lead_that_is_kept_moves_to_the_vault(self):
        """Where it is kept is another matter than how long."""
        self.lead.retention_date = self.later
        self.lead._archive()
        lead_id = self.lead.id
        self.lead._vault()
        entry = self.env["crm.archive.entry"]._find_for("crm.lead", [lead_id])
        self.assertEqual(entry.state, "vaulted")
        self.assertEqual(entry.retention_date, self.later)

    # ------------------------------------------------------------
    # Categories
    # ------------------------------------------------------------

    def test_category_by_hand_sets_the_date(self):
        category = self._create_category(20, start_event="creation")
        created = self.contact.create_date.date()
        self.contact.with_user(self.seller).archive_category_id = category
        self.assertEqual(self.contact.retention_date, self._in_years(20, created))
        self.assertEqual(self.contact.retention_action, "review")
        new = self.env["res.partner"].create(
            {"name": "New", "archive_category_id": category.id}
        )
        self.assertEqual(new.retention_date, self._in_years(20))

    def test_starting_events(self):
        created = self.lead.create_date.date()
        spoken = datetime.now() - relativedelta(months=6)
        self.lead.message_post(body="Hello", message_type="comment")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE mail_message SET date = %s "
            "WHERE model = 'crm.lead' AND res_id = %s",
            [spoken, self.lead.id],
        )
        self.lead.action_set_won()
        self.lead.flush_recordset()
        closed = date.today() - relativedelta(months=3)
        self.env.cr.execute(
            "UPDATE crm_lead SET date_closed = %s WHERE id = %s", [closed, self.lead.id]
        )
        self.env.invalidate_all()
        for event, start in (
            ("creation", created),
            ("interaction", spoken.date()),
            ("close", closed),
            ("archive", None),
        ):
            category = self._create_category(10, start_event=event)
            starts = self.lead._get_retention_dates(category)
            expected = {self.lead.id: self._in_years(10, start)} if start else {}
            self.assertEqual(starts, expected, event)
        self.lead._archive()
        category = self._create_category(10, start_event="archive")
        dates = self.lead._get_retention_dates(category)
        self.assertEqual(dates, {self.lead.id: self._in_years(10)})
        self.contact._archive()
        category = self._create_category(10, start_event="close")
        dates = self.contact._get_retention_dates(category)
        self.assertEqual(dates, {self.contact.id: self._in_years(10)})

    def test_strictest_category_wins(self):
        strict = self._create_category(10)
        lax = self._create_category(1, end_action="delete")
        self.lead.archive_category_id = strict
        other = self.create_lead("Other")
        other.archive_category_id = lax
        policy = self.create_policy(category_id=lax.id)
        self.run_policy(policy)
        self.assertRecordValues(
            self.lead | other,
            [
                {
                    "archive_category_id": strict.id,
                    "retention_date": self._in_years(10),
                },
                {"archive_category_id": lax.id, "retention_date": self._in_years(1)},
            ],
        )
        self.lead._restore()
        self.run_policy(self.create_policy(category_id=self._create_category(12).id))
        self.assertEqual(self.lead.retention_date, self._in_years(12))

    def test_native_archive_follows_the_category(self):
        self.contact.archive_category_id = self._create_category(2)
        self.assertFalse(self.contact.retention_date, "it has not started")
        self.contact.with_user(self.seller).action_archive()
        self.assertEqual(self.contact.retention_date, self._in_years(2))

    def test_rule_never_dates_back(self):
        category = self._create_category(1, start_event="creation")
        self.lead.archive_category_id = category
        self.assertEqual(self.lead.retention_date, self.today)

    def test_a_lighter_category_by_hand_keeps_the_date(self):
        self.lead.archive_category_id = self._create_category(
            20, start_event="creation"
        )
        until = self.lead.retention_date
        self.lead.archive_category_id = self._create_category(1, start_event="creation")
        self.assertEqual(self.lead.retention_date, until)

    def test_without_a_duty_the_limit_counts(self):
        category = self._create_category(
            0, maximum_number=3, maximum_unit="years", end_action="delete"
        )
        self.lead.archive_category_id = category
        self.lead._archive()
        self.assertEqual(self.lead.retention_date, self._in_years(3))
        none = self._create_category(0)
        self.assertFalse(none._get_planned_date(self.today))

    # ------------------------------------------------------------
    # Retention ended
    # ------------------------------------------------------------

    def _end(self, record, days=1):
        record.flush_recordset()
        self.env.cr.execute(
            f"UPDATE {record._table} SET retention_date = %s WHERE id = %s",
            [self.today - timedelta(days=days), record.id],
        )
        record.invalidate_recordset()

    def _list_ended(self, model):
        name = f"{model.replace('.', '_')}_retention_action"
        action = self.env["ir.actions.actions"]._for_xml_id(
            f"crm_archive_policy.{name}"
        )
        domain = self.env["ir.actions.act_window"].browse(action["id"]).domain
        records = (
            self.env[model].with_user(self.manager).with_context(active_test=False)
        )
        return records.search(literal_eval(domain))

    def test_worklist(self):
        for record in (self.contact, self.lead):
            record.archive_category_id = self._create_category(
                3, end_action="anonymise"
            )
            record._archive()
            self.assertNotIn(record, self._list_ended(record._name))
            self._end(record)
            found = self._list_ended(record._name)
            self.assertIn(record, found)
            ended = record._get_retention_ended_domain()
            model = record.with_context(active_test=False)
            self.assertEqual(found, model.search(ended))
            self.assertEqual(found.retention_action, "anonymise")
            record._restore()
            self.assertNotIn(record, self._list_ended(record._name))

    def test_ended_retention_is_asked_again(self):
        silent = self.create_lead("Silent all along", years=9)
        category = self._create_category(3, start_event="interaction")
        (self.lead | silent).archive_category_id = category
        self.lead.message_post(body="Hello again", message_type="comment")
        for lead in (self.lead, silent):
            self._end(lead, days=2)
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_archive_policy.ir_cron_extend_retention"
            ).method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(self.lead.retention_date, self._in_years(3))
        self.assertEqual(silent.retention_date, self.today - timedelta(days=2))

    # ------------------------------------------------------------
    # Merging
    # ------------------------------------------------------------

    def _merge(self, partners, destination):
        wizard = (
            self.env["base.partner.merge.automatic.wizard"]
            .with_user(self.seller)
            .create(
                {
                    "partner_ids": [(6, 0, partners.ids)],
                    "dst_partner_id": destination.id,
                }
            )
        )
        wizard.action_merge()

    def test_merge_of_an_archived_contact_into_a_live_one(self):
        twin = self.create_contact("Twin", comment="Old note")
        twin.retention_date = self.later
        policy = self.create_policy("res.partner")
        twin._archive(
            {
                "archive_policy_id": policy.id,
                "archive_reason_id": self.reason.id,
            }
        )
        self.contact.retention_date = self.sooner
        self._merge(self.contact | twin, self.contact)
        self.assertFalse(twin.exists())
        self.assertRecordValues(
            self.contact,
            [
                {
                    "active": True,
                    "archive_state": "live",
                    "archive_date": False,
                    "archive_user_id": False,
                    "archive_policy_id": False,
                    "archive_reason_id": False,
                    "archive_snapshot": False,
                    "retention_date": self.later,
                }
            ],
        )
        self.assertIn("Old note", self.contact.comment)

    def test_merge_of_a_live_contact_into_an_archived_one(self):
        twin = self.create_contact("Twin")
        twin._archive()
        self._merge(self.contact | twin, twin)
        self.assertRecordValues(
            twin, [{"active": True, "archive_state": "live", "archive_date": False}]
        )

    def test_merge_of_two_archived_contacts(self):
        twin = self.create_contact("Twin")
        (self.contact | twin)._archive()
        self._merge(self.contact | twin, twin)
        self.assertRecordValues(twin, [{"active": False, "archive_state": "archived"}])

    def test_merge_of_leads(self):
        live = self.create_lead("Live", type="lead")
        live.retention_date = self.later
        self.lead.retention_date = self.sooner
        self.lead._archive()
        head = (self.lead | live).with_user(self.seller).merge_opportunity()
        self.assertEqual(head, self.lead, "an opportunity goes before a lead")
        self.assertRecordValues(
            head,
            [
                {
                    "active": True,
                    "archive_state": "live",
                    "retention_date": self.later,
                }
            ],
        )

    def test_examples_are_off(self):
        examples = self.env["crm.archive.category"].with_context(active_test=False)
        examples = examples.search([("legal_basis", "=like", "EXAMPLE%")])
        self.assertEqual(len(examples), 4)
        self.assertFalse(any(examples.mapped("active")))
        self.assertTrue(
            all(name.startswith("Example") for name in examples.mapped("name"))
        )
