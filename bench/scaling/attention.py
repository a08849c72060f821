"""The index `attention` in an outage: what is written to its one busy key, `RETRYING`, and what a partition refuses.

Orders are counted, not followed: those that were received as often, and have the same item, move together, second by
second. Waits are `orders.waits`', spread evenly over their jitter; nothing is random.
"""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bench.outage import DEFERRED_BATCH, SILENT_BATCH
from bench.scaling.drain import OUTAGE
from bench.scaling.quotas import IN_FLIGHT
from bench.scaling.service import Service
from orders.circuit import RECOVERY, SILENT_BATCHES
from orders.waits import NO_FLOOR, backoff, deferral

PARTITION = 1_000  # write units a second of a partition; an item of an order that waits is below 1 KB, one unit
JITTERS = tuple((number + 0.5) / 8 for number in range(8))
AFTERWARDS = 3600  # seconds that the simulation goes on after the outage


class Item(Enum):
    """What the table has of an order that waits."""

    NONE = "no item"
    TRIED = "RETRYING, after a call without an answer"
    NOTED = "RETRYING, because the circuit is open"


class Cause(Enum):
    """What an order's item is written for."""

    ATTEMPT = "a call without an answer"
    NOTE = "the circuit is open"
    SETTLED = "an answer"


PUT, DELETED = 1, 1  # write units of an entry
REPLACED = DELETED + PUT  # the sort key `updated_at` changes with every write


@dataclass(frozen=True, slots=True)
class Design:
    """A key of the index, in so many partitions; `notes`: an open circuit is noted at an order's first deferral.

    Otherwise it is noted at the last receive, as other failures are; an hour's outage has none.
    """

    name: str
    shards: int = 1
    notes: bool = True


PRESENT = Design("as it is")
SHARDED = Design("10 shards", shards=10)
LAST_RECEIVE = Design("noted at the last receive", notes=False)


type Kind = tuple[int, Item]
"""The receive of an order, counted from 1, and its item."""

type Orders = defaultdict[Kind, float]


def _orders() -> Orders:
    return defaultdict(float)


@dataclass(slots=True)
class Index:
    """What the index was asked for, in write units, and what it refused."""

    design: Design
    opened: int = 0  # the second in which the circuit opened
    units: float = 0.0
    refused: float = 0.0
    most: float = 0.0  # units in one second
    throttled: int = 0  # seconds with more units than the partitions take
    throttled_after: int = 0  # of them after the outage
    settled_late: float = 0.0  # orders whose settlement was refused at least once
    entries: float = 0.0  # in the index now
    entries_at_end: float = 0.0  # of the outage
    receives: int = 0  # the most of an order

    def take(self, second: int, units: float) -> float:
        """Return which part of the units of a second is written."""
        self.units += units
        self.most = max(self.most, units)
        if units <= (limit := self.design.shards * PARTITION):
            return 1.0
        self.throttled += 1
        self.throttled_after += second > OUTAGE
        self.refused += units - limit
        return limit / units


@dataclass(slots=True)
class _Queue:
    """The order queue: cohorts in the order in which they became visible, and those in flight until a second."""

    visible: deque[Orders] = field(default_factory=deque)
    waiting: defaultdict[int, Orders] = field(default_factory=lambda: defaultdict(_orders))
    in_flight: float = 0.0

    def arrive(self, second: int, count: float) -> None:
        """Make new orders visible, and those whose wait ends."""
        cohort = self.waiting.pop(second, None) or _orders()
        self.in_flight -= sum(cohort.values())
        cohort[1, Item.NONE] += count
        self.visible.append(cohort)

    def receive(self, most: float) -> Orders:
        """Take the orders that are visible longest, `most` at most, and not more than may be in flight."""
        room, orders = min(most, IN_FLIGHT - self.in_flight), _orders()
        while room > 1e-9 and self.visible:
            cohort = self.visible[0]
            size = sum(cohort.values())
            part = min(1.0, room / size) if size else 1.0
            for kind, count in cohort.items():
                orders[kind] += part * count
            room -= part * size
            if part == 1.0:
                self.visible.popleft()
            else:
                self.visible[0] = _scaled(cohort, 1 - part)
        self.in_flight += sum(orders.values())
        return orders


def _scaled(cohort: Mapping[Kind, float], part: float) -> Orders:
    scaled = _orders()
    scaled.update((kind, part * count) for kind, count in cohort.items())
    return scaled


def simulate(service: Service, rate: float, design: Design) -> Index:
    """Let `rate` orders a second arrive during an hour's outage and an hour after it, and count the index's writes."""
    return _Outage(service, rate, Index(design)).run()


