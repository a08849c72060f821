"""Take an order out of the index `attention` after an operator has dealt with it; its verdict stays as it is.

The item keeps who did it, when and why (`acknowledged`), and a line in its history. The function leaves `acknowledged`
alone, and puts the order back into the index when it records another attempt.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from botocore.exceptions import ClientError

from ops.items import Item
from ops.stack import Deployment, OpsError
from orders.items import item_of
from orders.order import Attempt, Order, Status, instant
from orders.rules import HISTORY_LENGTH
from wechatpay.text import printable

ACKNOWLEDGED = "ACKNOWLEDGED"
ATTRIBUTE = "acknowledged"
WORDS_LIMIT = 500  # characters of `why`
NAME_LIMIT = 100  # characters of `who`
IN_QUEUE = timedelta(days=4)  # OrderQueue's retention period: later, no message is left that could settle the order


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who has dealt with an order, why, and when (ISO 8601 in UTC)."""

    who: str
    why: str
    at: str

    @classmethod
    def of(cls, order: Order) -> Self | None:
        """Return the acknowledgement in an order's item; None if there is none that can be read."""
        try:
            members = order.rest[ATTRIBUTE]["M"]
            return cls(*(printable(str(members[name]["S"]), WORDS_LIMIT) for name in ("who", "why", "at")))
        except (LookupError, TypeError):
            return None

    def is_about(self, item: Item) -> bool:
        """Whether it is about the order as it stands: a later attempt puts the order back into the index."""
        needs_attention = item.order is not None and item.order.status.needs_attention
        return needs_attention and "attention" not in item.attributes

    @property
    def document(self) -> dict[str, object]:
        """The acknowledgement for JSON."""
        return {"who": self.who, "why": self.why, "at": self.at}


def acknowledge(deployment: Deployment, item: Item, *, who: str, why: str, now: float) -> Acknowledgement:
    """Write the acknowledgement, if the item is still of the version that was read; return it.

    An order that is acknowledged already keeps its acknowledgement, and nothing is written.

    Raises:
        OpsError: the order is not one to acknowledge, or it was written meanwhile.
    """
    order = _require_attention(item, now)
    earlier = Acknowledgement.of(order)
    if earlier is not None and earlier.is_about(item):
        return earlier
    acknowledgement = Acknowledgement(
        printable(who, NAME_LIMIT).strip(), printable(why, WORDS_LIMIT).strip(), instant(now)
    )
    if not (acknowledgement.who and acknowledgement.why):
        raise OpsError("--who and --why must not be empty: the item keeps them for the next operator")
    _write(deployment, item, order, acknowledgement)
    return acknowledgement


def _require_attention(item: Item, now: float) -> Order:
    order = item.order
    if order is None:
        problem = f"{item.key} cannot be read ({item.problem})"
        raise OpsError(f"{problem}: correct the attribute or deploy the version that wrote it, then acknowledge")
    if not order.status.needs_attention:
        raise OpsError(f"{item.key} is {order.status}: it needs no attention, so there is nothing to acknowledge")
    if order.status is Status.RETRYING and _age(order, now) < IN_QUEUE:
        problem = f"{item.key} is still being retried ({order.reason or 'no reason'}, last attempt {order.updated_at})"
        raise OpsError(f"{problem}: remove the cause, or wait until it is settled or rejected; then acknowledge")
    return order


def _age(order: Order, now: float) -> timedelta:
    try:
        return datetime.fromtimestamp(now, UTC) - datetime.fromisoformat(order.updated_at)
    except (ValueError, TypeError):
        return timedelta.max  # a time that cannot be read proves no recent attempt


def _write(deployment: Deployment, item: Item, order: Order, acknowledgement: Acknowledgement) -> None:
    """Write `acknowledged` and the history's line, remove `attention`; status and reason are not touched."""
    try:
        deployment.client("dynamodb").update_item(
            TableName=deployment.outputs["OrdersTableName"],
            Key={"pk": item.attributes["pk"]},
            UpdateExpression=(
                "SET acknowledged = :acknowledged, history = :history, #version = :next, updated_at = :at"
                " REMOVE attention"
            ),
            ConditionExpression="#version = :previous",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues={
                ":acknowledged": _attribute(acknowledgement),
                ":history": _history(order, acknowledgement),
                ":next": {"N": str(order.version + 1)},
                ":previous": {"N": str(order.version)},
                ":at": {"S": acknowledgement.at},
            },
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
            raise
        problem = f"{item.key} was written meanwhile, so nothing was changed"
        raise OpsError(f"{problem}: look at it with `order show`, then acknowledge it again") from error


def _attribute(acknowledgement: Acknowledgement) -> dict[str, Any]:
    return {"M": {name: {"S": getattr(acknowledgement, name)} for name in ("who", "why", "at")}}


def _history(order: Order, acknowledgement: Acknowledgement) -> Any:  # noqa: ANN401  an attribute of DynamoDB
    """Return the history with one more line; its message is the one that the verdict is about."""
    rest = {"by": {"S": acknowledgement.who}, "why": {"S": acknowledgement.why}}
    line = Attempt(acknowledgement.at, order.message_id or "-", ACKNOWLEDGED, rest=rest)
    return item_of(order._replace(history=(*order.history, line)[-HISTORY_LENGTH:]))["history"]
