"""The orders table: its state and protection, the circuit breaker's item, and the orders that need attention."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ops.attention import STATUSES
from ops.findings import Finding, failed, ok, warning
from ops.stack import Deployment
from orders.circuit import NAME, RECOVERY

PAGES = 20  # of the index per status: 1 MB each, enough for tens of thousands of orders
STALE = 10 * RECOVERY  # seconds; an open circuit is probed every minute as long as messages arrive
INDEX = "attention"


def check(deployment: Deployment) -> Iterator[Finding]:
    """Judge the table, the circuit and the sparse index."""
    dynamodb, name = deployment.client("dynamodb"), deployment.outputs["OrdersTableName"]
    yield judge_table(dynamodb.describe_table(TableName=name)["Table"])
    answer = dynamodb.get_item(TableName=name, Key={"pk": {"S": NAME}}, ConsistentRead=True)
    yield judge_circuit(answer.get("Item"), time.time())
    counts = {status.value: _count(deployment, status.value) for status in STATUSES}
    yield judge_attention(counts)


def judge_table(table: Mapping[str, Any]) -> Finding:
    """Judge the table's state, its index and its protection."""
    if table["TableStatus"] not in {"ACTIVE", "UPDATING"}:
        remedy = "see the table in the console; messages are retried until it is ACTIVE"
        return failed("table", f"it is {table['TableStatus']}", remedy)
    index = {row["IndexName"]: row.get("IndexStatus", "ACTIVE") for row in table.get("GlobalSecondaryIndexes", [])}
    if index.get(INDEX) != "ACTIVE":
        return failed("table", f"its index {INDEX} is {index.get(INDEX, 'absent')}", "deploy the stack again")
    if not table.get("DeletionProtectionEnabled"):
        return warning("table", "its deletion protection is off", "deploy the stack again")
    return ok("table", f"active, with the index {INDEX}, protected against deletion")


def judge_circuit(item: Mapping[str, Any] | None, now: float) -> Finding:
    """Judge the circuit breaker's item, which is None as long as no circuit was ever open; `now` is Unix seconds."""
    if item is None:
        return ok("circuit", "closed; it was never open")
    state = str(item.get("state", {}).get("S", "unknown")).upper()
    if state == "CLOSED":
        return ok("circuit", "closed")
    opened_at = float(item.get("opened_at", {}).get("N", now))
    since = f"{datetime.fromtimestamp(opened_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    words = f"{state} since {since}: WeChat Pay does not answer, orders wait and nothing is lost"
    if now - opened_at > STALE:
        words += "; no batch has probed it lately, because no message is due"
    return warning("circuit", words, "docs/operate/outage.md; it closes by itself when WeChat Pay answers")


def _count(deployment: Deployment, status: str) -> "tuple[int, bool]":
    """Return the number of orders with this status, and whether it is the whole number."""
    pages = deployment.client("dynamodb").get_paginator("query")
    total = number = 0
    for number, page in enumerate(
        pages.paginate(
            TableName=deployment.outputs["OrdersTableName"],
            IndexName=INDEX,
            KeyConditionExpression="attention = :status",
            ExpressionAttributeValues={":status": {"S": status}},
            Select="COUNT",
        ),
        1,
    ):
        total += page["Count"]
        if number == PAGES:
            return total, "LastEvaluatedKey" not in page
    return total, True


def judge_attention(counts: Mapping[str, tuple[int, bool]]) -> Finding:
    """Judge the orders that need attention; an order that is retried needs none yet."""
    words = ", ".join(f"{'' if whole else 'more than '}{number} {status}" for status, (number, whole) in counts.items())
    if any(number for status, (number, _) in counts.items() if status != "RETRYING"):
        return warning("attention", words, "bin/ops order list --attention")
    return ok("attention", words)
