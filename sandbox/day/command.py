"""`python -m sandbox day`: run the day and print its figures; 1 where an order or notification is not as planned."""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ops.installation import HERE
from sandbox.day.run import Day, Figures

MEMORY = 24.0  # MB that the process may grow from the second hour to the last: less than the orders of the day take


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog=f"{HERE.sandbox} day", description="24 hours of orders at the simulated WeChat Pay, compressed."
    )
    parser.add_argument("--orders", type=int, default=5000, help="how many; 5000 by default")
    parser.add_argument("--seed", type=int, default=1, help="of behaviour and refusals; 1 by default")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        figures = Day(Path(directory), options.orders, options.seed).run()
    print(report(figures, time.monotonic() - began))
    return 1 if problems(figures) else 0


def problems(figures: Figures) -> list[str]:
    """Return everything that is not as it must be."""
    too_much = figures.growth > MEMORY
    return figures.faults + ([f"memory grew by {figures.growth:.1f} MB, {MEMORY:.0f} at most"] if too_much else [])


def report(figures: Figures, seconds: float) -> str:
    """Return the figures in words."""
    ends = ", ".join(f"{count} {end}" for end, count in sorted(figures.ends.items()))
    faults = problems(figures)
    lines = [
        f"{figures.orders} orders in 24 hours and the month after, in {seconds:.0f} s",
        f"calls: {figures.calls}, each signed; restarts: {figures.restarts}",
        f"ended: {ends}",
        f"notifications: {figures.notifications} accepted after {figures.attempts} attempts",
        f"memory: {figures.resident[2]:.0f} MB in hour 2, at most {figures.growth:+.1f} MB until hour 24",
        *(f"✗   {fault}" for fault in faults[:20]),
        f"✗   {len(faults)} differences" if faults else "✓   every order and every notification as planned",
    ]
    return "\n".join(lines)
