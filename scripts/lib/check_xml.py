"""Check that XML is well formed and that data files follow Odoo's schema."""

import csv
import os
import sys
from pathlib import Path

from lxml import etree


def check(path, schema):
    """:return: a list of complaints about one file"""
    try:
        tree = etree.parse(path)
    except etree.XMLSyntaxError as error:
        return [f"{path}: {error}"]
    if tree.getroot().tag != "odoo" or schema.validate(tree):
        return []
    return [f"{path}:{error.line}: {error.message}" for error in schema.error_log]


def check_csv(path):
    """:return: a list of complaints about one file of access rights"""
    with open(path, newline="") as file:
        lines = list(csv.reader(file))
    complaints = [
        f"{path}:{number}: {len(line)} columns instead of {len(lines[0])}"
        for number, line in enumerate(lines, 1)
        if len(line) != len(lines[0])
    ]
    ids = [line[0] for line in lines if line]
    complaints += [f"{path}: {name} twice" for name in set(ids) if ids.count(name) > 1]
    return complaints


def main(folder):
    schema_file = Path(os.environ["CRM_ARCHIVE_ODOO"], "odoo", "import_xml.rng")
    schema = etree.RelaxNG(etree.parse(schema_file))
    complaints = []
    for path in sorted(Path(folder).rglob("*.xml")):
        complaints += check(path, schema)
    for path in sorted(Path(folder).rglob("ir.model.access.csv")):
        complaints += check_csv(path)
    return complaints


if __name__ == "__main__":
    if found := [line for folder in sys.argv[1:] for line in main(folder)]:
        sys.exit("\n".join(found))
