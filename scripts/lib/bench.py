"""Measure the add-on against `data_recycle`, the ORM and bare SQL, in one run.

Absolute figures belong to the machine they were taken on; what counts is the ratio.
Every measurement has a fresh copy of the same filled database and a process of its own.
What is compared is measured turn and turn about, several times, and each ratio comes
with how far apart its rounds were. The second opinion is the CPU time of Odoo's and the
database's process, which what else the machine does hardly touches.

Variables: LEADS, CONTACTS, MESSAGES (volume), TAKE (records processed), ROUNDS,
ONLY (comma-separated names of measurements; `bytes`, `growth` and `vault_large` only
run when named: for the second SMALL and LARGE are the two volumes, for the third
LARGE_MESSAGES and LARGE_MIB what hangs on the one large lead).
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

import databases


def number(name, default):
    return int(os.environ.get(name, default))


LEADS = number("LEADS", 200_000)
CONTACTS = number("CONTACTS", LEADS)
MESSAGES = number("MESSAGES", 2 * (LEADS + CONTACTS))
TAKE = number("TAKE", 20_000)
ROUNDS = number("ROUNDS", 3)
SMALL = number("SMALL", 100_000)
LARGE = number("LARGE", 1_000_000)
ONLY = set(filter(None, os.environ.get("ONLY", "").split(",")))
HERE = Path(__file__).resolve().parent
HOST_MODULES = ["crm", "contacts", "data_recycle"]
CLOCK, CPU = 0, 1  # places in what `spent()` returns


class Volume(NamedTuple):
    leads: int = LEADS
    contacts: int = CONTACTS
    messages: int = MESSAGES


USUAL = Volume()
VAULT_SCRIPT = "bench_vault.py"


def read_script(name):
    return (HERE.parent / "shell" / name).read_text()


def psql(name, *arguments):
    subprocess.run(["psql", "-q", "-d", name, *arguments], check=True)


def filled(with_addon, volume):
    """Return the name of a filled database that is only ever copied."""
    modules = [*HOST_MODULES, databases.ADDON] if with_addon else HOST_MODULES
    fill = HERE / "bench_fill.sql"
    template = databases.template_name(modules, False)
    key = json.dumps([template, *volume, fill.read_text()])
    name = f"crm_archive_bench_{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if not databases._is_complete(name):
        databases.drop(name)
        databases.clone(name, modules, report=print)
        print("Filling {:,} leads, {:,} contacts, {:,} messages …".format(*volume))
        sys.stdout.flush()
        variables = [f"-v{key}={value}" for key, value in volume._asdict().items()]
        psql(name, "-o", os.devnull, *variables, "-f", str(fill))
        psql(name, "-c", "VACUUM ANALYZE crm_lead, res_partner, mail_message")
        databases._mark_complete(name)
    return name


def measure(
    what,
    volume=USUAL,
    take=TAKE,
    compare=False,
    restricted=False,
    script="bench_measure.py",
):
    """Take one measurement on a fresh copy.

    :param str what: a function of the script
    :param int take: records processed, 0 for all
    :param bool compare: hand it a copy without the add-on as well
    :param bool restricted: some records are hidden from salespeople
    :param str script: of the folder `scripts/shell`
    :return: dict of figures
    """
    names = [databases.unique_name("bench") for _ in range(2 if compare else 1)]
    for name, with_addon in zip(names, (True, False), strict=False):
        databases.copy(filled(with_addon, volume), name)
    try:
        done = subprocess.run(
            [str(HERE.parent / "odoo"), "shell", "--no-http", "-d", names[0]]
            + ["--log-level=error"],
            input="\n".join(map(read_script, ("bench_common.py", script))),
            env={
                **os.environ,
                "MEASURE": what,
                "TAKE": str(take),
                "OTHER": names[-1],
                "RESTRICTED": str(int(restricted)),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for name in names:
            databases.drop(name)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    sys.exit(f"The measurement {what} failed:\n{done.stdout}\n{done.stderr}")


# ------------------------------------------------------------
# Ratios
# ------------------------------------------------------------


class Ratio(NamedTuple):
    """The median of the rounds, with the lowest and the highest of them."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        return cls(median(values), min(values), max(values))

    @classmethod
    def of_blocks(cls, values, count=5):
        """Of many single values: the rounds are blocks of them, by their medians."""
        size = max(len(values) // count, 1)
        blocks = [values[i : i + size] for i in range(0, len(values), size)]
        rounds = [median(block) for block in blocks]
        return cls(median(values), min(rounds), max(rounds))

    def __str__(self):
        return f"{self.value:.2f}× [{self.low:.2f}–{self.high:.2f}]"


def show(text, value, target=None, good=None, doubt=False):
    verdict = "" if good is None else ("  ok" if good else "  MISSED")
    if doubt:
        verdict += ", within the noise"
    aim = f"  (target {target})" if target else ""
    print(f"  {text:<52} {value:>22}{aim}{verdict}", flush=True)


def per_record(result, place=CLOCK):
    """Return the seconds that a record took, None when nobody knows."""
    seconds = result["spent"][place]
    return seconds and seconds / result["count"]


def ratios(name, base, results, place):
    """Return how many times as fast a measurement was in each round, or None."""
    pairs = [(per_record(r[base], place), per_record(r[name], place)) for r in results]
    return Ratio.of([a / b for a, b in pairs]) if all(map(all, pairs)) else None


# ------------------------------------------------------------
# Measurements
# ------------------------------------------------------------


def bench_archive():
    names = "recycle_archive", "policy_archive", "orm_archive", "sql_archive"
    rounds = [{name: measure(name) for name in names} for _ in range(ROUNDS)]
    print(f"\nArchiving {TAKE:,} leads, {ROUNDS} rounds: median [lowest–highest]")
    recycle, ours, orm, floor = names
    show("data_recycle, leads/s", rate(rounds, recycle))
    show("this add-on, leads/s", rate(rounds, ours))
    for text, name in (
        ("ORM action_archive, tracking off, ratio", orm),
        ("one SQL UPDATE (floor), ratio", floor),
    ):
        show(text, str(ratios(name, recycle, rounds, CLOCK)))
    show_ratios(ours, recycle, rounds, 15)
    show_cost(rounds[-1][ours])


def show_ratios(ours, base, rounds, aim):
    """Show how many times as fast we are, by the clock and by CPU time."""
    for text, place in (("", CLOCK), (" of CPU time", CPU)):
        if ratio := ratios(ours, base, rounds, place):
            doubt = ratio.low < aim <= ratio.high
            good = ratio.value >= aim
            show(f"this add-on, ratio{text}", str(ratio), f"≥ {aim}×", good, doubt)


def rate(rounds, name):
    return f"{1 / median(per_record(turn[name]) for turn in rounds):,.0f}"


def show_cost(result):
    show("queries a 1,000 leads", f"{result['queries'] * 1000 / result['count']:.0f}")
    memory = result["memory"]
    show("memory on top, MiB", f"{memory:.0f}", "< 300", memory < 300)
    size = result["bytes"] / result["count"]
    show("bookkeeping, bytes a lead", f"{size:.0f}", "≤ 100", size <= 100)


def bench_bytes():
    """Bookkeeping on 200,000 leads; three quarters of those there are idle."""
    volume = Volume(270_000, 1_000, 270_000)
    result = measure("policy_archive", volume, 200_000)
    print(f"\nArchiving {result['count']:,} leads")
    show_cost(result)


def bench_growth():
    """All that is due in a small and in a large database, a record."""
    names = "policy_archive", "sql_archive"
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({})
        for leads in (SMALL, LARGE):
            volume = Volume(leads, leads // 10, 2 * leads)
            for name in names:
                rounds[-1][name, leads] = measure(name, volume, 0)
    print(f"\nA record at {LARGE:,} leads against {SMALL:,}, {ROUNDS} rounds")
    for text, place in (("", CLOCK), (" of CPU time", CPU)):
        for name, aim in (("policy_archive", 1.1), ("sql_archive", None)):
            # The other way round: how many times as long it takes.
            ratio = ratios((name, SMALL), (name, LARGE), rounds, place)
            if not ratio:
                continue
            who = "this add-on" if aim else "one SQL UPDATE"
            goal = ()
            if aim:
                doubt = ratio.low <= aim < ratio.high
                goal = (f"≤ {aim}×", ratio.value <= aim, doubt)
            show(f"{who}, cost{text}", str(ratio), *goal)
    for leads in (SMALL, LARGE):
        result = rounds[-1]["policy_archive", leads]
        print(f"  {result['count']:,} archived of {leads:,}")
        show_cost(result)


def bench_find():
    results = measure("find")
    print("\nFinding what is due")
    for model, result in results.items():
        ratio = result["policy"] / result["sql"]
        show(f"{model}: {result['found']:,} found, plain SQL s", f"{result['sql']:.2f}")
        show(f"{model}: the policy, ratio", f"{ratio:.2f}×", "≤ 1.5×", ratio <= 1.5)
        show(f"{model}: memory on top, MiB", f"{result['memory']:.0f}", "< 300")


def bench_screens():
    for restricted in (False, True):
        results = measure("screens", compare=True, restricted=restricted)
        print("\nDaily screens of a salesperson, with the add-on against without")
        print(f"  {'some records' if restricted else 'no record'} restricted")
        for screen, sides in results.items():
            for text, place in (("time", CLOCK), ("CPU time", CPU)):
                show_against(f"{screen}, {text}", sides, place)
            more = sides["with"]["queries"] - sides["without"]["queries"]
            show(f"{screen}, more queries", f"{more:+d}", "0", more <= 0)


def show_against(text, sides, place):
    """Show a screen with the add-on against without, and the noise of that."""
    base = [both[place] for both in sides["without"]["spent"]]
    if None in base:
        return
    ratio, noise = (
        Ratio.of_blocks(
            [
                both[place] / first
                for first, both in zip(base, sides[side]["spent"], strict=True)
            ]
        )
        for side in ("with", "again")
    )
    unsure = max(noise.high - 1, 1 - noise.low)
    good, doubt = ratio.value <= 1.05, abs(ratio.value - 1.05) <= unsure
    show(text, str(ratio), "≤ 1.05×", good, doubt)
    show("    the same side measured twice", str(noise))


def bench_vault():
    names = "recycle_delete", "vault_leads"
    rounds = [
        {name: measure(name, script=VAULT_SCRIPT) for name in names}
        for _ in range(ROUNDS)
    ]
    recycle, ours = names
    result = rounds[-1][ours]
    print(f"\nMoving {TAKE:,} leads to the vault ({result['compression']})")
    show("data_recycle, bare delete, leads/s", rate(rounds, recycle))
    show("this add-on, leads/s", rate(rounds, ours))
    show_ratios(ours, recycle, rounds, 1.5)
    show("queries a 1,000 leads", f"{result['queries'] * 1000 / result['count']:.0f}")
    memory = result["memory"]
    show("memory on top, MiB", f"{memory:.0f}", "< 300", memory < 300)
    part = result["stored"] / result["freed"]
    show("live bytes a lead", f"{result['freed'] / result['count']:,.0f}")
    show("bytes in the bundle, ratio", f"{part:.2f}×", "≤ 0.20×", part <= 0.2)
    index = result["index"] / result["count"]
    show("bytes of index and audit a lead", f"{index:,.0f}")


def bench_restore():
    names = "orm_create", "restore_leads"
    rounds = [
        {name: measure(name, script=VAULT_SCRIPT) for name in names}
        for _ in range(ROUNDS)
    ]
    orm, ours = names
    print(f"\nRestoring {TAKE:,} leads with the same ids")
    show("ORM, creating the same, leads/s", rate(rounds, orm))
    show("this add-on, leads/s", rate(rounds, ours))
    show_ratios(ours, orm, rounds, 10)
    memory = rounds[-1][ours]["memory"]
    show("memory on top, MiB", f"{memory:.0f}", "< 300", memory < 300)


def bench_index():
    result = measure("search_index", script=VAULT_SCRIPT)
    ratio = result["crm.archive.entry"] / result["res.partner"]
    print(f"\nSearching {result['count']:,} entries of the vault")
    show("against name_search of as many contacts", f"{ratio:.2f}×", "≤ 1×", ratio <= 1)


def bench_vault_large():
    result = measure("vault_large", script=VAULT_SCRIPT)
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
}
#: Too long for every day, or on a volume of their own.
ASKED = {"bytes": bench_bytes, "growth": bench_growth, "vault_large": bench_vault_large}


def main():
    known = BENCHES | ASKED
    unknown = ONLY - known.keys()
    if unknown:
        sys.exit(f"ONLY={','.join(unknown)}: choose among {', '.join(known)}")
    for name, bench in known.items():
        if name in (ONLY or BENCHES):
            bench()


if __name__ == "__main__":
    main()
