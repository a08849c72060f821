"""How far the function goes and what stops it: Little's law, and a small simulation that must agree with it.

`python -m bench.scaling` prints the tables of docs/scaling.md; its flags are the fields of `Service`. Nothing is
measured and nothing waits: time is a number. The queue and Lambda's pollers are models: an environment that is free
takes at once what waits, ten messages at most, and Lambda's own scaling up is left out.
"""

import argparse
import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import accumulate
from typing import NamedTuple

from bench import template
from orders.waits import KEYS_BROKEN, THROTTLED, Wait, backoff

FULL_PROCESSOR = 1769  # MB of memory at which Lambda gives a whole processor
HEADROOM = 1.5  # of what full batches need: the backlog of an hour is gone after two
OUTAGE = 3600.0  # seconds
RECEIVES = template.default("MaxReceiveCount")
IN_FLIGHT = 120_000  # messages received and not yet deleted, at which SQS hands out no more
PATIENCE = 300  # seconds that an environment keeps a secret: orders.merchants.SECRET_MAX_AGE
NOISY_IN_FLIGHT = 30  # messages in flight from which AWS calls a tenant noisy, if they are more than a tenth of all
MINUTES = 4  # that a merchant is watched whose orders all fail
RATES = (10.0, 1_000.0, 50_000.0)  # orders a second
ORDERS = 40_000  # in one run of the simulation: at 50,000 a second still seven times as long as a batch


@dataclass(frozen=True, slots=True)
class Service:
    """What one batch costs. Milliseconds of processor are those of a whole one, and stretch where memory is small."""

    wechat_ms: float = 50.0  # a call to WeChat Pay; the calls of a batch run side by side
    dynamodb_ms: float = 4.0  # a round trip; a batch makes two, one read and one write
    cpu_ms_per_batch: float = 4.0  # measured: the invocation, whatever is in it
    cpu_ms_per_event: float = 1.3  # measured: mostly the signature
    memory_mb: int = 512  # the template's MemorySize
    batch_size: int = 10  # the template's BatchSize
    maximum_concurrency: int = 5  # the template's MaximumConcurrency

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
        return max(1.0, FULL_PROCESSOR / self.memory_mb)

    def seconds(self, orders: float) -> float:
        """How long a batch of so many orders takes."""
        return self.fixed + orders * self.each

    @property
    def full_batch(self) -> float:
        """How long a full batch takes, in seconds."""
        return self.seconds(self.batch_size)

    def capacity(self, concurrency: int) -> float:
        """Orders a second at most, every environment busy with full batches."""
        return concurrency * self.batch_size / self.full_batch

    def needed(self, rate: float) -> float:
        """Concurrency that `rate` orders a second need at least, by Little's law: full batches a second × seconds."""
        return rate / self.batch_size * self.full_batch

    def concurrency_to_set(self, rate: float) -> int:
        """MaximumConcurrency with headroom, and never below the template's."""
        return max(self.maximum_concurrency, math.ceil(HEADROOM * self.needed(rate)))


def mean_batch(service: Service, rate: float, concurrency: int) -> float:
    """Orders in a batch on average: one, until all environments are busy; then as many as keep them busy.

    Little's law again, solved for the size n: concurrency = rate / n × (fixed + n × each).
    """
    idle = concurrency - rate * service.each
    needed = rate * service.fixed / idle if idle > 0 else math.inf
    return min(float(service.batch_size), max(1.0, needed))


def little(service: Service, rate: float, concurrency: int) -> float:
    """Environments busy at a time: batches a second × seconds of a batch, and no more than there may be."""
    size = mean_batch(service, rate, concurrency)
    return min(float(concurrency), rate / size * service.seconds(size))


class Batch(NamedTuple):
    """One batch of the simulation: when it began, in seconds, and how many orders were in it."""

    start: float
    size: int


def arriving(rate: float, orders: int, *, seed: int = 1) -> list[float]:
    """When so many orders arrive: independent of each other, `rate` a second on average."""
    dice = random.Random(seed)  # noqa: S311  a simulation
    return list(accumulate(dice.expovariate(rate) for _ in range(orders)))


