"""Service orders of a sub-merchant: by its service provider, by its acquiring bank, and overseas.

They answer a change with 204, and know two openids. Overseas there is no `modify`, times are RFC 3339, an order has a
currency, and the host is apihk.mch.weixin.qq.com.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.wechat_pay import (
    amounts,
    deductions,
    operations,
    order_rules,
    orders,
    refusals,
    service_time,
    times,
    vocabulary,
)
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import acquiringbank, oversea, partner
from sandbox.wechat_pay.fields.sub_merchant import CHANNEL_ID
from sandbox.wechat_pay.message import no_content, ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.parameters import require
from sandbox.wechat_pay.refusals import wrong_parameter
from sandbox.wechat_pay.routes import operation

_PARTNER, _BANK, _OVERSEA = (ENDPOINTS[name] for name in ("partner", "acquiringbank", "oversea"))
_NUMBER = "/{out_order_no}"
_TERMS = (*operations.TERMS, "sub_appid")


@operation("POST", _PARTNER, "partner", fields=partner.CREATE)
@operation("POST", _BANK, "acquiringbank", fields=acquiringbank.CREATE)
@operation("POST", _OVERSEA, "oversea", fields=oversea.CREATE)
def create(exchange: Exchange) -> Executed:
    """Create an order, or answer about it again where every parameter is the same.

    Pages: wiki chapter 6_2_1; doc partner 4013194023; doc global 4014096395.
    """
    return operations.create(exchange, _TERMS, _require_new)


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


@operation("GET", _PARTNER, "partner", fields=partner.QUERY)
@operation("GET", _BANK, "acquiringbank", fields=acquiringbank.QUERY)
@operation("GET", _OVERSEA, "oversea", fields=oversea.QUERY)
def query(exchange: Exchange) -> Executed:
    """Answer with the order that one of two numbers names.

    Pages: doc partner 4013138559; doc partner 4013194035; doc global 4014096411.
    """
    order_rules.require_one_number(exchange)
    order = owned_order(exchange)
    return Executed(ok(order.answer()), order)


@operation("POST", f"{_PARTNER}{_NUMBER}/complete", "partner", fields=partner.COMPLETE)
@operation("POST", f"{_BANK}{_NUMBER}/complete", "acquiringbank", fields=acquiringbank.COMPLETE)
@operation("POST", f"{_OVERSEA}{_NUMBER}/complete", "oversea", fields=oversea.COMPLETE)
def complete(exchange: Exchange) -> Executed:
    """Complete the order: 204.

    Pages: doc partner 4013138598; doc partner 4013194080; doc global 4014096431.
    """
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


@operation("POST", f"{_PARTNER}{_NUMBER}/modify", "partner", fields=partner.MODIFY)
@operation("POST", f"{_BANK}{_NUMBER}/modify", "acquiringbank", fields=acquiringbank.MODIFY)
def modify(exchange: Exchange) -> Executed:
    """Change the amount that the shop asks for, to a smaller one: 204.

    Pages: doc partner 4013138819; doc partner 4013194282.
    """
    order, parameters = owned_order(exchange), exchange.parameters
    deductions.require_none(order, exchange.at)
    orders.require_modifiable(order)
    _require_amounts(exchange, order)
    order_rules.require_smaller(exchange, order)
    return Executed(no_content(), orders.modify(operations.with_terms(order, parameters), parameters["total_amount"]))


def _require_amounts(exchange: Exchange, order: SimulatedOrder) -> None:
    amounts.require_rows(exchange.parameters)
    amounts.require_total(exchange.parameters, vocabulary.risk_fund(order), exchange.switches)


@operation("POST", f"{_PARTNER}{_NUMBER}/cancel", "partner", fields=partner.CANCEL)
@operation("POST", f"{_BANK}{_NUMBER}/cancel", "acquiringbank", fields=acquiringbank.CANCEL)
@operation("POST", f"{_OVERSEA}{_NUMBER}/cancel", "oversea", fields=oversea.CANCEL)
def cancel(exchange: Exchange) -> Executed:
    """Cancel the order: 204, again where every parameter is the same.

    Pages: doc partner 4012458758; doc partner 4013194058; doc global 4014096416.
    """
    order = owned_order(exchange)
    if order.state == "REVOKED" and order.canceled_with:
        if order.canceled_with != exchange.parameters:
            raise refusals.OTHER_PARAMETERS
        return Executed(no_content(), order)
    deductions.require_none(order, exchange.at)
    order_rules.require_cancelable(exchange, order)
    return Executed(no_content(), replace(orders.cancel(order), canceled_with=exchange.parameters))


@operation("POST", f"{_PARTNER}{_NUMBER}/sync", "partner", fields=partner.SYNC)
@operation("POST", f"{_BANK}{_NUMBER}/sync", "acquiringbank", fields=acquiringbank.SYNC)
@operation("POST", f"{_OVERSEA}{_NUMBER}/sync", "oversea", fields=oversea.SYNC)
def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere: 204.

    Pages: doc partner 4013138975; doc partner 4013194292; doc global 4014096438.
    """
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
        channel = replace(CHANNEL_ID, required=True)
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
