"""Export the texts of the add-on and merge them into its translations.

The template is made from a freshly installed database, never typed; a translation
keeps what it has, gains what is new (empty) and loses what is gone.
"""

import re
import subprocess
import sys

import databases
import polib

FOLDER = databases.ROOT / databases.ADDON / "i18n"
TEMPLATE = FOLDER / f"{databases.ADDON}.pot"
#: Headers that change with every export and say nothing.
VOLATILE = re.compile(r'^"(POT-Creation-Date|PO-Revision-Date):.*\n', re.MULTILINE)


def export():
    """Write the template from a database with the add-on just installed."""
    name = databases.unique_name("i18n")
    databases.clone(name, ["crm", "contacts", databases.ADDON], report=print)
    try:
        subprocess.run(
            [sys.executable, "-m", "odoo", "i18n", "export", "-d", name]
            + ["-o", str(TEMPLATE), databases.ADDON],
            check=True,
        )
    finally:
        databases.drop(name)
    TEMPLATE.write_text(VOLATILE.sub("", TEMPLATE.read_text()))


def merge(path):
    """Bring one translation up to date.

    :return: number of texts without a translation
    """
    translation = polib.pofile(str(path), wrapwidth=78)
    translation.merge(polib.pofile(str(TEMPLATE)))
    for entry in translation.obsolete_entries():
        translation.remove(entry)
    for entry in translation.fuzzy_entries():
        entry.flags.remove("fuzzy")
        entry.msgstr = ""
    translation.save(str(path))
    return len(translation.untranslated_entries())


def main():
    FOLDER.mkdir(exist_ok=True)
    export()
    for path in sorted(FOLDER.glob("*.po")):
        print(f"{path.name}: {merge(path)} texts to translate")


if __name__ == "__main__":
    main()
