"""Where a millisecond goes: CPU time of each stage of a warm batch.

`python -m bench.stages` runs the built function against the peers of `make bench` and prints µs of CPU for each order.
The clock is the thread's own, so a stage that waits costs nothing. Stages are nested where their names are indented.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import figures
from bench.world import FUNCTION_CPU, OURS, ROOT, world

# What is timed: how the table names it, its module and its place there.
STAGES: Mapping[str, tuple[str, str]] = {
    "read the messages": ("orders.relay", "Relay._read"),
    "read the table": ("orders.relay", "Relay._load"),
    "prepare the call": ("orders.conversation", "WeChatPay.prepare"),
    "– the signature": ("wechatpay.merchant", "Merchant.sign"),
    "settle": ("orders.conversations", "Conversations._settle"),
    "– begin: write and send the request": ("orders.conversation", "Conversation.start"),
    "– answer: read, verify, judge": ("orders.conversation", "Exchange.answer"),
    "– – read it from the socket": ("wechatpay.sender", "Sender.exchange"),
    "– – verify it": ("wechatpay.trust", "Trust.accept"),
    "write the table": ("orders.table", "OrdersTable.create"),
    "– the item": ("orders.table", "item_of"),
    "log lines and metrics": ("orders.report", "Report.add"),
}


class Clock:
    """CPU time by stage, in seconds."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    def around(self, stage: str, owner: Any, name: str) -> None:  # noqa: ANN401  a class or a module
        """Time a function from now on."""
        original: Callable[..., object] = getattr(owner, name)

        def timed(*arguments: object, **keywords: object) -> object:
            before = time.thread_time()
            try:
                return original(*arguments, **keywords)
            finally:
                self.spent[stage] += time.thread_time() - before

        setattr(owner, name, timed)


class Context:
    """Lambda's context object, as far as the function reads it."""

    aws_request_id = "bench"

    def get_remaining_time_in_millis(self) -> int:
        """Return a minute."""
        return 60_000


def measure(batches: Sequence[Sequence[object]], warm: int) -> dict[str, float]:
    """Return µs of CPU for an order by stage, and of the whole; only the last `warm` batches count."""
    handler: Any = import_module("orders.handler")
    clock, whole = Clock(), []
    for stage, (module, place) in STAGES.items():
        owner: Any = import_module(module)
        *kinds, name = place.split(".")
        for kind in kinds:
            owner = getattr(owner, kind)
        clock.around(stage, owner, name)
    for number, records in enumerate(batches, warm - len(batches)):
        if number == 0:  # connections stand, and what is made once has been made
            clock.spent.clear()
        before = time.process_time()
        handler.lambda_handler({"Records": records}, Context())
        whole.append(time.process_time() - before)
    size = len(batches[0])
    stages = {stage: clock.spent[stage] * 1e6 / (warm * size) for stage in STAGES}
    return {**stages, "the whole": statistics.median(whole[-warm:]) * 1e6 / size}


def _measure_the_build(batch: int, warm: int) -> dict[str, float]:
    """Run `measure` in a process that has the built function on its path, on the function's CPU."""
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as peers:
        events = Path(folder) / "events.json"
        events.write_text(json.dumps([peers.messages(batch) for _ in range(warm + 3)]), encoding="utf-8")
        command = ["taskset", "--cpu-list", str(FUNCTION_CPU), sys.executable, "-m", "bench.stages"]
        path = os.pathsep.join(map(str, [*OURS.path, ROOT]))
        run = subprocess.run(
            [*command, "--warm", str(warm), "--events", str(events)],
            env=peers.variables | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            check=True,
        )
    lines = run.stdout.splitlines()  # the last one; the others are the function's log
    stages: dict[str, float] = json.loads(lines[-1])
    return stages


def main() -> int:
    """Print the table; with `--events` the figures as JSON, for the process that has written that file."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    parser.add_argument("--batch", type=int, default=10, help="messages of a batch")
    parser.add_argument("--warm", type=int, default=40, help="batches")
    parser.add_argument("--events", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.events:
        print(json.dumps(measure(json.loads(arguments.events.read_text(encoding="utf-8")), arguments.warm)), flush=True)
        return 0
    stages = _measure_the_build(arguments.batch, arguments.warm)
    print(figures.table(["stage", "µs of CPU"], [[stage, f"{us:,.0f}"] for stage, us in stages.items()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
