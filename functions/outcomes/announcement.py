"""What a change of an order's item announces on the bus. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from orders.order import Order, Status

type Detail = Mapping[str, str | int]
"""The `detail` of an outcome event; what an order does not have is absent."""


class DetailType(StrEnum):
    """The `detail-type` of an outcome event."""

    SYNCED = "OrderSynced"
    PAID_BY_WECHAT = "OrderPaidByWeChat"
    NOTHING_DUE = "OrderNothingDue"
    REJECTED = "OrderRejected"
    RECOVERED = "OrderRecovered"


@dataclass(frozen=True, slots=True)
class Announcement:
    """One outcome event: `key` and `version` are those of the order, and together the id to deduplicate by."""

    detail_type: DetailType
    key: str
    version: int
    at: str
    detail: Detail


def announce(before: Order | None, after: Order) -> Announcement | None:
    """Return what the change from one item to the next announces; None where nothing has become of the order.

    A final status is announced when the order reaches it, REJECTED after each attempt that ended so. A payment that
    both sides took is `OrderPaidByWeChat`, whatever came before: it is the refund team's.
    """
    detail_type = _detail_type(before, after)
    return _announcement(detail_type, after) if detail_type else None


def announce_again(order: Order) -> Announcement | None:
    """Return the announcement of the order as it stands, for an operator who sends a lost one again."""
    detail_type = _outcome(order, was_rejected=order.was_rejected)
    return _announcement(detail_type, order) if detail_type else None


def _detail_type(before: Order | None, after: Order) -> DetailType | None:
    if before is not None and before.status.final:
        return None
    if after.status is Status.REJECTED and before is not None and before.status is Status.REJECTED:
        return DetailType.REJECTED if before.attempts != after.attempts else None
    rejected_before = before is not None and before.status is Status.REJECTED
    return _outcome(after, was_rejected=after.was_rejected or rejected_before)


def _outcome(order: Order, *, was_rejected: bool) -> DetailType | None:
    if order.status in _SUCCESS and was_rejected:
        return DetailType.RECOVERED
    return _OUTCOMES.get(order.status)


_SUCCESS = frozenset({Status.SYNCED, Status.NOTHING_DUE})
_OUTCOMES: Mapping[Status, DetailType] = MappingProxyType(
    {status: DetailType[status.name] for status in Status if status.name in DetailType.__members__}
)


def _announcement(detail_type: DetailType, order: Order) -> Announcement:
    payment, facts = order.payment, order.facts
    members = {
        "mchid": payment.mchid,
        "sub_mchid": payment.sub_mchid,
        "out_order_no": payment.out_order_no,
        "event_id": order.event_id,
        "status": order.status.value,
        "reason": order.reason,
        "paid_time": payment.paid_time,
        "transaction_id": facts.transaction_id if facts else None,
        "total_amount": _total_amount(order),
        "attempts": order.attempts,
        "at": order.updated_at,
        "version": order.version,
    }
    detail = {name: value for name, value in members.items() if value is not None and value != ""}
    return Announcement(detail_type, order.key, order.version, order.updated_at, detail)


def _total_amount(order: Order) -> int | None:
    """Return the order's amount in fen as WeChat Pay has answered it; a notification's example has it as text."""
    amount = order.facts.answer.get("total_amount") if order.facts and order.facts.answer else None
    if isinstance(amount, str) and amount.isascii() and amount.isdigit():
        return int(amount)
    return amount if isinstance(amount, int) and not isinstance(amount, bool) else None
