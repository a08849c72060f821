"""The line that an operator's command leaves in an order's history; status, reason and verdict stay as they are.

It is written before the message moves: written afterwards, it would race with the function, which has the message at
once. An order has one line for each message, however often an interrupted command is repeated.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from ops.stack import Deployment, OpsError, describe
from orders.errors import TableUnavailableError, UnreadableItemError
from orders.items import item_of
from orders.order import Attempt, Order, instant
from orders.rules import HISTORY_LENGTH

REDRIVEN = "REDRIVEN"
DELETED = "DELETED"
ROUNDS = 5  # reads of an item that the function writes at the same time
WORKERS = 10  # the connections that boto3 keeps


class History:
    """Writes lines with this outcome; `by` is who ran the command."""

    def __init__(self, deployment: Deployment, outcome: str, *, by: str) -> None:
        self._table = deployment.table
        self._name = deployment.outputs["OrdersTableName"]
        self._dynamodb = deployment.client("dynamodb")
        self._outcome = outcome
        self._by = by

    def write(self, message_ids: Mapping[str, str], now: float) -> None:
        """Add a line for each message (message id → key of its order) to the items that exist and can be read.

        Raises OpsError if the table does not answer, or if an item changes again and again.
        """
        keys: dict[str, list[str]] = {}
        for message_id, key in message_ids.items():
            if key:
                keys.setdefault(key, []).append(message_id)
        for _ in range(ROUNDS):
            try:
                items = self._table.load(keys)
            except TableUnavailableError as error:
                raise OpsError(
                    f"{error}: no line for the orders' histories, so no message was moved; run it again"
                ) from error
            keys = {key: ids for key, ids in keys.items() if key in items}
            if not (conflicts := self._write_all(items, keys, now)):
                return
            keys = {key: keys[key] for key in conflicts}
        raise OpsError(f"the item {next(iter(keys))} changes all the time: no message of it was moved; run it again")

    def _write_all(
        self, items: Mapping[str, Order | UnreadableItemError], keys: Mapping[str, Sequence[str]], now: float
    ) -> list[str]:
        """Write each item once; return the keys of those that the function has written meanwhile."""
        changes: list[tuple[Order, Order]] = []
        for key, ids in keys.items():
            order = items[key]
            if (
                not isinstance(order, UnreadableItemError)
                and (later := with_lines(order, self._lines(ids, now))) != order
            ):
                changes.append((order, later))
        with ThreadPoolExecutor(WORKERS) as pool:
            results = pool.map(lambda change: self._put(*change), changes)
            return [order.key for (order, _), is_written in zip(changes, results, strict=True) if not is_written]

    def _lines(self, message_ids: Iterable[str], now: float) -> list[Attempt]:
        rest: dict[str, Any] = {"by": {"S": self._by}} if self._by else {}
        return [Attempt(instant(now), message_id, self._outcome, rest=rest) for message_id in message_ids]

    def _put(self, order: Order, later: Order) -> bool:
        """Write the history alone, if the item is still of the version that was read; return whether it is."""
        try:
            self._dynamodb.update_item(
                TableName=self._name,
                Key={"pk": {"S": order.key}},
                UpdateExpression="SET history = :history, #version = :next",
                ConditionExpression="#version = :version",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={
                    ":history": item_of(later)["history"],
                    ":next": {"N": str(later.version)},
                    ":version": {"N": str(order.version)},
                },
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                return False
            raise OpsError(
                f"the history of {order.key} was not written, so its message was not moved: {describe(error)}"
            ) from error
        return True


def with_lines(order: Order, lines: Iterable[Attempt]) -> Order:
    """Return the order with these lines, without those that it has, as the next version; the oldest lines go first."""
    present = {(line.message_id, line.outcome) for line in order.history}
    new = tuple(line for line in lines if (line.message_id, line.outcome) not in present)
    if not new:
        return order
    return order._replace(history=(order.history + new)[-HISTORY_LENGTH:], version=order.version + 1)
