"""Records of the orders table's stream: an order before and after one write."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orders.errors import UnreadableItemError
from orders.items import order_of
from orders.order import Order


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `sequence_number` is the record's place in its shard.

    `before` is None for a first write, and for an item that this version cannot read: the event may then come twice.
    """

    sequence_number: str
    before: Order | None
    after: Order


@dataclass(frozen=True, slots=True)
class UnreadableChange:
    """A write of an item that this version cannot read; `problem` names the attribute, never its value."""

    sequence_number: str
    key: str
    problem: str


def read_changes(event: Mapping[str, Any]) -> Iterator[Change | UnreadableChange]:
    """Yield the changes of orders in a batch of DynamoDB's stream, in its order; other items are left out.

    Source: docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
    """
    for record in event["Records"]:
        images = record["dynamodb"]
        if "status" in images.get("NewImage", {}):  # the circuit's items have none, a deletion has no image
            yield _change(images)


def _change(images: Mapping[str, Any]) -> Change | UnreadableChange:
    sequence_number = str(images["SequenceNumber"])
    try:
        return Change(sequence_number, _before(images.get("OldImage", {})), order_of(images["NewImage"]))
    except UnreadableItemError as error:
        return UnreadableChange(sequence_number, error.key, error.problem)


def _before(image: Mapping[str, Any]) -> Order | None:
    try:
        return order_of(image) if image else None
    except UnreadableItemError:
        return None
