from contextlib import contextmanager
from unittest.mock import patch

from psycopg2 import OperationalError

from odoo.tests import tagged

from ..lib import faults
from ..models import crm_archive_run_purge, crm_archive_run_restore
from .vault_purge_common import PurgeCase


@tagged("post_install", "-at_install")
class TestVaultConflict(PurgeCase):
    """What a run does when somebody else changes the same rows."""

    @contextmanager
    def _conflict_in_second(self, name):
        """Let the second batch meet a conflict, once."""
        reached = []

        def stop(point):
            if point == name:
                reached.append(point)
                if len(reached) == 2:
                    raise OperationalError(point)

        with faults.hooked(stop):
            yield
        self.assertEqual(len(reached), 3)

    def test_purge_tries_the_batch_again(self):
        leads = self.create_lead("One") + self.create_lead("Two")
        purge = self.ask(self.vault(self.archive(leads)))
        with (
            patch.object(crm_archive_run_purge, "PURGE_BATCH", 1),
            self._conflict_in_second("purge: decided"),
        ):
            self.approve(purge)
        self.assertEqual((purge.state, purge.done_count), ("done", 2))

    def test_restore_tries_the_batch_again(self):
        leads = self.create_lead("One") + self.create_lead("Two")
        entries = self.vault(self.archive(leads))
        runs = self.env["crm.archive.run"]
        run = runs._start_restore(entries, {"cause": "mistake"}, {})
        with (
            patch.object(crm_archive_run_restore, "RESTORE_BATCH", 1),
            self._conflict_in_second("restore: rows inserted"),
        ):
            self.run_cron()
        self.assertEqual(len(leads.exists()), 2)
        self.assertEqual((run.state, run.restored_count), ("done", 2))
