"""Make the golden bundles of a new format; those of earlier formats stay for ever.

Run once for each format: ``python tests/lib/make_golden.py``. It refuses to replace
what is there. The key is a test key and written here: bytes 0 to 31 under id ``k1``.
"""

import base64
import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "crm_archive_policy")]

import lib_samples as samples  # noqa: E402
from lib.bundle import FORMAT, Record  # noqa: E402

VARIANTS = {
    "zlib": {"compression": "zlib"},
    "zstd": {"compression": "zstd"},
    "zstd-aes": {"compression": "zstd", "encrypted": True},
}


def golden_records():
    hostile = [value for value in samples.HOSTILE if value is None or len(value) < 999]
    blobs = [
        samples.blob("text", b"the same line again and again\n" * 40),
        samples.blob("empty", b""),
        samples.blob("noise", random.Random(4).randbytes(300)),
    ]
    rows = {
        "crm_lead": [["1001", value, None] for value in hostile],
        "crm_tag_rel": [["1001", "7"], ["1001", "8"]],
    }
    meta = {"references": [["calendar_event", "opportunity_id", [5, 6]]], "ä": "😀"}
    # Enough records alike for a trained dictionary, as in life.
    return [*samples.like_real(90), Record(1001, rows, blobs, meta)]


def content(record):
    """:return: the record as JSON"""
    return {
        "id": record.id,
        "meta": record.meta,
        "rows": {
            name: [list(row) for row in rows] for name, rows in record.rows.items()
        },
        "blobs": [
            [blob.name, base64.b64encode(blob.open().read()).decode()]
            for blob in record.blobs
        ],
    }


def main():
    with (HERE / "golden" / f"v{FORMAT}-content.json").open("x") as out:
        json.dump([content(record) for record in golden_records()], out)
        out.write("\n")
    for name, options in VARIANTS.items():
        path = HERE / "golden" / f"v{FORMAT}-{name}.crmarc"
        data, summary, ring = samples.write(golden_records(), **options)
        expected = {
            "sha256": summary.sha256,
            "header_digest": summary.header_digest,
            "bundle_id": summary.bundle_id,
            "dictionary": summary.dictionary,
            "entries": summary.entries,
        }
        with path.open("xb") as out:
            out.write(data)
        with path.with_suffix(".json").open("x") as out:
            json.dump(expected, out)
            out.write("\n")
        if ring:
            with path.with_suffix(".crmarc.keys").open("xb") as out:
                out.write(ring.dumps())


if __name__ == "__main__":
    main()
