"""Orders of the former family payafter-orders, in its own words; it has no `modify` (wiki chapters 17_1 to 24_1)."""

from dataclasses import replace

from sandbox.wechat_pay import operations, order_rules, orders, refusals, vocabulary
from sandbox.wechat_pay.exchange import Exchange, Executed, Parameters
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import payafter as fields
from sandbox.wechat_pay.message import ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import wrong_parameter
from sandbox.wechat_pay.routes import operation

_FAMILY = "payafter"
_ORDERS = ENDPOINTS[_FAMILY]
_ORDER = _ORDERS + "/{out_order_no}"
_NUMBERS = ("appid", "mchid", "out_order_no", "service_id", "order_id")
_TERMS = (
    *("service_start_time", "service_end_time", "service_start_location", "service_end_location"),
    *("service_introduction", "fees", "discounts", "risk_amount", "attach"),
)
_ACTUAL = ("real_service_start_time", "real_service_end_time", "real_service_end_location", "fees", "discounts")
_UNUSED, _USED = 1, 2  # finish_type: the customer has not used the service, or has


@operation("POST", _ORDERS, _FAMILY, fields=fields.CREATE)
def create(exchange: Exchange) -> Executed:
    """Create an order, and answer with the way to the customer's confirmation (wiki chapter 17_1)."""
    return operations.create(exchange, _TERMS, _require_new)


def _require_new(exchange: Exchange) -> None:
    parameters = exchange.parameters
    if not parameters.get("need_user_confirm", True) and "openid" not in parameters:
        raise wrong_parameter("/openid", "", "need_user_confirm为false时必填")


@operation("GET", _ORDERS, _FAMILY, fields=fields.QUERY)
def query(exchange: Exchange) -> Executed:
    """Answer with the order that one of two numbers names, in this family's states (wiki chapter 17_2)."""
    order_rules.require_one_number(exchange)
    order = operations.owned_order(exchange)
    return Executed(ok(order.answer()), order)


@operation("POST", f"{_ORDER}/complete", _FAMILY, fields=fields.COMPLETE)
def complete(exchange: Exchange) -> Executed:
    """Complete the order: used, with its amount, or unused, which cancels it (wiki chapter 17_4)."""
    order, parameters = operations.owned_order(exchange), exchange.parameters
    orders.require_completable(order)
    ticket = order.answer()["finish_ticket"]
    if parameters.get("finish_ticket", ticket) != ticket:
        raise wrong_parameter("/finish_ticket", parameters["finish_ticket"], "完结凭证不正确")
    if parameters["finish_type"] == _UNUSED:
        return _answer(_unused(order, parameters))
    _require_total(order, parameters)
    actual = {name: parameters[name] for name in _ACTUAL if name in parameters}
    completed = orders.complete(order, parameters["total_amount"], exchange.at)
    return _answer(replace(completed, terms={**order.terms, **actual}))


def _unused(order: SimulatedOrder, parameters: Parameters) -> SimulatedOrder:
    if not parameters.get("cancel_reason"):
        raise wrong_parameter("/cancel_reason", "", "finish_type为1时必填")
    return orders.cancel(order)


def _require_total(order: SimulatedOrder, parameters: Parameters) -> None:
    """Refuse a total that is missing, that is not fees minus discounts, or above the order's risk amount."""
    total = parameters.get("total_amount")
    if total is None:
        raise wrong_parameter("/total_amount", "", "finish_type为2时必填")
    fees = sum(fee.get("fee_amount", 0) for fee in parameters.get("fees", ()))
    discounts = sum(discount.get("discount_amount", 0) for discount in parameters.get("discounts", ()))
    if "fees" in parameters and total != fees - discounts:
        raise wrong_parameter("/total_amount", total, "最终总金额计算非法")
    limit = vocabulary.query_answer(order).get("risk_amount")
    if limit is not None and total > limit:
        raise wrong_parameter("/total_amount", total, "总金额超过此服务的服务风险金额")


@operation("POST", f"{_ORDER}/cancel", _FAMILY, fields=fields.CANCEL)
def cancel(exchange: Exchange) -> Executed:
    """Cancel the order, or answer about it again where every parameter is the same (wiki chapter 17_3)."""
    order = operations.owned_order(exchange)
    if order.state == "REVOKED" and order.canceled_with:
        if order.canceled_with != exchange.parameters:
            raise refusals.OTHER_PARAMETERS
        return _answer(order)
    return _answer(replace(orders.cancel(order), canceled_with=exchange.parameters))


@operation("POST", f"{_ORDER}/sync", _FAMILY, fields=fields.SYNC)
def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere, and answer with the order's numbers (wiki chapter 24_1)."""
    order = operations.owned_order(exchange)
    lenient = exchange.switches.sync_in_the_second_of_complete
    synced = orders.sync(order, exchange.parameters["detail"]["paid_time"], exchange.at, in_the_second=lenient)
    return Executed(operations.synced_reply(synced), synced)


def _answer(order: SimulatedOrder) -> Executed:
    return Executed(ok(vocabulary.numbers(order, *_NUMBERS)), order)