def served(
    service: Service, arrivals: Sequence[float], concurrency: int, *, window: float = 0.0
) -> Iterator[tuple[Batch, Sequence[float]]]:
    """Yield each batch with its orders' arrivals, until all are taken.

    `window` is the batching window in seconds; one batch gathers at a time, which fills batches best.
    """
    environments = [0.0] * concurrency  # when each is free
    taken = 0
    while taken < len(arrivals):
        opens = max(environments[0], arrivals[taken])
        last = taken + service.batch_size - 1
        full = arrivals[last] if last < len(arrivals) else math.inf
        start = max(opens, min(opens + window, full))
        until = min(bisect_right(arrivals, start, taken), last + 1)
        yield Batch(start, until - taken), arrivals[taken:until]
        heapq.heapreplace(environments, start + service.seconds(until - taken))
        taken = until


def concurrency_seen(service: Service, rate: float, concurrency: int, *, orders: int = ORDERS) -> float:
    """Environments busy at a time in the simulation, on average over all but its first fifth."""
    batches = [batch for batch, _ in served(service, arriving(rate, orders), concurrency)]
    end = batches[-1].start
    begin = end / 5
    ends = [min(end, batch.start + service.seconds(batch.size)) for batch in batches]
    busy = sum(max(0.0, until - max(begin, batch.start)) for batch, until in zip(batches, ends, strict=True))
    return busy / (end - begin)


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of AWS's, and what one order a second asks of it; `page` is a link of docs/scaling.md.

    `well`: every deployment in us-east-1 meets it, when all is well.
    """

    name: str
    limit: float
    each: float
    page: str
    met_by: str = "orders/s"
    well: bool = True

    @property
    def met_at(self) -> float:
        """How many a second meet it."""
        return self.limit / self.each


def quotas(service: Service) -> list[Quota]:
    """AWS's defaults of 2026, lowest first. An order is one read and two write units, its most (docs/cost.md)."""
    share = service.full_batch / service.batch_size
    ours = service.maximum_concurrency
    broken = retried_for(KEYS_BROKEN)
    found = [
        Quota(f"MaximumConcurrency {ours}, the template's", ours, share, "mapping", well=False),
        Quota("MaximumConcurrency 1,000, Lambda's own limit", 1_000, share, "mapping"),
        Quota("Lambda, 1,000 at a time in an account", 1_000, share, "lambda"),
        Quota("EventBridge PutEvents, one order each, 400/s in the smallest regions", 400, 1, "events", well=False),
        Quota("EventBridge PutEvents, one order each, 10,000/s in us-east-1", 10_000, 1, "events"),
        Quota("EventBridge invocations, 750/s in the smallest regions", 750, 1, "events", well=False),
        Quota("EventBridge invocations, 18,750/s in us-east-1", 18_750, 1, "events"),
        Quota("DynamoDB, 4,000 write units/s of a new table", 4_000, 2, "on-demand"),
        Quota("DynamoDB, 12,000 read units/s of a new table", 12_000, 1, "on-demand"),
        Quota("DynamoDB, 40,000 write units/s of a table", 40_000, 2, "table"),
        Quota("DynamoDB, 40,000 read units/s of a table", 40_000, 1, "table"),
        Quota("SQS, 120,000 in flight, all well", IN_FLIGHT, service.full_batch, "queue"),
        Quota("SQS, 120,000 in flight, an hour without WeChat Pay", IN_FLIGHT, OUTAGE, "queue", well=False),
        Quota(
            "SQS, 120,000 in flight, one merchant's keys broken",
            IN_FLIGHT,
            broken,
            "queue",
            "of its orders/s",
            well=False,
        ),
        Quota("Secrets Manager, 10,000 GetSecretValue/s", 10_000, 1 / PATIENCE, "secrets", "environments × merchants"),
    ]
    return sorted(found, key=lambda quota: quota.met_at)


def retried_for(wait: Wait) -> float:
    """Seconds, on average, that a message is in flight which never succeeds: all its waits."""
    dice = [(number + 0.5) / 100 for number in range(100)]
    return sum(backoff(count, wait, jitter=jitter) for count in range(1, RECEIVES + 1) for jitter in dice) / len(dice)


@dataclass(frozen=True, slots=True)
class Failing:
    """How all orders of one merchant end: after so many calls, to be received again after so long."""

    name: str
    calls: int
    wait: Wait


