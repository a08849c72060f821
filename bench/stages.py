"""Where a millisecond goes: CPU time of each stage of a warm batch, in this process.

`python -m bench.stages` runs the built function against the peers of `make bench` and prints µs of CPU for each order.
The clock is the thread's own, so a stage that waits costs nothing. Stages are nested where their names are indented.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from bench import figures
from bench.world import FUNCTION_CPU, OURS, World, world

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


def measure(peers: World, *, batch: int, warm: int) -> dict[str, float]:
    """Return µs of CPU for an order by stage, of so many warm batches, and of the whole."""
    os.environ.update({name: value for name, value in peers.variables.items() if name != "PATH"})
    os.sched_setaffinity(0, {FUNCTION_CPU})
    for name in [name for name in sys.modules if name.partition(".")[0] in {"orders", "wechatpay"}]:
        del sys.modules[name]  # those of the sources: what is measured is the built function
    sys.path[:0] = map(str, OURS.path)
    handler: Any = import_module("orders.handler")
    clock, whole = Clock(), []
    for stage, (module, place) in STAGES.items():
        owner: Any = import_module(module)
        *kinds, name = place.split(".")
        for kind in kinds:
            owner = getattr(owner, kind)
        clock.around(stage, owner, name)
    for number in range(warm + 3):
        event = {"Records": peers.messages(batch)}
        if number == 3:  # connections stand, and what is made once has been made
            clock.spent.clear()
        before = time.process_time()
        handler.lambda_handler(event, Context())
        if number >= 3:
            whole.append(time.process_time() - before)
    spent = {stage: clock.spent[stage] * 1e6 / (warm * batch) for stage in STAGES}
    return {**spent, "the whole": statistics.median(whole) * 1e6 / batch}


def main() -> NoReturn:
    """Print the table, and leave the function's threads, which wait for work."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    parser.add_argument("--batch", type=int, default=10, help="messages of a batch")
    parser.add_argument("--warm", type=int, default=40, help="batches")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as peers:
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            spent = measure(peers, batch=arguments.batch, warm=arguments.warm)
        print(figures.table(["stage", "µs of CPU"], [[stage, f"{us:,.0f}"] for stage, us in spent.items()]), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
