"""Rules of a service order that families share, in addition to its states."""

from sandbox.wechat_pay import refusals
from sandbox.wechat_pay.exchange import Exchange
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import wrong_parameter


def require_one_number(exchange: Exchange) -> None:
    """Refuse a query that names the order by both numbers or by none."""
    if len(exchange.parameters.keys() & {"out_order_no", "query_id"}) != 1:
        issue = "out_order_no字段和query_id字段必填一个，不允许都填写或都不填写"
        raise wrong_parameter("out_order_no", exchange.parameters.get("query_id", ""), issue, "query")


def require_smaller(exchange: Exchange, order: SimulatedOrder) -> None:
    """Refuse a changed total that is the same as before, where the switch says so."""
    total = exchange.parameters["total_amount"]
    if total == order.total_amount and not exchange.switches.modify_to_equal:
        raise wrong_parameter("/total_amount", total, "修改后的总金额必须小于原总金额")


def require_cancelable(exchange: Exchange, order: SimulatedOrder) -> None:
    """Refuse the cancellation of a completed order, where the switch says so."""
    if order.completed_at and order.state == "DOING" and not exchange.switches.cancel_after_complete:
        raise refusals.NOT_CANCELABLE
