from contextlib import contextmanager
from unittest.mock import patch

from dateutil.relativedelta import relativedelta

from odoo.fields import Date
from odoo.sql_db import Cursor
from odoo.tests import tagged
from odoo.tools import SQL

from ..models import crm_archive_mixin_write
from .common import ArchiveCase

#: More than the ORM itself writes in one statement.
MANY = 130


@tagged("post_install", "-at_install")
class TestCost(ArchiveCase):
    """What a batch costs is counted in statements: a clock would tell lies."""

    def _create_many(self, count=MANY, model="crm.lead"):
        values = {"probability": 20} if model == "crm.lead" else {}
        records = self.env[model].create(
            [{"name": f"Many {number}", **values} for number in range(count)]
        )
        self.age(records, years=3)
        return records

    @contextmanager
    def _statements(self):
        """Collect the statements that are executed, with their values."""
        statements = []
        execute = Cursor.execute

        def collect(cursor, query, params=None, log_exceptions=True):
            statements.append(query.code if isinstance(query, SQL) else str(query))
            return execute(cursor, query, params, log_exceptions)

        self.env.flush_all()
        self.env.invalidate_all()
        with patch.object(Cursor, "execute", collect):
            yield statements
            self.env.flush_all()

    def _updates(self, statements, table):
        return [
            text for text in statements if text.split()[:2] == ["UPDATE", f'"{table}"']
        ]

    def _stored(self, records, *names):
        """Return what is in the database, past the cache."""
        columns = SQL(", ").join(map(SQL.identifier, names))
        return self.env.execute_query(
            SQL(
                "SELECT DISTINCT %s FROM %s WHERE id = ANY(%s)",
                columns,
                SQL.identifier(records._table),
                records.ids,
            )
        )

    # ------------------------------------------------------------
    # A batch
    # ------------------------------------------------------------

    def test_one_update_a_batch(self):
        for model in ("crm.lead", "res.partner"):
            with self.subTest(model=model):
                records = self._create_many(model=model)
                policy = self.create_policy(model, domain="[('name', 'like', 'Many')]")
                with self._statements() as statements:
                    run = self.run_policy(policy)
                self.assertEqual(run.archived_count, MANY)
                updates = self._updates(statements, records._table)
                self.assertEqual(len(updates), 1, updates)
                self.assertEqual(
                    self._stored(records, "active", "archive_state", "write_uid"),
                    [(False, "archived", self.env.uid)],
                )

    def test_queries_do_not_grow_with_the_batch(self):
        category = self.env["crm.archive.category"].create(
            {"name": "Ten years", "minimum_number": 10, "minimum_unit": "years"}
        )
        for model in ("crm.lead", "res.partner"):
            counts = []
            for count in (20, 20, MANY):  # the first one fills caches
                self._create_many(count, model)
                policy = self.create_policy(
                    model,
                    domain="[('name', 'like', 'Many')]",
                    category_id=category.id,
                )
                with self._statements() as statements:
                    run = self.run_policy(policy)
                self.assertEqual(run.archived_count, count)
                counts.append(len(statements))
            with self.subTest(model=model):
                self.assertEqual(counts[1], counts[2])

    def test_a_batch_reads_no_whole_rows(self):
        """The description of a lead is none of archiving's business."""
        self._create_many(20)
        policy = self.create_policy(domain="[('name', 'like', 'Many')]")
        with self._statements() as statements:
            run = self.run_policy(policy)
        self.assertEqual(run.archived_count, 20)
        read = [text for text in statements if '"crm_lead"."description"' in text]
        self.assertEqual(read, [])

    # ------------------------------------------------------------
    # The statement says what the ORM would have said
    # ------------------------------------------------------------

    def test_different_values_stay_different(self):
        leads = self._create_many(30)
        leads[:12]._move({"retention_date": "2050-01-01"})
        leads[12:15]._move({"retention_date": "2060-01-01"})
        leads[15:]._move({"archive_snapshot": {"probability": 5}})
        leads._archive({"archive_reason_id": self.reason.id})
        self.env.flush_all()
        for part, date, snapshot in (
            (leads[:12], Date.to_date("2050-01-01"), None),
            (leads[12:15], Date.to_date("2060-01-01"), None),
            (leads[15:], None, None),
        ):
            self.assertEqual(
                self._stored(
                    part, "retention_date", "archive_reason_id", "archive_state"
                ),
                [(date, self.reason.id, "archived")],
            )
            self.assertEqual(self._stored(part, "archive_snapshot"), [(snapshot,)])

    def test_values_by_company_stay_with_the_orm(self):
        """They are merged into what other companies have, not written over it."""
        contacts = self._create_many(20, "res.partner")
        other = self.env["res.company"].create({"name": "Other company"})
        for contact in contacts:
            contact.with_company(other).barcode = f"theirs {contact.id}"
        self.env.flush_all()
        for contact in contacts:
            contact.barcode = f"ours {contact.id}"
        contacts._archive()
        self.env.flush_all()
        self.env.invalidate_all()
        for contact in contacts:
            self.assertEqual(contact.barcode, f"ours {contact.id}")
            theirs = contact.with_company(other).barcode
            self.assertEqual(theirs, f"theirs {contact.id}")
        self.assertEqual(self._stored(contacts, "archive_state"), [("archived",)])

    def test_others_write_as_ever(self):
        """What has nothing to do with the lifecycle is left to the ORM."""
        leads = self._create_many(20)
        mixin = type(self.env["crm.lead"])

        def refuse(*_args):
            raise AssertionError("not the lifecycle's")

        self.patch(mixin, "_write_same_values", refuse)
        leads.write({"referred": "A friend"})
        self.env.flush_all()
        self.assertEqual(self._stored(leads, "referred"), [("A friend",)])

    def test_few_are_left_to_the_orm(self):
        few = crm_archive_mixin_write.SAME_VALUES_MIN - 1
        leads = self._create_many(few)
        with self._statements() as statements:
            leads._archive()
        self.assertIn("__tmp", " ".join(self._updates(statements, "crm_lead")))
        self.assertEqual(self._stored(leads, "archive_state"), [("archived",)])

    # ------------------------------------------------------------
    # Retention
    # ------------------------------------------------------------

    def _create_category(self, years, event):
        return self.env["crm.archive.category"].create(
            {
                "name": f"{years} years from {event}",
                "minimum_number": years,
                "minimum_unit": "years",
                "start_event": event,
            }
        )

    def test_retention_is_asked_for_once(self):
        calls = []
        extend = type(self.env["crm.lead"])._extend_retention

        def counting(records, *args):
            calls.append(records)
            return extend(records, *args)

        self.patch(type(self.env["crm.lead"]), "_extend_retention", counting)
        policy = self.create_policy(
            domain=f"[('id', '=', {self.lead.id})]",
            category_id=self._create_category(5, "archive").id,
        )
        self.run_policy(policy)
        self.assertEqual(calls, [self.lead])
        self.assertEqual(
            self.lead.retention_date, Date.today() + relativedelta(years=5)
        )

    def test_category_of_the_policy_counts_beside_a_stricter_one(self):
        """Which one ends later is another question than which one is stricter."""
        own = self._create_category(10, "creation")
        self.age(self.lead, years=8)
        self.lead.archive_category_id = own
        policy = self.create_policy(
            domain=f"[('id', '=', {self.lead.id})]",
            category_id=self._create_category(5, "archive").id,
        )
        self.run_policy(policy)
        self.assertEqual(self.lead.archive_category_id, own)
        self.assertEqual(
            self.lead.retention_date, Date.today() + relativedelta(years=5)
        )

    # ------------------------------------------------------------
    # Daily screens
    # ------------------------------------------------------------

    def test_lists_read_none_of_the_rest(self):
        """Of all our columns a list only reads the state and what the rule needs."""
        for record in (self.lead, self.contact):
            ours = {
                name
                for name, field in record._fields.items()
                if field.store
                and field.column_type
                and (name.startswith("archive_") or name == "retention_date")
            }
            prefetched = {n for n in ours if record._fields[n].prefetch is True}
            self.assertEqual(prefetched, {"archive_state", "archive_restricted"})
            record.invalidate_recordset()
            with self._statements() as statements:
                record.read(sorted(ours))
            selects = [
                text for text in statements if f'"{record._table}"."archive_' in text
            ]
            self.assertEqual(len(selects), 1, "and a form reads them all at once")
