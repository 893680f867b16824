"""Tests of the plain Python in crm_archive_policy/lib: no Odoo, most without database.

They run by themselves too: ``pytest --confcutdir=tests/lib tests/lib``.
"""

import sys
from pathlib import Path

import pytest

# Behind everything else: the add-on's folder also has `tests`, `models` and so on.
sys.path.append(str(Path(__file__).resolve().parents[2] / "crm_archive_policy"))

# Failures in helpers are explained like those in tests.
pytest.register_assert_rewrite("lib_samples")

from lib_servers import cursor, postgres_dsn, s3_bucket, s3_server  # noqa: E402

__all__ = ["cursor", "postgres_dsn", "s3_bucket", "s3_server"]
