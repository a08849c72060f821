"""The orders table: the only module that speaks DynamoDB. One read for a batch, one conditional write for an order.

The first writes of orders that end together share a call; each keeps its own condition.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from orders.errors import OrdersError, TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.items import item_of, order_of
from orders.order import Order
from wechatpay.text import printable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEYS_PER_READ = 100  # BatchGetItem's limit
ROUNDS = 3  # DynamoDB may leave a part undone under load; after that its messages are retried
STATEMENTS_PER_WRITE = 25  # BatchExecuteStatement's limit


class OrdersTable:
    """Orders by key; safe to use from many threads (boto3 clients are)."""

    def __init__(self, dynamodb: "DynamoDBClient", name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def load(self, keys: Iterable[str]) -> dict[str, Order | UnreadableItemError]:
        """Read the orders that exist, strongly consistent; raises TableUnavailableError.

        An item that this version cannot read is an UnreadableItemError among the values: it costs its own order only.
        """
        found: dict[str, Order | UnreadableItemError] = {}
        for chunk in batched(dict.fromkeys(keys), KEYS_PER_READ, strict=False):
            found |= self._load(chunk)
        return found

    def _load(self, keys: Sequence[str]) -> dict[str, Order | UnreadableItemError]:
        found: dict[str, Order | UnreadableItemError] = {}
        request: dict[str, Any] = {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}
        for _ in range(ROUNDS):
            try:
                answer = self._dynamodb.batch_get_item(RequestItems={self._name: cast("Any", request)})
            except (ClientError, BotoCoreError) as error:
                raise TableUnavailableError("BatchGetItem", *_words(error)) from error
            for item in answer["Responses"].get(self._name, []):
                found[item["pk"]["S"]] = _readable(item)
            request = cast("dict[str, Any]", answer.get("UnprocessedKeys", {}).get(self._name, {}))
            if not request:
                return found
        raise TableUnavailableError("BatchGetItem", "UnprocessedKeys")

    def create(self, orders: Sequence[Order]) -> dict[str, OrdersError]:
        """Write orders of version 1, each whole and only if nobody has written it; return what went wrong, by key.

        That is a VersionConflictError where somebody wrote first, a TableUnavailableError where DynamoDB did not take
        it. Costs a write unit per KB and order, as one write each would, and one call for 25.
        """
        failed: dict[str, OrdersError] = {}
        for chunk in batched(orders, STATEMENTS_PER_WRITE, strict=False):
            failed |= self._create(chunk)
        return failed

    def _create(self, orders: Sequence[Order]) -> dict[str, OrdersError]:
        """Try one call's worth; statements that DynamoDB was too busy for again, which boto3 does for calls alone."""
        failed: dict[str, OrdersError] = {}
        refusals: dict[str, _Words] = {}
        for _ in range(ROUNDS):
            try:
                refusals = self._refusals(orders)
            except (ClientError, BotoCoreError, RecursionError) as error:
                return failed | self._refused(orders, _words(error))
            for order in orders:
                if order.key in refusals and refusals[order.key][0] not in _BUSY:
                    failed |= self._unheld(order, refusals[order.key])
            orders = [order for order in orders if order.key in refusals and refusals[order.key][0] in _BUSY]
            if not orders:
                return failed
        return failed | {order.key: _unwritten(order.key, refusals[order.key]) for order in orders}

    def _refused(self, orders: Sequence[Order], words: "_Words") -> dict[str, OrdersError]:
        """A call was refused as a whole; where one order alone can be to blame, each goes by itself."""
        if len(orders) > 1 and words[0] in _ONES_OWN:
            return {key: failure for order in orders for key, failure in self._create([order]).items()}
        return {key: failure for order in orders for key, failure in self._unheld(order, words).items()}

    def _unheld(self, order: Order, words: "_Words") -> dict[str, OrdersError]:
        """Where an item cannot hold WeChat Pay's answer, write the order without it: the verdict is what counts."""
        if words[0] in _ONES_OWN and (smaller := _without_answer(order, words)):
            return self._create([smaller])
        return {order.key: _unwritten(order.key, words)}

    def _refusals(self, orders: Sequence[Order]) -> "dict[str, _Words]":
        """Try each once, and return by key DynamoDB's words about those that it did not write."""
        statements = [self._insert(item_of(order)) for order in orders]
        answers = self._dynamodb.batch_execute_statement(Statements=cast("Any", statements))["Responses"]
        errors = {order.key: answer.get("Error") for order, answer in zip(orders, answers, strict=True)}
        return {key: _told(error) for key, error in errors.items() if error}

    def _insert(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """PartiQL's INSERT fails where the key exists: the condition is the statement's own."""
        attributes = ", ".join(f"'{name}': ?" for name in item)
        return {"Statement": f'INSERT INTO "{self._name}" VALUE {{{attributes}}}', "Parameters": list(item.values())}

    def save(self, order: Order) -> None:
        """Write the order whole, if its version is the next one; raises what `create` returns."""
        if order.version == 1:
            for error in self.create([order]).values():
                raise error
            return None
        try:
            self._put(order)
        except (ClientError, BotoCoreError, RecursionError) as error:
            words = _words(error)
            if words[0] in _ONES_OWN and (smaller := _without_answer(order, words)):
                return self.save(smaller)
            raise _unwritten(order.key, words) from error

    def _put(self, order: Order) -> None:
        self._dynamodb.put_item(
            TableName=self._name,
            Item=item_of(order),
            ConditionExpression="#version = :previous",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues={":previous": {"N": str(order.version - 1)}},
        )


type _Words = tuple[str, str]  # DynamoDB's error code and message

_CONFLICTS = frozenset({"DuplicateItem", "ConditionalCheckFailedException"})
_BUSY = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "InternalServerError"})
_ONES_OWN = frozenset({"ValidationException", "ValidationError", "RecursionError"})
"""An item over 400 KB, nested too deeply for DynamoDB or boto3, a number that DynamoDB has no room for."""


def _unwritten(key: str, words: _Words) -> OrdersError:
    return VersionConflictError(key) if words[0] in _CONFLICTS else TableUnavailableError("write", *words)


def _without_answer(order: Order, words: _Words) -> Order | None:
    """Return the order without WeChat Pay's answer, or None if it has none."""
    if order.facts is None or order.facts.answer is None:
        return None
    omitted = f"wechat: the item cannot hold it ({words[0]})"
    return replace(order, facts=replace(order.facts, answer=None, omitted=omitted))


def _words(error: ClientError | BotoCoreError | RecursionError) -> _Words:
    return _told(error.response["Error"]) if isinstance(error, ClientError) else (type(error).__name__, "")


def _told(error: Mapping[str, Any]) -> _Words:
    return str(error["Code"]), printable(str(error.get("Message", "")))


def _readable(item: "Mapping[str, Any]") -> Order | UnreadableItemError:
    try:
        return order_of(item)
    except UnreadableItemError as error:
        return error
