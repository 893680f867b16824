import errno
import os
from datetime import timedelta
from functools import partial, partialmethod
from pathlib import Path
from unittest.mock import patch

from psycopg2 import OperationalError

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..lib import codec, faults, frames
from ..lib.bundle import (
    BundleCorrupt,
    BundleForeign,
    BundleKeyDestroyed,
    BundleKeyError,
    BundleTooLarge,
    BundleTruncated,
    Keyring,
    Spec,
    object_key,
)
from ..lib.header import Header
from ..lib.stores import LocalStore, ObjectNotFound, StoreFull, StoreTemporary
from ..models import crm_archive_bundle, crm_archive_run_restore
from ..vault.report import RestoreRefused
from .vault_upkeep_common import UpkeepCase

SCHEDULE = "odoo.addons.crm_archive_policy.models.crm_archive_run_schedule"
RUN = "odoo.addons.crm_archive_policy.models.crm_archive_run"


class FaultCase(UpkeepCase):
    """A policy whose archived leads are due for a folder that fails."""

    def setUp(self):
        super().setUp()
        self.env.company.archive_store_id = self.store
        self.policy = self.create_policy(
            domain=[("name", "like", "Lead")], vault_enabled=True, vault_after_days=0
        )

    def make_due(self, count=3):
        leads = self.archive_leads(count)
        leads._move({"archive_policy_id": self.policy.id})
        self.env.flush_all()
        return leads

    def get_run(self, kind="vault"):
        return self.env["crm.archive.run"].search([("kind", "=", kind)], limit=1)

    def run_again(self, run):
        """Run the scheduled action when the failed run may be tried again."""
        run.date_retry = fields.Datetime.now() - timedelta(minutes=1)
        with mute_logger(SCHEDULE, RUN):
            self.run_cron()

    def path(self, bundle):
        return Path(self.root, "folder", object_key(bundle.name))

    def fail_at(self, point, act, times=None):
        """Call `act` whenever a fault point is reached.

        :param times: not more often than that
        :return: context manager
        """
        left = [times]

        def hook(name):
            if name == point and left[0] != 0:
                left[0] = left[0] and left[0] - 1
                act()

        return faults.hooked(hook)

    def assertAllLive(self, leads):
        self.assertEqual(leads.exists(), leads)
        self.assertEqual(set(leads.mapped("archive_state")), {"archived"})
        self.assertFalse(self.find_entries(leads))

    def find_entries(self, leads):
        return self.env["crm.archive.entry"]._find_for("crm.lead", leads.ids)

    def assertAllVaulted(self, leads):
        self.assertFalse(leads.exists())
        entries = self.find_entries(leads)
        self.assertEqual(sorted(entries.mapped("res_id")), sorted(leads.ids))
        self.assertEqual(set(entries.bundle_id.mapped("state")), {"used"})

    def assertStillVaulted(self, leads):
        self.env.invalidate_all()
        self.assertFalse(leads.exists())
        self.assertEqual(len(self.find_entries(leads)), len(leads))


def fail(number):
    """Fail as the operating system does."""
    raise OSError(number, os.strerror(number))


