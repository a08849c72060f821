"""Execute an operation on a service order: check its parameters, change the order, answer as the endpoint does."""

import re
from dataclasses import dataclass, replace

from sandbox.wechat_pay import orders, refusals, times, vocabulary
from sandbox.wechat_pay.message import SimulatedReply, no_content, ok
from sandbox.wechat_pay.orders import SimulatedOrder
from sandbox.wechat_pay.refusals import wrong_parameter
from sandbox.wechat_pay.routes import IDENTITY, Operation, Parameters

_AT_CREATE = {"partner": ("appid",), "acquiringbank": ("appid",), "oversea": ("appid", "currency")}  # only by create
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")


def execute(
    operation: Operation, parameters: Parameters, mchid: str, order: SimulatedOrder | None, now: float
) -> "Executed":
    """Check the parameters and execute the operation on the order; raise the official refusal otherwise."""
    if not _OUT_ORDER_NO.fullmatch(operation.out_order_no):
        raise wrong_parameter("out_order_no", operation.out_order_no, "格式错误", "url")
    _require_identity(operation, parameters, order)
    if operation.name == "create":
        return _create(operation, parameters, mchid, order, now)
    if order is None or order.endpoint not in {"", operation.endpoint}:
        raise refusals.NOT_EXIST
    order = adopt(order, operation, parameters)
    if any(parameters.get(name, getattr(order, name)) != getattr(order, name) for name in _OWNERSHIP):
        raise refusals.NO_AUTH
    return _EXECUTE[operation.name](operation, parameters, order, now)


_OWNERSHIP = ("appid", "service_id", "sub_mchid", "channel_id")


def adopt(order: SimulatedOrder, operation: Operation, parameters: Parameters) -> SimulatedOrder:
    """Return the order with what it was opened without: endpoint, sub-merchant and channel are those of the request."""
    names = IDENTITY[operation.endpoint]
    return replace(
        order,
        endpoint=order.endpoint or operation.endpoint,
        sub_mchid=order.sub_mchid or (str(parameters.get("sub_mchid", "")) if "sub_mchid" in names else ""),
        channel_id=order.channel_id or (str(parameters.get("channel_id", "")) if "channel_id" in names else ""),
    )


@dataclass(frozen=True, slots=True)
class Executed:
    """The order as it is afterwards, and the answer."""

    order: SimulatedOrder
    reply: SimulatedReply


def _create(
    operation: Operation, parameters: Parameters, mchid: str, order: SimulatedOrder | None, now: float
) -> Executed:
    if order is not None and order.endpoint not in {"", operation.endpoint}:
        raise refusals.OTHER_PARAMETERS
    created = (
        adopt(order, operation, parameters)
        if order
        else SimulatedOrder(
            mchid,
            operation.out_order_no,
            parameters.get("appid", ""),
            parameters["service_id"],
            service_introduction=parameters.get("service_introduction", "充电宝租借"),
            created_at=now,
            order_id=f"1000000000{times.digits(now)}0000001",
            sub_mchid=parameters.get("sub_mchid", ""),
            terms=_terms(operation.endpoint, parameters),
            endpoint=operation.endpoint,
            channel_id=parameters.get("channel_id", ""),
            currency=parameters.get("currency", "HKD"),
        )
    )
    confirmation = {"package": "XXXXXXXX"} if parameters.get("need_user_confirm", True) else {}
    return Executed(created, ok(vocabulary.create_answer(created) | confirmation))


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
_TERMS = ("post_payments", "post_discounts", "risk_fund", "time_range", "location", "attach", "notify_url", "openid")


def _terms(endpoint: str, parameters: Parameters) -> Parameters:
    names = _PAYAFTER_TERMS if endpoint == "payafter" else _TERMS
    return {name: parameters[name] for name in names if name in parameters}


def _with_terms(order: SimulatedOrder, parameters: Parameters) -> SimulatedOrder:
    return replace(order, terms={**order.terms, **_terms(order.endpoint, parameters)})


def _query(operation: Operation, parameters: Parameters, order: SimulatedOrder, now: float) -> Executed:
    return Executed(order, ok(order.answer()))


def _complete(operation: Operation, parameters: Parameters, order: SimulatedOrder, now: float) -> Executed:
    amount = parameters.get("total_amount")
    if not isinstance(amount, int) or amount < 0:
        raise wrong_parameter("/total_amount", amount, "必须为非负整数")
    completed = orders.complete(_with_terms(order, parameters), amount, now)
    return Executed(completed, _changed_reply("complete", completed))


def _modify(operation: Operation, parameters: Parameters, order: SimulatedOrder, now: float) -> Executed:
    amount = parameters.get("total_amount")
    if not isinstance(amount, int) or amount < 0:
        raise wrong_parameter("/total_amount", amount, "必须为非负整数")
    if not parameters.get("reason"):
        raise wrong_parameter("/reason", "", "必填")
    modified = orders.modify(_with_terms(order, parameters), amount)
    return Executed(modified, _changed_reply("modify", modified))


def _cancel(operation: Operation, parameters: Parameters, order: SimulatedOrder, now: float) -> Executed:
    if not parameters.get("reason"):
        raise wrong_parameter("/reason", "", "必填")
    canceled = order if order.state == "REVOKED" else orders.cancel(order)
    return Executed(canceled, _changed_reply("cancel", canceled))


def _sync(operation: Operation, parameters: Parameters, order: SimulatedOrder, now: float) -> Executed:
    if parameters.get("type") != "Order_Paid":
        raise wrong_parameter("/type", parameters.get("type"), "必须为Order_Paid")
    detail = parameters.get("detail")
    paid_time = detail.get("paid_time") if isinstance(detail, dict) else None
    if not isinstance(paid_time, str) or not times.has_form(paid_time, overseas=operation.endpoint == "oversea"):
        raise wrong_parameter("/detail/paid_time", paid_time, "格式错误")
    synced = orders.sync(order, paid_time, now)
    return Executed(synced, synced_reply(synced))


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


_EXECUTE = {"query": _query, "complete": _complete, "modify": _modify, "cancel": _cancel, "sync": _sync}


def _require_identity(operation: Operation, parameters: Parameters, order: SimulatedOrder | None) -> None:
    """Raise unless the request names whose order it is about; an order that has no channel is named without one.

    The pages of the acquiring bank require `channel_id`, its OpenAPI description does not.
    """
    location = "query" if operation.name == "query" else "body"
    required = IDENTITY[operation.endpoint] + (
        _AT_CREATE.get(operation.endpoint, ()) if operation.name == "create" else ()
    )
    for name in required:
        if name == "channel_id" and name not in parameters and order is not None and not order.channel_id:
            continue
        value = parameters.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= 32:
            raise wrong_parameter(name, value, "必填，1到32个字符", location)
