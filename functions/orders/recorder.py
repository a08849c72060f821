"""Records how conversations ended, and settles the races over an order that several environments write.

Most orders are written once. Conversations that end together share the call of their first write (decision 14).
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass

from orders import rules
from orders.errors import OrdersError, TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.order import Order, Outcome, Reporter
from orders.ports import Table

RACE_ROUNDS = 5  # races over one order that are settled before the rest is left to redelivery
GATHERING = 0.05  # seconds: the longest that a first write waits for others to share its call


@dataclass(frozen=True, slots=True)
class Entry:
    """An outcome to be recorded on top of `order`, as it was loaded, for the messages that reported the payment."""

    order: Order | None
    outcome: Outcome
    reporters: Sequence[Reporter]


@dataclass(frozen=True, slots=True)
class Recorded:
    """An outcome, and the order as it stands in the table after it; None if there is no item."""

    outcome: Outcome
    order: Order | None


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records outcomes in the table; safe to use from many threads. `executor` settles races in parallel."""

    table: Table
    executor: Executor
    clock: Callable[[], float] = time.time

    def record(self, entry: Entry) -> Recorded:
        """Write the order after this outcome.

        If it was written meanwhile, the race is settled on top of what was written. Raises TableUnavailableError or
        UnreadableItemError.
        """
        order = rules.record(entry.order, entry.outcome, entry.reporters, self.clock())
        if order is None:
            return Recorded(entry.outcome, entry.order)
        try:
            self.table.save(order)
        except VersionConflictError:
            return self._settle_race(entry, order)
        return Recorded(entry.outcome, order)

    def note(self, order: Order | None, outcome: Outcome | None, reporters: Sequence[Reporter]) -> Order | None:
        """Record an outcome if there is one and the table takes it; return the order as it stands."""
        if outcome is not None:
            with suppress(OrdersError):
                return self.record(Entry(order, outcome, reporters)).order
        return order

    def create(self, endings: Sequence[Entry | Recorded | Exception]) -> list[Recorded | Exception]:
        """Record the entries among the endings, all of orders that are new to the table, in one call.

        Returns the endings in their order. An entry that the table refused fails by itself; races over orders that the
        table has already are settled in parallel.
        """
        created = iter(self._create([ending for ending in endings if isinstance(ending, Entry)]))
        return [next(created) if isinstance(ending, Entry) else ending for ending in endings]

    def _create(self, entries: Sequence[Entry]) -> list[Recorded | Exception]:
        if not entries:
            return []
        orders = [rules.record(None, entry.outcome, entry.reporters, self.clock()) for entry in entries]
        errors: Mapping[str, Exception]
        try:
            errors = self.table.create(list({order.key: order for order in orders}.values()))
        except Exception as error:  # noqa: BLE001  the edge of these orders: a bug here must not cost the batch
            errors = {order.key: error for order in orders}
        if not errors:
            return [Recorded(entry.outcome, order) for entry, order in zip(entries, orders, strict=True)]
        return list(self.executor.map(self._created, entries, orders, [errors.get(order.key) for order in orders]))

    def _created(self, entry: Entry, order: Order, error: Exception | None) -> Recorded | Exception:
        if error is None:
            return Recorded(entry.outcome, order)
        if not isinstance(error, VersionConflictError):
            return error
        try:
            return self._settle_race(entry, order)
        except Exception as failure:  # noqa: BLE001  the edge of one order
            return failure

    def _settle_race(self, entry: Entry, refused: Order) -> Recorded:
        """Record the outcome on top of what another environment wrote; `refused` is the write that lost the race."""
        for _ in range(RACE_ROUNDS):
            order = self._find(refused.key)
            if order is not None and rules.same_write(order, refused):
                return Recorded(entry.outcome, order)
            after = rules.record(order, entry.outcome, entry.reporters, self.clock(), raced=True)
            if after is None:
                return Recorded(entry.outcome, order)
            try:
                self.table.save(after)
            except VersionConflictError:
                refused = after
            else:
                return Recorded(entry.outcome, after)
        raise TableUnavailableError("write", "lost every race")

    def _find(self, key: str) -> Order | None:
        order = self.table.load([key]).get(key)
        if isinstance(order, UnreadableItemError):
            raise order
        return order


def gathered[T](futures: Collection[Future[T]]) -> Iterator[list[Future[T]]]:
    """Yield the futures as they end; those that end together, within `GATHERING`, in one list in their order."""
    pending = list(futures)
    while pending:
        wait(pending, return_when=FIRST_COMPLETED)
        done, _ = wait(pending, timeout=GATHERING)
        yield [future for future in pending if future in done]
        pending = [future for future in pending if future not in done]
