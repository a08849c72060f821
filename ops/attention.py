"""Orders that need an operator's attention, from the table's sparse index."""

from collections.abc import Iterator

from ops.items import Item
from ops.stack import Deployment
from orders.order import Status

STATUSES = [status for status in Status if status.needs_attention]
"""The statuses that the index `attention` holds."""


def items(deployment: Deployment, statuses: list[Status]) -> Iterator[Item]:
    """Yield the items with these statuses, oldest first for each status, including items that cannot be read."""
    pages = deployment.client("dynamodb").get_paginator("query")
    for status in statuses:
        for page in pages.paginate(
            TableName=deployment.outputs["OrdersTableName"],
            IndexName="attention",
            KeyConditionExpression="attention = :status",
            ExpressionAttributeValues={":status": {"S": status.value}},
        ):
            yield from map(Item.of, page["Items"])
