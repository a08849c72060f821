"""The dead letters by the journal alone: a look into the queue would count as a receive, and change it. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from ops.items import Item
from ops.letters.queue import Received
from ops.letters.reasons import Letter, letter_of, payment_of
from orders.errors import MalformedEventError, UnreadableItemError
from orders.order import Order
from sandbox.journal import JournalEntry


def dead_messages(entries: Sequence[JournalEntry], queue: str) -> list[str]:
    """Return the ids of the messages that are in the dead-letter queue of this name, oldest first."""
    letters: dict[str, None] = {}
    for entry in entries:
        message_id = str(entry.fields.get("message_id", ""))
        if entry.kind == "message_dead" and entry.fields.get("dead_letter_queue") == queue:
            letters[message_id] = None
        elif entry.kind == "message_deleted" and entry.fields.get("queue") == queue:
            letters.pop(message_id, None)
    return list(letters)


def letters_of(entries: Sequence[JournalEntry], queue: str, items: Mapping[str, Item], now: float) -> Iterator[Letter]:
    """Yield the dead letters with their reasons; `items` are by key, `now` is Unix seconds."""
    sent = {entry.fields.get("message_id"): entry for entry in entries if entry.kind == "message_sent"}
    for message_id in dead_messages(entries, queue):
        if (entry := sent.get(message_id)) is not None:
            message = Received(message_id, str(entry.fields.get("body", "")), "", entry.at)
            payment = payment_of(message, now)
            key = "" if isinstance(payment, MalformedEventError) else payment.key
            yield letter_of(message, payment, _order(items.get(key)))


def _order(item: Item | None) -> Order | UnreadableItemError | None:
    if item is None:
        return None
    return item.order or UnreadableItemError(item.key, item.problem)
