"""Refunds of payments that WeChat Pay has collected (docs 4012587971, 4012587976; partner 4013163605).

PROCESSING ─WeChat Pay returns the money→ SUCCESS; it can also end as CLOSED or ABNORMAL
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from sandbox.wechat_pay import refusals, times
from sandbox.wechat_pay.notification_facts import NotificationFacts
from sandbox.wechat_pay.payments import SimulatedPayment
from sandbox.wechat_pay.refusals import SimulatedRefusal, wrong_parameter

YEAR = 365 * 86400  # seconds after the payment in which it can be refunded
MOST = 50  # refunds of one payment

Status = Literal["PROCESSING", "SUCCESS", "CLOSED", "ABNORMAL"]
End = Literal["SUCCESS", "CLOSED", "ABNORMAL"]
ENDS: Sequence[End] = get_args(End)

NO_ORDER = SimulatedRefusal(404, "RESOURCE_NOT_EXISTS", "订单不存在")
NO_REFUND = SimulatedRefusal(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
OTHER_AMOUNT = SimulatedRefusal(400, "INVALID_REQUEST", "订单金额或退款金额与之前请求不一致，请核实后再试")
REFUNDED = SimulatedRefusal(400, "INVALID_REQUEST", "订单已全额退款")
TOO_MUCH = SimulatedRefusal(400, "INVALID_REQUEST", "refund_fee大于可退金额")
OVERDUE = SimulatedRefusal(400, "INVALID_REQUEST", "订单已经超过退款期限")
OTHER_SHOP = SimulatedRefusal(400, "INVALID_REQUEST", "子商户号和订单信息不匹配", "268447845")


@dataclass(frozen=True, slots=True)
class SimulatedRefund:
    """One refund; money is fen, times are Unix seconds. `parameters` are those of the first request."""

    mchid: str
    out_refund_no: str
    refund_id: str
    transaction_id: str
    out_trade_no: str
    total: int
    refund: int
    created_at: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    status: Status = "PROCESSING"
    ended_at: float = 0.0

    @property
    def name(self) -> str:
        """The name under which it is stored."""
        return name_of(self.mchid, self.out_refund_no)

    def as_dict(self) -> dict[str, Any]:
        """Return the refund for a view."""
        return asdict(self)


def name_of(mchid: str, out_refund_no: str) -> str:
    """Return the name under which a merchant's refund is stored."""
    return f"{mchid} {out_refund_no}"


def find(parameters: Mapping[str, Any], payments: Collection[SimulatedPayment]) -> SimulatedPayment:
    """Return the payment that a request names; RESOURCE_NOT_EXISTS for an out_order_no or a payment at the till.

    The transaction's number comes before the shop's. Payments overseas have a refund of their own, which is not here.
    """
    name = "transaction_id" if parameters.get("transaction_id") else "out_trade_no"
    if not parameters.get(name):
        raise wrong_parameter("transaction_id", "", "transaction_id和out_trade_no必填其一")
    numbers = {getattr(payment, name): payment for payment in payments if not payment.overseas}
    payment = numbers.get(parameters[name])
    if payment is None:
        raise NO_ORDER
    if payment.sub_mchid != parameters.get("sub_mchid", ""):
        raise OTHER_SHOP
    return payment


def repeat(refund: SimulatedRefund, parameters: Mapping[str, Any]) -> SimulatedRefund:
    """Return the refund that a number has already, if the request is the same; INVALID_REQUEST otherwise."""
    if refund.parameters != parameters:
        raise OTHER_AMOUNT
    return refund


def apply(
    parameters: Mapping[str, Any], payment: SimulatedPayment, earlier: Collection[SimulatedRefund], now: float
) -> SimulatedRefund:
    """Accept a refund, PROCESSING; raise the official refusal where the sums, the time or the count forbid it.

    `earlier` are the refunds of the same payment; `repeat` is for a number that there is already.
    """
    _require_amounts(parameters["amount"], payment, earlier)
    if now - payment.paid_at > YEAR:
        raise OVERDUE
    if len(earlier) >= MOST:
        raise refusals.OTHER_PARAMETERS
    return SimulatedRefund(
        payment.mchid,
        parameters["out_refund_no"],
        f"5030{int(now):010d}{secrets.randbelow(10**14):014d}",
        payment.transaction_id,
        payment.out_trade_no,
        payment.total,
        parameters["amount"]["refund"],
        now,
        parameters,
    )


