"""One merchant whose orders all fail shares a queue with others: the standard queue against a fair queue."""

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.scaling.service import Service
from bench.scaling.simulation import random_arrivals
from orders.waits import KEYS_BROKEN, THROTTLED, Wait, backoff

NOISY_IN_FLIGHT = 30  # messages in flight from which AWS calls a tenant noisy, if they are more than a tenth of all
MINUTES = 4  # that the queue is followed


@dataclass(frozen=True, slots=True)
class Failure:
    """How all orders of the failing merchant end: after this many calls, to be received again after this wait."""

    name: str
    calls: int
    wait: Wait


BROKEN_KEYS = Failure("401", 2, KEYS_BROKEN)  # a 401 is answered once with fresh keys, then the order waits
TOO_OFTEN = Failure("429", 1, THROTTLED)


@dataclass(slots=True)
class SharedQueue:
    """A queue with one failing merchant in it; `waits` are the others' seconds in the queue, `receives` its own."""

    quiet: list[float]  # when the others' orders arrive
    failing: list[float]  # when the failing merchant's orders arrive
    again: list[tuple[float, int]] = field(default_factory=list)  # a heap of its retries: when visible, which receive
    quiet_taken: int = 0
    failing_taken: int = 0
    waits: list[float] = field(default_factory=list)
    receives: int = 0

    def next_at(self) -> float:
        """Return when a message is visible next."""
        return min(_at(self.quiet, self.quiet_taken), self._failing_at())

    def _failing_at(self) -> float:
        return min(_at(self.failing, self.failing_taken), self.again[0][0] if self.again else math.inf)

    def batch(self, now: float, size: int, *, noisy: bool) -> tuple[int, list[int]]:
        """Take the visible messages, oldest first, but the quiet merchants' before a noisy one's.

        Return how many of the quiet merchants' there are, and the receive counts of the failing merchant's.
        """
        before, counts = self.quiet_taken, list[int]()
        for _ in range(size):
            quiet, failing = _at(self.quiet, self.quiet_taken), self._failing_at()
            if quiet <= now and (noisy or quiet <= failing):
                self.waits.append(now - quiet)
                self.quiet_taken += 1
            elif failing <= now:
                counts.append(self._take_failing(failing))
        self.receives += len(counts)
        return self.quiet_taken - before, counts

    def _take_failing(self, at: float) -> int:
        if _at(self.failing, self.failing_taken) > at:
            return heapq.heappop(self.again)[1]
        self.failing_taken += 1
        return 1


def _at(times: Sequence[float], number: int) -> float:
    return times[number] if number < len(times) else math.inf


def share_queue(
    service: Service, rate: float, failure: Failure, *, fair: bool, seconds: float = MINUTES * 60
) -> SharedQueue:
    """Let one merchant send half of `rate` orders a second, all of which fail, and see how long the others' wait.

    Fair: the failing merchant is noisy while enough of its messages are in flight; the others never are. An order that
    still waits at the end counts with its wait until then.
    """
    half = int(rate / 2 * seconds)
    generator = random.Random(3)  # noqa: S311  a simulation
    queue = SharedQueue(random_arrivals(rate / 2, half), random_arrivals(rate / 2, half, seed=2))
    noisy_from = max(NOISY_IN_FLIGHT, service.maximum_concurrency * service.batch_size / 9)
    environments = [0.0] * service.maximum_concurrency
    while (now := max(environments[0], queue.next_at())) < seconds:
        quiet, counts = queue.batch(now, service.batch_size, noisy=fair and len(queue.again) >= noisy_from)
        end = now + batch_seconds(service, quiet, len(counts), failure)
        heapq.heapreplace(environments, end)
        for count in counts:
            wait = backoff(count, failure.wait, jitter=generator.random())
            heapq.heappush(queue.again, (end + wait, count + 1))
    queue.waits += [seconds - at for at in queue.quiet[queue.quiet_taken :] if at < seconds]
    return queue


def batch_seconds(service: Service, quiet: int, failing: int, failure: Failure) -> float:
    """Return the time of a batch, that of its slowest order: further calls come after the first."""
    further = (failure.calls - 1) * (service.wechat_ms / 1000) if failing else 0.0
    return service.seconds(quiet + failing * failure.calls) + further
