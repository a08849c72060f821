"""What each family does to a service order: check the request, change the order, answer as the family does."""

import re
from dataclasses import replace

from sandbox.wechat_pay import numbers, orders, refusals, times, vocabulary
from sandbox.wechat_pay.exchange import Exchange, Executed, Parameters
from sandbox.wechat_pay.families import IDENTITY
from sandbox.wechat_pay.message import SimulatedReply, no_content, ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import wrong_parameter

_AT_CREATE = {"partner": ("appid",), "acquiringbank": ("appid",), "oversea": ("appid", "currency")}  # only by create
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")
_OWNERSHIP = ("appid", "service_id", "sub_mchid", "channel_id")


def named_order(exchange: Exchange) -> SimulatedOrder:
    """Return the order that a request names in full; raise the official refusal otherwise."""
    _require_names(exchange)
    return owned_order(exchange)


def owned_order(exchange: Exchange) -> SimulatedOrder:
    """Return the order that a request names and its sender owns; raise the official refusal otherwise."""
    order, parameters = exchange.order, exchange.parameters
    if order is None or order.endpoint not in {"", exchange.endpoint}:
        raise refusals.NOT_EXIST
    order = adopt(order, exchange.endpoint, parameters)
    if any(parameters.get(name, getattr(order, name)) != getattr(order, name) for name in _OWNERSHIP):
        raise refusals.NO_AUTH
    return order


def adopt(order: SimulatedOrder, endpoint: str, parameters: Parameters) -> SimulatedOrder:
    """Return the order with what it was opened without: endpoint, sub-merchant and channel are those of the request."""
    names = IDENTITY[endpoint]
    return replace(
        order,
        endpoint=order.endpoint or endpoint,
        sub_mchid=order.sub_mchid or (str(parameters.get("sub_mchid", "")) if "sub_mchid" in names else ""),
        channel_id=order.channel_id or (str(parameters.get("channel_id", "")) if "channel_id" in names else ""),
    )


def create(exchange: Exchange) -> Executed:
    """Create the order, or answer about the one that has this number."""
    _require_names(exchange)
    order, parameters = exchange.order, exchange.parameters
    if order is not None and order.endpoint not in {"", exchange.endpoint}:
        raise refusals.OTHER_PARAMETERS
    created = (
        adopt(order, exchange.endpoint, parameters)
        if order
        else SimulatedOrder(
            exchange.mchid,
            exchange.out_order_no,
            parameters.get("appid", ""),
            parameters["service_id"],
            service_introduction=parameters.get("service_introduction", "充电宝租借"),
            created_at=exchange.at,
            order_id=numbers.order_id(exchange.at),
            query_id=numbers.query_id(),
            openid=parameters.get("openid", ""),
            sub_mchid=parameters.get("sub_mchid", ""),
            terms=_terms(exchange.endpoint, parameters),
            endpoint=exchange.endpoint,
            channel_id=parameters.get("channel_id", ""),
            currency=parameters.get("currency", "HKD"),
        )
    )
    confirmation = {"package": "XXXXXXXX"} if parameters.get("need_user_confirm", True) else {}
    return Executed(ok(vocabulary.create_answer(created) | confirmation), created)


_PAYAFTER_TERMS = (
    "fees",
    "discounts",
    "risk_amount",
    "attach",
    "service_start_time",
    "service_end_time",
    "service_start_location",
    "service_end_location",
)
_TERMS = (
    "post_payments",
    "post_discounts",
    "risk_fund",
    "time_range",
    "location",
    "attach",
    "notify_url",
    "service_introduction",
)


def _terms(endpoint: str, parameters: Parameters) -> Parameters:
    names = _PAYAFTER_TERMS if endpoint == "payafter" else _TERMS
    return {name: parameters[name] for name in names if name in parameters}


def with_terms(order: SimulatedOrder, parameters: Parameters) -> SimulatedOrder:
    """Return the order with the terms that a request changes; of an object the fields that it has are changed."""
    terms = dict(order.terms)
    for name, value in _terms(order.endpoint, parameters).items():
        before = terms.get(name)
        terms[name] = before | value if isinstance(before, dict) and isinstance(value, dict) else value
    return replace(order, terms=terms)


