import base64
import logging
import os
import shutil
import tempfile
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import new_test_user, tagged
from odoo.tools import config, mute_logger

from ..lib.stores import (
    LocalStore,
    ObjectNotFound,
    StoreForeign,
    StoreFull,
    StoreReadonly,
    StoreTemporary,
)
from ..models.vault_errors import vault_error, vault_errors
from .common import ArchiveCase

KEY = "ab/abcdef.crmarc"


def make_key(letter):
    return base64.b64encode(letter.encode() * 32).decode()


class Undone(Exception):
    """Makes a transaction be rolled back."""


class StoreCase(ArchiveCase):
    """Stores in folders of their own, and settings of a server."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.database_store = cls.env.ref(
            "crm_archive_policy.crm_archive_store_database"
        )

    def setUp(self):
        super().setUp()
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.set_server(roots=self.root)

    def create_store(self, name="folder", **values):
        return self.env["crm.archive.store"].create(
            {
                "name": name,
                "kind": "fsspec",
                "url": f"file://{self.root}/{name}",
                "user_id": self.manager.id,
                **values,
            }
        )

    def set_server(self, **settings):
        """Set options of the server for the rest of the test."""
        environment = {
            f"CRM_ARCHIVE_{name.upper()}": value for name, value in settings.items()
        }
        patcher = patch.dict(os.environ, environment)
        patcher.start()
        self.addCleanup(patcher.stop)
        # In life the server is started again.
        self.env.invalidate_all()

    def put(self, store, key=KEY, data=b"content"):
        with store._open() as opened:
            opened.put(key, data)

    def get_path(self, store, key=KEY):
        return os.path.join(self.root, store.name, key)

    def get_log(self, action, store):
        return self.env["crm.archive.log"].search(
            [
                ("action", "=", action),
                ("res_model", "=", store._name),
                ("res_id", "=", store.id),
            ],
            order="sequence",
        )


@tagged("post_install", "-at_install")
class TestStore(StoreCase):
    """Where bundles go, who says so, and what is refused."""

    def test_a_store_keeps_what_it_is_given(self):
        for store in (self.database_store, self.create_store()):
            with self.subTest(kind=store.kind):
                self.put(store)
                with store._open() as opened:
                    self.assertEqual(opened.get(KEY), b"content")
                    opened.delete(KEY)
                    self.assertFalse(opened.exists(KEY))

    def test_database_store_shares_the_transaction(self):
        """Bundle and delete are one step: a rolled-back batch leaves no bundle."""
        with self.assertRaises(Undone), self.env.cr.savepoint():
            self.put(self.database_store)
            self.lead.unlink()
            raise Undone
        self.assertTrue(self.lead.exists())
        with self.database_store._open() as opened:
            self.assertFalse(opened.exists(KEY))

    def test_what_is_elsewhere_is_durable_before_the_commit(self):
        store = self.create_store()
        with self.assertRaises(Undone), self.env.cr.savepoint():
            self.put(store)
            raise Undone
        self.assertTrue(os.path.exists(self.get_path(store)))

    def test_default_store(self):
        stores = self.env["crm.archive.store"]
        company = self.env.company
        other = self.env["res.company"].create({"name": "Other"})
        self.assertEqual(stores._get_default(company), self.database_store)
        own = self.create_store("own", company_id=company.id, sequence=200)
        self.assertEqual(stores._get_default(company), own, "its own goes first")
        self.assertEqual(stores._get_default(other), self.database_store)
        own.is_readonly = True
        self.assertEqual(stores._get_default(company), self.database_store)
        chosen = self.create_store("chosen", sequence=300)
        company.archive_store_id = chosen
        self.assertEqual(stores._get_default(company), chosen)
        chosen.active = False
        self.assertEqual(stores._get_default(company), self.database_store)
        self.database_store.active = False
        with self.assertRaisesRegex(UserError, "Configuration → Stores"):
            stores._get_default(other)

    def test_officer_uses_a_store_he_may_not_see(self):
        store = self.create_store().with_user(self.officer)
        with self.assertRaises(AccessError):
            store.read(["url"])
        store._check_writable()
        self.put(store)
        self.assertIsNone(store._get_masters())
        default = store._get_default(self.env.company)
        self.assertFalse(default.env.su)

    # -- who may set it up -------------------------------------------------------

    def test_manager_configures_administrator_connects(self):
        store = self.create_store()
        as_manager = store.with_user(self.manager)
        as_manager.write({"name": "Renamed", "threshold_gb": 7, "encrypt": True})
        for values in (
            {"url": f"file://{self.root}/elsewhere"},
            {"secret_name": "stolen"},
            {"kind": "database", "url": False},
        ):
            with self.subTest(values=values), self.assertRaises(AccessError):
                as_manager.write(values)
        as_manager.write({"url": store.url, "threshold_gb": 8})
        stores = self.env["crm.archive.store"].with_user(self.manager)
        with self.assertRaises(AccessError):
            stores.create({"name": "x", "kind": "postgres", "secret_name": "other"})
        # Nor by way of the context.
        sly = stores.with_context(
            default_kind="fsspec", default_url=f"file://{self.root}/sly"
        )
        with self.assertRaises(AccessError):
            sly.create({"name": "x"})
        self.manager.group_ids += self.env.ref("base.group_system")
        as_manager.write({"url": f"file://{self.root}/elsewhere"})

    def test_others_read_at_most(self):
        store = self.create_store()
        self.assertTrue(store.with_user(self.auditor).read(["name", "state"]))
        for method in ("action_check_health", "action_rotate_keys", "action_adopt"):
            for user in (self.auditor, self.officer, self.seller):
                with (
                    self.subTest(method=method, user=user.login),
                    self.assertRaises(AccessError),
                ):
                    getattr(store.with_user(user), method)()
        with self.assertRaises(AccessError):
            store.with_user(self.manager).action_adopt()
        with self.assertRaises(AccessError):
            store.with_user(self.seller).read(["name"])

    def test_stores_of_other_companies_are_invisible(self):
        other = self.env["res.company"].create({"name": "Other"})
        store = self.create_store(company_id=other.id)
        found = self.env["crm.archive.store"].with_user(self.manager).search([])
        self.assertNotIn(store, found)
        self.assertIn(self.database_store, found)

    def test_changes_are_on_record(self):
        store = self.create_store()
        old = store.url
        store.write({"url": f"file://{self.root}/new", "secret_name": "offsite"})
        changes = self.get_log("write", store)[-1]._get_details()
        self.assertEqual(changes["url"], [old, store.url])
        self.assertEqual(changes["secret_name"], [False, "offsite"])
        store._check_health()
        self.assertEqual(len(self.get_log("write", store)), 1, "findings are no rule")

    # -- places that are refused -------------------------------------------------

    def test_places_that_are_refused(self):
        for url in (
            "file:///etc",
            f"file://{self.root}/../escape",
            f"file://{self.root}/%2e%2e/escape",
            "file:relative",
            "http://169.254.169.254/latest",
            "github://org:repo@/x",
            "s3://bucket?versionId=1",
            "sftp://user:hunter2@host/x",
            "",
            False,
        ):
            with self.subTest(url=url), self.assertRaises(ValidationError) as caught:
                self.create_store("refused", url=url)
            self.assertNotIn("hunter2", str(caught.exception))
        os.symlink("/etc", os.path.join(self.root, "link"))
        with self.assertRaises(ValidationError):
            self.create_store("link")

    def test_folders_need_an_administrator(self):
        self.set_server(roots="")
        with self.assertRaisesRegex(ValidationError, "not inside a folder"):
            self.create_store()

    def test_schemes_are_allow_listed(self):
        self.set_server(schemes="s3, file")
        self.create_store()
        with self.assertRaisesRegex(ValidationError, "not allowed"):
            self.create_store("x", url="sftp://server/folder")

    def test_addresses_that_are_refused(self):
        """Found out when connecting: a name may mean another address by then."""
        metadata = self.create_store("s3", url="s3://bucket/x", secret_name="meta")
        self.set_server(
            meta_endpoint_url="http://169.254.169.254/",
            meta_key="k",
            meta_secret="hunter2",
        )
        self.assertIn("link-local", metadata._probe().message)
        for number, host in enumerate(("169.254.169.254", "127.0.0.1", "0.0.0.0")):
            store = self.create_store(f"sftp{number}", url=f"sftp://{host}/x")
            with (
                patch("odoo.addons.crm_archive_policy.lib.stores.fsspec._fsspec"),
                self.subTest(host=host),
            ):
                self.assertRegex(store._probe().message, "link-local|this very machine")

    def test_one_place_one_store(self):
        store = self.create_store()
        for url in (store.url, f"{store.url}/inside", f"file://{self.root}"):
            with self.subTest(url=url), self.assertRaises(ValidationError):
                self.create_store("second", url=url)
        self.create_store("folder2")
        with self.assertRaises(ValidationError):
            self.env["crm.archive.store"].create({"name": "Again", "kind": "database"})

    def test_mirror_is_no_circle(self):
        first, second = self.create_store("first"), self.create_store("second")
        with self.assertRaises(ValidationError):
            first.mirror_id = first
        first.mirror_id = second
        with self.assertRaises(ValidationError):
            second.mirror_id = first
        with self.assertRaisesRegex(UserError, "is mirrored here"):
            second.unlink()
        first.unlink()
        second.unlink()

    def test_names_of_settings(self):
        for name in ("Offsite", "off_site", "off-site", "1st", "x" * 33):
            with self.subTest(name=name), self.assertRaises(ValidationError):
                self.create_store(secret_name=name)

    def test_missing_settings_and_packages_are_named(self):
        store = self.env["crm.archive.store"].create(
            {"name": "Elsewhere", "kind": "postgres", "secret_name": "offsite"}
        )
        self.assertIn("crm_archive_offsite_dsn", store.setup_hint)
        self.assertIn("CRM_ARCHIVE_OFFSITE_DSN", store.setup_hint)
        self.assertIn("crm_archive_offsite_dsn = host=…", store.setup_example)
        self.assertFalse(store.setup_found)
        with patch(
            "odoo.addons.crm_archive_policy.models.crm_archive_store_setup.find_spec",
            lambda name: name != "s3fs" or None,
        ):
            bucket = self.create_store("bucket", url="s3://bucket/x")
            self.assertIn("pip install s3fs", bucket.setup_hint)
            self.assertFalse(self.database_store.setup_hint)

    def test_configuration_file_and_environment(self):
        store = self.env["crm.archive.store"].create(
            {"name": "Elsewhere", "kind": "postgres", "secret_name": "offsite"}
        )
        option = {"crm_archive_offsite_dsn": "host=from-file dbname=x"}
        with patch.dict(config.options, option):
            store.invalidate_recordset()
            self.assertEqual(store.location, "postgres://from-file:5432/x")
            self.assertEqual(store.setup_found, "crm_archive_offsite_dsn")
            self.set_server(offsite_dsn="host=from-environment dbname=x")
            self.assertEqual(store.location, "postgres://from-environment:5432/x")

    # -- secrets -----------------------------------------------------------------

    def test_secrets_are_shown_nowhere(self):
        secret = "hunter2-very-secret"
        store = self.env["crm.archive.store"].create(
            {
                "name": "Elsewhere",
                "kind": "postgres",
                "secret_name": "offsite",
                "encrypt": True,
                "user_id": self.manager.id,
            }
        )
        self.set_server(
            offsite_dsn=f"host=127.0.0.1 port=1 user=u password={secret} dbname=x",
            offsite_master_keys=f"2026:{make_key('m')}",
        )
        with self.assertLogs("odoo", "DEBUG") as logs:
            logging.getLogger(__name__).info("at least one line")
            store.action_check_health()
            masters = store._get_masters()
            with self.assertRaises(UserError) as caught, vault_errors(self.env):
                self.put(store)
        self.assertEqual(store.state, "failed")
        names = [name for name in store._fields if name != "message_follower_ids"]
        exported = store.export_data(["name", "url", "location", "message"])
        shown = [
            *logs.output,
            str(caught.exception),
            repr(caught.exception.__cause__),
            str(store.read(names)),
            str(exported),
            repr(masters),
            str(store.activity_ids.mapped("note")),
            str(store.message_ids.mapped("body")),
            str(self.env["crm.archive.log"].search([]).mapped("details")),
        ]
        for text in shown:
            self.assertNotIn(secret, text)
            self.assertNotIn(make_key("m"), text)
            self.assertNotIn("m" * 32, text)

    # -- full, broken, gone ------------------------------------------------------

    def test_a_full_store_changes_nothing(self):
        store = self.create_store()
        full = patch("os.fsync", side_effect=OSError(28, "No space left on device"))
        with full, self.assertRaisesRegex(UserError, "full") as caught:
            with vault_errors(self.env):
                self.put(store)
        self.assertIsInstance(caught.exception.__cause__, StoreFull)
        self.assertFalse(caught.exception.__cause__.retry, "somebody has to make room")
        self.assertFalse(os.path.exists(self.get_path(store)))
        self.put(store)

    def test_an_input_error_is_tried_again_by_the_run(self):
        """The store does not try again inside: a run backs off and says why."""
        store = self.create_store()
        with patch("os.fsync", side_effect=OSError(5, "Input/output error")) as fsync:
            with self.assertRaises(UserError) as caught, vault_errors(self.env):
                self.put(store)
        self.assertEqual(fsync.call_count, 1)
        self.assertIsInstance(caught.exception.__cause__, StoreTemporary)
        self.assertTrue(caught.exception.__cause__.retry)
        self.put(store)

    def test_written_and_then_gone_is_not_written(self):
        store = self.create_store()
        self.put(store, "ab/first.crmarc")
        gone = patch.object(LocalStore, "_stat", side_effect=ObjectNotFound("gone"))
        with gone, self.assertRaises(ObjectNotFound):
            self.put(store)

    def test_refused_before_a_run_begins(self):
        store = self.create_store()
        store._check_writable()
        with patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            store._check_health()
            with self.assertRaisesRegex(UserError, "full"):
                store._check_writable()
        # Room was made: no need to wait for the next check.
        store._check_writable()
        store.active = False
        with self.assertRaisesRegex(UserError, "archived"):
            store._check_writable()

    def test_trouble_that_may_pass_is_left_to_the_write(self):
        store = self.create_store()
        with patch("os.fsync", side_effect=OSError(5, "Input/output error")):
            store._check_health()
            self.assertEqual(store.state, "failed")
            store._check_writable()

    def test_every_error_has_words(self):
        for error in (StoreFull("x"), StoreForeign("x"), ObjectNotFound("x")):
            text = str(vault_error(self.env, error))
            self.assertIn("x", text)
            self.assertGreater(len(text), 20)

    # -- copies of the database --------------------------------------------------

    def neutralize(self):
        for query in get_neutralization_queries(["crm_archive_policy"]):
            self.env.cr.execute(query)
        self.env["ir.config_parameter"].set_param("database.is_neutralized", "true")
        self.env.invalidate_all()

    def test_neutralized_copy_reads_only(self):
        stores = self.create_store() | self.database_store
        for store in stores:
            self.put(store)
        self.neutralize()
        for store in stores:
            with self.subTest(kind=store.kind), store._open() as opened:
                self.assertEqual(opened.get(KEY), b"content")
                with self.assertRaises(StoreReadonly):
                    opened.put("ab/other.crmarc", b"x")
                with self.assertRaises(StoreReadonly):
                    opened.put(KEY, b"x", overwrite=True)
                with self.assertRaises(StoreReadonly):
                    opened.delete(KEY)
                with self.assertRaises(StoreReadonly):
                    opened.adopt()
            with self.assertRaisesRegex(UserError, "read-only|read only"):
                store._check_writable()
            store._check_health()
            self.assertEqual(store.state, "ok", "it can be read")
        crons = self.env["ir.cron"].with_context(active_test=False)
        ours = self.env["ir.model.data"].search(
            [("module", "=", "crm_archive_policy"), ("model", "=", "ir.cron")]
        )
        self.assertTrue(ours)
        self.assertFalse(any(crons.browse(ours.mapped("res_id")).mapped("active")))

    def test_neutralized_copy_cannot_be_talked_into_writing(self):
        store = self.create_store()
        self.neutralize()
        (store | self.database_store).is_readonly = False
        with store._open() as opened, self.assertRaises(StoreReadonly):
            opened.put(KEY, b"x")
        with self.assertRaisesRegex(UserError, "neutralized copy"):
            store._check_writable()
        with self.assertRaises(UserError):
            store.action_adopt()
        # Its own database is its own: the vault can be tried out there.
        self.database_store._check_writable()
        self.put(self.database_store)

    def test_clone_reads_only_until_it_takes_over(self):
        store = self.create_store()
        self.put(store)
        self.env["ir.config_parameter"].set_param("database.uuid", "a-clone")
        with store._open() as opened:
            self.assertEqual(opened.get(KEY), b"content")
            with self.assertRaises(StoreForeign):
                opened.put("ab/other.crmarc", b"x")
            with self.assertRaises(StoreForeign):
                opened.delete(KEY)
        with self.assertRaisesRegex(UserError, "another database"):
            store._check_writable()
        store._check_health()
        self.assertEqual(store.error_code, "StoreForeign")
        store.action_adopt()
        self.assertEqual(store.state, "ok")
        store._check_writable()
        with store._open() as opened:
            opened.delete(KEY)
        self.assertTrue(self.get_log("adopt", store))

    def test_mirror_of_another_database_is_refused(self):
        mirror = self.create_store("mirror")
        self.put(mirror)
        self.env["ir.config_parameter"].set_param("database.uuid", "a-clone")
        store = self.create_store(mirror_id=mirror.id)
        with self.assertRaisesRegex(UserError, "another database"):
            store._check_writable()

    # -- mirror ------------------------------------------------------------------

    def test_damage_is_healed_from_the_mirror_and_on_record(self):
        mirror = self.create_store("mirror")
        store = self.create_store(mirror_id=mirror.id)
        self.put(store)
        self.assertTrue(os.path.exists(self.get_path(mirror)))
        os.unlink(self.get_path(store))
        with store._open() as opened:
            self.assertEqual(opened.get(KEY), b"content")
        self.assertTrue(os.path.exists(self.get_path(store)))
        details = self.get_log("heal", store)._get_details()
        self.assertEqual(details["object"], KEY)
        self.assertTrue(details["repaired"])

    def test_healing_is_on_record_when_a_drill_is_rolled_back(self):
        mirror = self.create_store("mirror")
        store = self.create_store(mirror_id=mirror.id)
        self.put(store)
        os.unlink(self.get_path(store))
        with store._open() as opened, self.assertRaises(Undone):
            with self.env.cr.savepoint():
                opened.get(KEY)
                raise Undone
        self.assertTrue(self.get_log("heal", store))

    def test_healing_is_on_record_when_the_transaction_is_rolled_back(self):
        mirror = self.create_store("mirror")
        store = self.create_store(mirror_id=mirror.id)
        self.put(store)
        os.unlink(self.get_path(store))
        with self.assertRaises(Undone), store._open() as opened:
            opened.get(KEY)
            raise Undone
        self.assertFalse(self.get_log("heal", store))
        with self.enter_registry_test_mode():
            self.env.cr.postrollback.run()
        self.assertTrue(self.get_log("heal", store))

    def test_a_mirror_that_comes_later_is_filled_by_verifying(self):
        store = self.create_store()
        self.put(store)
        mirror = self.create_store("mirror")
        store.mirror_id = mirror
        with store._open() as opened:
            self.assertTrue(opened.check(KEY, lambda source: source.read()))
            self.assertFalse(opened.check(KEY, lambda source: source.read()))
        self.assertTrue(os.path.exists(self.get_path(mirror)))
        self.assertEqual(len(self.get_log("heal", store)), 1)

    def test_written_when_both_hold_it(self):
        mirror = self.create_store("mirror")
        store = self.create_store(mirror_id=mirror.id)
        self.put(store, "ab/first.crmarc")
        with (
            patch("os.fsync", side_effect=OSError(28, "No space left on device")),
            self.assertRaises(StoreFull),
        ):
            self.put(store)
        for side in (store, mirror):
            self.assertFalse(os.path.exists(self.get_path(side)))

    # -- health ------------------------------------------------------------------

    def test_button_says_what_it_found(self):
        store = self.create_store()
        store.threshold_gb = 0
        result = store.with_user(self.manager).action_check_health()
        self.assertEqual(result["params"]["type"], "success")
        self.assertEqual(store.state, "ok")
        self.assertTrue(store.free_bytes)
        with patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            result = store.action_check_health()
        self.assertEqual(result["params"]["type"], "danger")
        self.assertIn("Make room", result["params"]["message"])

    @mute_logger("odoo.addons.mail.models.mail_mail")
    def test_alert_once_an_incident(self):
        other = new_test_user(
            self.env, "other", groups="crm_archive_policy.group_archive_manager"
        )
        store = self.create_store()
        store.threshold_gb = 0

        def check(state, activities):
            store._check_health()
            self.assertEqual(store.state, state)
            self.assertEqual(len(store.activity_ids), activities)
            messages = self.env["mail.message"].search(
                [("model", "=", store._name), ("res_id", "=", store.id)]
            )
            told = [message.notified_partner_ids for message in messages]
            return tuple(
                sum(user.partner_id in partners for partners in told)
                for user in (other, self.manager)
            )

        self.assertEqual(check("ok", 0), (0, 0))
        with patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            first = check("failed", 1)
            self.assertTrue(all(first), "the responsible and the other managers")
            self.assertEqual(check("failed", 1), first)
            self.assertEqual(check("failed", 1), first)
        self.assertEqual(store.activity_ids.user_id, self.manager)
        self.assertIn("Make room", store.activity_ids.note)
        self.assertEqual(check("ok", 0), first, "in order again: closed")
        store.threshold_gb = 1 << 40
        self.assertGreater(check("low", 1), first, "another incident")

    def test_scheduled_action_checks_all(self):
        good, bad = self.create_store("good"), self.create_store("bad")
        good.threshold_gb = bad.threshold_gb = 0
        with open(os.path.join(self.root, "bad"), "w") as file:
            file.write("not a folder")
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_archive_policy.ir_cron_check_stores"
            ).method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(good.state, "ok")
        self.assertEqual(bad.state, "failed")
        self.assertEqual(self.database_store.state, "ok")
        self.assertTrue(bad.activity_ids)

    def test_another_place_has_to_be_checked_anew(self):
        store = self.create_store()
        store.threshold_gb = 0
        store._check_health()
        store.url = f"file://{self.root}/new"
        self.assertEqual(store.state, "unknown")

    # -- settings ----------------------------------------------------------------

    def test_settings(self):
        store = self.create_store()
        administrator = new_test_user(
            self.env,
            "boss",
            groups="base.group_system,crm_archive_policy.group_archive_manager",
        )
        settings = self.env["res.config.settings"].with_user(administrator)
        wizard = settings.create(
            {
                "archive_store_id": store.id,
                "archive_store_encrypt": True,
                "archive_health_interval_number": 3,
                "archive_health_interval_type": "days",
            }
        )
        for name in ("zstandard", "cryptography", "s3fs", "paramiko"):
            self.assertIn(name, wizard.archive_packages)
        wizard.execute()
        self.assertEqual(self.env.company.archive_store_id, store)
        self.assertTrue(store.encrypt)
        cron = self.env.ref("crm_archive_policy.ir_cron_check_stores")
        self.assertEqual((cron.interval_number, cron.interval_type), (3, "days"))
