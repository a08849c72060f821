"""What every family does with a service order: find it and its owner, keep its terms, answer a sync."""

from collections.abc import Callable, Collection

from sandbox.wechat_pay import numbers, orders, refusals, times, vocabulary
from sandbox.wechat_pay.exchange import Exchange, Executed, Parameters
from sandbox.wechat_pay.families import IDENTITY
from sandbox.wechat_pay.message import SimulatedReply, no_content, ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import wrong_parameter

_OWNERSHIP = ("appid", "service_id", "sub_mchid", "channel_id")


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
    return orders.alter(
        order,
        endpoint=order.endpoint or endpoint,
        sub_mchid=order.sub_mchid or (str(parameters.get("sub_mchid", "")) if "sub_mchid" in names else ""),
        channel_id=order.channel_id or (str(parameters.get("channel_id", "")) if "channel_id" in names else ""),
    )


def earlier_order(exchange: Exchange) -> SimulatedOrder | None:
    """Return the order that the same request has created, None where there is none; refuse other parameters."""
    order = exchange.order
    if order is not None and order.created_with != exchange.parameters:
        raise refusals.OTHER_PARAMETERS
    return order


def create(exchange: Exchange, terms: Collection[str], require_new: Callable[[Exchange], None]) -> Executed:
    """Create an order, or answer about it again where every parameter is the same; `require_new` checks a new one."""
    order, confirms = earlier_order(exchange), exchange.parameters.get("need_user_confirm", True)
    if order is None:
        require_new(exchange)
        order = new_order(exchange, terms)
        order = order if confirms else orders.confirm(order, exchange.at)
    package = {"package": numbers.package(order.order_id)} if confirms else {}
    return Executed(ok(vocabulary.create_answer(order) | package), order)


def new_order(exchange: Exchange, terms: Collection[str]) -> SimulatedOrder:
    """Return the order that a request creates; of its fields it keeps `terms`."""
    parameters = exchange.parameters
    order = SimulatedOrder(
        exchange.mchid,
        exchange.out_order_no,
        parameters["appid"],
        parameters["service_id"],
        service_introduction=parameters.get("service_introduction", ""),
        created_at=exchange.at,
        order_id=numbers.order_id(exchange.at),
        terms={name: value for name, value in parameters.items() if name in terms},
        currency=parameters.get("currency", "CNY"),
        openid=parameters.get("openid", ""),
        sub_openid=parameters.get("sub_openid", ""),
        query_id=numbers.query_id(),
        created_with=parameters,
    )
    return adopt(order, exchange.endpoint, parameters)


TERMS = (
    "post_payments",
    "post_discounts",
    "risk_fund",
    "time_range",
    "location",
    "attach",
    "notify_url",
    "service_introduction",
)
"""The fields of a request that an order keeps and its answers have."""


def with_terms(order: SimulatedOrder, parameters: Parameters) -> SimulatedOrder:
    """Return the order with the terms that a request changes; of an object the fields that it has are changed."""
    terms = dict(order.terms)
    for name in TERMS:
        if name not in parameters:
            continue
        value, before = parameters[name], terms.get(name)
        terms[name] = before | value if isinstance(before, dict) and isinstance(value, dict) else value
    return orders.alter(order, terms=terms)


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
