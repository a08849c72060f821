"""Events that EventBridge or SNS could not deliver to OrderQueue, whole, with the service's reason as attributes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ops.letters.ledger import Ledger
from ops.letters.mover import REAL, Clocks, Mover, Redrive, interruptible
from ops.letters.plan import Entry, Plan, Selection
from ops.letters.queue import Queue, Received
from ops.letters.reading import HOLD, Position, Reading
from ops.letters.reasons import digest_of, payment_of
from ops.letters.runs import orders, require_same_queues
from ops.stack import Deployment
from orders.errors import MalformedEventError


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An event. `code` and `message` are EventBridge's or SNS's, `condition` is what ended EventBridge's tries.

    `key` is the order's, empty if the function could not read the event; `problem` then says why.
    """

    message_id: str
    sent_at: float
    code: str
    message: str
    condition: str
    attempts: str
    key: str
    problem: str
    body: str = field(repr=False)

    @classmethod
    def of(cls, message: Received, now: float) -> Self:
        """Read a message of UndeliveredEvents; `now` is Unix seconds."""

        def attribute(*names: str) -> str:
            values = (message.attributes.get(name, {}).get("StringValue", "") for name in names)
            return str(next(filter(None, values), ""))

        payment = payment_of(message, now)
        is_readable = not isinstance(payment, MalformedEventError)
        return cls(
            message.message_id,
            message.sent_at,
            attribute("ERROR_CODE", "ErrorCode") or "UNKNOWN",
            attribute("ERROR_MESSAGE", "ErrorMessage"),
            attribute("EXHAUSTED_RETRY_CONDITION"),
            attribute("RETRY_ATTEMPTS"),
            "" if isinstance(payment, MalformedEventError) else payment.key,
            "" if is_readable else str(payment),
            message.body,
        )


def source(deployment: Deployment) -> Queue:
    """Return the queue of undelivered events."""
    return Queue(deployment.client("sqs"), deployment.outputs["UndeliveredEventsUrl"])


def events(deployment: Deployment, *, wall_clock: Callable[[], float] = time.time) -> Iterator[Undelivered | Position]:
    """Yield events as they arrive, with a position after each receive; they stay in the queue."""
    with Reading(source(deployment)) as reading:
        for messages in reading.messages():
            yield reading.position
            for message in messages:
                yield Undelivered.of(message, wall_clock())


def entry_of(event: Undelivered) -> Entry:
    """Return what a plan needs of an event."""
    return Entry(event.message_id, digest_of(event.body), event.code, event.key, event.sent_at)


def plan_of(deployment: Deployment, selection: Selection, entries: list[Entry], now: float) -> Plan:
    """Return a plan that sends these events."""
    return Plan.of(source(deployment).url, orders(deployment).url, selection, entries, now)


@contextmanager
def send(
    deployment: Deployment,
    plan: Plan,
    path: Path,
    *,
    rate: float | None = None,
    clocks: Clocks = REAL,
    hold: int = HOLD,
) -> Iterator[Mover]:
    """Open the journal next to the plan's file; the block's value sends the bodies to OrderQueue and deletes them here.

    EventBridge's attributes are not sent: they describe the failure. An event that was never received has no history.
    """
    queue, destination = source(deployment), orders(deployment)
    require_same_queues(plan, queue.url, destination.url)
    with Ledger.next_to(path) as ledger, interruptible() as is_cancelled:
        work = Redrive(destination, ledger, None, with_attributes=False, wall_clock=clocks.wall_clock)
        yield Mover(plan, queue, work, rate=rate, is_cancelled=is_cancelled, clocks=clocks, hold=hold)
