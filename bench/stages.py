"""Where a millisecond goes: CPU time of each stage of a warm batch.

`python -m bench.stages` runs the built function against the peers of `make bench` and prints µs of CPU for each order.
The clock is the thread's own, so a stage that waits costs nothing. Stages are nested where their names are indented.
"""

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from bench import in_the_build

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
        handler.lambda_handler({"Records": records}, in_the_build.Context())
        whole.append(time.process_time() - before)
    size = len(batches[0])
    stages = {stage: clock.spent[stage] * 1e6 / (warm * size) for stage in STAGES}
    return {**stages, "the whole": statistics.median(whole[-warm:]) * 1e6 / size}


if __name__ == "__main__":
    sys.exit(in_the_build.main("bench.stages", measure, ["stage", "µs of CPU"], warm=40))
