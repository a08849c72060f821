"""Writing down how conversations ended, and settling the races over an order that more than one environment writes."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orders.errors import OrdersError, TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.order import Order, Outcome, Reporter
from orders.rules import record, same_write

SAVE_ROUNDS = 5  # races over one order that a write settles before it leaves the rest to redelivery


class Table(Protocol):
    """Where orders are kept."""

    def load(self, keys: Iterable[str]) -> Mapping[str, Order | UnreadableItemError]:
        """Read the orders that exist; one whose item cannot be read is an error among the values."""

    def create(self, orders: Sequence[Order]) -> Mapping[str, OrdersError]:
        """Write orders that are not in the table; return what went wrong, by key."""

    def save(self, order: Order) -> None:
        """Write one order on top of the version before it."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records outcomes in the table, by the rules; safe to use from many threads."""

    table: Table
    clock: Callable[[], float] = time.time

    def find(self, key: str) -> Order | None:
        """Read one order; raises UnreadableItemError or TableUnavailableError."""
        found = self.table.load([key]).get(key)
        if isinstance(found, UnreadableItemError):
            raise found
        return found

    def record(
        self, order: Order | None, outcome: Outcome, reporters: Sequence[Reporter], *, lost: Order | None = None
    ) -> Order | None:
        """Record the outcome on top of `order`, as it was loaded; return the order as it stands in the table then.

        Where it was written meanwhile, the race is settled on top of what was written. `lost` is a write of this
        outcome that was refused for that already. Raises TableUnavailableError or UnreadableItemError.
        """
        raced = False
        for _ in range(SAVE_ROUNDS):
            if lost is not None:
                order, raced = self.find(lost.key), True
                if order is not None and same_write(order, lost):
                    return order
            after = record(order, outcome, reporters, self.clock(), raced=raced)
            if after is None:
                return order
            try:
                self.table.save(after)
            except VersionConflictError:
                lost = after
            else:
                return after
        raise TableUnavailableError("write", "lost every race")
