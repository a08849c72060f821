"""Orders that need an operator's attention, from the table's sparse index."""

from collections.abc import Iterator

from ops.items import Item
from ops.stack import Deployment
from orders.order import Status

WORTH_A_LOOK = [status for status in Status if status.needs_attention]


def items(deployment: Deployment, statuses: list[Status]) -> Iterator[Item]:
    """Items under these statuses, each status oldest first; one that cannot be read is among them."""
    pages = deployment.client("dynamodb").get_paginator("query")
    for status in statuses:
        for page in pages.paginate(
            TableName=deployment.outputs["OrdersTableName"],
            IndexName="attention",
            KeyConditionExpression="attention = :status",
            ExpressionAttributeValues={":status": {"S": status.value}},
        ):
            yield from map(Item.of, page["Items"])
