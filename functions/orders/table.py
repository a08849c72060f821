"""The orders table: the only module that calls DynamoDB. One read for a batch, one conditional write for an order.

First writes of orders whose conversations end together share one call, in which each has a condition of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import batched
from typing import TYPE_CHECKING, NamedTuple, Self

from botocore.exceptions import BotoCoreError, ClientError

from orders.errors import OrdersError, TableUnavailableError, UnreadableItemError, VersionConflictError
from orders.items import Attribute, item_of, order_of
from orders.order import Order
from wechatpay.text import printable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementErrorTypeDef, BatchStatementRequestTypeDef

KEYS_PER_READ = 100  # BatchGetItem's limit
STATEMENTS_PER_WRITE = 25  # BatchExecuteStatement's limit
ROUNDS = 3  # calls for what DynamoDB leaves undone under load; after that the messages are retried


class OrdersTable:
    """Orders by key; safe to use from many threads (boto3 clients are)."""

    def __init__(self, dynamodb: "DynamoDBClient", name: str) -> None:
        self._dynamodb = dynamodb
        self._name = name

    def load(self, keys: Iterable[str]) -> dict[str, Order | UnreadableItemError]:
        """Read the orders that exist, strongly consistent; raise TableUnavailableError.

        An item that this version cannot read is an UnreadableItemError among the values: it costs its own order only.
        """
        orders: dict[str, Order | UnreadableItemError] = {}
        for chunk in batched(dict.fromkeys(keys), KEYS_PER_READ, strict=False):
            orders |= self._load(chunk)
        return orders

    def _load(self, keys: Iterable[str]) -> dict[str, Order | UnreadableItemError]:
        orders: dict[str, Order | UnreadableItemError] = {}
        unread: Sequence[Mapping[str, Attribute]] = [{"pk": {"S": key}} for key in keys]
        for _ in range(ROUNDS):
            try:
                answer = self._dynamodb.batch_get_item(
                    RequestItems={self._name: {"Keys": unread, "ConsistentRead": True}}
                )
            except (ClientError, BotoCoreError) as error:
                failure = _Failure.of(error)
                raise TableUnavailableError("BatchGetItem", failure.code, failure.message) from error
            orders |= {item["pk"]["S"]: _read(item) for item in answer["Responses"].get(self._name, [])}
            unprocessed = answer.get("UnprocessedKeys", {}).get(self._name)
            if not unprocessed:
                return orders
            unread = unprocessed["Keys"]
        raise TableUnavailableError("BatchGetItem", "UnprocessedKeys")

    def create(self, orders: Sequence[Order]) -> dict[str, OrdersError]:
        """Write orders of version 1, each whole and only if its key has no item; return the errors by key.

        An error is a VersionConflictError if there is an item, and a TableUnavailableError if DynamoDB did not take the
        order. An order costs a write unit per KB, as in a call of its own; 25 orders share a call.
        """
        errors: dict[str, OrdersError] = {}
        for chunk in batched(orders, STATEMENTS_PER_WRITE, strict=False):
            errors |= self._create(chunk)
        return errors

    def save(self, order: Order) -> None:
        """Write the order whole, if its version is the next one; raise what `create` returns."""
        if order.version == 1:
            for error in self.create([order]).values():
                raise error
            return
        try:
            self._put(order)
        except (ClientError, BotoCoreError, RecursionError) as error:
            failure = _Failure.of(error)
            smaller = _without_answer(order, failure)
            if smaller is None:
                raise failure.error(order.key) from error
            self.save(smaller)

    # ---- a chunk of first writes -------------------------------------------------------------------------------------

    def _create(self, orders: Sequence[Order]) -> dict[str, OrdersError]:
        """Write one call's worth; repeat the statements that DynamoDB was too busy for: boto3 repeats only calls."""
        errors: dict[str, OrdersError] = {}
        busy: list[tuple[Order, _Failure]] = []
        for _ in range(ROUNDS):
            try:
                failures = self._insert(orders)
            except (ClientError, BotoCoreError, RecursionError) as error:
                return errors | self._create_apart(orders, _Failure.of(error))
            for order, failure in failures:
                if not failure.is_busy:
                    errors |= self._create_smaller(order, failure)
            busy = [(order, failure) for order, failure in failures if failure.is_busy]
            orders = [order for order, _ in busy]
            if not orders:
                return errors
        return errors | {order.key: failure.error(order.key) for order, failure in busy}

    def _create_apart(self, orders: Sequence[Order], failure: "_Failure") -> dict[str, OrdersError]:
        """Deal with a call that failed as a whole: if one order alone can be the cause, write each by itself."""
        apart = len(orders) > 1 and failure.is_about_one_item
        errors = [self._create([order]) if apart else self._create_smaller(order, failure) for order in orders]
        return {key: error for each in errors for key, error in each.items()}

    def _create_smaller(self, order: Order, failure: "_Failure") -> dict[str, OrdersError]:
        """Write the order without WeChat Pay's answer if that is what the item cannot hold: the status matters more."""
        smaller = _without_answer(order, failure)
        return {order.key: failure.error(order.key)} if smaller is None else self._create([smaller])

    def _insert(self, orders: Sequence[Order]) -> "list[tuple[Order, _Failure]]":
        """Try each order once, in one call; return those that DynamoDB did not write."""
        statements = [self._statement(item_of(order)) for order in orders]
        answers = self._dynamodb.batch_execute_statement(Statements=statements)["Responses"]
        errors = [answer.get("Error") for answer in answers]
        return [(order, _Failure.reported(error)) for order, error in zip(orders, errors, strict=True) if error]

    def _statement(self, item: Mapping[str, Attribute]) -> "BatchStatementRequestTypeDef":
        """Return PartiQL's INSERT, which fails if the key exists: the condition of a first write."""
        return {"Statement": _insert(self._name, tuple(item)), "Parameters": list(item.values())}

    # ---- a later write -----------------------------------------------------------------------------------------------

    def _put(self, order: Order) -> None:
        self._dynamodb.put_item(
            TableName=self._name,
            Item=item_of(order),
            ConditionExpression="#version = :previous",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues={":previous": {"N": str(order.version - 1)}},
        )


