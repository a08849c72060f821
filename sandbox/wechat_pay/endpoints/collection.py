"""Asking for money: `pay`, and an order that is created and completed by one call."""

from sandbox.wechat_pay import amounts, operations, orders, refusals, service_time, vocabulary
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import collection, partner
from sandbox.wechat_pay.message import SimulatedReply, no_content, ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.parameters import INT64
from sandbox.wechat_pay.routes import operation

_PAY = "/{out_order_no}/pay"
_DIRECT_COMPLETE = "serviceorder/direct-complete"
_TERMS = (*operations.TERMS, "sub_appid")
_ANSWER = (
    *("appid", "mchid", "out_order_no", "service_id", "service_introduction", "state", "state_description"),
    *("post_payments", "post_discounts", "time_range", "location", "attach", "notify_url", "order_id", "total_amount"),
)


@operation("POST", ENDPOINTS["direct"] + _PAY, "direct", fields=collection.PAY)
@operation("POST", ENDPOINTS["partner"] + _PAY, "partner", fields=partner.PAY)
def pay(exchange: Exchange) -> Executed:
    """Ask for the money of an order that waits for it (wiki chapters 6_1_19, 6_2_6)."""
    order = operations.owned_order(exchange)
    orders.require_modifiable(order)
    if exchange.switches.pay_collects:
        order = orders.deduct(order, exchange.at)
    if exchange.endpoint == "partner":
        return Executed(no_content(), order)
    return Executed(ok(vocabulary.numbers(order, "appid", "out_order_no", "service_id", "order_id")), order)


@operation("POST", f"/v3/payscore/{_DIRECT_COMPLETE}", "direct", fields=collection.DIRECT_COMPLETE)
@operation("POST", f"/payscore/{_DIRECT_COMPLETE}", "direct", fields=collection.DIRECT_COMPLETE)
@operation("POST", f"/v3/payscore/partner/{_DIRECT_COMPLETE}", "partner", fields=partner.DIRECT_COMPLETE)
def direct_complete(exchange: Exchange) -> Executed:
    """Create an order and complete it, for a user that has the service open (doc 4012924361, wiki chapter 6_2_8).

    The page prints the path without `/v3`, the OpenAPI description with it: both are answered.
    """
    order = operations.earlier_order(exchange)
    if order is None:
        _require_permission(exchange)
        order = _completed(exchange)
    return Executed(_reply(order), order)


def _require_permission(exchange: Exchange) -> None:
    names = ("appid", "service_id", "sub_mchid", "openid", "sub_openid")
    user = {name: exchange.parameters[name] for name in names if name in exchange.parameters}
    permission = exchange.ledger.permissions.of_user(exchange.mchid, user)
    if permission is None or permission.state != "AVAILABLE":
        raise refusals.NO_AUTH


def _completed(exchange: Exchange) -> SimulatedOrder:
    parameters, at = exchange.parameters, exchange.at
    amounts.require_rows(parameters)
    amounts.require_total(parameters, {"name": "ESTIMATE_ORDER_COST", "amount": INT64}, exchange.switches)
    service_time.require_actual(parameters["time_range"], parameters["time_range"], at, exchange.switches)
    order = operations.new_order(exchange, _TERMS)
    return orders.complete(orders.confirm(order, at), parameters["total_amount"], at)


def _reply(order: SimulatedOrder) -> SimulatedReply:
    if order.endpoint == "partner":
        return no_content()
    answer = order.answer()
    return ok({name: answer[name] for name in _ANSWER if name in answer})
