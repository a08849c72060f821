"""The operations of a service order at their official paths, on all five endpoints."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.wechat_pay import answers, orders, security
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
_SUB_MERCHANTS = {"partner", "acquiringbank", "oversea"}  # who names a sub_mchid instead of an appid
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")
_DIGITS = re.compile(r"[0-9]{14}|[0-9]{8}")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")


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
        if found and request.method == "POST":
            return Operation(found[2], endpoint, unquote(found[1]), params)
    raise answers.Refusal(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在")


def execute(operation: Operation, body: bytes, mchid: str, find: "Callable[[], Order | None]", now: float) -> "Done":
    """Check the parameters and do it; raises the official Refusal. `find` gives the order that is meant."""
    if not _OUT_ORDER_NO.fullmatch(operation.out_order_no):
        raise wrong_parameter("out_order_no", operation.out_order_no, "格式错误", "url")
    given = operation.query if operation.name == "query" else json_object(body)
    _identity(operation, given)
    order = find()
    if operation.name == "create":
        return _create(operation, given, mchid, order, now)
    if order is None or order.mchid != mchid:
        raise answers.NOT_EXIST
    if any(given.get(name, getattr(order, name)) != getattr(order, name) for name in ("appid", "service_id")):
        raise answers.NO_AUTH
    return _DEEDS[operation.name](operation, given, order, now)


@dataclass(frozen=True, slots=True)
class Done:
    """The order as it is afterwards, and the answer."""

    order: Order
    reply: Reply


def _create(operation: Operation, given: Mapping[str, Any], mchid: str, order: Order | None, now: float) -> Done:
    created = order or Order(
        mchid,
        operation.out_order_no,
        given.get("appid", ""),
        given["service_id"],
        service_introduction=given.get("service_introduction", "充电宝租借"),
        created_at=now,
        order_id=f"1000000000{orders.digits(now)}0000001",
        sub_mchid=given.get("sub_mchid", ""),
        terms=_terms(given),
    )
    confirmation = {"package": "XXXXXXXX"} if given.get("need_user_confirm", True) else {}
    return Done(created, answers.ok(created.answer() | confirmation))


_TERMS = ("post_payments", "post_discounts", "risk_fund", "time_range", "location", "attach", "notify_url", "openid")


def _terms(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in _TERMS if name in given}


def _with_terms(order: Order, given: Mapping[str, Any]) -> Order:
    return replace(order, terms={**order.terms, **_terms(given)})


def _query(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    return Done(order, answers.ok(order.answer()))


def _complete(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    amount = given.get("total_amount")
    if not isinstance(amount, int) or amount < 0:
        raise wrong_parameter("/total_amount", amount, "必须为非负整数")
    completed = orders.complete(_with_terms(order, given), amount, now)
    return Done(completed, answers.ok(completed.answer()))


def _modify(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    amount = given.get("total_amount")
    if not isinstance(amount, int) or amount < 0:
        raise wrong_parameter("/total_amount", amount, "必须为非负整数")
    if not given.get("reason"):
        raise wrong_parameter("/reason", "", "必填")
    modified = orders.modify(_with_terms(order, given), amount)
    return Done(modified, answers.ok(modified.answer()))


def _cancel(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    if not given.get("reason"):
        raise wrong_parameter("/reason", "", "必填")
    canceled = order if order.state == "REVOKED" else orders.cancel(order)
    return Done(canceled, answers.ok(_names(canceled, "appid", "mchid", "out_order_no", "service_id", "order_id")))


def _sync(operation: Operation, given: Mapping[str, Any], order: Order, now: float) -> Done:
    if given.get("type") != "Order_Paid":
        raise wrong_parameter("/type", given.get("type"), "必须为Order_Paid")
    detail = given.get("detail")
    paid_time = detail.get("paid_time") if isinstance(detail, dict) else None
    form = _RFC_3339 if operation.endpoint == "oversea" else _DIGITS
    if not isinstance(paid_time, str) or not form.fullmatch(paid_time):
        raise wrong_parameter("/detail/paid_time", paid_time, "格式错误")
    synced = orders.sync(order, re.sub(r"[-T:]|\+08:00$", "", paid_time), now)
    return Done(synced, _synced(operation.endpoint, synced))


def _synced(endpoint: str, order: Order) -> Reply:
    """Only the direct endpoint answers with the order."""
    match endpoint:
        case "direct":
            return answers.ok(order.answer())
        case "payafter":
            return answers.ok(_names(order, "appid", "mchid", "out_order_no", "order_id"))
        case _:
            return answers.no_content()


def _names(order: Order, *names: str) -> dict[str, str]:
    """What an answer has that does not hold the order itself."""
    return {name: getattr(order, name) for name in names}


_DEEDS = {"query": _query, "complete": _complete, "modify": _modify, "cancel": _cancel, "sync": _sync}


def _identity(operation: Operation, given: Mapping[str, Any]) -> None:
    """Every operation says whose order it means."""
    location = "query" if operation.name == "query" else "body"
    needed = ("service_id", "sub_mchid") if operation.endpoint in _SUB_MERCHANTS else ("service_id", "appid")
    for name in needed:
        value = given.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= 32:
            raise wrong_parameter(name, value, "必填，1到32个字符", location)