@lru_cache(maxsize=100)  # most first writes have the same attributes
def _insert(table: str, attributes: Sequence[str]) -> str:
    values = ", ".join(f"'{name}': ?" for name in attributes)
    return f'INSERT INTO "{table}" VALUE {{{values}}}'


def _read(item: Mapping[str, Attribute]) -> Order | UnreadableItemError:
    try:
        return order_of(item)
    except UnreadableItemError as error:
        return error


def _without_answer(order: Order, failure: "_Failure") -> Order | None:
    """Return the order without WeChat Pay's answer; None if that is not why the item could not be written."""
    if not failure.is_about_one_item or order.facts is None or order.facts.answer is None:
        return None
    omitted = f"wechat: the item cannot hold it ({failure.code})"
    return order._replace(facts=order.facts._replace(answer=None, omitted=omitted))


_CONFLICTS = frozenset({"DuplicateItem", "ConditionalCheckFailedException"})
_BUSY = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "InternalServerError"})
_ABOUT_ONE_ITEM = frozenset({"ValidationException", "ValidationError", "RecursionError"})
"""An item over 400 KB, nested too deeply for DynamoDB or boto3, a number that DynamoDB has no room for."""


class _Failure(NamedTuple):
    """Why DynamoDB did not write an order, or read a batch: its error code and message."""

    code: str
    message: str = ""

    @classmethod
    def of(cls, error: ClientError | BotoCoreError | RecursionError) -> Self:
        """Take the failure of a whole call."""
        return cls.reported(error.response["Error"]) if isinstance(error, ClientError) else cls(type(error).__name__)

    @classmethod
    def reported(cls, error: "Mapping[str, object] | BatchStatementErrorTypeDef") -> Self:
        """Take the failure from DynamoDB's own report."""
        return cls(str(error["Code"]), printable(str(error.get("Message", ""))))

    @property
    def is_busy(self) -> bool:
        """Whether the same statement may succeed at once."""
        return self.code in _BUSY

    @property
    def is_about_one_item(self) -> bool:
        """Whether one item is the cause, not the call or the table."""
        return self.code in _ABOUT_ONE_ITEM

    def error(self, key: str) -> OrdersError:
        """Return what this failure of a write means for the order of this key."""
        return (
            VersionConflictError(key)
            if self.code in _CONFLICTS
            else TableUnavailableError("write", self.code, self.message)
        )
