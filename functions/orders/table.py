"""The orders table: the only module that speaks DynamoDB. One read for a batch, one conditional write for an order.

The first writes of orders that end together share a call; each keeps its own condition.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from decimal import Decimal
from functools import cache
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError

from orders.errors import OrdersError, TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.order import Attempt, Order, Receipt, Refusal, Status
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
        if words[0] in _ONES_OWN and order.wechat is not None:
            return self._create([_without_answer(order, words)])
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
            return
        try:
            self._put(order)
        except (ClientError, BotoCoreError, RecursionError) as error:
            words = _words(error)
            if words[0] not in _ONES_OWN or order.wechat is None:
                raise _unwritten(order.key, words) from error
            self.save(_without_answer(order, words))

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


def _without_answer(order: Order, words: _Words) -> Order:
    return replace(order, wechat=None, omitted=f"wechat: the item cannot hold it ({words[0]})")


def _words(error: ClientError | BotoCoreError | RecursionError) -> _Words:
    return _told(error.response["Error"]) if isinstance(error, ClientError) else (type(error).__name__, "")


def _told(error: Mapping[str, Any]) -> _Words:
    return str(error["Code"]), printable(str(error.get("Message", "")))


def item_of(order: Order) -> dict[str, Any]:
    """Return the order as DynamoDB attributes: one per field that has a value, and `attention` where it needs some."""
    item = {"pk": _attribute(order.key)} | _members(order)
    if order.status.needs_attention:
        item["attention"] = _attribute(order.status.value)
    return item


def _readable(item: Mapping[str, Any]) -> Order | UnreadableItemError:
    try:
        return order_of(item)
    except UnreadableItemError as error:
        return error


def order_of(item: Mapping[str, Any]) -> Order:
    """Return the order in an item; raises UnreadableItemError naming the attribute that this version cannot read.

    Attributes and members of nested records that it does not know are kept, and written back as they came.
    """
    try:
        return _record(Order, item, apart=_APART)
    except _StrangeError as error:
        raise UnreadableItemError(item["pk"]["S"], str(error)) from error


class _StrangeError(ValueError):
    """An attribute is not what this version writes; the text says which."""


_APART = frozenset({"pk", "attention"})  # made by `item_of`


def _record[T](kind: type[T], attributes: Mapping[str, Any], apart: frozenset[str] = frozenset()) -> T:
    """Read a dataclass from DynamoDB's attributes; what it has no field for becomes its `rest`."""
    readers = _readers(kind)  # type: ignore[arg-type]  # mypy doubts classes
    values: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, attribute in attributes.items():
        if name not in readers:
            if name not in apart:
                rest[name] = attribute
            continue
        try:
            values[name] = readers[name](attribute)
        except _StrangeError:
            raise
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise _StrangeError(f"{name} is not what this version writes") from error
    if missing := _required(kind) - values.keys():  # type: ignore[arg-type]
        raise _StrangeError(f"{', '.join(sorted(missing))} missing")
    make: Any = kind
    record: T = make(**values, rest=rest)
    return record


def _text(attribute: Mapping[str, Any]) -> str:
    return str(attribute["S"])


def _status(attribute: Mapping[str, Any]) -> Status:
    try:
        return Status(attribute["S"])
    except ValueError:
        raise _StrangeError(f"status {printable(attribute['S'], 64)!r} is none of this version's") from None


def _number(attribute: Mapping[str, Any]) -> int:
    return int(attribute["N"])


def _history(attribute: Mapping[str, Any]) -> tuple[Attempt, ...]:
    return tuple(_record(Attempt, entry["M"]) for entry in attribute["L"])


def _receipts(attribute: Mapping[str, Any]) -> dict[str, Receipt]:
    return {message_id: _record(Receipt, entry["M"]) for message_id, entry in attribute["M"].items()}


def _answer(attribute: Mapping[str, Any]) -> Mapping[str, Any]:
    if "M" not in attribute:
        raise ValueError
    value: Mapping[str, Any] = _plain(_deserialize(cast("Any", attribute)))
    return value


_READERS: Mapping[object, Callable[[Mapping[str, Any]], object]] = {
    str: _text,
    str | None: _text,
    int: _number,
    int | None: _number,
    bool: lambda attribute: bool(attribute["BOOL"]),
    Status: _status,
    tuple[Attempt, ...]: _history,
    Mapping[str, Receipt]: _receipts,
    Mapping[str, Any] | None: _answer,
    Refusal | None: lambda attribute: _record(Refusal, attribute["M"]),
}


@cache
def _readers(kind: type) -> Mapping[str, Callable[[Mapping[str, Any]], object]]:
    return {one.name: _READERS[one.type] for one in fields(kind) if one.name != "rest"}


@cache
def _required(kind: type) -> frozenset[str]:
    return frozenset(one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING)


def _attribute(value: object) -> dict[str, Any]:  # noqa: PLR0911  one line per kind of value
    """A value in DynamoDB's types, straight from ours and JSON's; boto3's serializer would first want its own."""
    match value:
        case str():  # a Status is one
            return {"S": str(value)}
        case bool():
            return {"BOOL": value}
        case int() if abs(value) < 10**38:
            return {"N": str(value)}
        case float() if value == 0 or 1e-129 < abs(value) < 1e125:
            return {"N": repr(value)}
        case int() | float():  # beyond DynamoDB's 38 digits or its exponents
            return {"S": str(value)}
        case dict():
            return {"M": {name: _attribute(member) for name, member in value.items()}}
        case list() | tuple():
            return {"L": [_attribute(member) for member in value]}
        case None:
            return {"NULL": True}
        case _:
            return {"M": _members(value)}


def _members(record: Any) -> dict[str, Any]:  # noqa: ANN401  one of the dataclasses of `order`
    """A dataclass's fields as attributes, without those that are empty; then those that it had brought along."""
    values = ((name, getattr(record, name)) for name in _names(type(record)))  # type: ignore[arg-type]  # mypy doubts classes
    known = {name: _attribute(value) for name, value in values if value is not False and value not in _EMPTY}
    return {**record.rest, **known} if record.rest else known


_EMPTY: tuple[object, ...] = (None, "", (), {})


@cache
def _names(record: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record) if field.name != "rest")


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
