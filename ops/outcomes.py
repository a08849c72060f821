"""Outcome events that were lost: published again, from the items of their orders."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import batched

from ops import items
from ops.items import Item
from ops.stack import Deployment, OpsError
from orders.order import Status, instant
from outcomes.announcement import Announcement, announce_again
from outcomes.bus import ENTRIES, Bus

ANNOUNCED = tuple(status for status in Status if status.final or status is Status.REJECTED)


def of_order(deployment: Deployment, key: str) -> Announcement:
    """Return the outcome of an order as its item stands; OpsError if it has neither."""
    item = items.require(deployment, key)
    if item.order is None:
        raise OpsError(f"the item {key} cannot be read: {item.problem}")
    if announcement := announce_again(item.order):
        return announcement
    raise OpsError(f"{key} is {item.order.status}: it has no outcome yet, and nothing to publish")


def written_between(deployment: Deployment, since: datetime, until: datetime) -> Iterator[Announcement | Item]:
    """Read the table; yield the outcomes written in this time, and the items in it that cannot be read."""
    names = {f":s{number}": {"S": status.value} for number, status in enumerate(ANNOUNCED)}
    times = {":since": {"S": instant(since.timestamp())}, ":until": {"S": instant(until.timestamp())}}
    pages = (
        deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=deployment.outputs["OrdersTableName"],
            FilterExpression=f"updated_at BETWEEN :since AND :until AND #status IN ({', '.join(names)})",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=names | times,
        )
    )
    for attributes in (one for page in pages for one in page["Items"]):
        item = Item.of(attributes)
        if item.order is None:
            yield item
        elif announcement := announce_again(item.order):
            yield announcement


def publish(deployment: Deployment, announcements: Sequence[Announcement]) -> Iterator[Announcement]:
    """Publish in calls of ten; yield each that EventBridge took. OpsError at the first that it refuses."""
    bus = Bus(deployment.client("events"), deployment.outputs["EventBusName"])
    for chunk in batched(announcements, ENTRIES, strict=False):
        for announcement, problem in zip(chunk, bus.publish(chunk), strict=True):
            if problem:
                raise OpsError(f"EventBridge did not take the outcome of {announcement.key}: {problem}; run this again")
            yield announcement
