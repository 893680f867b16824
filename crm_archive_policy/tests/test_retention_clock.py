"""Retention counts in UTC by the clock of the database, whatever else the time is."""

import json
from datetime import date, datetime, timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import HttpCase, tagged

from .attack_common import Attacker
from .common import ArchiveCase


@tagged("post_install", "-at_install")
class TestRetentionClock(ArchiveCase, HttpCase):
    def set_clock(self, now):
        """Set what the database says the time is, for the rest of the test."""
        patcher = patch.object(type(self.env.cr), "now", lambda cursor: now)
        patcher.start()
        self.addCleanup(patcher.stop)

    def set_server_clock(self, now):
        """Set the clock of the machine that Odoo runs on."""
        for name, value in (("today", now.date()), ("context_today", now.date())):
            patcher = patch.object(
                fields.Date, name, lambda *args, value=value: value, create=True
            )
            patcher.start()
            self.addCleanup(patcher.stop)

    def create_category(self, number, unit="years", **values):
        return self.env["crm.archive.category"].create(
            {
                "name": f"{number} {unit}",
                "minimum_number": number,
                "minimum_unit": unit,
                **values,
            }
        )

    def test_clock_of_the_server_is_wrong(self):
        """Years ahead or behind: neither shortens nor lengthens anything."""
        leap, year = self.create_category(366, "days"), self.create_category(1)
        self.set_clock(datetime(2023, 3, 1, 12))
        for server in (
            datetime(2024, 2, 1),
            datetime(2020, 1, 1),
            datetime(2099, 1, 1),
        ):
            self.set_server_clock(server)
            with self.subTest(server=server):
                # 366 days from March 2023 end on the day that a year does.
                self.assertFalse(leap._is_stricter_than(year))
                self.assertFalse(year._is_stricter_than(leap))
                lead = self.create_lead("Of today")
                lead._archive({"archive_category_id": year.id})
                self.assertEqual(lead.retention_date, date(2024, 3, 1))

    def test_clock_forward_and_back(self):
        """A date that was set while the clock was ahead stays; only extended."""
        category = self.create_category(1)
        self.set_clock(datetime(2030, 5, 5, 12))
        self.lead._archive({"archive_category_id": category.id})
        self.assertEqual(self.lead.retention_date, date(2031, 5, 5))
        self.set_clock(datetime(2029, 5, 5, 12))
        self.lead._extend_retention()
        self.lead._extend_retention(category)
        self.assertEqual(self.lead.retention_date, date(2031, 5, 5))
        self.assertNotIn(self.lead, self.find_ended())
        self.set_clock(datetime(2031, 5, 5, 23, 59))
        self.assertNotIn(self.lead, self.find_ended(), "the day itself is kept")
        self.set_clock(datetime(2031, 5, 6, 0, 0))
        self.assertIn(self.lead, self.find_ended())

    def find_ended(self):
        model = self.env["crm.lead"].with_context(active_test=False)
        return model.search(model._get_retention_ended_domain())

    def test_leap_day(self):
        self.set_clock(datetime(2028, 2, 29, 12))
        for number, until in ((1, date(2029, 2, 28)), (4, date(2032, 2, 29))):
            lead = self.create_lead("Leaping")
            lead._archive({"archive_category_id": self.create_category(number).id})
            self.assertEqual(lead.retention_date, until)

    def test_time_zones_of_people(self):
        """The last minute of a day in UTC is another day nearly everywhere."""
        category = self.create_category(1, "days")
        self.set_clock(datetime(2030, 5, 5, 23, 59))
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"):
            self.manager.tz = zone
            lead = self.create_lead("In a zone")
            in_zone = lead.with_user(self.manager).with_context(tz=zone)
            in_zone._archive({"archive_category_id": category.id})
            with self.subTest(zone=zone):
                self.assertEqual(lead.retention_date, date(2030, 5, 6))

    def test_only_extended_through_rpc(self):
        """By whoever writes, in any time zone; earlier with a manager and a reason."""
        until = self.env.cr.now().date() + timedelta(days=100)
        self.lead.retention_date = until
        for user in (self.seller, self.manager):
            spy = Attacker(self, user, {"tz": "Pacific/Kiritimati"})
            for value in (until - timedelta(days=1), False):
                values = {"retention_date": value and value.isoformat()}
                with self.subTest(user=user.login, value=value):
                    answer = spy.call("crm.lead", "write", self.lead.ids, values)
                    error = json.loads(answer)["error"]["data"]
                    self.assertIn("can only be extended", error["message"])
            self.lead.invalidate_recordset()
            self.assertEqual(self.lead.retention_date, until)
            until += timedelta(days=1)
            answer = spy.call(
                "crm.lead",
                "write",
                self.lead.ids,
                {"retention_date": until.isoformat()},
            )
            self.assertIs(json.loads(answer)["result"], True)
        self.lead.invalidate_recordset()
        self.assertEqual(self.lead.retention_date, until)