def query(exchange: Exchange) -> Executed:
    """Answer with the order."""
    order = named_order(exchange)
    return Executed(ok(order.answer()), order)


def complete(exchange: Exchange) -> Executed:
    """Complete the order: ask for its money."""
    order, parameters, now = named_order(exchange), exchange.parameters, exchange.at
    amount = parameters.get("total_amount")
    if not isinstance(amount, int) or amount < 0:
        raise wrong_parameter("/total_amount", amount, "必须为非负整数")
    completed = orders.complete(with_terms(order, parameters), amount, now)
    return Executed(_changed_reply("complete", completed), completed)


def modify(exchange: Exchange) -> Executed:
    """Change the amount that the shop asks for."""
    order, parameters = named_order(exchange), exchange.parameters
    amount = parameters.get("total_amount")
    if not isinstance(amount, int) or amount < 0:
        raise wrong_parameter("/total_amount", amount, "必须为非负整数")
    if not parameters.get("reason"):
        raise wrong_parameter("/reason", "", "必填")
    modified = orders.modify(with_terms(order, parameters), amount)
    return Executed(_changed_reply("modify", modified), modified)


def cancel(exchange: Exchange) -> Executed:
    """Cancel the order."""
    order, parameters = named_order(exchange), exchange.parameters
    if not parameters.get("reason"):
        raise wrong_parameter("/reason", "", "必填")
    canceled = order if order.state == "REVOKED" else orders.cancel(order)
    return Executed(_changed_reply("cancel", canceled), canceled)


def sync(exchange: Exchange) -> Executed:
    """Record that the shop was paid elsewhere."""
    order, parameters, now = named_order(exchange), exchange.parameters, exchange.at
    if parameters.get("type") != "Order_Paid":
        raise wrong_parameter("/type", parameters.get("type"), "必须为Order_Paid")
    detail = parameters.get("detail")
    paid_time = detail.get("paid_time") if isinstance(detail, dict) else None
    require_form_of_payment_time(paid_time, overseas=exchange.endpoint == "oversea")
    synced = orders.sync(order, str(paid_time), now)
    return Executed(synced_reply(synced), synced)


def require_form_of_payment_time(paid_time: object, *, overseas: bool) -> None:
    """Refuse a time of payment that has another form than the family's."""
    if not times.has_form(paid_time, overseas=overseas):
        raise wrong_parameter("/detail/paid_time", paid_time, "格式错误")


def synced_reply(order: SimulatedOrder) -> SimulatedReply:
    """Answer a sync: with the order at the direct endpoint alone."""
    match order.endpoint:
        case "direct":
            return ok(order.answer())
        case "payafter":
            return ok(vocabulary.numbers(order, "appid", "mchid", "out_order_no", "order_id"))
        case _:
            return no_content()


def _changed_reply(name: str, order: SimulatedOrder) -> SimulatedReply:
    """Answer complete, modify and cancel: with the order, its numbers, or 204."""
    match order.endpoint, name:
        case ("direct", "complete" | "modify"):
            return ok(order.answer())
        case ("direct", "cancel") | ("payafter", _):
            return ok(vocabulary.numbers(order, "appid", "mchid", "out_order_no", "service_id", "order_id"))
        case _:
            return no_content()


def _require_names(exchange: Exchange) -> None:
    """Raise unless the request names whose order it is about; an order that has no channel is named without one.

    The pages of the acquiring bank require `channel_id`, its OpenAPI description does not.
    """
    if not _OUT_ORDER_NO.fullmatch(exchange.out_order_no):
        raise wrong_parameter("out_order_no", exchange.out_order_no, "格式错误", "url")
    location = "query" if exchange.operation == "query" else "body"
    required = IDENTITY[exchange.endpoint] + (
        _AT_CREATE.get(exchange.endpoint, ()) if exchange.operation == "create" else ()
    )
    order, parameters = exchange.order, exchange.parameters
    for name in required:
        if name == "channel_id" and name not in parameters and order is not None and not order.channel_id:
            continue
        value = parameters.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= 32:
            raise wrong_parameter(name, value, "必填，1到32个字符", location)
