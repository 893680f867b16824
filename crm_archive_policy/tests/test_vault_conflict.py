from psycopg2 import OperationalError

from odoo.tests import tagged

from ..lib import faults
from .vault_purge_common import PurgeCase


@tagged("post_install", "-at_install")
class TestVaultConflict(PurgeCase):
    """What a run does when somebody else changes the same rows."""

    def test_restore_tries_the_batch_again(self):
        leads = self.create_lead("One") + self.create_lead("Two")
        entries = self.vault(self.archive(leads))
        runs = self.env["crm.archive.run"]
        run = runs._start_restore(entries, {"cause": "mistake"}, {})
        fired = []

        def stop(point):
            if point == "restore: rows inserted" and not fired:
                fired.append(point)
                raise OperationalError(point)

        with faults.hooked(stop):
            self.run_cron()
        self.assertTrue(fired)
        self.assertEqual(len(leads.exists()), 2)
        self.assertEqual((run.state, run.restored_count), ("done", 2))
