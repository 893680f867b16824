"""The log verified by somebody who does not ask Odoo."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from psycopg2.extensions import make_dsn

from odoo.sql_db import connection_info_for
from odoo.tests import tagged

from ..lib import cli
from .test_audit_chain import ChainCase


class Connection:
    """The connection of this very transaction, which nobody else sees into."""

    def __init__(self, connection):
        self.cursor = connection.cursor

    def close(self):
        """It is not ours to close."""


@tagged("post_install", "-at_install")
class TestVerifyLog(ChainCase):
    def run_cli(self, *arguments):
        """Return exit status and what was written to the screen."""
        self.env.flush_all()
        out = io.StringIO()
        connection = Connection(self.env.cr._cnx)
        with (
            patch.object(cli, "connect", lambda: connection),
            redirect_stdout(out),
            redirect_stderr(out),
        ):
            status = cli.main(["verify-log", *arguments])
        return status, out.getvalue()

    def test_intact(self):
        self.anchors._anchor()
        status, text = self.run_cli()
        self.assertEqual(status, 0, text)
        self.assertIn(f"{self.lines[-1].sequence} lines", text)
        self.assertIn(self.lines[-1].digest, text)
        self.assertIn("1 anchors compared", text)

    def test_changed(self):
        self.tamper(
            "UPDATE crm_archive_log SET user_id = %s WHERE id = %s",
            self.seller.id,
            self.lines[1].id,
        )
        status, text = self.run_cli()
        self.assertEqual(status, 1)
        self.assertIn(f"ID {self.lines[1].id}:", text)

    def test_store_outside(self):
        outside = self.use_folder()
        self.anchors._anchor()
        self.tamper(
            "DELETE FROM crm_archive_log WHERE sequence >= %s", self.lines[2].sequence
        )
        self.assertEqual(self.run_cli()[0], 0)
        folder = outside.url.removeprefix("file://")
        for place in (outside.url, folder):
            status, text = self.run_cli("--store", place)
            self.assertEqual(status, 1)
            self.assertIn(
                f"cut off after the line with the ID {self.lines[1].id}", text
            )

    def test_typed_in(self):
        last = self.lines[-1]
        good = f"{last.sequence}:{last.digest}"
        self.assertEqual(self.run_cli("--anchor", good)[0], 0)
        self.tamper("UPDATE crm_archive_log SET remote_address = '10.0.0.1'")
        self.recompute_from(1)
        self.assertEqual(self.run_cli()[0], 0)
        status, text = self.run_cli("--anchor", good)
        self.assertEqual(status, 1)
        self.assertIn("computed anew", text)

    def test_nonsense(self):
        for text in ("", "7", "0:" + "ab" * 32, "7:xyz", "x:" + "ab" * 32):
            with self.subTest(text=text), self.assertRaises(SystemExit) as caught:
                self.run_cli("--anchor", text)
            self.assertEqual(caught.exception.code, 2)
        self.assertEqual(self.run_cli("--store", "http://host/x")[0], 1)

    def test_without_odoo(self):
        """A process of its own, that can import neither Odoo nor the add-on."""
        _name, info = connection_info_for(self.env.cr.dbname)
        dsn = info.pop("dsn", None) or make_dsn(**info)
        folder = Path(cli.__file__).parent
        code = (
            "import sys; sys.modules['odoo'] = None; sys.argv[0] = 'lib';"
            f"import runpy; runpy.run_path({str(folder)!r}, run_name='__main__')"
        )
        result = subprocess.run(
            [sys.executable, "-c", code, "verify-log"],
            env={**os.environ, "CRM_ARCHIVE_LOG_DSN": dsn},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("audit log: intact", result.stdout)
        dsn = dsn.replace(self.env.cr.dbname, "no_such_database")
        result = subprocess.run(
            [sys.executable, "-c", code, "verify-log"],
            env={**os.environ, "CRM_ARCHIVE_LOG_DSN": dsn},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(result.returncode, 1)
        self.assertNotIn("Traceback", result.stderr)
