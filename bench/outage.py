"""An hour in which WeChat Pay does not answer, computed with the function's own waits: what the circuit saves.

`python -m bench.outage` prints the table of docs/operate/outage.md. Nothing is measured and nothing waits: time is a
number. The queue, Lambda's pollers and the circuit are models; waits are `orders.waits`', receives and limits the
template's defaults.
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench import figures
from bench.template import default
from orders.circuit import RECOVERY, SILENT_BATCHES, SILENT_ORDERS
from orders.waits import NO_FLOOR, backoff, deferral

OUTAGE = 3600.0  # seconds, from the beginning
BATCH, CONCURRENCY, RECEIVES = (default(name) for name in ("BatchSize", "MaximumConcurrency", "MaxReceiveCount"))
SILENT_BATCH = 16.0  # seconds: a sync that is not answered, then a query that is not
HEALTHY_BATCH = 0.3  # seconds: a query, then a sync, ten orders in parallel
DEFERRED_BATCH = 0.02  # seconds: two reads of DynamoDB, one visibility change


@dataclass(slots=True)
class _Circuit:
    """The circuit as the environments share it; streaks of silence are each environment's own."""

    opened_at: float | None = None
    trying: bool = False
    streaks: Counter[int] = field(default_factory=Counter)
    silent: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def seconds_left(self, now: float) -> float | None:
        """Seconds that a batch must wait; None if it may call."""
        if self.opened_at is None:
            return None
        remaining = self.opened_at + RECOVERY - now
        if remaining <= 0 and not self.trying:
            self.trying = True
            return None
        return max(1.0, remaining)

    def learn(self, environment: int, now: float, orders: Iterable[int], *, answered: bool) -> None:
        """Count a batch: silence of several orders over several batches in a row opens, one answer closes."""
        if answered:
            self.opened_at, self.trying = None, False
            self._forget(environment)
            return
        self.streaks[environment] += 1
        self.silent[environment].update(orders)
        enough = self.streaks[environment] >= SILENT_BATCHES and len(self.silent[environment]) >= SILENT_ORDERS
        if self.trying or enough:
            self.opened_at, self.trying = now, False
            self._forget(environment)

    def _forget(self, environment: int) -> None:
        self.streaks[environment] = 0
        self.silent[environment].clear()


@dataclass(slots=True)
class Estimate:
    """What an hour's outage costs; `delays` are seconds after its end, one for each order that it delayed."""

    orders: int = 0
    calls_in_outage: int = 0
    calls_after: int = 0
    lambda_seconds: float = 0.0
    receives: list[int] = field(default_factory=list)
    dead_letters: int = 0
    delays: list[float] = field(default_factory=list)


def simulate(rate: float, *, with_circuit: bool, seed: int = 1) -> Estimate:
    """Let `rate` orders a second arrive during an outage of an hour and follow each to its end."""
    generator = random.Random(seed)  # noqa: S311  a simulation
    circuit = _Circuit()
    estimate = Estimate(orders=int(rate * OUTAGE))
    waiting = [(number / rate, number, 1) for number in range(estimate.orders)]  # when visible, which, nth receive
    environments = [(0.0, number) for number in range(CONCURRENCY)]  # when free, which
    while waiting:
        free_at, environment = heapq.heappop(environments)
        now = max(free_at, waiting[0][0])
        batch = [heapq.heappop(waiting) for _ in range(BATCH) if waiting and waiting[0][0] <= now]
        closed_for = circuit.seconds_left(now) if with_circuit else None
        seconds, answered = _handle(estimate, batch, now, closed_for)
        end = now + seconds
        estimate.lambda_seconds += seconds
        if with_circuit and closed_for is None:
            circuit.learn(environment, end, (number for _, number, _ in batch), answered=answered)
        for _, number, count in batch:
            if answered:
                estimate.receives.append(count)
                estimate.delays.append(end - OUTAGE)
            elif count == RECEIVES:
                estimate.dead_letters += 1
            else:
                heapq.heappush(waiting, (end + _wait(count, closed_for, generator.random()), number, count + 1))
        heapq.heappush(environments, (end, environment))
    return estimate


def _handle(
    estimate: Estimate, batch: list[tuple[float, int, int]], now: float, closed_for: float | None
) -> tuple[float, bool]:
    """Return how long the batch takes and whether its orders are settled."""
    if closed_for is not None:
        return DEFERRED_BATCH, False
    if now >= OUTAGE:  # an order whose earlier receives are not all recorded is queried before it is synced
        estimate.calls_after += sum(2 if count > 1 else 1 for _, _, count in batch)
        return HEALTHY_BATCH, True
    estimate.calls_in_outage += 2 * len(batch)
    return SILENT_BATCH, False


def _wait(count: int, closed_for: float | None, jitter: float) -> int:
    if closed_for is None:
        return backoff(count, NO_FLOOR, jitter=jitter)
    return deferral(count, closed_for, jitter=jitter)


_COLUMNS = (
    "orders a second",
    "circuit",
    "calls in the outage",
    "after it",
    "Lambda seconds",
    "receives, mean (most)",
    "dead letters",
    "half of the orders settled after",
    "99 %",
    "all",
)


def table() -> str:
    """Return the figures as a Markdown table."""
    rows = [_row(rate, with_circuit=with_circuit) for rate in (0.1, 1.0, 10.0) for with_circuit in (False, True)]
    return figures.table(_COLUMNS, rows)


def _row(rate: float, *, with_circuit: bool) -> list[str]:
    estimate = simulate(rate, with_circuit=with_circuit)
    mean = sum(estimate.receives) / max(1, len(estimate.receives))
    return [
        f"{rate:g}",
        "yes" if with_circuit else "no",
        f"{estimate.calls_in_outage:,}",
        f"{estimate.calls_after:,}",
        f"{estimate.lambda_seconds:,.0f}",
        f"{mean:.1f} ({max(estimate.receives, default=0)})",
        str(estimate.dead_letters),
        *(f"{figures.percentile(estimate.delays, part) / 60:.0f} min" for part in (0.5, 0.99, 1.0)),
    ]


if __name__ == "__main__":
    print(table())
