"""What the relay needs of the worlds around it: the table, WeChat Pay, the circuit, the queue. Interfaces only."""

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from orders.errors import OrdersError, UnreadableItemError
from orders.order import Contact, Order, Outcome, Payment


class Table(Protocol):
    """The orders table."""

    def load(self, keys: Iterable[str]) -> Mapping[str, Order | UnreadableItemError]:
        """Return the orders that exist, by key; an item that cannot be read is an error among the values.

        Raises TableUnavailableError.
        """

    def create(self, orders: Sequence[Order]) -> Mapping[str, OrdersError]:
        """Write orders that are not in the table; return the errors of those that were not written, by key."""

    def save(self, order: Order) -> None:
        """Write one order on top of its previous version; raise VersionConflictError or TableUnavailableError."""


class Exchange(Protocol):
    """A conversation with WeChat Pay under way."""

    @property
    def socket(self) -> socket.socket | None:
        """Where the answer to its first call comes; None where that has not been sent."""

    @property
    def until(self) -> float:
        """When the answer to its first call is overdue (`time.monotonic`)."""

    def answer(self) -> Outcome | None:
        """Read the answer to the first call; return the outcome, or None where more is to be done."""

    def finish(self) -> Outcome:
        """Ask all that is to be asked; raise OutOfTimeError if no call can be made."""


class Conversation(Protocol):
    """One conversation with WeChat Pay, not yet begun."""

    def start(
        self, payment: Payment, *, query_first: bool, retried: str, since: float, time_left: Callable[[], float]
    ) -> Exchange:
        """Begin to sync the payment, or to find out what became of it; wait for nothing."""


class WeChatPay(Protocol):
    """WeChat Pay, by merchant."""

    def now(self) -> float:
        """Return the time on the clock of `since`, in seconds."""

    def identify(self, payment: Payment) -> Payment:
        """Fill in what the order's key depends on."""

    def prepare(self, event: Payment) -> Conversation:
        """Fetch the merchant's keys and sign the first call; send nothing."""


class Ran[T](NamedTuple):
    """The work was done: its value, and what each conversation in it met, by the order's key."""

    value: T
    contacts: Mapping[str, Contact]


class CircuitOpen(NamedTuple):
    """The work was not done; the circuit lets the next batch through in so many `seconds`."""

    seconds: float


class Circuit(Protocol):
    """The circuit breaker in front of WeChat Pay."""

    def look(self) -> None:
        """Read the circuit's state, so that `run` need not."""

    def run[T](self, work: Callable[[], Ran[T]]) -> Ran[T] | CircuitOpen:
        """Do the work, unless the circuit is open."""


class Queue(Protocol):
    """The order queue."""

    def make_visible(self, after: Mapping[str, int]) -> Mapping[str, str]:
        """Set the visibility timeouts (receipt handle → seconds); return the error codes of those refused."""
