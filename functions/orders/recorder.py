"""Records how conversations ended, and settles the races over an order that several environments write.

Most orders are written once. Conversations that end together share the call of their first write (decision 14).
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import count
from threading import Event
from typing import NamedTuple

from orders import rules
from orders.errors import OrdersError, TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.order import Order, Outcome, Reporter
from orders.ports import Table

RACE_ROUNDS = 5  # races over one order that are settled before the rest is left to redelivery
GATHERING = 0.05  # seconds: the longest that a first write waits for others to share its call


class Entry(NamedTuple):
    """An outcome to be recorded on top of `order`, as it was loaded, for the messages that reported the payment."""

    order: Order | None
    outcome: Outcome
    reporters: Sequence[Reporter]


class Draft(NamedTuple):
    """The first write of an order, not yet made."""

    entry: Entry
    order: Order


class Recorded(NamedTuple):
    """An outcome, and the order as it stands in the table after it; None if there is no item."""

    outcome: Outcome
    order: Order | None


class Note(NamedTuple):
    """The order as it stands after a note; with its `settlement` if its item answers by itself: it needs no note."""

    order: Order | None
    settlement: Recorded | None = None


class Recorder(NamedTuple):
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
        return Recorded(rules.settled_by_item(entry.order, entry.outcome), order)

    def draft(self, entry: Entry) -> Draft:
        """Return the first write of an order that is not in the table, to be made by `create`."""
        return Draft(entry, rules.record(None, entry.outcome, entry.reporters, self.clock()))

    def create(self, endings: Sequence[Draft | Recorded | Exception]) -> list[Recorded | Exception]:
        """Make the drafts among the endings in one call; return the endings in their order.

        A draft that the table refuses fails by itself; races over orders that the table has already are settled in
        parallel.
        """
        recorded = iter(self._create([ending for ending in endings if isinstance(ending, Draft)]))
        return [next(recorded) if isinstance(ending, Draft) else ending for ending in endings]

    def note(self, order: Order | None, outcome: Outcome | None, reporters: Sequence[Reporter]) -> "Note":
        """Record an outcome if there is one and the table takes it; return what stands in the table after it."""
        if outcome is not None:
            with suppress(OrdersError):
                recorded = self.record(Entry(order, outcome, reporters))
                return Note(recorded.order, recorded if recorded.outcome.status.final else None)
        return Note(order)

    def _create(self, drafts: Sequence[Draft]) -> list[Recorded | Exception]:
        if not drafts:
            return []
        orders = {draft.order.key: draft.order for draft in drafts}
        errors: Mapping[str, Exception]
        try:
            errors = self.table.create(list(orders.values()))
        except Exception as error:  # noqa: BLE001  the edge of these orders: a bug here must not cost the batch
            errors = dict.fromkeys(orders, error)
        if not errors:
            return [Recorded(draft.entry.outcome, draft.order) for draft in drafts]
        return list(self.executor.map(self._after_create, drafts, [errors.get(draft.order.key) for draft in drafts]))

    def _after_create(self, draft: Draft, error: Exception | None) -> Recorded | Exception:
        if error is None:
            return Recorded(draft.entry.outcome, draft.order)
        if not isinstance(error, VersionConflictError):
            return error
        try:
            return self._settle_race(draft.entry, draft.order)
        except Exception as failure:  # noqa: BLE001  the edge of one order
            return failure

    def _settle_race(self, entry: Entry, refused: Order) -> Recorded:
        """Record the outcome on top of what another environment wrote; `refused` is the write that lost the race."""
        outcome = rules.settled_by_item(entry.order, entry.outcome)
        for _ in range(RACE_ROUNDS):
            order = _find(self.table, refused.key)
            if order is not None and rules.same_write(order, refused):
                return Recorded(outcome, order)
            outcome = rules.settled_by_item(order, entry.outcome)
            after = rules.record(order, outcome, entry.reporters, self.clock(), raced=True)
            if after is None:
                return Recorded(outcome, order)
            try:
                self.table.save(after)
            except VersionConflictError:
                refused = after
            else:
                return Recorded(outcome, after)
        raise TableUnavailableError("write", "lost every race")


class Amended(NamedTuple):
    """The order before a change, None if there was no item, and the order after it, None if nothing was written."""

    before: Order | None
    after: Order | None

    @property
    def order(self) -> Order | None:
        """The order as it stands."""
        return self.after or self.before


def amend(table: Table, key: str, change: Callable[[Order | None], Order | None]) -> Amended:
    """Write what `change` makes of the order of this key; where it returns None, write nothing.

    If the order was written meanwhile, the change is made again, of what was written. Raises TableUnavailableError or
    UnreadableItemError.
    """
    for _ in range(RACE_ROUNDS):
        before = _find(table, key)
        after = change(before)
        if after is None:
            return Amended(before, None)
        try:
            table.save(after)
        except VersionConflictError:
            continue
        return Amended(before, after)
    raise TableUnavailableError("write", "lost every race")


def _find(table: Table, key: str) -> Order | None:
    order = table.load([key]).get(key)
    if isinstance(order, UnreadableItemError):
        raise order
    return order


class Gathering[T]:
    """Collects `number` things that end on many threads; hands out those that end together, within `GATHERING`.

    A future for each of them would cost ten times as much: to wait for many is to ask each of them again and again.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._order = count(1)
        self._ended: deque[T] = deque()
        self._some, self._all = Event(), Event()

    def add(self, thing: T) -> None:
        """Take one that has ended."""
        self._ended.append(thing)
        if next(self._order) == self._number:
            self._all.set()
        if not self._some.is_set():
            self._some.set()

    def groups(self) -> Iterator[list[T]]:
        """Yield them as they end, in as many lists as there are pauses."""
        rest = self._number
        while rest:
            self._some.wait()
            self._all.wait(GATHERING)
            self._some.clear()
            group = [self._ended.popleft() for _ in range(len(self._ended))]
            rest -= len(group)
            if group:  # none if one was added between the two lines before
                yield group
