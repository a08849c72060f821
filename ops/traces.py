"""Where an event is: in the function's log, at its order's item, in the dead letters, among the undelivered events.

OrderQueue is not searched: SQS counts a look into it as a receive of the message, of which each has a few only.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops import attention, failures, items, log_lines
from ops.items import Item
from ops.letters.queue import Queue, Received
from ops.letters.reading import Reading
from ops.log_lines import LogLine, Span
from ops.output import Progress
from ops.stack import Deployment, OpsError, describe
from orders.errors import MalformedEventError
from orders.event import Message, OrderPaid, read

QUEUES = {"dead letter": "DeadLettersUrl", "undelivered event": "UndeliveredEventsUrl"}


@dataclass(frozen=True, slots=True)
class Trace:
    """A message with the event, in the queue of this `place`; `event` is None if the function cannot read it."""

    place: str
    message_id: str
    sent_at: float
    event: OrderPaid | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Unsearched:
    """A place that could not be searched, and why."""

    place: str
    problem: str


type Step = LogLine | Item | Trace | Unsearched | Progress


@dataclass(frozen=True, slots=True)
class Search:
    """A search for an event by its id, or by the id of its message. `scan`: read the whole table as well."""

    deployment: Deployment
    event_id: str
    span: Span
    scan: bool = False

    def run(self) -> Generator[Step]:
        """Yield each find, place after place; a place that cannot be searched does not end the search."""
        keys: dict[str, None] = {}
        for step in self._guarded("log", self._log):
            if isinstance(step, LogLine):
                keys |= dict.fromkeys(log_lines.keys_of(step.fields))
            yield step
        yield from self._guarded("order", partial(self._items, keys))
        for place, output in QUEUES.items():
            yield from self._guarded(place, partial(self._queue, place, output))

    def _guarded(self, place: str, search: Callable[[], Iterator[Step]]) -> Iterator[Step]:
        try:
            yield from search()
        except (ClientError, BotoCoreError) as error:
            yield Unsearched(place, f"{describe(error)}{failures.remedy(error)}")
        except OpsError as error:
            yield Unsearched(place, str(error))

    # ---- log and table -----------------------------------------------------------------------------------------------

    def _log(self) -> Iterator[Step]:
        return log_lines.find(self.deployment, self.span, self.event_id, self._is_in_line)

    def _is_in_line(self, fields: Mapping[str, Any]) -> bool:
        return self.event_id in (fields.get("event_id"), fields.get("message_id"))

    def _items(self, keys: Iterable[str]) -> Iterator[Step]:
        """Yield the items of the log lines; without any, those of the index or of the whole table with the event."""
        matches = [item for key in keys if (item := items.find(self.deployment, key)) is not None]
        if matches:
            yield from matches
            return
        candidates = self._scan() if self.scan else attention.items(self.deployment, attention.STATUSES)
        for number, item in enumerate(candidates, 1):
            if self._is_in_item(item):
                yield item
            yield Progress("orders read", number)

    def _scan(self) -> Iterator[Item]:
        pages = self.deployment.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.deployment.outputs["OrdersTableName"]):
            yield from (Item.of(attributes) for attributes in page["Items"] if "status" in attributes)

    def _is_in_item(self, item: Item) -> bool:
        order = item.order
        if order is None:
            return False
        message_ids = (order.message_id, *order.messages, *(attempt.message_id for attempt in order.history))
        return self.event_id in (order.event_id, *message_ids)

    # ---- queues ------------------------------------------------------------------------------------------------------

    def _queue(self, place: str, output: str) -> Iterator[Step]:
        queue = Queue(self.deployment.client("sqs"), self.deployment.outputs[output])
        with Reading(queue) as reading:
            for messages in reading.messages():
                traces = (self._trace(place, message) for message in messages)
                yield from (trace for trace in traces if trace is not None)
                yield Progress(f"{place}s read", reading.position.count, reading.position.total)

    def _trace(self, place: str, received: Received) -> Trace | None:
        event, problem = None, ""
        try:
            event = read(Message(received.message_id, received.body, sent_at=received.sent_at), time.time())
            event_id = event.reporter.event_id
        except MalformedEventError as error:
            event_id, problem = error.event_id, str(error)
        if self.event_id not in (received.message_id, event_id) and not (problem and self.event_id in received.body):
            return None
        return Trace(place, received.message_id, received.sent_at, event, problem)


def waiting(deployment: Deployment) -> str:
    """Return how many messages OrderQueue has, in which the event may be; empty if that cannot be had."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    with suppress(ClientError, BotoCoreError, OpsError):
        url = deployment.outputs["OrderQueueUrl"]
        counts = deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        visible, in_flight = (counts[name] for name in names)
        return f"OrderQueue has {visible} messages and {in_flight} in flight, and was not searched"
    return ""