BROKEN_KEYS = Failing("401", 2, KEYS_BROKEN)  # a 401 is answered once with fresh keys, then the order waits
TOO_OFTEN = Failing("429", 1, THROTTLED)


@dataclass(slots=True)
class Shared:
    """A queue with one loud merchant in it; `waits` are the others' seconds in the queue, `receives` are his."""

    quiet: list[float]  # when the others' orders arrive
    loud: list[float]  # when his do
    again: list[tuple[float, int]] = field(default_factory=list)  # a heap of his: when visible, which receive
    taken: int = 0  # of the others'
    begun: int = 0  # of his
    waits: list[float] = field(default_factory=list)
    receives: int = 0

    def next_at(self) -> float:
        """When a message is visible next."""
        return min(_at(self.quiet, self.taken), self._his_at())

    def _his_at(self) -> float:
        return min(_at(self.loud, self.begun), self.again[0][0] if self.again else math.inf)

    def batch(self, now: float, size: int, *, noisy: bool) -> tuple[int, list[int]]:
        """Take what is visible, oldest first, but the quiet merchants' before a noisy one's; his by receive."""
        began, loud = self.taken, list[int]()
        for _ in range(size):
            quiet, his = _at(self.quiet, self.taken), self._his_at()
            if quiet <= now and (noisy or quiet <= his):
                self.waits.append(now - quiet)
                self.taken += 1
            elif his <= now:
                loud.append(self._next_of_his(his))
        self.receives += len(loud)
        return self.taken - began, loud

    def _next_of_his(self, at: float) -> int:
        if _at(self.loud, self.begun) > at:
            return heapq.heappop(self.again)[1]
        self.begun += 1
        return 1


def _at(times: Sequence[float], number: int) -> float:
    return times[number] if number < len(times) else math.inf


def beside(service: Service, rate: float, failing: Failing, *, fair: bool, seconds: float = MINUTES * 60) -> Shared:
    """Let one merchant send half of `rate` orders a second, all of which fail, and see how long the others' wait.

    Fair: he is noisy while enough of his are to come again; the others never are. Whoever waits at the end counts
    with what he has waited.
    """
    half = int(rate / 2 * seconds)
    dice = random.Random(3)  # noqa: S311  a simulation
    queue = Shared(arriving(rate / 2, half), arriving(rate / 2, half, seed=2))
    noisy_from = max(NOISY_IN_FLIGHT, service.maximum_concurrency * service.batch_size / 9)
    environments = [0.0] * service.maximum_concurrency
    while (now := max(environments[0], queue.next_at())) < seconds:
        quiet, loud = queue.batch(now, service.batch_size, noisy=fair and len(queue.again) >= noisy_from)
        end = now + _seconds(service, quiet, len(loud), failing)
        heapq.heapreplace(environments, end)
        for count in loud:
            wait = backoff(count, failing.wait, jitter=dice.random())
            heapq.heappush(queue.again, (end + wait, count + 1))
    queue.waits += [seconds - at for at in queue.quiet[queue.taken :] if at < seconds]
    return queue


def _seconds(service: Service, quiet: int, loud: int, failing: Failing) -> float:
    """A batch takes as long as its slowest order: further calls come after the first."""
    further = (failing.calls - 1) * (service.wechat_ms / 1000) if loud else 0.0
    return service.seconds(quiet + loud * failing.calls) + further


def drain_seconds(service: Service, rate: float, concurrency: int) -> float:
    """Seconds until the backlog of an hour's outage is gone, by formula; infinite where it never is."""
    spare = service.capacity(concurrency) - rate
    return rate * OUTAGE / spare if spare > 0 else math.inf


def drained(service: Service, rate: float, concurrency: int) -> list[Batch]:
    """Simulate what follows an outage of an hour: the batches until the queue is empty; none where it never is."""
    ahead = 1.2 * drain_seconds(service, rate, concurrency) + 60
    if math.isinf(ahead):
        return []
    backlog = int(rate * OUTAGE)
    arrivals = [0.0] * backlog + arriving(rate, int(rate * ahead))
    found, taken = list[Batch](), 0
    for batch, _ in served(service, arrivals, concurrency):
        found.append(batch)
        taken += batch.size
        if taken == bisect_right(arrivals, batch.start):
            break
    return found


