"""Orders that arrive at random and environments that take them in batches."""

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from bench.scaling.service import Service

ORDERS = 40_000  # in one run: at 50,000 a second still seven times as long as a batch


class Batch(NamedTuple):
    """One batch: when it began, in seconds, and how many orders were in it."""

    start: float
    size: int


def random_arrivals(rate: float, orders: int, *, seed: int = 1) -> list[float]:
    """Return when this many orders arrive: independent of each other, `rate` a second on average."""
    generator = random.Random(seed)  # noqa: S311  a simulation
    return list(accumulate(generator.expovariate(rate) for _ in range(orders)))


def serve(
    service: Service, arrivals: Sequence[float], concurrency: int, *, window: float = 0.0
) -> Iterator[tuple[Batch, Sequence[float]]]:
    """Yield each batch with its orders' arrivals, until no order waits.

    `window` is the batching window in seconds; one batch gathers at a time, which fills batches best.
    """
    environments = [0.0] * concurrency  # when each is free
    first = 0
    while first < len(arrivals):
        opens = max(environments[0], arrivals[first])
        last = first + service.batch_size - 1
        full = arrivals[last] if last < len(arrivals) else math.inf
        start = max(opens, min(opens + window, full))
        until = min(bisect_right(arrivals, start, first), last + 1)
        yield Batch(start, until - first), arrivals[first:until]
        heapq.heapreplace(environments, start + service.seconds(until - first))
        first = until


def simulate_busy_environments(service: Service, rate: float, concurrency: int, *, orders: int = ORDERS) -> float:
    """Return the mean number of busy environments over all but the first fifth of a run."""
    batches = [batch for batch, _ in serve(service, random_arrivals(rate, orders), concurrency)]
    end = batches[-1].start
    begin = end / 5
    ends = [min(end, batch.start + service.seconds(batch.size)) for batch in batches]
    busy = sum(max(0.0, until - max(begin, batch.start)) for batch, until in zip(batches, ends, strict=True))
    return busy / (end - begin)
