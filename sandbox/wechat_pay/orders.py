"""Service orders and their official states: what a shop, a customer and WeChat Pay itself may do, and when.

CREATED ─confirm→ DOING/USER_CONFIRM ─complete→ DOING/MCH_COMPLETE, USER_PAYING ─sync or deduct→ DONE, USER_PAID
CREATED, DOING ─cancel→ REVOKED; CREATED ─expire→ EXPIRED (doc 4012587166)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sandbox.wechat_pay import answers

BEIJING = timezone(timedelta(hours=8))
GRACE = 60  # seconds that a time of payment may lie in the future


@dataclass(frozen=True, slots=True)
class Order:
    """A service order; money is fen, times are Unix seconds. `syncs` counts how often sync has been executed on it.

    `terms` are what the shop itself has said of the order, in WeChat Pay's own words.
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

    def answer(self) -> dict[str, Any]:
        """Every field of the official response dictionary that the order has by now."""
        answer: dict[str, Any] = {
            "out_order_no": self.out_order_no,
            "service_id": self.service_id,
            "appid": self.appid,
            "mchid": self.mchid,
            "service_introduction": self.service_introduction,
            "state": self.state,
            "risk_fund": {"name": "DEPOSIT", "amount": 9900, "description": "押金"},
            "time_range": self._time_range(),
            "location": {"start_location": "上海静安寺店", "end_location": "上海静安寺店"},
            "attach": "sandbox",
            "notify_url": "https://shop.example.com/notify",
            "order_id": self.order_id,
            "openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
            "need_collection": True,
        }
        if self.sub_mchid:
            answer |= {"sub_mchid": self.sub_mchid}
        if self.state_description:
            answer["state_description"] = self.state_description
        if self.completed_at:
            answer |= self._bill()
        return answer | dict(self.terms)

    def _bill(self) -> dict[str, Any]:
        bill: dict[str, Any] = {
            "total_amount": self.total_amount,
            "post_payments": [{"name": "租金", "amount": self.total_amount, "description": "按小时计费", "count": 1}],
            "post_discounts": [],
        }
        if self.collection_state:
            paid = self.total_amount if self.collection_state == "USER_PAID" else 0
            bill["collection"] = {
                "state": self.collection_state,
                "total_amount": self.total_amount,
                "paying_amount": self.total_amount - paid,
                "paid_amount": paid,
                "details": [self._detail()] if paid else [],
            }
        return bill

    def _detail(self) -> dict[str, Any]:
        detail = {"seq": 1, "amount": self.total_amount, "paid_type": self.paid_type, "paid_time": self.paid_time}
        return detail | ({"transaction_id": self.transaction_id} if self.transaction_id else {})

    def _time_range(self) -> dict[str, str]:
        times = {"start_time": digits(self.created_at)}
        return times | ({"end_time": digits(self.completed_at)} if self.completed_at else {})

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
    if not order.completed_at < moment(paid_time) <= now + GRACE:
        raise answers.wrong_parameter("/detail/paid_time", paid_time, "支付时间不在允许的范围内")
    return replace(_paid(order), paid_type="MCH", paid_time=paid_time.ljust(14, "0"), syncs=order.syncs + 1)


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


def digits(at: float) -> str:
    """Unix seconds as `yyyyMMddHHmmss`, Beijing time."""
    return datetime.fromtimestamp(at, UTC).astimezone(BEIJING).strftime("%Y%m%d%H%M%S")


def moment(paid_time: str) -> float:
    """`yyyyMMddHHmmss` or `yyyyMMdd`, Beijing time, as Unix seconds; PARAM_ERROR for a time that does not exist."""
    try:
        read = datetime.strptime(paid_time.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError:
        raise answers.wrong_parameter("/detail/paid_time", paid_time, "时间格式错误") from None
    return read.timestamp()
