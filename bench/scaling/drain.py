"""The backlog of an outage, and how long it takes to drain."""

import math
from bisect import bisect_right

from bench.scaling.service import Service
from bench.scaling.simulation import Batch, random_arrivals, serve

OUTAGE = 3600.0  # seconds


def drain_seconds(service: Service, rate: float, concurrency: int) -> float:
    """Return the seconds until the backlog of an hour's outage is gone, by formula; infinite where it never is."""
    spare = service.capacity(concurrency) - rate
    return rate * OUTAGE / spare if spare > 0 else math.inf


def simulate_drain(service: Service, rate: float, concurrency: int) -> list[Batch]:
    """Return the batches after an outage of an hour until the queue is empty; none where it never is."""
    ahead = 1.2 * drain_seconds(service, rate, concurrency) + 60
    if math.isinf(ahead):
        return []
    backlog = int(rate * OUTAGE)
    arrivals = [0.0] * backlog + random_arrivals(rate, int(rate * ahead))
    batches, served = list[Batch](), 0
    for batch, _ in serve(service, arrivals, concurrency):
        batches.append(batch)
        served += batch.size
        if served == bisect_right(arrivals, batch.start):
            break
    return batches