def settings_below(service: Service, calls: float) -> tuple[int, int]:
    """MaximumConcurrency and BatchSize that make as many calls a second as possible, `calls` at most.

    The smallest that Lambda allows are (2, 1), whatever the limit.
    """
    if (concurrency := int(calls / service.capacity(1))) >= 2:
        return concurrency, service.batch_size
    sizes = range(service.batch_size, 0, -1)
    return 2, next((size for size in sizes if replace(service, batch_size=size).capacity(2) <= calls), 1)


def series(service: Service | None = None) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return the lines of two plots, by name: concurrency over orders a second, orders waiting over minutes."""
    service = service or Service()
    rates = [rate * 10.0**power for power in range(5) for rate in (1.0, 2.0, 5.0)]
    set_to = {rate: service.concurrency_to_set(rate) for rate in rates}
    return {
        "scaling-concurrency": {
            "full batches need": [(rate, service.needed(rate)) for rate in rates],
            "Little's law": [(rate, little(service, rate, set_to[rate])) for rate in rates],
            "simulation": [(rate, concurrency_seen(service, rate, set_to[rate], orders=10_000)) for rate in rates],
        },
        "scaling-backlog": {
            f"MaximumConcurrency {concurrency}": _backlog(service, 100.0, concurrency) for concurrency in (5, 10, 50)
        },
    }


def _backlog(service: Service, rate: float, concurrency: int) -> list[tuple[float, float]]:
    """Orders waiting, minute by minute: an hour's outage, then the simulated drain."""
    growing = [(float(minute), rate * 60 * minute) for minute in range(0, 61, 5)]
    batches = drained(service, rate, concurrency)
    if not batches:
        return growing
    starts, taken = [batch.start for batch in batches], list(accumulate(batch.size for batch in batches))
    steps = max(1, math.ceil(starts[-1] / 60))
    times = [starts[-1] * step / steps for step in range(1, steps + 1)]
    left = [rate * (OUTAGE + time) - taken[bisect_right(starts, time) - 1] for time in times]
    return growing + [(60 + time / 60, max(0.0, count)) for time, count in zip(times, left, strict=True)]


