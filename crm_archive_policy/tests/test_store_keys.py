import os
from unittest.mock import patch

from odoo.exceptions import LockError, UserError
from odoo.tests import tagged

from ..lib.bundle import BundleKeyError, Keyring, keyring_key
from ..lib.stores import LocalStore, StoreTemporary
from ..models import crm_archive_store_keys
from ..models.vault_errors import vault_error
from .test_store import StoreCase, make_key

OLD, NEW = f"2025:{make_key('o')}", f"2026:{make_key('n')}"


@tagged("post_install", "-at_install")
class TestStoreKeys(StoreCase):
    """Master keys: where they come from, and how they are changed."""

    def setUp(self):
        super().setUp()
        self.store = self.create_store("keys", encrypt=True, secret_name="vault")
        self.store.threshold_gb = 0

    def add_rings(self, *numbers):
        """Write key rings under the present master key.

        :return: the data key of record 5 in each
        """
        masters = self.store._get_masters()
        keys = {}
        with self.store._open() as opened:
            for number in numbers:
                ring = Keyring(f"{number:032x}", "uuid", masters.current, masters)
                keys[number] = ring.new_key(5)
                opened.put(keyring_key(ring.bundle_id), ring.dumps())
        return keys

    def read_rings(self):
        """Return the bytes of every ring by key."""
        with self.store._open() as opened:
            return {
                stat.key: opened.get(stat.key)
                for stat in opened.iter_objects()
                if stat.key.endswith(".keys")
            }

    def read_keys(self, *numbers):
        masters = self.store._get_masters()
        rings = self.read_rings()
        return {
            number: Keyring.loads(
                rings[keyring_key(f"{number:032x}")], masters
            ).data_key(5)
            for number in numbers
        }

    # -- where they come from ------------------------------------------------------

    def test_no_encryption_no_key(self):
        self.store.encrypt = False
        self.assertIsNone(self.store._get_masters())
        self.set_server(vault_master_keys=NEW)
        self.assertIsNone(self.store._get_masters())
        # What was encrypted before can still be read.
        self.assertEqual(self.store._get_reading_masters().current, "2026")

    def test_a_missing_key_says_how_to_set_it(self):
        for text in (
            "crm_archive_vault_master_keys",
            "CRM_ARCHIVE_VAULT_MASTER_KEYS",
            "openssl rand",
        ):
            with self.assertRaisesRegex(UserError, text):
                self.store._get_masters()
            self.assertIn(text, self.store.setup_hint)
        self.set_server(vault_master_keys=NEW)
        self.assertFalse(self.store.setup_hint)
        self.assertEqual(self.store.key_name, "2026")

    def test_a_missing_key_rings_before_a_run_needs_it(self):
        self.store._check_health()
        self.assertEqual(self.store.error_code, "BundleKeyError")
        self.assertTrue(self.store.activity_ids)
        with self.assertRaisesRegex(UserError, "master key"):
            self.store._check_writable()
        self.set_server(vault_master_keys=NEW)
        self.store._check_writable()
        self.store._check_health()
        self.assertEqual(self.store.state, "ok")
        self.assertFalse(self.store.activity_ids)

    def test_one_key_for_all_stores(self):
        self.set_server(master_keys=OLD)
        self.assertEqual(self.store._get_masters().current, "2025")
        self.set_server(vault_master_keys=NEW)
        self.assertEqual(self.store._get_masters().current, "2026")

    def test_a_malformed_key_is_not_quoted(self):
        self.set_server(vault_master_keys="2026:too-short-but-secret")
        with self.assertRaises(UserError) as caught:
            self.store._get_masters()
        self.assertNotIn("too-short", str(caught.exception))

    def test_a_wrong_key_is_never_called_damage(self):
        self.set_server(vault_master_keys=OLD)
        self.add_rings(1)
        self.set_server(vault_master_keys=f"2025:{make_key('x')}")
        with self.assertRaises(BundleKeyError) as caught:
            self.read_keys(1)
        text = str(vault_error(self.env, caught.exception))
        self.assertIn("master key", text)
        for word in ("corrupt", "damage"):
            self.assertNotIn(word, text)

    # -- rotation ------------------------------------------------------------------

    def test_rotation(self):
        self.set_server(vault_master_keys=OLD)
        keys = self.add_rings(1, 2, 3)
        self.set_server(vault_master_keys=f"{NEW} {OLD}")
        result = self.store.with_user(self.manager).action_rotate_keys()
        self.assertIn("3", result["params"]["message"])
        self.set_server(vault_master_keys=NEW)
        self.assertEqual(self.read_keys(1, 2, 3), keys, "the old key is not needed")
        details = self.get_log("rotate", self.store)._get_details()
        self.assertEqual(details, {"to": "2026", "key_rings": {"2025": 3}})
        before = self.read_rings()
        self.store.action_rotate_keys()
        self.assertEqual(self.read_rings(), before, "nothing left to do")
        self.assertEqual(len(self.get_log("rotate", self.store)), 1)

    def test_rotation_in_the_database_and_with_a_mirror(self):
        self.set_server(vault_master_keys=OLD)
        self.database_store.write({"encrypt": True, "secret_name": "vault"})
        self.database_store.mirror_id = self.store
        store, self.store = self.store, self.database_store
        keys = self.add_rings(1)
        self.set_server(vault_master_keys=f"{NEW} {OLD}")
        self.store.action_rotate_keys()
        self.set_server(vault_master_keys=NEW)
        self.assertEqual(self.read_keys(1), keys)
        self.store = store
        self.assertEqual(self.read_keys(1), keys)

    def test_rotation_with_a_wrong_key_changes_nothing(self):
        self.set_server(vault_master_keys=OLD)
        self.add_rings(1)
        self.set_server(vault_master_keys=f"2024:{make_key('z')}")
        self.add_rings(2)
        before = self.read_rings()
        for keys in (
            f"{NEW} {OLD}",  # one is missing
            f"{NEW} {OLD} 2024:{make_key('x')}",  # one is wrong
        ):
            self.set_server(vault_master_keys=keys)
            with self.subTest(), self.assertRaisesRegex(UserError, "2024"):
                self.store.action_rotate_keys()
            self.assertEqual(self.read_rings(), before)
        self.set_server(vault_master_keys=f"{NEW} {OLD} 2024:{make_key('z')}")
        self.store.action_rotate_keys()
        self.assertNotEqual(self.read_rings(), before)

    def test_rotation_goes_on_where_it_was_stopped(self):
        self.set_server(vault_master_keys=OLD)
        keys = self.add_rings(1, 2, 3)
        self.set_server(vault_master_keys=f"{NEW} {OLD}")
        put, calls = LocalStore.put, []

        def fail_at_second(store, key, *arguments, **options):
            calls.append(key)
            if len(calls) == 2:
                raise StoreTemporary("away")
            return put(store, key, *arguments, **options)

        with patch.object(LocalStore, "put", fail_at_second):
            result = self.store.action_rotate_keys()
        self.assertEqual(result["params"]["type"], "danger")
        self.assertEqual(self.read_keys(1, 2, 3), keys, "old and new, all readable")
        self.store.action_rotate_keys()
        lines = [line._get_details() for line in self.get_log("rotate", self.store)]
        self.assertEqual(
            [line["key_rings"] for line in lines], [{"2025": 1}, {"2025": 2}]
        )
        self.set_server(vault_master_keys=NEW)
        self.assertEqual(self.read_keys(1, 2, 3), keys)

    def test_many_rings_are_left_to_the_scheduled_action(self):
        self.set_server(vault_master_keys=OLD)
        keys = self.add_rings(*range(1, 8))
        self.set_server(vault_master_keys=f"{NEW} {OLD}")
        self.patch(crm_archive_store_keys, "INLINE_MAX", 3)
        self.patch(crm_archive_store_keys, "BATCH_SIZE", 2)
        self.store.action_rotate_keys()
        self.assertTrue(self.store.is_rotating)
        self.assertFalse(self.get_log("rotate", self.store))
        self.run_rotation()
        self.assertFalse(self.store.is_rotating)
        self.assertEqual(len(self.get_log("rotate", self.store)), 4)
        self.set_server(vault_master_keys=NEW)
        self.assertEqual(self.read_keys(*range(1, 8)), keys)

    def test_scheduled_rotation_that_fails_asks_somebody(self):
        self.set_server(vault_master_keys=OLD)
        self.add_rings(1)
        before = self.read_rings()
        self.set_server(vault_master_keys=NEW)
        self.store.is_rotating = True
        self.run_rotation()
        self.assertEqual(self.read_rings(), before)
        self.assertFalse(self.store.is_rotating)
        self.assertIn("2025", self.store.activity_ids.note)

    def run_rotation(self):
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_archive_policy.ir_cron_rotate_keys"
            ).method_direct_trigger()
        self.env.invalidate_all()

    def test_one_at_a_time(self):
        """A rotation must not write back a key that is just being destroyed."""
        self.set_server(master_keys=NEW)
        with self.registry.cursor() as other:
            other.execute(
                "SELECT 1 FROM crm_archive_store WHERE id = %s FOR NO KEY UPDATE",
                [self.database_store.id],
            )
            with self.assertRaises(LockError):
                self.database_store.action_rotate_keys()

    def test_destroyed_keys_stay_destroyed(self):
        self.set_server(vault_master_keys=OLD)
        masters = self.store._get_masters()
        ring = Keyring("0" * 32, "uuid", "2025", masters)
        ring.new_key(5)
        ring.destroy(5)
        with self.store._open() as opened:
            opened.put(keyring_key(ring.bundle_id), ring.dumps())
        self.set_server(vault_master_keys=f"{NEW} {OLD}")
        self.store.action_rotate_keys()
        (data,) = self.read_rings().values()
        self.assertEqual(Keyring.loads(data).destroyed, {5})

    def test_a_damaged_ring_is_healed_before_it_is_changed(self):
        self.set_server(vault_master_keys=OLD)
        mirror = self.create_store("ringmirror")
        self.store.mirror_id = mirror
        keys = self.add_rings(1)
        path = os.path.join(self.root, "keys", keyring_key(f"{1:032x}"))
        with open(path, "r+b") as file:
            file.write(b"garbage")
        self.set_server(vault_master_keys=f"{NEW} {OLD}")
        self.store.action_rotate_keys()
        self.set_server(vault_master_keys=NEW)
        self.assertEqual(self.read_keys(1), keys)
        self.assertTrue(self.get_log("heal", self.store))
