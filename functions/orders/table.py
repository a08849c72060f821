"""The orders table: the only module that speaks DynamoDB. One read for a batch, one conditional write for an order.

The first writes of orders that end together share a call; each keeps its own condition.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError

from orders.errors import OrdersError, TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.order import Attempt, Order, Refusal, Status
from wechatpay.text import printable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEYS_PER_READ = 100  # BatchGetItem's limit
ROUNDS = 3  # DynamoDB may leave a part undone under load; after that its messages are retried
STATEMENTS_PER_WRITE = 25  # BatchExecuteStatement's limit

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
        for _ in range(ROUNDS):
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
        codes: dict[str, str] = {}
        for _ in range(ROUNDS):
            try:
                codes = self._inserted(orders)
            except (ClientError, BotoCoreError, RecursionError) as error:
                return failed | self._refused(orders, _code(error))
            failed |= {key: _unwritten(key, code) for key, code in codes.items() if code and code not in _BUSY}
            orders = [order for order in orders if codes[order.key] in _BUSY]
            if not orders:
                return failed
        return failed | {order.key: _unwritten(order.key, codes[order.key]) for order in orders}

    def _refused(self, orders: Sequence[Order], code: str) -> dict[str, OrdersError]:
        """A call was refused as a whole; where one order alone can be to blame, each goes by itself."""
        if len(orders) > 1 and code in _ONES_OWN:
            return {key: failure for order in orders for key, failure in self._create([order]).items()}
        return {order.key: _unwritten(order.key, code) for order in orders}

    def _inserted(self, orders: Sequence[Order]) -> dict[str, str]:
        """Try each once, and return by key DynamoDB's error code, empty where the order is written."""
        statements = [self._insert(item_of(order)) for order in orders]
        answers = self._dynamodb.batch_execute_statement(Statements=cast("Any", statements))["Responses"]
        return {
            order.key: answer.get("Error", {}).get("Code", "") for order, answer in zip(orders, answers, strict=True)
        }

    def _insert(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """PartiQL's INSERT fails where the key exists: the condition is the statement's own."""
        attributes = ", ".join(f"'{name}': ?" for name in item)
        return {"Statement": f'INSERT INTO "{self._name}" VALUE {{{attributes}}}', "Parameters": list(item.values())}

    def save(self, order: Order) -> None:
        """Write the order whole, if its version is the next one; raises what `create` returns."""
        if order.version == 1:
            for error in self.create([order]).values():
                raise error
            return
        try:
            self._dynamodb.put_item(
                TableName=self._name,
                Item=item_of(order),
                ConditionExpression="#version = :previous",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":previous": {"N": str(order.version - 1)}},
            )
        except (ClientError, BotoCoreError) as error:
            raise _unwritten(order.key, _code(error)) from error


_CONFLICTS = frozenset({"DuplicateItem", "ConditionalCheckFailedException"})
_BUSY = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "InternalServerError"})
_ONES_OWN = frozenset({"ValidationException", "RecursionError"})  # an item over 400 KB; nested too deeply for boto3


def _unwritten(key: str, code: str) -> OrdersError:
    return VersionConflictError(key) if code in _CONFLICTS else TableUnavailableError("write", code)


def _code(error: ClientError | BotoCoreError | RecursionError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def item_of(order: Order) -> dict[str, Any]:
    """The order as DynamoDB attributes: one per field that has a value, and `attention` where somebody should look."""
    item = {"pk": _attribute(order.key)} | _members(order)
    if order.status.needs_attention:
        item["attention"] = _attribute(order.status.value)
    return item


def order_of(item: Mapping[str, Any]) -> Order:
    """The order in an item; what this version does not know is left alone, in the item and in its nested records.

    Raises UnreadableItemError where the item lacks what an order needs, or holds it in another form.
    """
    try:
        values = {name: _plain(_deserialize(item[name])) for name in _names(Order) if name in item}
        values["status"] = Status(values["status"])
        values["history"] = tuple(_known(Attempt, attempt) for attempt in values.get("history", ()))
        if "last_error" in values:
            values["last_error"] = _known(Refusal, {"code": "", "message": ""} | values["last_error"])
        _require_types(values)
        return Order(**values)
    except KeyError as error:
        problem = f"{error.args[0]} is missing"
    except (TypeError, ValueError, AttributeError) as error:
        problem = str(error)
    raise UnreadableItemError(printable(str(item.get("pk", {}).get("S", "")), 128), printable(problem))


_INTEGERS = frozenset({"version", "attempts"})
_OF_OTHER_TYPES = frozenset({"history", "last_error", "wechat"})


def _require_types(values: Mapping[str, Any]) -> None:
    """Raise TypeError where an attribute is of another type than a version of this function writes."""
    for name, value in values.items():
        if name not in _OF_OTHER_TYPES and not isinstance(value, int if name in _INTEGERS else str):
            raise TypeError(f"{name} is of another type")


def _known[T](record: type[T], members: Mapping[str, Any]) -> T:
    """A nested record from the members that it has."""
    return record(**{name: value for name, value in members.items() if name in _names(record)})  # type: ignore[arg-type]  # mypy doubts classes


def _attribute(value: object) -> dict[str, Any]:  # noqa: PLR0911  one line per kind of value
    """A value in DynamoDB's types, straight from ours and JSON's; boto3's serializer would first want its own."""
    match value:
        case str():  # a Status is one
            return {"S": str(value)}
        case bool():
            return {"BOOL": value}
        case int() if abs(value) < 10**38:
            return {"N": str(value)}
        case int():  # beyond DynamoDB's 38 digits
            return {"S": str(value)}
        case float():
            return {"N": repr(value)}
        case dict():
            return {"M": {name: _attribute(member) for name, member in value.items()}}
        case list() | tuple():
            return {"L": [_attribute(member) for member in value]}
        case None:
            return {"NULL": True}
        case _:
            return {"M": _members(value)}


def _members(record: object) -> dict[str, Any]:
    """A dataclass's fields as attributes, without those that are empty."""
    values = ((name, getattr(record, name)) for name in _names(type(record)))  # type: ignore[arg-type]  # mypy doubts classes
    return {name: _attribute(value) for name, value in values if value not in (None, "", ())}


@cache
def _names(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))


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
