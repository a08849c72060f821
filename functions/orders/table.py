"""The orders table: the only module that speaks DynamoDB. One read for a batch, one conditional write for an order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from orders.errors import TableUnavailableError, VersionConflictError
from orders.order import Attempt, Order, Refusal, Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEYS_PER_READ = 100  # BatchGetItem's limit
READ_ROUNDS = 3  # DynamoDB may leave keys unprocessed under load; after that the batch is retried by its messages

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class OrdersTable:
    """Orders by key; safe to use from many threads (boto3 clients are)."""

    def __init__(self, dynamodb: "DynamoDBClient", name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def load(self, keys: Iterable[str]) -> dict[str, Order]:
        """Read the orders that exist, strongly consistent; raises TableUnavailableError."""
        found: dict[str, Order] = {}
        for chunk in batched(dict.fromkeys(keys), KEYS_PER_READ, strict=False):
            found |= self._load(chunk)
        return found

    def _load(self, keys: Sequence[str]) -> dict[str, Order]:
        found: dict[str, Order] = {}
        request: dict[str, Any] = {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}
        for _ in range(READ_ROUNDS):
            try:
                answer = self._dynamodb.batch_get_item(RequestItems={self._name: cast("Any", request)})
            except (ClientError, BotoCoreError) as error:
                raise TableUnavailableError("BatchGetItem", _code(error)) from error
            for item in answer["Responses"].get(self._name, []):
                found[item["pk"]["S"]] = order_of(item)
            request = cast("dict[str, Any]", answer.get("UnprocessedKeys", {}).get(self._name, {}))
            if not request:
                return found
        raise TableUnavailableError("BatchGetItem", "UnprocessedKeys")

    def save(self, order: Order) -> None:
        """Write the order whole, if its version is the next one.

        Raises VersionConflictError where somebody wrote first, TableUnavailableError where DynamoDB did not take it.
        """
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if order.version > 1:
            condition = {
                "ConditionExpression": "#version = :previous",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":previous": {"N": str(order.version - 1)}},
            }
        try:
            self._dynamodb.put_item(TableName=self._name, Item=item_of(order), **condition)
        except (ClientError, BotoCoreError) as error:
            code = _code(error)
            if code == "ConditionalCheckFailedException":
                raise VersionConflictError(order.key) from None
            raise TableUnavailableError("PutItem", code) from error


def _code(error: ClientError | BotoCoreError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def item_of(order: Order) -> dict[str, Any]:
    """The order as DynamoDB attributes: one per field that has a value, and `attention` where somebody should look."""
    values: dict[str, Any] = {"pk": order.key}
    for field in fields(order):
        value = getattr(order, field.name)
        if value not in (None, "", ()):
            values[field.name] = _storable(value)
    if order.status.needs_attention:
        values["attention"] = order.status.value
    return {name: _serialize(value) for name, value in values.items()}


def order_of(item: Mapping[str, Any]) -> Order:
    """The order in an item; attributes this version does not know are left alone."""
    values = {field.name: _plain(_deserialize(item[field.name])) for field in fields(Order) if field.name in item}
    values["status"] = Status(values["status"])
    values["history"] = tuple(Attempt(**attempt) for attempt in values.get("history", ()))
    if "last_error" in values:
        values["last_error"] = _refusal(values["last_error"])
    return Order(**values)


def _refusal(value: Mapping[str, Any]) -> Refusal:
    return Refusal(
        value.get("code", ""), value.get("message", ""), value.get("http_status"), value.get("request_id", "")
    )


def _storable(value: object) -> object:  # noqa: PLR0911  one line per kind of value
    """What the serializer takes: records become maps without empty members, a JSON float an exact decimal."""
    match value:
        case Status():
            return value.value
        case Attempt() | Refusal():
            members = {field.name: getattr(value, field.name) for field in fields(value)}
            return {name: member for name, member in members.items() if member not in (None, "")}
        case Mapping():
            return {name: _storable(member) for name, member in value.items()}
        case list() | tuple():
            return [_storable(member) for member in value]
        case float():
            return Decimal(repr(value))
        case int() if abs(value) >= 10**38:  # beyond DynamoDB's 38 digits
            return str(value)
        case _:
            return value


def _plain(value: object) -> Any:  # noqa: ANN401  whatever JSON can hold
    """DynamoDB's decimals as the int or float they were."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Mapping():
            return {name: _plain(member) for name, member in value.items()}
        case list():
            return [_plain(member) for member in value]
        case _:
            return value