@tagged("post_install", "-at_install")
class TestStoreFails(FaultCase):
    """B1: a store that is full, or does not answer."""

    def test_once(self):
        for number, words in (
            (errno.ENOSPC, "The store is full"),
            (errno.EIO, "does not answer as it should"),
        ):
            with self.subTest(number):
                leads = self.make_due()
                with (
                    self.fail_at("local.fsync", partial(fail, number), times=1),
                    mute_logger(SCHEDULE),
                ):
                    self.run_cron()
                run = self.get_run()
                self.assertEqual((run.state, run.try_count), ("waiting", 1))
                self.assertIn(words, run.error)
                self.assertGreater(run.date_retry, fields.Datetime.now())
                self.assertAllLive(leads)
                self.run_cron()
                self.assertEqual(run.state, "waiting", "not before its time")
                self.run_again(run)
                self.assertEqual((run.state, run.error), ("done", False))
                self.assertEqual((run.vaulted_count, run.error_count), (3, 0))
                self.assertAllVaulted(leads)

    def test_always(self):
        leads = self.make_due()
        with self.fail_at("local.fsync", partial(fail, errno.ENOSPC)):
            with mute_logger(SCHEDULE):
                self.run_cron()
            run = self.get_run()
            for _attempt in range(3):
                self.assertEqual(run.state, "waiting")
                self.run_again(run)
        self.assertEqual(run.state, "failed")
        self.assertIn("The store is full", run.error)
        self.assertAllLive(leads)
        message = self.env["mail.message"].search(
            [("subject", "=", f"Archiving failed: {self.policy.name}")]
        )
        self.assertIn(self.manager.partner_id, message.notified_partner_ids)
        self.assertIn("The store is full", message.body)

    def test_button(self):
        leads = self.make_due()
        with (
            self.fail_at("local.fsync", partial(fail, errno.EDQUOT)),
            self.assertRaisesRegex(UserError, "quota"),
        ):
            self.policy.action_run()
        self.assertAllLive(leads)

    def test_restore_waits_for_the_store(self):
        leads = self.make_due()
        self.run_cron()
        entries = self.find_entries(leads)
        run = self.env["crm.archive.run"]._start_restore(entries, {}, {})
        unreadable = patch.object(LocalStore, "_open", lambda *args: fail(errno.EIO))
        with unreadable, mute_logger(SCHEDULE):
            self.run_cron()
        self.assertEqual((run.state, run.error_count), ("waiting", 0))
        self.assertIn("does not answer", run.error)
        self.assertStillVaulted(leads)
        self.run_again(run)
        self.assertEqual((run.state, run.restored_count), ("done", 3))
        self.assertEqual(leads.exists(), leads)

    def test_restore_gives_up(self):
        leads = self.make_due()
        self.run_cron()
        entries = self.find_entries(leads)
        runs = self.env["crm.archive.run"].with_user(self.officer)
        run = runs._start_restore(entries, {}, {}).sudo()
        with patch.object(LocalStore, "_open", lambda *args: fail(errno.EIO)):
            for _attempt in range(4):
                self.run_again(run)
        self.assertEqual(run.state, "failed")
        self.assertStillVaulted(leads)
        message = self.env["mail.message"].search(
            [("subject", "=", f"Restoring failed: {run.name}")]
        )
        told = message.notified_partner_ids
        self.assertLessEqual(self.officer.partner_id | self.manager.partner_id, told)

    def test_attempts_begin_anew_after_progress(self):
        """Four troubles in a long run are no reason to give up."""
        leads = self.make_due()
        self.run_cron()
        entries = self.find_entries(leads)
        run = self.env["crm.archive.run"]._start_restore(entries, {}, {})
        fails = patch.object(LocalStore, "_open", lambda *args: fail(errno.EIO))
        self.patch(crm_archive_run_restore, "RESTORE_BATCH", 1)
        with fails:
            for attempt in (1, 2):
                self.run_again(run)
                self.assertEqual(run.try_count, attempt)
        bring_back = partialmethod(self.fail_second, [], type(entries)._restore)
        with patch.object(type(entries), "_restore", bring_back):
            self.run_again(run)
        self.assertEqual((run.state, run.restored_count), ("waiting", 1))
        self.assertEqual(run.try_count, 1, "the first since something was done")

    @staticmethod
    def fail_second(entries, calls, restore, *args):
        calls.append(entries)
        if len(calls) == 2:
            raise StoreTemporary("no answer")
        return restore(entries, *args)

    def test_nothing_done_is_no_progress(self):
        """What is refused again at each attempt does not make them endless."""
        leads = self.make_due()
        self.run_cron()
        entries = self.find_entries(leads)
        run = self.env["crm.archive.run"]._start_restore(entries, {}, {})
        self.patch(crm_archive_run_restore, "RESTORE_BATCH", 1)
        for attempt in (1, 2):
            bring_back = partialmethod(self.fail_second, [], self.refuse)
            with patch.object(type(entries), "_restore", bring_back):
                self.run_again(run)
            self.assertEqual((run.state, run.try_count), ("waiting", attempt))
            self.assertEqual(run.done_count, attempt)

    @staticmethod
    def refuse(entries, *args):
        raise RestoreRefused([])

    def test_conflict_is_tried_again_at_once(self):
        """The plan of the run is as it was before the step that was rolled back."""
        for point in ("vault: object written", "vault: rows deleted"):
            with self.subTest(point):
                leads = self.make_due()

                def conflict():
                    raise OperationalError("could not serialize access")

                with self.fail_at(point, conflict, times=1):
                    self.run_cron()
                run = self.get_run()
                self.assertEqual((run.state, run.vaulted_count), ("done", 3))
                self.assertEqual(run.error_count, 0)
                self.assertAllVaulted(leads)


