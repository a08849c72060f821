"""Service orders of a merchant (docs 4012587900, 4012587929, 4012587902, 4012587955, 4012587962)."""

from dataclasses import replace

from sandbox.wechat_pay import amounts, operations, order_rules, orders, refusals, service_time, vocabulary
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.families import ENDPOINTS
from sandbox.wechat_pay.fields import direct as fields
from sandbox.wechat_pay.fields import shared
from sandbox.wechat_pay.message import ok
from sandbox.wechat_pay.parameters import names, require
from sandbox.wechat_pay.routes import operation

_FAMILY = "direct"
_ORDERS = ENDPOINTS[_FAMILY]
_ORDER = _ORDERS + "/{out_order_no}"
_NOT_ANSWERED = {"out_order_no", "appid", "service_id", "service_introduction", "openid", "need_user_confirm", "device"}
_TERMS = frozenset(names(fields.CREATE)) - _NOT_ANSWERED
_NUMBERS = ("appid", "mchid", "out_order_no", "service_id", "order_id")


@operation("POST", _ORDERS, _FAMILY, fields=fields.CREATE)
def create(exchange: Exchange) -> Executed:
    """Create an order, or answer about it again where every parameter is the same (docs 4012587900, 4012587929)."""
    return operations.create(exchange, _TERMS, _require_new)


def _require_new(exchange: Exchange) -> None:
    parameters = exchange.parameters
    _require_location(exchange)
    amounts.require_rows(parameters)
    amounts.require_risk_fund(parameters["risk_fund"], exchange.switches)
    service_time.require_expected(parameters["time_range"], exchange.at)
    if not parameters.get("need_user_confirm", True):
        require((replace(shared.OPENID, required=True),), parameters, "body")


def _require_location(exchange: Exchange) -> None:
    require((shared.location(exchange.switches.location_limit),), exchange.parameters, "body")


@operation("GET", _ORDERS, _FAMILY, fields=fields.QUERY)
def query(exchange: Exchange) -> Executed:
    """Answer with the order that one of two numbers names (doc 4012587902)."""
    order_rules.require_one_number(exchange)
    order = operations.owned_order(exchange)
    return Executed(ok(order.answer()), order)


@operation("POST", f"{_ORDER}/complete", _FAMILY, fields=fields.COMPLETE)
def complete(exchange: Exchange) -> Executed:
    """Complete the order: ask for its money (doc 4012587955)."""
    order, parameters = operations.owned_order(exchange), exchange.parameters
    _require_location(exchange)
    orders.require_completable(order)
    amounts.require_rows(parameters)
    amounts.require_total(parameters, vocabulary.risk_fund(order), exchange.switches)
    time_range = parameters.get("time_range", {})
    service_time.require_actual(time_range, vocabulary.time_range(order), exchange.at, exchange.switches)
    completed = orders.complete(operations.with_terms(order, parameters), parameters["total_amount"], exchange.at)
    return Executed(ok(completed.answer()), completed)


@operation("POST", f"{_ORDER}/modify", _FAMILY, fields=fields.MODIFY)
def modify(exchange: Exchange) -> Executed:
    """Change the amount that the shop asks for, to a smaller one."""
    order, parameters = operations.owned_order(exchange), exchange.parameters
    orders.require_modifiable(order)
    amounts.require_rows(parameters)
    amounts.require_total(parameters, vocabulary.risk_fund(order), exchange.switches)
    order_rules.require_smaller(exchange, order)
    modified = orders.modify(operations.with_terms(order, parameters), parameters["total_amount"])
    return Executed(ok(modified.answer()), modified)


@operation("POST", f"{_ORDER}/cancel", _FAMILY, fields=fields.CANCEL)
def cancel(exchange: Exchange) -> Executed:
    """Cancel the order, or answer about it again where every parameter is the same."""
    require((shared.reason("撤销原因", exchange.switches.reason_limit),), exchange.parameters, "body")
    order = operations.owned_order(exchange)
    if order.state == "REVOKED" and order.canceled_with:
        if order.canceled_with != exchange.parameters:
            raise refusals.OTHER_PARAMETERS
        return Executed(ok(vocabulary.numbers(order, *_NUMBERS)), order)
    order_rules.require_cancelable(exchange, order)
    canceled = replace(orders.cancel(order), canceled_with=exchange.parameters)
    return Executed(ok(vocabulary.numbers(canceled, *_NUMBERS)), canceled)


@operation("POST", f"{_ORDER}/sync", _FAMILY, fields=fields.SYNC)
def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere (doc 4012587962)."""
    paid_time = exchange.parameters["detail"]["paid_time"]
    operations.require_form_of_payment_time(paid_time, overseas=False)
    lenient = exchange.switches.sync_in_the_second_of_complete
    synced = orders.sync(operations.owned_order(exchange), paid_time, exchange.at, in_the_second=lenient)
    return Executed(operations.synced_reply(synced), synced)
