"""Service orders and their official states: what a shop, a customer and WeChat Pay itself may do, and when.

CREATED ─confirm→ DOING/USER_CONFIRM ─complete→ DOING/MCH_COMPLETE, USER_PAYING ─sync or deduct→ DONE, USER_PAID
CREATED, DOING ─cancel→ REVOKED; CREATED ─expire→ EXPIRED (doc 4012587166)
"""

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from sandbox.wechat_pay import numbers, refusals, times, vocabulary
from sandbox.wechat_pay.record import OrderRecord

OUTSIDE_WINDOW = "支付时间不在允许的范围内"
GRACE = 60  # seconds that a time of payment may lie in the future
CUSTOMER = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"  # the openid of the simulated customer who confirms


@dataclass(frozen=True, slots=True)
class SimulatedOrder(OrderRecord):
    """A service order with its answers."""

    def answer(self) -> dict[str, Any]:
        """Return what a query answers: every field of the family's response dictionary that the order has by now."""
        return vocabulary.query_answer(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the order for the ledger."""
        return dict(zip(FIELDS, _VALUES(self), strict=True))


FIELDS = tuple(field.name for field in fields(SimulatedOrder))
_VALUES = attrgetter(*FIELDS)


def alter(order: SimulatedOrder, **changes: Any) -> SimulatedOrder:  # noqa: ANN401  of any field
    """Return the order with other values, as `dataclasses.replace` does in twice the time: an order changes often."""
    return SimulatedOrder(**(order.as_dict() | changes))


def confirm(order: SimulatedOrder, at: float = 0.0) -> SimulatedOrder:
    """Confirm the order, as the customer does; WeChat Pay knows who the customer is from now on."""
    _require(order.state == "CREATED", order)
    openid = order.openid or ("" if order.sub_openid else CUSTOMER)
    return alter(order, state="DOING", state_description="USER_CONFIRM", confirmed_at=at, openid=openid)


def require_completable(order: SimulatedOrder) -> None:
    """Refuse an order that the customer has not confirmed, or that is completed."""
    _require(order.state == "DOING" and order.state_description == "USER_CONFIRM", order)


def require_modifiable(order: SimulatedOrder) -> None:
    """Refuse an order that does not wait for its money, or whose money WeChat Pay is taking at this moment."""
    _require_no_deduction(order)
    _require(order.state == "DOING" and order.collection_state == "USER_PAYING", order)


def complete(order: SimulatedOrder, total_amount: int, at: float) -> SimulatedOrder:
    """Complete the order, as the shop does; with nothing to collect it is done at once."""
    require_completable(order)
    order = alter(order, total_amount=total_amount, completed_at=at)
    if total_amount == 0:
        return alter(order, state="DONE", state_description="")
    return alter(order, state_description="MCH_COMPLETE", collection_state="USER_PAYING")


def modify(order: SimulatedOrder, total_amount: int) -> SimulatedOrder:
    """Change the amount that the shop asks for, never to a larger one."""
    require_modifiable(order)
    if total_amount > order.total_amount:
        raise refusals.wrong_parameter("/total_amount", total_amount, "修改后的总金额不能大于原总金额")
    return alter(order, total_amount=total_amount)


def deduct(order: SimulatedOrder, at: float) -> SimulatedOrder:
    """Collect the money, as WeChat Pay itself does: NEWTON."""
    _require(order.collection_state == "USER_PAYING", order)
    number = numbers.transaction_id(at)
    return alter(_paid(order), paid_type="NEWTON", paid_time=times.digits(at), transaction_id=number)


def set_deducting(order: SimulatedOrder, *, on: bool) -> SimulatedOrder:
    """Start a deduction, or end it without the money; to end none changes nothing."""
    _require(order.collection_state == "USER_PAYING" or not (on or order.deducting), order)
    return alter(order, deducting=on)


def cancel(order: SimulatedOrder) -> SimulatedOrder:
    """Cancel the order, as the shop does."""
    _require_no_deduction(order)
    _require(order.state in {"CREATED", "DOING"}, order)
    return alter(order, state="REVOKED", state_description="")


def expire(order: SimulatedOrder) -> SimulatedOrder:
    """Expire the order: thirty days without the customer's confirmation."""
    _require(order.state == "CREATED", order)
    return alter(order, state="EXPIRED")


def sync(order: SimulatedOrder, paid_time: str, now: float, *, in_the_second: bool = False) -> SimulatedOrder:
    """Record that the shop was paid elsewhere (doc 4012587962).

    `in_the_second`: also a payment in the very second of `complete` is later than it.
    """
    _require_no_deduction(order)
    _require(order.collection_state == "USER_PAYING" and order.state == "DOING", order)
    paid_at = moment(paid_time)
    is_later = order.completed_at < paid_at or (in_the_second and int(order.completed_at) == paid_at)
    if not (is_later and paid_at <= now + GRACE):
        raise refusals.wrong_parameter("/detail/paid_time", paid_time, OUTSIDE_WINDOW)
    return alter(_paid(order), paid_type="MCH", paid_time=times.digits(paid_at), syncs=order.syncs + 1)


def as_if_synced(order: SimulatedOrder, now: float) -> SimulatedOrder:
    """Return the order as an attacker between would report it: paid, while it still waits for its money."""
    paid = alter(_paid(order), paid_type="MCH", paid_time=times.digits(now))
    return alter(paid, total_amount=order.total_amount or 3900, completed_at=order.completed_at or now)


def _paid(order: SimulatedOrder) -> SimulatedOrder:
    return alter(order, state="DONE", state_description="", collection_state="USER_PAID", deducting=False)


def _require_no_deduction(order: SimulatedOrder) -> None:
    """Refuse while WeChat Pay is taking the money: the page asks to wait three minutes."""
    if order.deducting:
        raise refusals.DEDUCTING


def _require(condition: bool, order: SimulatedOrder) -> None:
    """Raise the official refusal for the order's state, unless the condition is met."""
    if condition:
        return
    if order.state == "DONE":
        raise refusals.DONE
    if order.state == "REVOKED":
        raise refusals.CANCELED
    if order.state in {"CREATED", "DOING"} and not order.completed_at:
        raise refusals.NOT_COMPLETED
    raise refusals.INVALID_STATE


def moment(paid_time: str) -> float:
    """Return a time of payment as Unix seconds; PARAM_ERROR for a time that does not exist."""
    try:
        return times.moment(paid_time)
    except ValueError:
        raise refusals.wrong_parameter("/detail/paid_time", paid_time, "时间格式错误") from None