@tagged("post_install", "-at_install")
class TestStoreLies(FaultCase):
    """B2, B3, B4, B6, B7: the store gives back something else than it was given."""

    def assertRefused(self, leads, error):
        """Nothing comes back, and the bundle is on record as damaged."""
        entries = self.find_entries(leads)
        bundle = entries.bundle_id
        try:
            with self.env.cr.savepoint(), self.assertRaises(error):
                entries._restore()
                self.fail("it was restored")
        finally:
            self.env.invalidate_all()
        self.assertStillVaulted(leads)
        wizard = self.env["crm.archive.vault.restore"]
        with self.assertRaises(UserError):
            wizard.create({"entry_ids": entries.ids}).with_context(
                restore_cause="came_back"
            ).action_restore()
        self.assertStillVaulted(leads)
        self.assertEqual(bundle.state, "used", "rolled back with everything else")
        with self.enter_registry_test_mode():
            self.env.cr.postrollback.run()
        self.env.invalidate_all()
        self.assertEqual(bundle.state, "damaged")
        self.assertIn(error.__name__, bundle.trouble)
        lines = self.env["crm.archive.log"].search(
            [("action", "=", "verify"), ("res_model", "=", bundle._name)]
        )
        lines = lines.filtered(lambda line: line.res_id == bundle.id)
        self.assertEqual(len(lines), 1)

    def test_truncated(self):
        leads = self.archive_leads()
        path = self.path(self.vault(leads))
        data = path.read_bytes()
        entry = self.find_entries(leads)[0]
        path.write_bytes(data[: entry.place_offset + entry.place_length // 2])
        self.assertRefused(leads, BundleTruncated)
        # Put back from a backup, it is whole again.
        path.write_bytes(data)
        self.find_entries(leads)._restore()
        self.assertEqual(leads.exists(), leads)

    def test_flipped(self):
        """One damaged record keeps all that are asked for with it in the vault; the
        sound ones come back alone."""
        leads = self.archive_leads()
        bundle = self.vault(leads)
        last = self.find_entries(leads[2])
        self.flip(self.path(bundle), last.place_offset + last.place_length // 2)
        self.assertRefused(leads, BundleCorrupt)
        self.find_entries(leads[:2])._restore()
        self.assertEqual(leads.exists(), leads[:2])
        self.assertEqual(self.find_entries(leads), last)

    def flip(self, path, offset):
        data = bytearray(path.read_bytes())
        data[offset] ^= 1
        path.write_bytes(data)

    def test_missing(self):
        leads = self.archive_leads()
        self.path(self.vault(leads)).unlink()
        self.assertRefused(leads, ObjectNotFound)

    def test_another_object_under_the_key(self):
        one, other = self.archive_leads(1), self.archive_leads(1)
        sound, bundle = self.vault(one), self.vault(other)
        self.path(bundle).write_bytes(self.path(sound).read_bytes())
        self.assertRefused(other, BundleForeign)
        self.find_entries(one)._restore()

    def test_older_version_replayed(self):
        lead = self.archive_leads(1)
        old = self.path(self.vault(lead)).read_bytes()
        self.find_entries(lead)._restore()
        lead.description = "Newer"
        lead._archive({"archive_reason_id": self.reason.id})
        bundle = self.vault(lead)
        self.path(bundle).write_bytes(old)
        self.assertRefused(lead, BundleForeign)

    def test_another_database(self):
        """An object that another database has written stands in for ours."""
        lead = self.archive_leads(1)
        bundle = self.vault(lead)
        bundle.database_uuid = "00000000-0000-0000-0000-000000000000"
        self.assertRefused(lead, BundleForeign)

    def test_decompression_bomb(self):
        """What a frame may unpack to stands in the header, which the index vouches
        for."""
        lead = self.archive_leads(1)
        limits = {"record": 1 << 20, "row": 1 << 20}
        with patch.object(crm_archive_bundle, "Spec", partial(Spec, limits=limits)):
            bundle = self.vault(lead)
        entry = self.find_entries(lead)
        length = self.plant_bomb(self.path(bundle), entry)
        self.env.cr.execute(
            "UPDATE crm_archive_entry SET place_length = %s, place_digest = NULL"
            " WHERE id = %s",
            [length, entry.id],
        )
        entry.invalidate_recordset()
        self.assertRefused(lead, BundleTooLarge)

    def plant_bomb(self, path, entry):
        """Put a frame of some kilobytes there that unpacks to 64 MB.

        :return: its length
        """
        with path.open("r+b") as file:
            header, binding = Header.read(frames.Cursor(file, 0))
            stream = codec.get(header.compression).compressor()
            bomb = stream.compress(
                b'{"blobs":[],"id":%d,"meta":{}}\n0\n' % entry.res_id
            )
            for _number in range(64):
                bomb += stream.compress(bytes(1 << 20))
            bomb += stream.flush()
            file.seek(entry.place_offset)
            prefix = frames.Prefix(frames.RECORD, 1, entry.res_id, 0)
            frame = frames.FrameWriter(file, binding, prefix)
            for start in range(0, len(bomb), frames.CHUNK):
                frame.write(bomb[start : start + frames.CHUNK])
            frame.close()
        return frame.length

    def test_put_and_gone(self):
        """The store said it had the object, and does not; or not what was written."""
        leads = self.archive_leads()

        def each(act):
            for path in Path(self.root, "folder").rglob("*.crmarc*"):
                act(path)

        for act, error in (
            (Path.unlink, ObjectNotFound),
            (lambda path: self.flip(path, 100), BundleCorrupt),
        ):
            with (
                self.subTest(error.__name__),
                self.fail_at("vault: object written", partial(each, act)),
                self.env.cr.savepoint(),
                self.assertRaises(error),
            ):
                self.env["crm.archive.bundle"]._write_records(leads)
            self.assertAllLive(leads)
            self.assertFalse(self.env["crm.archive.bundle"].search([]))

    def test_key_ring_put_and_gone(self):
        self.set_master_key()
        self.store.encrypt = True
        leads = self.archive_leads()
        committed = []

        def spoil(act):
            """Spoil the key ring as soon as it is there: the object came before."""
            for path in Path(self.root, "folder").rglob("*.keys"):
                committed.append(path)
                act(path)

        for act, error in (
            (Path.unlink, ObjectNotFound),
            (lambda path: self.flip(path, 200), BundleCorrupt),
        ):
            with (
                self.subTest(error.__name__),
                self.fail_at("store.committed", partial(spoil, act)),
                self.env.cr.savepoint(),
                self.assertRaises(error),
            ):
                self.env["crm.archive.bundle"]._write_records(leads)
            self.assertAllLive(leads)
        self.assertTrue(committed)

    def test_full_while_parts_are_written(self):
        leads = self.archive_leads()
        with (
            self.fail_at("local.rename", partial(fail, errno.ENOSPC)),
            self.assertRaises(StoreFull),
        ):
            self.env["crm.archive.bundle"]._write_records(leads)
        self.assertAllLive(leads)
        self.assertFalse(list(Path(self.root).rglob(".part-*")), "nothing half is left")


@tagged("post_install", "-at_install")
class TestKeys(FaultCase):
    """B5: a key that is not there says nothing against the data."""

    def setUp(self):
        super().setUp()
        self.set_master_key()
        self.store.encrypt = True
        self.leads = self.archive_leads()
        self.bundle = self.vault(self.leads)

    def test_missing_or_wrong(self):
        for keys in ("", "other:" + "22" * 32, "k:" + "22" * 32):
            with self.subTest(keys):
                self.set_server(master_keys=keys)
                entries = self.find_entries(self.leads)
                # A note would be written when this transaction ends: look at it now.
                with patch.object(type(self.bundle), "_mark_damaged") as mark:
                    with self.env.cr.savepoint(), self.assertRaises(BundleKeyError):
                        entries._restore()
                    mark.assert_not_called()
                with self.assertRaisesRegex(UserError, "master key") as caught:
                    entries.action_restore()
                self.assertNotRegex(str(caught.exception), "corrupt|damaged")
                self.assertStillVaulted(self.leads)
                self.assertEqual(self.bundle.state, "used")
                self.assertFalse(self.bundle.trouble)
        self.set_master_key()
        self.find_entries(self.leads)._restore()
        self.assertEqual(self.leads.exists(), self.leads)

    def test_missing_for_a_run(self):
        self.set_server(master_keys="")
        entries = self.find_entries(self.leads)
        run = self.env["crm.archive.run"]._start_restore(entries, {}, {})
        with mute_logger(RUN, SCHEDULE):
            self.run_cron()
        # Told once; no record is to blame, so none is noted.
        self.assertEqual((run.state, run.error_count), ("waiting", 0))
        self.assertIn("master key is missing", run.error)
        self.assertStillVaulted(self.leads)
        self.assertEqual(self.bundle.state, "used")
        self.set_master_key()
        self.run_again(run)
        self.assertEqual((run.state, run.restored_count), ("done", 3))

    def test_destroyed_for_a_run(self):
        """The key of one record is the trouble of that record only."""
        entries = self.find_entries(self.leads)
        run = self.env["crm.archive.run"]._start_restore(entries, {}, {})
        destroyed = patch.object(
            Keyring,
            "data_key",
            autospec=True,
            side_effect=partial(self.destroy_one, Keyring.data_key),
        )
        with destroyed, mute_logger(RUN):
            self.run_cron()
        self.assertEqual((run.state, run.error_count), ("done", 1))
        self.assertEqual(run.restored_count, 2)
        self.assertIn("erased for good", run.error_ids.message)

    def destroy_one(self, get_key, keyring, record_id, *args):
        if record_id == self.leads[1].id:
            raise BundleKeyDestroyed("its key was destroyed")
        return get_key(keyring, record_id, *args)

    def test_no_key_to_write_with(self):
        leads = self.archive_leads()
        self.set_server(master_keys="")
        with self.assertRaisesRegex(UserError, "no master key"):
            self.env["crm.archive.bundle"]._write_records(leads)
        self.assertAllLive(leads)

    def test_rotated(self):
        old = os.environ["CRM_ARCHIVE_MASTER_KEYS"]
        self.set_server(master_keys=f"new:{'33' * 32} {old}")
        self.store.action_rotate_keys()
        self.set_server(master_keys=f"new:{'33' * 32}")
        self.find_entries(self.leads)._restore()
        self.assertEqual(self.leads.exists(), self.leads)


@tagged("post_install", "-at_install")
class TestOneRecord(FaultCase):
    """B8, and whatever else is wrong with one record: the others go on."""

    def assertOnlyRefused(self, leads, refused, *words):
        """The run refuses these records with these words, and takes the others."""
        with mute_logger(RUN):
            self.run_cron()
        run = self.get_run()
        self.assertEqual(run.state, "done")
        self.assertEqual(leads.exists(), refused)
        self.assertAllVaulted(leads - refused)
        self.assertEqual(run.vaulted_count, len(leads - refused))
        self.assertEqual(run.error_count, len(refused))
        errors = {error.res_id: error.message for error in run.error_ids}
        self.assertEqual(sorted(errors), refused.ids)
        for lead, text in zip(refused, words, strict=True):
            self.assertIn(text, errors[lead.id])
        return run

    def test_files(self):
        leads = self.make_due(5)
        attachments = self.env["ir.attachment"].search(
            [("res_model", "=", "crm.lead"), ("res_id", "in", leads[:3].ids)],
            order="res_id",
        )
        paths = [Path(a._full_path(a.store_fname)) for a in attachments]
        for path in paths:
            self.addCleanup(path.write_bytes, path.read_bytes())
        missing, cut, other = paths
        missing.unlink()
        cut.write_bytes(cut.read_bytes()[:-1])
        other.write_bytes(other.read_bytes().swapcase())
        words = [f"The file of the attachment {a.id} is missing" for a in attachments]
        with mute_logger("odoo.addons.base.models.ir_attachment"):
            self.assertOnlyRefused(leads, leads[:3], *words)
        for path in Path(self.root).rglob("*.part-*"):
            self.fail(f"{path} was left behind")

    def test_check_of_another_module(self):
        leads = self.make_due(5)
        bad = leads[3]

        def refuse(records):
            if bad in records:
                raise UserError("A module objects.")  # pylint: disable=translation-required

        model = type(self.env["crm.lead"])
        with patch.object(model, "_ondelete_methods", [refuse]):
            run = self.assertOnlyRefused(leads, bad, "A module objects.")
        bundle = self.find_entries(leads).bundle_id
        self.assertEqual(bundle.unused_ids, bad.ids)
        self.assertEqual(run.changed_count, 0)

    def test_bug_of_another_module(self):
        leads = self.make_due(5)
        bad = leads[0]
        original = type(self.env["crm.lead"])._check_vaultable

        def check(records):
            if bad in records:
                raise ZeroDivisionError("a bug")
            return original(records)

        with patch.object(type(self.env["crm.lead"]), "_check_vaultable", check):
            self.assertOnlyRefused(leads, bad, "a bug")

    def test_guard_keeps_from_writing(self):
        """What a guard keeps is not written in vain, day after day."""
        leads = self.make_due(3)
        leads[1].activity_schedule("mail.mail_activity_data_todo")
        self.run_cron()
        run = self.get_run()
        self.assertEqual((run.vaulted_count, run.kept_count), (2, 1))
        self.assertEqual(leads.exists(), leads[1])
        bundle = self.find_entries(leads).bundle_id
        self.assertEqual((bundle.record_count, bundle.unused_ids), (2, False))

    def test_bundle_swept_meanwhile(self):
        """A run that was halted for long takes nothing that is not there any more."""
        leads = self.archive_leads()
        written = self.env["crm.archive.bundle"]._write_records(leads)
        written.bundles._retire()
        self.assertFalse(written.take(leads))
        self.assertAllLive(leads)
