"""Orders that somebody should look at, from the table's sparse index."""

from collections.abc import Iterator

from ops.stack import Deployment
from orders.order import Order, Status
from orders.table import order_of

WORTH_A_LOOK = [status for status in Status if status.needs_attention]


def orders(deployment: Deployment, statuses: list[Status]) -> Iterator[Order]:
    """Orders of these statuses, each status oldest first."""
    pages = deployment.client("dynamodb").get_paginator("query")
    for status in statuses:
        for page in pages.paginate(
            TableName=deployment.outputs["OrdersTableName"],
            IndexName="attention",
            KeyConditionExpression="attention = :status",
            ExpressionAttributeValues={":status": {"S": status.value}},
        ):
            yield from map(order_of, page["Items"])
