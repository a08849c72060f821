"""Runs a module of this package against the peers of `make bench`, with the built function on its path."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import figures
from bench.world import FUNCTION_CPU, OURS, ROOT, world

WARM_UP = 3  # batches before those that count: connections stand then, and what is made once has been made

type Measure = Callable[[Sequence[Sequence[object]], int], dict[str, float]]
"""Hands batches to the function, and returns figures of the last so many."""


class Context:
    """Lambda's context object, as far as the function reads it."""

    aws_request_id = "bench"

    def get_remaining_time_in_millis(self) -> int:
        """Return a minute."""
        return 60_000


def run(module: str, batch: int, warm: int) -> dict[str, float]:
    """Return what the module's `measure` returns for batches of so many messages, on the function's CPU."""
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as peers:
        events = Path(folder) / "events.json"
        events.write_text(json.dumps([peers.messages(batch) for _ in range(warm + WARM_UP)]), encoding="utf-8")
        command = ["taskset", "--cpu-list", str(FUNCTION_CPU), sys.executable, "-m", module]
        path = os.pathsep.join(map(str, [*OURS.path, ROOT]))
        process = subprocess.run(
            [*command, "--warm", str(warm), "--events", str(events)],
            env=peers.variables | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            check=True,
        )
    lines = process.stdout.splitlines()  # the last one; the others are the function's log
    result: dict[str, float] = json.loads(lines[-1])
    return result


def main(module: str, measure: Measure, columns: Sequence[str], warm: int) -> int:
    """Print the table; with `--events` the figures as JSON, for the process that has written that file."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=measure.__doc__)
    parser.add_argument("--batch", type=int, default=10, help="messages of a batch")
    parser.add_argument("--warm", type=int, default=warm, help="batches")
    parser.add_argument("--events", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.events:
        print(json.dumps(measure(json.loads(arguments.events.read_text(encoding="utf-8")), arguments.warm)), flush=True)
        return 0
    result = run(module, arguments.batch, arguments.warm)
    print(figures.table(columns, [[name, f"{value:,.0f}"] for name, value in result.items()]))
    return 0
