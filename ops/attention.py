"""Orders that need an operator's attention, from the table's sparse index."""

from collections.abc import Iterator, Sequence
from typing import Any

from ops.items import Item
from ops.stack import Deployment
from orders.order import Status

STATUSES = [status for status in Status if status.needs_attention]
"""The statuses that the index `attention` holds."""


def items(
    deployment: Deployment,
    statuses: Sequence[Status],
    *,
    merchant: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[Item]:
    """Yield the items with these statuses, oldest first for each status, including items that cannot be read.

    Args:
        deployment: whose table it is.
        statuses: those of `STATUSES` to look for.
        merchant: the mchid; None for all merchants.
        since: ISO 8601 in UTC, as the item has it: only orders that were written at that time or later.
        until: the same; only orders that were written at that time or earlier.
    """
    condition, values = _condition(since, until)
    arguments: dict[str, Any] = {"TableName": deployment.outputs["OrdersTableName"], "IndexName": "attention"}
    arguments["KeyConditionExpression"] = condition
    if merchant is not None:
        arguments["FilterExpression"] = "mchid = :merchant"
        values[":merchant"] = {"S": merchant}
    pages = deployment.client("dynamodb").get_paginator("query")
    for status in statuses:
        for page in pages.paginate(**arguments, ExpressionAttributeValues=values | {":status": {"S": status.value}}):
            yield from map(Item.of, page["Items"])


def _condition(since: str | None, until: str | None) -> tuple[str, dict[str, Any]]:
    """Return the condition on the index's two keys, and its values without the status."""
    bounds = {":since": since, ":until": until}
    values: dict[str, Any] = {name: {"S": value} for name, value in bounds.items() if value is not None}
    match since, until:
        case None, None:
            return "attention = :status", values
        case _, None:
            return "attention = :status AND updated_at >= :since", values
        case None, _:
            return "attention = :status AND updated_at <= :until", values
        case _:
            return "attention = :status AND updated_at BETWEEN :since AND :until", values
