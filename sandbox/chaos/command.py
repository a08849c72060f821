"""`python -m sandbox chaos`: the arguments, the printed result, and the exit code."""

import argparse
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ops.installation import HERE
from sandbox.audit import Findings
from sandbox.chaos.environment import AWS_FAILURES, prepare
from sandbox.chaos.run import ChaosRun

_ENDED = {"SYNCED", "PAID_BY_WECHAT", "NOTHING_DUE", "COLLECTED", "REJECTED", "unreadable"}


def main(arguments: Sequence[str] = ()) -> int:
    """Run it and print the result; 0 only if the audit has no finding and every order has ended."""
    parser = argparse.ArgumentParser(prog=f"{HERE.sandbox} chaos", description="All faults at once, then an audit.")
    parser.add_argument("--orders", type=int, default=2000, help="how many orders; default: 2000")
    parser.add_argument("--seed", type=int, default=1, help="decides what is sent and which call fails; default: 1")
    options = parser.parse_args(arguments)
    console = Console()
    with prepare(options.orders, options.seed, console) as run:
        random_faults = run.testbed.wechat_pay.random_faults
        findings = run.run()
        _print(console, findings, random_faults.counts if random_faults else Counter(), run)
    return 1 if findings.faults or any(status not in _ENDED for _, status in findings.ledger) else 0


def _print(console: Console, findings: Findings, drawn_faults: Counter[str], run: ChaosRun) -> None:
    grid = Table(title=f"{findings.orders:,} orders", box=None, title_justify="left")
    for name in ("WeChat Pay's ledger", "in the table"):
        grid.add_column(name)
    grid.add_column("orders", justify="right")
    for (truth, status), count in sorted(findings.ledger.items()):
        grid.add_row(truth, status, f"{count:,}")
    console.print(grid)
    failures = Counter(dict.fromkeys(dict.fromkeys(AWS_FAILURES), 0))
    for (_, action), count in run.proxy.actions.items():
        failures[action] += count
    failures.pop("pass", None)
    calls = len(run.testbed.wechat_pay.calls)
    faults = f"struck by a fault: {drawn_faults.total():,} ({len(drawn_faults)} kinds)"
    console.print(f"Calls to WeChat Pay: {calls:,}; {faults}.", soft_wrap=True)
    killed = run.disturbances.killed
    console.print(f"Requests to AWS struck: {dict(failures)}; workers killed: {killed}.", soft_wrap=True)
    _print_doorways(console, run)
    console.print(f"Dead letters that stay: {dict(findings.dead)}.", soft_wrap=True)
    console.print(f"Not final, each with its reason: {dict(findings.open)}.", soft_wrap=True)
    for example in findings.examples:
        console.print(f"[red]{example}[/red]", highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count} {what}" for what, count in findings.counts.items())
    console.print(f"{counts}.", highlight=False, soft_wrap=True)


def _print_doorways(console: Console, run: ChaosRun) -> None:
    number, events = len(run.collections.accepted()), run.outcomes.events
    different = len({(event.key, event.version) for event in events})
    console.print(f"Collections told: {number:,}; at the front: {dict(run.front_faults.counts)}.", soft_wrap=True)
    console.print(f"Outcome events: {len(events):,}, of them repeated: {len(events) - different:,}.", soft_wrap=True)