@dataclass(slots=True)
class _Outage:
    service: Service
    rate: float
    index: Index
    queue: _Queue = field(default_factory=_Queue)
    under_way: dict[int, Orders] = field(default_factory=dict)  # calls without an answer, by the second of their end
    concurrency: int = 0
    opened_at: float | None = None
    closed_again: bool = False

    def run(self) -> Index:
        self.concurrency = self.service.concurrency_to_set(self.rate)
        for second in range(int(OUTAGE) + AFTERWARDS):
            self.queue.arrive(second, self.rate)
            if second == OUTAGE:
                self.index.entries_at_end = self.index.entries
            tried = self.under_way.pop(second, None) or _orders()
            if self.opened_at is None and second >= SILENT_BATCHES * SILENT_BATCH and not self.closed_again:
                self.opened_at, self.index.opened = second, second
            if tried and self.opened_at is not None:
                self.opened_at = second  # a probe without an answer
            self._write(second, tried, self._act(second))
            if self.closed_again and self.index.entries < 1 and self.queue.in_flight < 1:
                break
        return self.index

    def _act(self, second: int) -> tuple[Orders, Orders]:
        """Receive what this second has time for; return the orders that are deferred, and those that are answered."""
        size = self.service.batch_size
        if self.opened_at is None and second < OUTAGE:
            calling = sum(sum(orders.values()) for orders in self.under_way.values())
            self._call(second, self.queue.receive(self.concurrency * size - calling))
            return _orders(), _orders()
        if self.opened_at is None:
            return _orders(), self.queue.receive(self._healthy())
        if second >= self.opened_at + RECOVERY and not self.under_way:
            if second >= OUTAGE:
                self.opened_at, self.closed_again = None, True
                return _orders(), self.queue.receive(size)
            self._call(second, self.queue.receive(size))
        written = DEFERRED_BATCH + self.service.dynamodb_ms / 1000
        return self.queue.receive(self.concurrency * size / written), _orders()

    def _call(self, second: int, orders: Orders) -> None:
        if orders:
            self.under_way[second + int(SILENT_BATCH)] = orders

    def _healthy(self) -> float:
        """Return the orders of one second with two calls each: a query, then a sync."""
        batch = self.service.seconds(2 * self.service.batch_size) + self.service.wechat_ms / 1000
        return self.concurrency * self.service.batch_size / batch

    def _write(self, second: int, tried: Orders, received: tuple[Orders, Orders]) -> None:
        """Write the items of a second, as far as the index takes them, and let the orders wait."""
        deferred, answered = received
        work = [(Cause.ATTEMPT, tried), (Cause.NOTE, deferred), (Cause.SETTLED, answered)]
        units = sum(count * self._units(cause, item) for cause, cohort in work for (_, item), count in cohort.items())
        part = self.index.take(second, units)
        for cause, cohort in work:
            for kind, count in cohort.items():
                self._end(second, cause, kind, count, part if self._units(cause, kind[1]) else 1.0)

    def _units(self, cause: Cause, item: Item) -> int:
        if cause is Cause.SETTLED:
            return 0 if item is Item.NONE else DELETED
        if cause is Cause.NOTE and (item is Item.NOTED or not self.index.design.notes):
            return 0
        return PUT if item is Item.NONE else REPLACED

    def _end(self, second: int, cause: Cause, kind: Kind, count: float, part: float) -> None:
        """Let the orders of a kind wait, or leave; `part` of their writes were taken."""
        receive, item = kind
        if cause is Cause.SETTLED:
            self.index.entries -= 0 if item is Item.NONE else part * count
            self.index.settled_late += (1 - part) * count
            self.queue.in_flight -= part * count
            self._wait(second, kind, (1 - part) * count, deferred=False)
            return
        written = part * count if self._units(cause, item) else 0.0
        self.index.entries += written if item is Item.NONE else 0.0
        after = Item.TRIED if cause is Cause.ATTEMPT else Item.NOTED
        deferred = cause is Cause.NOTE
        self._wait(second, (receive, after), written, deferred=deferred)
        self._wait(second, kind, count - written, deferred=deferred)

    def _wait(self, second: int, kind: Kind, count: float, *, deferred: bool) -> None:
        receive, item = kind
        if count <= 0:
            return
        self.index.receives = max(self.index.receives, receive)
        closed_for = max(1.0, (self.opened_at or 0.0) + RECOVERY - second)
        for jitter in JITTERS:
            seconds = (
                deferral(receive, closed_for, jitter=jitter) if deferred else backoff(receive, NO_FLOOR, jitter=jitter)
            )
            self.queue.waiting[second + seconds][receive + 1, item] += count / len(JITTERS)
