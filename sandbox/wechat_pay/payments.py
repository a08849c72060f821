"""Payments that WeChat Pay has collected itself (NEWTON): only they have a transaction, refunds, a line in a bill."""

from dataclasses import dataclass

from sandbox.wechat_pay import times
from sandbox.wechat_pay.record import OrderRecord


@dataclass(frozen=True, slots=True)
class SimulatedPayment:
    """One transaction; money is fen, `paid_at` Unix seconds.

    `out_trade_no` is WeChat Pay's own number of the deduction, not the shop's out_order_no (doc partner 4013163605).
    """

    mchid: str
    sub_mchid: str
    appid: str
    service_id: str
    out_order_no: str
    order_id: str
    transaction_id: str
    out_trade_no: str
    total: int
    currency: str
    paid_at: float
    overseas: bool

    @property
    def attach(self) -> str:
        """The text by which a bill leads back to the shop's order."""
        return f"wxzff|{self.order_id}|{self.out_order_no}"


def payment_of(order: OrderRecord) -> SimulatedPayment | None:
    """Return the payment of an order; None where WeChat Pay has not collected it, as after a sync (MCH)."""
    if order.paid_type != "NEWTON" or not order.transaction_id:
        return None
    overseas = order.endpoint == "oversea"
    return SimulatedPayment(
        order.mchid,
        order.sub_mchid,
        order.appid,
        order.service_id,
        order.out_order_no,
        order.order_id,
        order.transaction_id,
        f"PS{order.transaction_id[-28:]}",
        order.total_amount,
        order.currency if overseas else "CNY",
        times.moment(order.paid_time),
        overseas,
    )
