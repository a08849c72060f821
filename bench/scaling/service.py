"""One deployment of the function: what a batch takes, how many orders a second it serves, by Little's law."""

import math
from dataclasses import dataclass, replace

from bench.cost import WHOLE_CPU
from bench.record import batch_cpu
from bench.template import default, most

HEADROOM = 1.5  # of what full batches need: the backlog of an hour is gone after two
MOST = most("MaximumConcurrency")  # Lambda's own limit


@dataclass(frozen=True, slots=True)
class Service:
    """What one batch costs. Milliseconds of CPU are those of a whole one, and stretch where memory is small."""

    wechat_ms: float = 50.0  # a call to WeChat Pay; the calls of a batch run in parallel
    dynamodb_ms: float = 4.0  # a round trip; a batch makes two, one read and one write
    cpu_ms_per_batch: float = batch_cpu().per_batch  # measured: the invocation, whatever is in it
    cpu_ms_per_event: float = batch_cpu().per_event  # measured: mostly the signature
    memory_mb: int = 512  # the template's MemorySize
    batch_size: int = default("BatchSize")
    maximum_concurrency: int = default("MaximumConcurrency")

    @property
    def fixed(self) -> float:
        """Seconds that a batch takes before its first order counts."""
        return (2 * self.dynamodb_ms + self.wechat_ms + self.cpu_ms_per_batch * self._stretch) / 1000

    @property
    def each(self) -> float:
        """Seconds that an order adds to its batch."""
        return self.cpu_ms_per_event * self._stretch / 1000

    @property
    def _stretch(self) -> float:
        return max(1.0, WHOLE_CPU / self.memory_mb)

    def seconds(self, orders: float) -> float:
        """Return how long a batch of this many orders takes."""
        return self.fixed + orders * self.each

    @property
    def full_batch(self) -> float:
        """How long a full batch takes, in seconds."""
        return self.seconds(self.batch_size)

    def capacity(self, concurrency: int) -> float:
        """Return the most orders a second: every environment busy with full batches."""
        return concurrency * self.batch_size / self.full_batch

    def concurrency_needed(self, rate: float) -> float:
        """Return the least concurrency for `rate` orders a second: full batches a second × seconds (Little's law)."""
        return rate / self.batch_size * self.full_batch

    def concurrency_to_set(self, rate: float) -> int:
        """Return MaximumConcurrency with headroom, never below the template's and never above Lambda's limit."""
        return min(MOST, max(self.maximum_concurrency, math.ceil(HEADROOM * self.concurrency_needed(rate))))


def mean_batch(service: Service, rate: float, concurrency: int) -> float:
    """Return the mean number of orders in a batch: one, until every environment is busy; then more.

    Little's law solved for the size n: concurrency = rate / n × (fixed + n × each).
    """
    idle = concurrency - rate * service.each
    size = rate * service.fixed / idle if idle > 0 else math.inf
    return min(float(service.batch_size), max(1.0, size))


def busy_environments(service: Service, rate: float, concurrency: int) -> float:
    """Return the mean number of busy environments: batches a second × seconds of a batch, `concurrency` at most."""
    size = mean_batch(service, rate, concurrency)
    return min(float(concurrency), rate / size * service.seconds(size))


def settings_below(service: Service, calls: float) -> tuple[int, int]:
    """Return the MaximumConcurrency and BatchSize that make the most calls a second, `calls` at most.

    The smallest that Lambda allows are (2, 1), whatever the limit.
    """
    if (concurrency := int(calls / service.capacity(1))) >= 2:
        return concurrency, service.batch_size
    sizes = range(service.batch_size, 0, -1)
    return 2, next((size for size in sizes if replace(service, batch_size=size).capacity(2) <= calls), 1)
