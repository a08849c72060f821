"""How each message of a batch ends: it is done, or it is received again, at once or after a wait. Pure.

The values are named tuples: a dataclass takes five times as long to define, at each cold start.
"""

from collections.abc import Callable
from typing import NamedTuple

from orders import waits
from orders.event import Message, OrderPaid
from orders.order import Order, Outcome, Reporter
from orders.rules import RETRIES_EXHAUSTED
from orders.waits import NO_FLOOR, Wait


class Done(NamedTuple):
    """The message leaves the queue."""


class RetryNow(NamedTuple):
    """SQS hands the message out again at once; after its last receive, SQS moves it to the dead letters instead."""

    seconds: int = 0


class RetryIn(NamedTuple):
    """SQS hands the message out again after so many `seconds`."""

    seconds: int


type Ending = Done | RetryNow | RetryIn


class Result(NamedTuple):
    """How one message ended, and why.

    `order`: the item as it stands now. `outcome`: how the conversation ended, if there was one; otherwise `problem`
    says why there was none, and `reason` in one word. `field`: the field that cannot be read, `event_id`: the id of its
    event. `visibility`: SQS's error code if it refused the wait; the message then comes back when its visibility ends.
    """

    message: Message
    ending: Ending
    event: OrderPaid | None = None
    order: Order | None = None
    outcome: Outcome | None = None
    problem: str = ""
    reason: str = ""
    field: str = ""
    event_id: str = ""
    visibility: str = ""

    @property
    def failed(self) -> bool:
        """Whether SQS must keep the message."""
        return not isinstance(self.ending, Done)

    @property
    def given_up(self) -> bool:
        """Whether this was the last receive: SQS moves the message to the dead letters, and the item says so."""
        last = self.failed and self.event is not None and self.event.reporter.last
        return last and self.order is not None and self.order.reason == RETRIES_EXHAUSTED


class Schedule(NamedTuple):
    """When failed messages are received again.

    `cap`: the longest backoff, in seconds. `scale` multiplies every wait, below 1 only in a sandbox. `jitter` returns a
    number in 0..1.
    """

    cap: float
    scale: float
    jitter: Callable[[], float]

    def backoff(self, reporter: Reporter, wait: Wait = NO_FLOOR) -> RetryNow | RetryIn:
        """Return the ending of a message whose attempt failed."""
        if reporter.last:
            return RetryNow()
        count, jitter = reporter.receive_count, self.jitter()
        return RetryIn(waits.backoff(count, wait, jitter=jitter, cap=self.cap, scale=self.scale))

    def deferral(self, reporter: Reporter, open_for: float) -> RetryNow | RetryIn:
        """Return the ending of a message that finds the circuit open for another `open_for` seconds."""
        if reporter.last:
            return RetryNow()
        return RetryIn(waits.deferral(reporter.receive_count, open_for, jitter=self.jitter(), scale=self.scale))
