"""Measure the add-on against `data_recycle`, the ORM and bare SQL, in one run.

Absolute figures belong to the machine they were taken on; what counts is the ratio.
Every measurement has a fresh copy of the same filled database and a process of its own.

Variables: LEADS, CONTACTS, MESSAGES (volume), TAKE (records processed),
ONLY (comma-separated names of measurements), LARGE_MESSAGES and LARGE_MIB (the one
large lead of `vault_large`).
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import databases

LEADS = int(os.environ.get("LEADS", 200_000))
CONTACTS = int(os.environ.get("CONTACTS", LEADS))
MESSAGES = int(os.environ.get("MESSAGES", 2 * (LEADS + CONTACTS)))
TAKE = int(os.environ.get("TAKE", 20_000))
ONLY = set(filter(None, os.environ.get("ONLY", "").split(",")))
HERE = Path(__file__).resolve().parent
HOST_MODULES = ["crm", "contacts", "data_recycle"]


def filled(with_addon):
    """Return the name of a filled database that is only ever copied."""
    modules = [*HOST_MODULES, databases.ADDON] if with_addon else HOST_MODULES
    key = json.dumps(
        [
            databases.template_name(modules, False),
            LEADS,
            CONTACTS,
            MESSAGES,
            (HERE / "bench_fill.sql").read_text(),
        ]
    )
    name = f"crm_archive_bench_{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if not databases._is_complete(name):
        databases.drop(name)
        databases.clone(name, modules, report=print)
        print(
            f"Filling {LEADS:,} leads, {CONTACTS:,} contacts, {MESSAGES:,} messages …",
            flush=True,
        )
        subprocess.run(
            ["psql", "-q", "-d", name, "-o", os.devnull]
            + [f"-vleads={LEADS}", f"-vcontacts={CONTACTS}", f"-vmessages={MESSAGES}"]
            + ["-f", str(HERE / "bench_fill.sql")],
            check=True,
        )
        subprocess.run(
            [
                "psql",
                "-q",
                "-d",
                name,
                "-c",
                "VACUUM ANALYZE crm_lead, res_partner, mail_message",
            ],
            check=True,
        )
        databases._mark_complete(name)
    return name


def measure(what, with_addon=True, script="bench_measure.py"):
    """Take one measurement on a fresh copy.

    :param script: of the folder `scripts/shell`
    :return: dict of figures, as the script prints them
    """
    name = databases.unique_name("bench")
    databases.copy(filled(with_addon), name)
    try:
        done = subprocess.run(
            [str(HERE.parent / "odoo"), "shell", "--no-http", "-d", name]
            + ["--log-level=error"],
            input=(HERE.parent / "shell" / script).read_text(),
            env={**os.environ, "MEASURE": what, "TAKE": str(TAKE)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        databases.drop(name)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    sys.exit(f"The measurement {what} failed:\n{done.stdout}\n{done.stderr}")


def show(text, value, target=None, good=None):
    verdict = "" if good is None else ("  ok" if good else "  MISSED")
    aim = f"  (target {target})" if target else ""
    print(f"  {text:<58} {value:>12}{aim}{verdict}", flush=True)


def bench_archive():
    recycle = measure("recycle_archive")["rate"]
    orm = measure("orm_archive")["rate"]
    floor = measure("sql_archive")["rate"]
    ours = measure("policy_archive")
    ratio = ours["rate"] / recycle
    print(f"\nArchiving {TAKE:,} leads")
    show("data_recycle, leads/s", f"{recycle:,.0f}")
    show("ORM action_archive, tracking off, ratio", f"{orm / recycle:.1f}×")
    show("one SQL UPDATE (floor), ratio", f"{floor / recycle:.1f}×")
    show("this add-on, leads/s", f"{ours['rate']:,.0f}")
    show("this add-on, ratio", f"{ratio:.1f}×", "≥ 15×", ratio >= 15)
    show("queries a 1,000 leads", f"{ours['queries'] * 1000 / TAKE:.0f}")
    show("memory on top, MiB", f"{ours['memory']:.0f}", "< 300", ours["memory"] < 300)
    size = ours["bytes"] / TAKE
    show("bookkeeping, bytes a lead", f"{size:.0f}", "≤ 100", size <= 100)


def bench_find():
    print("\nFinding what is due")
    for model, result in measure("find").items():
        ratio = result["policy"] / result["sql"]
        show(f"{model}: {result['found']:,} found, plain SQL s", f"{result['sql']:.2f}")
        show(f"{model}: the policy, ratio", f"{ratio:.2f}×", "≤ 1.5×", ratio <= 1.5)
        show(f"{model}: memory on top, MiB", f"{result['memory']:.0f}", "< 300")


def bench_screens():
    print("\nDaily screens, with the add-on against without (best of three)")
    # Turn and turn about: what else the machine does meets both alike.
    rounds = [(measure("screens", False), measure("screens")) for _ in range(3)]
    without, with_addon = rounds[0]
    for screen, before in without.items():
        after = with_addon[screen]
        best = [
            min(turn[side][screen]["seconds"] for turn in rounds) for side in (0, 1)
        ]
        ratio = best[1] / best[0]
        show(f"{screen}, time", f"{ratio:.2f}×", "≤ 1.05×", ratio <= 1.05)
        more = after["queries"] - before["queries"]
        show(f"{screen}, more queries", f"{more:+d}", "0", more <= 0)


def bench_vault():
    script = "bench_vault.py"
    recycle = measure("recycle_delete", script=script)["rate"]
    ours = measure("vault_leads", script=script)
    ratio = ours["rate"] / recycle
    print(f"\nMoving {TAKE:,} leads to the vault ({ours['compression']})")
    show("data_recycle, bare delete, leads/s", f"{recycle:,.0f}")
    show("this add-on, leads/s", f"{ours['rate']:,.0f}")
    show("this add-on, ratio", f"{ratio:.2f}×", "≥ 1.5×", ratio >= 1.5)
    show("queries a 1,000 leads", f"{ours['queries']:.0f}")
    show("memory on top, MiB", f"{ours['memory']:.0f}", "< 300", ours["memory"] < 300)
    part = ours["stored"] / ours["freed"]
    show("live bytes a lead", f"{ours['freed']:,.0f}")
    show("bytes in the bundle, ratio", f"{part:.2f}×", "≤ 0.20×", part <= 0.2)
    show("bytes of index and audit a lead", f"{ours['index']:,.0f}")


def bench_restore():
    script = "bench_vault.py"
    orm = measure("orm_create", script=script)["rate"]
    ours = measure("restore_leads", script=script)
    ratio = ours["rate"] / orm
    print(f"\nRestoring {TAKE:,} leads with the same ids")
    show("ORM, creating the same, leads/s", f"{orm:,.0f}")
    show("this add-on, leads/s", f"{ours['rate']:,.0f}")
    show("this add-on, ratio", f"{ratio:.1f}×", "≥ 10×", ratio >= 10)
    show("memory on top, MiB", f"{ours['memory']:.0f}", "< 300", ours["memory"] < 300)


def bench_index():
    result = measure("search_index", script="bench_vault.py")
    ratio = result["crm.archive.entry"] / result["res.partner"]
    print(f"\nSearching {result['count']:,} entries of the vault")
    show("against name_search of as many contacts", f"{ratio:.2f}×", "≤ 1×", ratio <= 1)


def bench_vault_large():
    result = measure("vault_large", script="bench_vault.py")
    print(
        f"\nOne lead with {result['messages']:,} messages and a file of"
        f" {result['mib']:,} MiB, to the vault and back"
    )
    for act in ("vault", "restore"):
        memory = result[f"{act}_memory"]
        show(f"{act}: memory on top, MiB", f"{memory:.0f}", "< 300", memory < 300)
        show(f"{act}: seconds", f"{result[f'{act}_seconds']:.0f}")
    show("in the store, MiB", f"{result['stored_mib']:.0f}")


BENCHES = {
    "archive": bench_archive,
    "find": bench_find,
    "screens": bench_screens,
    "vault": bench_vault,
    "restore": bench_restore,
    "index": bench_index,
    "vault_large": bench_vault_large,
}


def main():
    unknown = ONLY - BENCHES.keys()
    if unknown:
        sys.exit(f"ONLY={','.join(unknown)}: choose among {', '.join(BENCHES)}")
    for name, bench in BENCHES.items():
        if not ONLY or name in ONLY:
            bench()


if __name__ == "__main__":
    main()