def _require_amounts(
    amount: Mapping[str, Any], payment: SimulatedPayment, earlier: Collection[SimulatedRefund]
) -> None:
    if amount["currency"] != payment.currency:
        raise wrong_parameter("/amount/currency", amount["currency"], "与订单币种不一致")
    if amount["refund"] > amount["total"]:
        raise wrong_parameter("/amount/refund", amount["refund"], "退款金额不能大于原订单金额")
    if amount["total"] != payment.total:
        raise OTHER_AMOUNT
    sum_before = sum(refund.refund for refund in earlier if refund.status != "CLOSED")
    if sum_before == payment.total:
        raise REFUNDED
    if sum_before + amount["refund"] > payment.total:
        raise TOO_MUCH


def finish(refund: SimulatedRefund, status: End, at: float) -> SimulatedRefund:
    """End a refund, as WeChat Pay does; ValueError for another status or one that has ended."""
    if status not in ENDS:
        raise ValueError(f"status must be one of {', '.join(ENDS)}")
    if refund.status != "PROCESSING":
        raise ValueError(f"the refund {refund.out_refund_no} has ended as {refund.status}: refund under another number")
    return replace(refund, status=status, ended_at=at)


def as_of(refund: SimulatedRefund, at: float, seconds: float) -> SimulatedRefund:
    """Return the refund as it stands at a time: one that has been in process for `seconds` has succeeded."""
    if refund.status != "PROCESSING" or at - refund.created_at < seconds:
        return refund
    return finish(refund, "SUCCESS", refund.created_at + seconds)


def answer(refund: SimulatedRefund) -> dict[str, Any]:
    """Return what the application and the query answer."""
    fields: dict[str, Any] = {
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": refund.transaction_id,
        "out_trade_no": refund.out_trade_no,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": _rfc_3339(refund.created_at),
        "status": refund.status,
        "funds_account": refund.parameters.get("funds_account", "UNSETTLED"),
        "amount": _amount(refund),
    }
    return fields | ({"success_time": _rfc_3339(refund.ended_at)} if refund.status == "SUCCESS" else {})


def _amount(refund: SimulatedRefund) -> dict[str, Any]:
    money = dict.fromkeys(("total", "payer_total", "settlement_total"), refund.total)
    money |= dict.fromkeys(("refund", "payer_refund", "settlement_refund"), refund.refund)
    return {**money, "discount_refund": 0, "currency": "CNY"}


_SUMMARIES = {"SUCCESS": "退款成功", "CLOSED": "退款关闭", "ABNORMAL": "退款异常"}


def notification_facts(refund: SimulatedRefund) -> NotificationFacts:
    """Return what WeChat Pay tells the merchant after a refund has ended (doc 4012587976)."""
    amount = _amount(refund)
    resource = {
        "mchid": refund.mchid,
        "out_trade_no": refund.out_trade_no,
        "transaction_id": refund.transaction_id,
        "out_refund_no": refund.out_refund_no,
        "refund_id": refund.refund_id,
        "refund_status": refund.status,
        "user_received_account": "支付用户零钱",
        "amount": {name: amount[name] for name in ("total", "refund", "payer_total", "payer_refund")},
    }
    if refund.status == "SUCCESS":
        resource["success_time"] = _rfc_3339(refund.ended_at)
    url = str(refund.parameters.get("notify_url", ""))
    return NotificationFacts(f"REFUND.{refund.status}", _SUMMARIES[refund.status], "refund", resource, url)


def _rfc_3339(at: float) -> str:
    return times.rfc_3339(times.digits(at))
