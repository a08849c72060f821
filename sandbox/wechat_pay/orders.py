"""Service orders and their official states: what a shop, a customer and WeChat Pay itself may do, and when.

CREATED ─confirm→ DOING/USER_CONFIRM ─complete→ DOING/MCH_COMPLETE, USER_PAYING ─sync or deduct→ DONE, USER_PAID
CREATED, DOING ─cancel→ REVOKED; CREATED ─expire→ EXPIRED (doc 4012587166)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sandbox.wechat_pay import answers, times, vocabulary

digits = times.digits

GRACE = 60  # seconds that a time of payment may lie in the future


@dataclass(frozen=True, slots=True)
class Order:
    """A service order; money is fen, times are Unix seconds. `syncs` counts how often sync has been executed on it.

    `terms` are what the shop itself has said of the order, in WeChat Pay's own words. `endpoint` is the family that
    the order belongs to, empty until the first request asks for it; the states kept here are the direct one's, `answer`
    says them in the family's words. `paid_time` is 14 digits of Beijing time.
    """

    mchid: str
    out_order_no: str
    appid: str
    service_id: str
    service_introduction: str = "充电宝租借"
    total_amount: int = 0
    state: str = "CREATED"
    state_description: str = ""
    collection_state: str = ""
    paid_type: str = ""
    paid_time: str = ""
    transaction_id: str = ""
    deducting: bool = False
    created_at: float = 0.0
    completed_at: float = 0.0
    syncs: int = 0
    order_id: str = ""
    sub_mchid: str = ""
    terms: Mapping[str, Any] = field(default_factory=dict)
    endpoint: str = ""
    channel_id: str = ""
    currency: str = "HKD"

    def answer(self) -> dict[str, Any]:
        """What a query answers: every field of the family's response dictionary that the order has by now."""
        return vocabulary.query_answer(self)

    def as_dict(self) -> dict[str, Any]:
        """For the ledger."""
        return asdict(self)


def confirm(order: Order) -> Order:
    """The customer confirms the order."""
    _require(order.state == "CREATED", order)
    return replace(order, state="DOING", state_description="USER_CONFIRM")


def complete(order: Order, total_amount: int, at: float) -> Order:
    """The shop asks for the money; with nothing to collect the order is done at once."""
    _require(order.state == "DOING" and order.state_description == "USER_CONFIRM", order)
    order = replace(order, total_amount=total_amount, completed_at=at)
    if total_amount == 0:
        return replace(order, state="DONE", state_description="")
    return replace(order, state_description="MCH_COMPLETE", collection_state="USER_PAYING")


def modify(order: Order, total_amount: int) -> Order:
    """The shop asks for another sum than before, never for more."""
    _require(order.state == "DOING" and order.collection_state == "USER_PAYING", order)
    if total_amount > order.total_amount:
        raise answers.wrong_parameter("/total_amount", total_amount, "修改后的总金额不能大于原总金额")
    return replace(order, total_amount=total_amount)


def deduct(order: Order, at: float) -> Order:
    """WeChat Pay collects the money itself."""
    _require(order.collection_state == "USER_PAYING", order)
    number = f"4200{int(at):010d}{abs(hash(order.out_order_no)) % 10**10:010d}"
    return replace(_paid(order), paid_type="NEWTON", paid_time=digits(at), transaction_id=number)


def cancel(order: Order) -> Order:
    """The shop cancels the order."""
    _require(order.state in {"CREATED", "DOING"}, order)
    return replace(order, state="REVOKED", state_description="")


def expire(order: Order) -> Order:
    """Thirty days without the customer's confirmation."""
    _require(order.state == "CREATED", order)
    return replace(order, state="EXPIRED")


def sync(order: Order, paid_time: str, now: float) -> Order:
    """The shop was paid elsewhere (doc 4012587962)."""
    if order.deducting:
        raise answers.DEDUCTING
    _require(order.collection_state == "USER_PAYING" and order.state == "DOING", order)
    paid_at = moment(paid_time)
    if not order.completed_at < paid_at <= now + GRACE:
        raise answers.wrong_parameter("/detail/paid_time", paid_time, "支付时间不在允许的范围内")
    return replace(_paid(order), paid_type="MCH", paid_time=digits(paid_at), syncs=order.syncs + 1)


def as_if_synced(order: Order, now: float) -> Order:
    """What somebody in the middle would like us to believe of an order that still waits for its money."""
    paid = replace(_paid(order), paid_type="MCH", paid_time=digits(now))
    return replace(paid, total_amount=order.total_amount or 3900, completed_at=order.completed_at or now)


def _paid(order: Order) -> Order:
    return replace(order, state="DONE", state_description="", collection_state="USER_PAID", deducting=False)


def _require(holds: bool, order: Order) -> None:
    """Raise the official refusal that the order's state calls for, unless this holds."""
    if holds:
        return
    if order.state == "DONE":
        raise answers.DONE
    if order.state == "REVOKED":
        raise answers.CANCELED
    if order.state in {"CREATED", "DOING"} and not order.completed_at:
        raise answers.NOT_COMPLETED
    raise answers.INVALID_STATE


def moment(paid_time: str) -> float:
    """A time of payment as Unix seconds; PARAM_ERROR for a time that does not exist."""
    try:
        return times.moment(paid_time)
    except ValueError:
        raise answers.wrong_parameter("/detail/paid_time", paid_time, "时间格式错误") from None
