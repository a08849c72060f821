"""The lines of the two plots of docs/operate/scaling.md."""

import math
from bisect import bisect_right
from itertools import accumulate

from bench.scaling.drain import OUTAGE, simulate_drain
from bench.scaling.service import Service, busy_environments
from bench.scaling.simulation import simulate_busy_environments

type Points = list[tuple[float, float]]


def series(service: Service | None = None) -> dict[str, dict[str, Points]]:
    """Return the lines by plot: concurrency over orders a second, orders waiting over minutes."""
    service = service or Service()
    rates = [rate * 10.0**power for power in range(5) for rate in (1.0, 2.0, 5.0)]
    concurrency = {rate: service.concurrency_to_set(rate) for rate in rates}
    return {
        "scaling-concurrency": {
            "full batches need": [(rate, service.concurrency_needed(rate)) for rate in rates],
            "Little's law": [(rate, busy_environments(service, rate, concurrency[rate])) for rate in rates],
            "simulation": [
                (rate, simulate_busy_environments(service, rate, concurrency[rate], orders=10_000)) for rate in rates
            ],
        },
        "scaling-backlog": {
            f"MaximumConcurrency {most}": _backlog(service, 100.0, concurrency=most) for most in (5, 10, 50)
        },
    }


def _backlog(service: Service, rate: float, *, concurrency: int) -> Points:
    """Return the orders waiting, minute by minute: an hour's outage, then the simulated drain."""
    growing = [(float(minute), rate * 60 * minute) for minute in range(0, 61, 5)]
    batches = simulate_drain(service, rate, concurrency)
    if not batches:
        return growing
    starts, served = [batch.start for batch in batches], list(accumulate(batch.size for batch in batches))
    steps = max(1, math.ceil(starts[-1] / 60))
    times = [starts[-1] * step / steps for step in range(1, steps + 1)]
    waiting = [rate * (OUTAGE + time) - served[bisect_right(starts, time) - 1] for time in times]
    return growing + [(60 + time / 60, max(0.0, count)) for time, count in zip(times, waiting, strict=True)]
