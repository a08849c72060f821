"""The whole sandbox under load with 1, 2 and 4 environments: orders a second, where the time goes, where it saturates.

`python -m bench.throughput` deploys the template on the embedded AWS, fills the queue, and waits until every order is
in the table. All of it shares this machine's CPUs: the figures are the sandbox's, not AWS's.
"""

import argparse
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any

from bench import figures
from bench.environment import cpu_ms
from sandbox.testbed import MERCHANT, Testbed

LEAST = 2  # Lambda's smallest MaximumConcurrency
WARM = 50  # orders of one round before the clock starts: environments start, connections open
ROUNDS = 10  # of them at most, until every environment has started
FULL = 0.8  # of a CPU, or of all, from which none counts as left: a run's beginning and end are not full
GAIN = 1.1  # orders a second that more environments must bring; less is saturation

FUNCTION, AWS, PEERS = "the function", "the embedded AWS", "the simulated WeChat Pay, and the till"


@dataclass(frozen=True, slots=True)
class Throughput:
    """How many orders in how many seconds with so many environments; `cpu` and `idle` are ms of CPU for each order."""

    environments: int
    orders: int
    seconds: float
    cpu: Mapping[str, float]
    idle: float
    cpus: int

    @property
    def rate(self) -> float:
        """Orders a second."""
        return self.orders / self.seconds

    @property
    def others(self) -> float:
        """What the rest of the machine used: it makes a run slower than it would be alone."""
        return max(0.0, self.cpus * 1000 / self.rate - sum(self.cpu.values()) - self.idle)

    def busy(self, process: str) -> float:
        """Return how many CPUs a process kept busy; the function is a process for each environment."""
        return self.cpu[process] * self.rate / 1000

    @property
    def row(self) -> list[str]:
        """The figures as a row of the table."""
        return [
            str(self.environments),
            f"{self.rate:,.0f}",
            *(f"{self.cpu[process]:.1f}" for process in (FUNCTION, AWS, PEERS)),
            f"{self.others:.1f}",
            f"{self.idle:.1f}",
        ]


_COLUMNS = ("environments", "orders/s", FUNCTION, AWS, PEERS, "the rest of the machine", "idle")


def report(runs: Sequence[Throughput]) -> str:
    """Return the table, and the sentence that says where the sandbox saturates."""
    head = f"{runs[0].orders:,} orders for each row; ms of CPU for an order, of {runs[0].cpus} CPUs."
    return f"{head}\n\n{figures.table(_COLUMNS, [run.row for run in runs])}\n\n{saturation(runs)}"


def saturation(runs: Sequence[Throughput]) -> str:
    """Return where CPU time is short, or no number of further environments brings a tenth more, and why."""
    best = {run.environments: max(other.rate for other in runs[number:]) for number, run in enumerate(runs[:-1], 1)}
    useless = {run.environments for run in runs[:-1] if best[run.environments] < GAIN * run.rate}
    for run in runs:
        short = _short_of_cpu(run)
        if short or run.environments in useless:
            why = short or "no process is short of CPU, the time is waiting"
            break
    else:
        return f"Not saturated with {runs[-1].environments}, at {runs[-1].rate:,.0f} orders a second."
    shares = ", ".join(f"{process} {run.busy(process):.1f}" for process in (FUNCTION, AWS, PEERS))
    others = f"the rest of the machine {run.others * run.rate / 1000:.1f}"
    return (
        f"Saturated with {run.environments}, at {run.rate:,.0f} orders a second: {why}. "
        f"Of {run.cpus} CPUs: {shares}, {others}."
    )


def _short_of_cpu(run: Throughput) -> str:
    """Return which process has no CPU left; empty if all have."""
    if run.cpus - run.idle * run.rate / 1000 >= FULL * run.cpus:
        return "all CPUs are busy, so no process has CPU time left"
    for process in (AWS, PEERS):
        if run.busy(process) >= FULL:
            return f"{process} has no CPU left, because a Python process computes on one"
    if run.busy(FUNCTION) >= FULL * run.environments:
        return "the function has no CPU left, one for each environment"
    return ""


def measure(orders: int, environments: int) -> Throughput:
    """Fill the queue and wait until every order is in the table."""
    parameters = {"MaximumConcurrency": str(max(LEAST, environments))}
    with tempfile.TemporaryDirectory() as folder, Testbed.open(Path(folder), parameters=parameters) as world:
        if environments < LEAST:  # the embedded AWS then polls with as many; AWS would throttle
            world.cloud.client("lambda").put_function_concurrency(
                FunctionName=world.function, ReservedConcurrentExecutions=environments
            )
        _warm(world, environments)
        before, idle = _cpu(world), _idle_ms()
        began = time.monotonic()
        _run(world, [f"T{number:06d}" for number in range(orders)])
        seconds = time.monotonic() - began
        after, idle = _cpu(world), _idle_ms() - idle
    spent = {who: (after[who] - before[who]) / orders for who in after}
    return Throughput(environments, orders, seconds, spent, idle / orders, os.cpu_count() or 1)


def _warm(world: Testbed, environments: int) -> None:
    for number in range(ROUNDS):
        _run(world, [f"W{number}{order:03d}" for order in range(WARM)])
        if number and len(world.cloud.workers) >= environments:
            return
    raise RuntimeError(f"{len(world.cloud.workers)} of {environments} environments have started")


def _run(world: Testbed, numbers: Sequence[str]) -> None:
    """Send, and wait until all are settled."""
    sqs, queue = world.cloud.client("sqs"), world.stack.outputs["OrderQueueUrl"]
    done = world.wechat_pay
    for chunk in batched(numbers, 10, strict=False):
        for number in chunk:
            world.ready(number)
        entries: list[Any] = [{"Id": number, "MessageBody": _payload(number)} for number in chunk]
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    open_orders = deque(numbers)
    while open_orders or _waiting(world):
        while open_orders and done.order(MERCHANT, open_orders[0]).state == "DONE":
            open_orders.popleft()
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
        FUNCTION: sum(cpu_ms(pid) for pid in world.cloud.workers),
        AWS: cpu_ms(world.cloud.pid),
        PEERS: cpu_ms(os.getpid()),
    }


def _idle_ms() -> float:
    """Return the idle time of all CPUs since the machine started, in ms (proc_stat(5): idle and iowait)."""
    ticks = Path("/proc/stat").read_text(encoding="utf-8").split()[4:6]
    return sum(map(int, ticks)) * 1000 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.throughput")
    parser.add_argument("--orders", type=int, default=1000, help="for each number of environments")
    parser.add_argument("--environments", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    print(report([measure(arguments.orders, environments) for environments in arguments.environments]))


if __name__ == "__main__":
    main()
