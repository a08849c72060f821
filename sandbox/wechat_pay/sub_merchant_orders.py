"""Service orders of sub-merchants: what partner, acquiringbank and oversea have in common.

They answer a change with 204, and know two openids. Overseas, times are RFC 3339 and an order has a currency.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.wechat_pay import (
    amounts,
    deductions,
    numbers,
    operations,
    order_rules,
    orders,
    refusals,
    service_time,
    times,
    vocabulary,
)
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.fields import sub_merchant
from sandbox.wechat_pay.message import no_content, ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.parameters import require
from sandbox.wechat_pay.refusals import wrong_parameter

_TERMS = (*operations.TERMS, "sub_appid")


def create(exchange: Exchange) -> Executed:
    """Create an order, or answer about it again where every parameter is the same."""
    order = exchange.order
    if order is None:
        _require_new(exchange)
        order = _new(exchange)
    elif order.created_with != exchange.parameters:
        raise refusals.OTHER_PARAMETERS
    confirms = exchange.parameters.get("need_user_confirm", True)
    package = {"package": numbers.package(order.order_id)} if confirms else {}
    return Executed(ok(vocabulary.create_answer(order) | package), order)


def _require_new(exchange: Exchange) -> None:
    parameters = exchange.parameters
    amounts.require_rows(parameters)
    amounts.require_risk_fund(parameters["risk_fund"], exchange.switches)
    service_time.require_expected(_in_digits(exchange, parameters["time_range"]), exchange.at)
    users = [name for name in ("openid", "sub_openid") if name in parameters]
    if not parameters.get("need_user_confirm", True) and len(users) != 1:
        raise wrong_parameter("/openid", "", "openid与sub_openid必须填写并且只能填写一个")
    if "sub_openid" in parameters and "sub_appid" not in parameters:
        raise wrong_parameter("/sub_appid", "", "填写了sub_openid，则sub_appid必填")


def _new(exchange: Exchange) -> SimulatedOrder:
    order = operations.new_order(exchange, _TERMS)
    return order if exchange.parameters.get("need_user_confirm", True) else orders.confirm(order, exchange.at)


def query(exchange: Exchange) -> Executed:
    """Answer with the order that one of two numbers names."""
    order_rules.require_one_number(exchange)
    order = owned_order(exchange)
    return Executed(ok(order.answer()), order)


def complete(exchange: Exchange) -> Executed:
    """Complete the order: 204."""
    order, parameters = owned_order(exchange), exchange.parameters
    orders.require_completable(order)
    _require_amounts(exchange, order)
    if parameters.get("currency", order.currency) != order.currency:
        raise wrong_parameter("/currency", parameters["currency"], "与创建订单时的货币类型不一致")
    actual = _in_digits(exchange, parameters.get("time_range", {}))
    expected = _in_digits(exchange, vocabulary.time_range(order))
    service_time.require_actual(actual, expected, exchange.at, exchange.switches)
    completed = orders.complete(operations.with_terms(order, parameters), parameters["total_amount"], exchange.at)
    return Executed(no_content(), completed)


def modify(exchange: Exchange) -> Executed:
    """Change the amount that the shop asks for, to a smaller one: 204."""
    order, parameters = owned_order(exchange), exchange.parameters
    deductions.require_none(order, exchange.at)
    orders.require_modifiable(order)
    _require_amounts(exchange, order)
    order_rules.require_smaller(exchange, order)
    return Executed(no_content(), orders.modify(operations.with_terms(order, parameters), parameters["total_amount"]))


def _require_amounts(exchange: Exchange, order: SimulatedOrder) -> None:
    amounts.require_rows(exchange.parameters)
    amounts.require_total(exchange.parameters, vocabulary.risk_fund(order), exchange.switches)


def cancel(exchange: Exchange) -> Executed:
    """Cancel the order: 204, again where every parameter is the same."""
    order = owned_order(exchange)
    if order.state == "REVOKED" and order.canceled_with:
        if order.canceled_with != exchange.parameters:
            raise refusals.OTHER_PARAMETERS
        return Executed(no_content(), order)
    deductions.require_none(order, exchange.at)
    order_rules.require_cancelable(exchange, order)
    return Executed(no_content(), replace(orders.cancel(order), canceled_with=exchange.parameters))


def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere: 204."""
    paid_time = exchange.parameters["detail"]["paid_time"]
    operations.require_form_of_payment_time(paid_time, overseas=exchange.endpoint == "oversea")
    order = owned_order(exchange)
    deductions.require_none(order, exchange.at)
    lenient = exchange.switches.sync_in_the_second_of_complete
    return Executed(no_content(), orders.sync(order, paid_time, exchange.at, in_the_second=lenient))


def owned_order(exchange: Exchange) -> SimulatedOrder:
    """Return the order that a request names and its sender owns.

    Overseas, a change names the sub-merchant's appid where the order has one, and the institution's otherwise.
    """
    _require_channel(exchange)
    appid = exchange.parameters.get("appid")
    if exchange.endpoint != "oversea" or appid is None:
        return operations.owned_order(exchange)
    others = {name: value for name, value in exchange.parameters.items() if name != "appid"}
    order = operations.owned_order(replace(exchange, parameters=others))
    if appid != order.terms.get("sub_appid", order.appid):
        raise refusals.NO_AUTH
    return order


def _require_channel(exchange: Exchange) -> None:
    if exchange.endpoint == "acquiringbank" and exchange.switches.channel_id_required:
        channel = replace(sub_merchant.CHANNEL_ID, required=True)
        require((channel,), exchange.parameters, "query" if exchange.request.method == "GET" else "body")


def _in_digits(exchange: Exchange, time_range: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the times of a request in digits; overseas they must be RFC 3339."""
    if exchange.endpoint != "oversea":
        return time_range
    moments = dict(time_range)
    for name in ("start_time", "end_time"):
        if name in moments and moments[name] != service_time.ON_ACCEPT:
            moments[name] = _digits(f"/time_range/{name}", moments[name])
    return moments


def _digits(path: str, text: str) -> str:
    try:
        if times.has_form(text, overseas=True):
            return times.digits(times.moment(text))
    except ValueError:
        pass
    raise wrong_parameter(path, text, "时间格式错误，应为yyyy-MM-DDTHH:mm:ss+TIMEZONE")