def percentile(values: Iterable[float], part: float) -> float:
    """Return the value that `part` of the values do not exceed; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def tables(service: Service | None = None) -> dict[str, str]:
    """Every Markdown table of docs/scaling.md, by its name."""
    service = service or Service()
    return {
        "concurrency": _table(_CONCURRENCY, [_concurrency_row(service, rate) for rate in RATES]),
        "quotas": _table(_QUOTAS, [_quota_row(quota) for quota in quotas(service)]),
        "memory": _table(_MEMORY, [_memory_row(replace(service, memory_mb=size)) for size in (256, 512, 1024, 1769)]),
        "batches": _table(
            _BATCHES, [_batch_row(service, rate, window) for rate in (1.0, 10.0, 100.0, 400.0) for window in (0.0, 1.0)]
        ),
        "calls": _table(_CALLS, [_calls_row(service, concurrency) for concurrency in (2, 5, 20, 100)]),
        "limits": _table(_LIMITS, [_limit_row(service, limit) for limit in (10.0, 150.0, 1_000.0)]),
        "merchants": _table(
            _MERCHANTS,
            [_merchant_row(service, rate, BROKEN_KEYS) for rate in (50.0, 150.0, 250.0)]
            + [_merchant_row(service, 250.0, TOO_OFTEN)],
        ),
        "drain": _table(
            _DRAIN, [_drain_row(service, rate, concurrency) for rate in (1.0, 10.0, 100.0) for concurrency in (5, 50)]
        ),
    }


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows))


_CONCURRENCY = (
    "orders/s",
    "set to",
    "a batch",
    "batches/s",
    "needed",
    "Little",
    "simulated",
    "calls (most)",
    "in flight full",
    "met first",
)


def _concurrency_row(service: Service, rate: float) -> list[str]:
    concurrency = service.concurrency_to_set(rate)
    size = mean_batch(service, rate, concurrency)
    met = next((quota for quota in quotas(service) if quota.well and quota.met_at <= rate), None)
    return [
        f"{rate:,.0f}",
        f"{concurrency:,}",
        f"{size:.1f}",
        f"{rate / size:,.0f}",
        _short(service.needed(rate)),
        _short(little(service, rate, concurrency)),
        _short(concurrency_seen(service, rate, concurrency)),
        f"{_short(rate * service.wechat_ms / 1000)} ({concurrency * service.batch_size:,})",
        _duration(IN_FLIGHT / rate),
        met.name if met else "none",
    ]


_QUOTAS = ("quota", "met at", "page")


def _quota_row(quota: Quota) -> list[str]:
    return [quota.name, f"{_short(quota.met_at)} {quota.met_by}", f"[{quota.page}]"]


_MEMORY = ("MemorySize", "a batch of 10", "concurrency for 50,000/s", "GB-ms an order")


def _memory_row(service: Service) -> list[str]:
    billed = service.full_batch / service.batch_size * service.memory_mb / 1024
    return [
        f"{service.memory_mb} MB",
        f"{service.full_batch * 1000:.0f} ms",
        f"{service.needed(50_000):.0f}",
        f"{billed * 1000:.1f}",
    ]


_BATCHES = ("orders/s", "batching window", "orders a batch", "waits, half", "waits, 99 %", "billed an order")


def _batch_row(service: Service, rate: float, window: float) -> list[str]:
    orders = int(min(ORDERS, 2_000 * rate))
    found = list(served(service, arriving(rate, orders), service.maximum_concurrency, window=window))
    waits = [batch.start - at for batch, arrivals in found for at in arrivals]
    billed = sum(service.seconds(batch.size) for batch, _ in found) / orders
    return [
        f"{rate:,.0f}",
        f"{window:.0f} s",
        f"{orders / len(found):.1f}",
        f"{percentile(waits, 0.5) * 1000:,.0f} ms",
        f"{percentile(waits, 0.99) * 1000:,.0f} ms",
        f"{billed * 1000:.0f} ms",
    ]


_LATENCIES = (50.0, 200.0, 1_000.0)  # ms that WeChat Pay takes
_CALLS = ("MaximumConcurrency", "calls in flight", *(f"calls/s at {latency:,.0f} ms" for latency in _LATENCIES))


def _calls_row(service: Service, concurrency: int) -> list[str]:
    flying = concurrency * service.batch_size
    reckoned = [replace(service, wechat_ms=latency).capacity(concurrency) for latency in _LATENCIES]
    most = [flying / latency * 1000 for latency in _LATENCIES]
    cells = [f"{upper:,.0f} ({found:,.0f})" for upper, found in zip(most, reckoned, strict=True)]
    return [str(concurrency), f"{flying:,}", *cells]


_LIMITS = ("calls/s that WeChat Pay takes", "MaximumConcurrency", "BatchSize", "calls/s at most")


def _limit_row(service: Service, limit: float) -> list[str]:
    concurrency, size = settings_below(service, limit)
    made = replace(service, batch_size=size).capacity(concurrency)
    return [f"{limit:,.0f}", str(concurrency), str(size), f"{made:,.0f}"]


_MERCHANTS = ("orders/s", "his end in", "his receives", "standard: half", "99 %", "fair: half", "99 %")


def _merchant_row(service: Service, rate: float, failing: Failing) -> list[str]:
    standard, fair = (beside(service, rate, failing, fair=fair) for fair in (False, True))
    waits = [_duration(percentile(queue.waits, part)) for queue in (standard, fair) for part in (0.5, 0.99)]
    return [f"{rate:,.0f}", failing.name, f"{standard.receives:,}", *waits]


_DRAIN = ("orders/s", "MaximumConcurrency", "backlog", "capacity", "drained after, formula", "simulated")


def _drain_row(service: Service, rate: float, concurrency: int) -> list[str]:
    batches = drained(service, rate, concurrency)
    return [
        f"{rate:,.0f}",
        str(concurrency),
        f"{rate * OUTAGE:,.0f}",
        f"{service.capacity(concurrency):,.0f}/s",
        _duration(drain_seconds(service, rate, concurrency)),
        _duration(batches[-1].start if batches else math.inf),
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    if math.isinf(seconds):
        return "never"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _arguments(arguments: Sequence[str] | None = None) -> Service:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description="Print the tables of docs/scaling.md.")
    defaults: Mapping[str, float] = {item.name: getattr(Service(), item.name) for item in fields(Service)}
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return Service(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    print("\n\n".join(tables(_arguments()).values()))
