"""The interface speaks Simplified Chinese, all of it."""

import re
import subprocess
import sys
from pathlib import Path

import polib
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "crm_archive_policy" / "i18n"
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\$\{[^}]*\}|<[^>]+>")
#: Attributes of a tag that people read, or hear.
SPOKEN = re.compile(r'(aria-label|title|alt|placeholder)="[^"]*"')


@pytest.fixture(scope="module")
def template():
    return polib.pofile(str(FOLDER / "crm_archive_policy.pot"))


@pytest.fixture(scope="module")
def chinese():
    return {
        entry.msgid: entry.msgstr for entry in polib.pofile(str(FOLDER / "zh_CN.po"))
    }


def test_template_is_up_to_date(make_database, tmp_path):
    """Exported anew, it has the same texts: nobody forgot `scripts/i18n`."""
    target = tmp_path / "new.pot"
    subprocess.run(
        [sys.executable, "-m", "odoo", "i18n", "export", "-d", make_database()]
        + ["-o", str(target), "crm_archive_policy"],
        check=True,
        capture_output=True,
    )
    exported = {entry.msgid for entry in polib.pofile(str(target))}
    kept = {
        entry.msgid for entry in polib.pofile(str(FOLDER / "crm_archive_policy.pot"))
    }
    assert exported == kept, "run scripts/i18n"


def test_every_text_is_translated(template, chinese):
    missing = [entry.msgid for entry in template if not chinese.get(entry.msgid)]
    assert not missing


def test_placeholders_and_tags_survive(template, chinese):
    for entry in template:
        translation = chinese.get(entry.msgid, "")
        english, other = (
            sorted(PLACEHOLDER.findall(SPOKEN.sub("", text)))
            for text in (entry.msgid, translation)
        )
        assert english == other, entry.msgid


def test_it_is_chinese(template, chinese):
    """A text copied from English is no translation; names and codes are few."""
    same = [
        entry.msgid
        for entry in template
        if chinese.get(entry.msgid) == entry.msgid
        and re.search("[a-z]{4}", entry.msgid)
    ]
    assert len(same) <= 5, same
