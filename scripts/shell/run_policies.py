"""Run every policy once and show what came of it: run through `scripts/odoo shell`."""

import contextlib
import sys
import threading
import time

TICK_SECONDS = 0.2
NAME_WIDTH, NUMBER_WIDTH = 34, 9


@contextlib.contextmanager
def progress_line(text):
    """Show a line that tells how long the work is taking; nothing of it stays."""
    if not sys.stdout.isatty():
        print(f"{text} …", flush=True)
        yield
        return
    over = threading.Event()

    def tick():
        start = time.monotonic()
        while not over.wait(TICK_SECONDS):
            line = f"{text} … {time.monotonic() - start:.1f} s"
            print(f"\r{line}", end="\033[K", flush=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        print("\r", end="\033[K", flush=True)


def run(policy, text):
    """Run one policy.

    :return: its new run and the seconds it took
    """
    start = time.monotonic()
    with progress_line(text):
        policy.action_run()
        env.cr.commit()
    newest = env["crm.archive.run"].search([("policy_id", "=", policy.id)], limit=1)
    return newest, time.monotonic() - start


def print_row(name, *numbers):
    cells = "".join(f"{number:>{NUMBER_WIDTH}}" for number in numbers)
    print(f"  {name[:NAME_WIDTH]:<{NAME_WIDTH}}{cells}")


def print_summary(results):
    header = ("looked at", "archived", "proposed", "kept", "errors", "seconds")
    line = "─" * (NAME_WIDTH + NUMBER_WIDTH * len(header))
    print()
    print_row("Policy", *(f" {name}" for name in header))
    print(f"  {line}")
    for policy_run, seconds in results:
        print_row(
            policy_run.policy_id.name,
            policy_run.done_count,
            policy_run.archived_count,
            policy_run.pending_count,
            policy_run.kept_count,
            policy_run.error_count,
            f"{seconds:.2f}",
        )
        for reason, count in policy_run._get_kept_by_reason():
            print(f"    kept {count}: {reason}")
    runs = env["crm.archive.run"].union(*(result[0] for result in results))
    print(f"  {line}")
    print_row(
        "Total",
        sum(runs.mapped("done_count")),
        sum(runs.mapped("archived_count")),
        sum(runs.mapped("pending_count")),
        sum(runs.mapped("kept_count")),
        sum(runs.mapped("error_count")),
        f"{sum(seconds for _run, seconds in results):.2f}",
    )
    print()


def fill_vault(results):
    """Move what one policy has archived to the vault, so that there is something in it.

    :param results: list of ``(run, seconds)``
    """
    leads = [run for run, _seconds in results if run.policy_id.model_name == "crm.lead"]
    policy = max(leads, key=lambda run: run.archived_count).policy_id
    policy.write({"vault_enabled": True, "vault_after_days": 0})
    start = time.monotonic()
    with progress_line("  Moving archived leads to the vault"):
        vault_run = env["crm.archive.run"]._start_vault(policy)
        policy.vault_after_days = 90
        env.cr.commit()
    bundles = env["crm.archive.bundle"].search([("run_id", "=", vault_run.id)])
    content, stored = (sum(bundles.mapped(name)) for name in ("content_size", "size"))
    seconds = time.monotonic() - start
    print(
        f"  {vault_run.vaulted_count} leads moved to the vault in {seconds:.2f} s:"
        f" {content / 1024:,.0f} KiB of rows and files in {stored / 1024:,.0f} KiB,"
        " verified\n"
    )


def main():
    policies = env["crm.archive.policy"].search([])
    results = [
        run(policy, f"  Policy {number} of {len(policies)}: {policy.name}")
        for number, policy in enumerate(policies, 1)
    ]
    print_summary(results)
    fill_vault(results)


main()
