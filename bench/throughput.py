"""The whole sandbox under load: orders a second from the queue to the table, and where the time goes.

`python -m bench.throughput` deploys the template on the embedded AWS, fills the queue, and waits until every order is
in the table. All of it shares this machine's CPUs: the figure is the sandbox's, not AWS's.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from bench import figures
from bench.environment import cpu_ms
from sandbox.testbed import MERCHANT, Testbed


@dataclass(frozen=True, slots=True)
class Throughput:
    """How many orders in how many seconds, and CPU time in ms for each order, by process."""

    orders: int
    seconds: float
    cpu: Mapping[str, float]

    def __str__(self) -> str:
        """Return the figures as a Markdown table."""
        rows = [[who, f"{ms:.1f}"] for who, ms in self.cpu.items()]
        head = f"{self.orders:,} orders in {self.seconds:.1f} s: {self.orders / self.seconds:,.0f} a second."
        return f"{head}\n\n{figures.table(['where the time goes', 'ms of CPU for an order'], rows)}"


def measure(orders: int, concurrency: int) -> Throughput:
    """Fill the queue and wait until every order is in the table."""
    parameters = {"MaximumConcurrency": str(concurrency)}
    with tempfile.TemporaryDirectory() as folder, Testbed.open(Path(folder), parameters=parameters) as world:
        numbers = [f"T{number:06d}" for number in range(orders)]
        _run(world, numbers[:50])  # environments start, connections open
        before = _cpu(world)
        began = time.monotonic()
        _run(world, numbers[50:])
        seconds = time.monotonic() - began
        after = _cpu(world)
    measured = orders - 50
    spent = {who: (after[who] - before[who]) / measured for who in after}
    idle = (os.cpu_count() or 1) * seconds * 1000 / measured - sum(spent.values())
    return Throughput(measured, seconds, spent | {"idle": max(0.0, idle)})


def _run(world: Testbed, numbers: Sequence[str]) -> None:
    """Send, and wait until all are settled."""
    sqs, queue = world.cloud.client("sqs"), world.stack.outputs["OrderQueueUrl"]
    done = world.wechat_pay
    for chunk in batched(numbers, 10, strict=False):
        for number in chunk:
            world.ready(number)
        entries: list[Any] = [{"Id": number, "MessageBody": _payload(number)} for number in chunk]
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    while not all(done.order(MERCHANT, number).state == "DONE" for number in numbers) or _waiting(world):
        time.sleep(0.02)
    assert world.order(numbers[-1]) is not None  # noqa: S101  its item is written


def _waiting(world: Testbed) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = world.stack.outputs["OrderQueueUrl"]
    attributes = world.cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def _payload(number: str) -> str:
    return json.dumps({"mchid": MERCHANT, "out_order_no": number, "detail": {"paid_time": "20260101120000"}})


def _cpu(world: Testbed) -> dict[str, float]:
    return {
        "the function": sum(cpu_ms(pid) for pid in world.cloud.workers),
        "the embedded AWS": cpu_ms(world.cloud.pid),
        "the simulated WeChat Pay, and the till": cpu_ms(os.getpid()),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.throughput")
    parser.add_argument("--orders", type=int, default=2050)
    parser.add_argument("--concurrency", type=int, default=2, help="MaximumConcurrency")
    arguments = parser.parse_args()
    print(measure(arguments.orders, arguments.concurrency))


if __name__ == "__main__":
    main()
