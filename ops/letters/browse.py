"""Letters as they arrive: messages of a reading, explained by the orders table, 100 keys a read."""

import time
from collections.abc import Callable, Iterator, Sequence

from ops.letters.queue import Queue, Received
from ops.letters.reading import Position, Reading
from ops.letters.reasons import Letter, letter_of, payment_of
from ops.stack import Deployment
from orders.errors import MalformedEventError, TableUnavailableError, UnreadableItemError
from orders.order import Order
from orders.table import KEYS_PER_READ, OrdersTable


def source(deployment: Deployment, *, wait: int | None = None) -> Queue:
    """Return the dead-letter queue of a deployment."""
    return Queue(deployment.client("sqs"), deployment.outputs["DeadLettersUrl"], wait=wait)


def letters(
    reading: Reading, table: OrdersTable, *, wall_clock: Callable[[], float] = time.time
) -> Iterator[Letter | Position]:
    """Yield every letter of a queue, in the sequence of SQS, as soon as its order's item is read.

    The position is yielded after each receive. A table that does not answer costs the reasons, not the letters.
    """
    waiting: list[Received] = []
    for messages in reading.messages():
        waiting += messages
        yield reading.position
        if len(waiting) >= KEYS_PER_READ or (waiting and not messages):
            yield from explain(waiting, table, wall_clock())
            waiting = []
    yield from explain(waiting, table, wall_clock())


def explain(messages: Sequence[Received], table: OrdersTable, now: float) -> list[Letter]:
    """Explain messages with one read of the table for every hundred orders; `now` is Unix seconds."""
    payments = [payment_of(message, now) for message in messages]
    keys = [payment.key for payment in payments if not isinstance(payment, MalformedEventError)]
    items: dict[str, Order | UnreadableItemError] = {}
    silence = ""
    try:
        items = table.load(keys)
    except TableUnavailableError as error:
        silence = str(error)
    return [
        letter_of(
            message, payment, silence or (None if isinstance(payment, MalformedEventError) else items.get(payment.key))
        )
        for message, payment in zip(messages, payments, strict=True)
    ]
