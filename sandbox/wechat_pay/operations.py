"""The operations of a service order at their official paths, on all five endpoints."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.wechat_pay import answers, orders, security, times, vocabulary
from sandbox.wechat_pay.answers import Reply, wrong_parameter
from sandbox.wechat_pay.gate import Request, json_object
from sandbox.wechat_pay.orders import Order

ENDPOINTS: Mapping[str, str] = {
    "direct": "/v3/payscore/serviceorder",
    "partner": "/v3/payscore/partner/serviceorder",
    "acquiringbank": "/v3/payscore/acquiringbank/serviceorder",
    "payafter": "/v3/payscore/payafter-orders",
    "oversea": "/v3/payscore/oversea/partner/serviceorder",
}
IDENTITY: Mapping[str, tuple[str, ...]] = {
    "direct": ("service_id", "appid"),
    "partner": ("service_id", "sub_mchid"),
    "acquiringbank": ("service_id", "sub_mchid", "channel_id"),
    "payafter": ("service_id", "appid"),
    "oversea": ("service_id", "sub_mchid"),
}
"""What every request of a family names besides the order's number."""

_FIRST_NAMED = {"partner": ("appid",), "acquiringbank": ("appid",), "oversea": ("appid", "currency")}  # only by create
_WITHOUT_MODIFY = {"payafter", "oversea"}  # no such page
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks for."""

    name: str
    endpoint: str
    out_order_no: str
    query: Mapping[str, str]


def read(request: Request) -> Operation:
    """Tell the operation from method and path; 404 for a path that WeChat Pay does not have."""
    path, _, query = request.target.partition("?")
    params = dict(parse_qsl(query, keep_blank_values=True))
    if name := security.PATHS.get((request.method, path)):
        return Operation(name, "", "", params)
    for endpoint, base in ENDPOINTS.items():
        if path == base and request.method == "GET":
            return Operation("query", endpoint, params.get("out_order_no", ""), params)
        if path == base and request.method == "POST":
            return Operation("create", endpoint, str(json_object(request.body).get("out_order_no", "")), params)
        found = re.fullmatch(re.escape(base) + r"/([^/]+)/(sync|complete|modify|cancel)", path)
        if found and request.method == "POST" and not (found[2] == "modify" and endpoint in _WITHOUT_MODIFY):
            return Operation(found[2], endpoint, unquote(found[1]), params)
    raise answers.Refusal(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在")


def fields(operation: Operation, body: bytes) -> Mapping[str, Any]:
    """What the request names: the query's parameters, or the body's fields."""
    return operation.query if operation.name == "query" else json_object(body)


def execute(operation: Operation, given: Mapping[str, Any], mchid: str, order: Order | None, now: float) -> "Done":
    """Check the parameters and do it; raises the official Refusal. `order` is the one that is meant."""
    if not _OUT_ORDER_NO.fullmatch(operation.out_order_no):
        raise wrong_parameter("out_order_no", operation.out_order_no, "格式错误", "url")
    _identity(operation, given, order)
    if operation.name == "create":
        return _create(operation, given, mchid, order, now)
    if order is None or order.endpoint not in {"", operation.endpoint}:
        raise answers.NOT_EXIST
    order = adopted(order, operation, given)
    if any(given.get(name, getattr(order, name)) != getattr(order, name) for name in _NAMED):
        raise answers.NO_AUTH
    return _DEEDS[operation.name](operation, given, order, now)


_NAMED = ("appid", "service_id", "sub_mchid", "channel_id")


def adopted(order: Order, operation: Operation, given: Mapping[str, Any]) -> Order:
    """The order with what it was opened without: its endpoint, sub-merchant and channel are those of the request."""
    names = IDENTITY[operation.endpoint]
    return replace(
        order,
        endpoint=order.endpoint or operation.endpoint,
        sub_mchid=order.sub_mchid or (str(given.get("sub_mchid", "")) if "sub_mchid" in names else ""),
        channel_id=order.channel_id or (str(given.get("channel_id", "")) if "channel_id" in names else ""),
    )


@dataclass(frozen=True, slots=True)
class Done:
    """The order as it is afterwards, and the answer."""

    order: Order
    reply: Reply


_OTHER_PARAMETERS = answers.Refusal(400, "INVALID_REQUEST", "请求参数符合参数格式，但不符合业务规则", "271316598")


def _create(operation: Operation, given: Mapping[str, Any], mchid: str, order: Order | None, now: float) -> Done:
    if order is not None and order.endpoint not in {"", operation.endpoint}:
        raise _OTHER_PARAMETERS
    created = (
        adopted(order, operation, given)
        if order
        else Order(
            mchid,
            operation.out_order_no,
            given.get("appid", ""),
            given["service_id"],
            service_introduction=given.get("service_introduction", "充电宝租借"),
            created_at=now,
            order_id=f"1000000000{orders.digits(now)}0000001",
            sub_mchid=given.get("sub_mchid", ""),
            terms=_terms(operation.endpoint, given),
            endpoint=operation.endpoint,
            channel_id=given.get("channel_id", ""),
            currency=given.get("currency", "HKD"),
        )
    )
    confirmation = {"package": "XXXXXXXX"} if given.get("need_user_confirm", True) else {}
    return Done(created, answers.ok(vocabulary.create_answer(created) | confirmation))


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


def _terms(endpoint: str, given: Mapping[str, Any]) -> dict[str, Any]:
    names = _PAYAFTER_TERMS if endpoint == "payafter" else _TERMS
    return {name: given[name] for name in names if name in given}


def _with_terms(order: Order, given: Mapping[str, Any]) -> Order:
    return replace(order, terms={**order.terms, **_terms(order.endpoint, given)})


def _query(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    return Done(order, answers.ok(order.answer()))


def _complete(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    amount = given.get("total_amount")
    if not isinstance(amount, int) or amount < 0:
        raise wrong_parameter("/total_amount", amount, "必须为非负整数")
    completed = orders.complete(_with_terms(order, given), amount, now)
    return Done(completed, _done("complete", completed))


def _modify(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    amount = given.get("total_amount")
    if not isinstance(amount, int) or amount < 0:
        raise wrong_parameter("/total_amount", amount, "必须为非负整数")
    if not given.get("reason"):
        raise wrong_parameter("/reason", "", "必填")
    modified = orders.modify(_with_terms(order, given), amount)
    return Done(modified, _done("modify", modified))


def _cancel(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    if not given.get("reason"):
        raise wrong_parameter("/reason", "", "必填")
    canceled = order if order.state == "REVOKED" else orders.cancel(order)
    return Done(canceled, _done("cancel", canceled))


def _sync(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    if given.get("type") != "Order_Paid":
        raise wrong_parameter("/type", given.get("type"), "必须为Order_Paid")
    detail = given.get("detail")
    paid_time = detail.get("paid_time") if isinstance(detail, dict) else None
    if not isinstance(paid_time, str) or not times.has_form(paid_time, overseas=operation.endpoint == "oversea"):
        raise wrong_parameter("/detail/paid_time", paid_time, "格式错误")
    synced = orders.sync(order, paid_time, now)
    return Done(synced, synced_reply(synced))


def synced_reply(order: Order) -> Reply:
    """Only the direct endpoint answers a sync with the order."""
    match order.endpoint:
        case "direct":
            return answers.ok(order.answer())
        case "payafter":
            return answers.ok(vocabulary.numbers(order, "appid", "mchid", "out_order_no", "order_id"))
        case _:
            return answers.no_content()


def _done(name: str, order: Order) -> Reply:
    """The answer to complete, modify and cancel: the order, its numbers, or 204."""
    match order.endpoint, name:
        case ("direct", "complete" | "modify"):
            return answers.ok(order.answer())
        case ("direct", "cancel") | ("payafter", _):
            return answers.ok(vocabulary.numbers(order, "appid", "mchid", "out_order_no", "service_id", "order_id"))
        case _:
            return answers.no_content()


_DEEDS = {"query": _query, "complete": _complete, "modify": _modify, "cancel": _cancel, "sync": _sync}


def _identity(operation: Operation, given: Mapping[str, Any], order: Order | None) -> None:
    """Every operation says whose order it means; an order that has no channel is meant without one.

    The pages of the acquiring bank require `channel_id`, its OpenAPI description does not.
    """
    location = "query" if operation.name == "query" else "body"
    needed = IDENTITY[operation.endpoint] + (
        _FIRST_NAMED.get(operation.endpoint, ()) if operation.name == "create" else ()
    )
    for name in needed:
        if name == "channel_id" and name not in given and order is not None and not order.channel_id:
            continue
        value = given.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= 32:
            raise wrong_parameter(name, value, "必填，1到32个字符", location)
