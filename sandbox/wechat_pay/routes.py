"""The official paths: which operation a request asks for, on which of the five endpoints, and with what parameters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.wechat_pay import refusals, security
from sandbox.wechat_pay.body import json_object
from sandbox.wechat_pay.message import Request

type Parameters = Mapping[str, Any]  # of a query or of a JSON body

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
"""What every request of a family names in addition to the order's number."""

_WITHOUT_MODIFY = {"payafter", "oversea"}  # no such page


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks for; an operation that is not about an order has no endpoint and no number."""

    name: str
    endpoint: str = ""
    out_order_no: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


def read_operation(request: Request) -> Operation:
    """Read the operation from method and path; 404 for a path that WeChat Pay does not have."""
    path, _, query = request.target.partition("?")
    params = dict(parse_qsl(query, keep_blank_values=True))
    if name := security.PATHS.get((request.method, path)):
        return Operation(name, query=params)
    for endpoint, base in ENDPOINTS.items():
        if path == base and request.method == "GET":
            return Operation("query", endpoint, params.get("out_order_no", ""), params)
        if path == base and request.method == "POST":
            return Operation("create", endpoint, str(json_object(request.body).get("out_order_no", "")), params)
        match = re.fullmatch(re.escape(base) + r"/([^/]+)/(sync|complete|modify|cancel)", path)
        if match and request.method == "POST" and not (match[2] == "modify" and endpoint in _WITHOUT_MODIFY):
            return Operation(match[2], endpoint, unquote(match[1]), params)
    raise refusals.NO_SUCH_RESOURCE


def parameters_of(operation: Operation, body: bytes) -> Parameters:
    """Return the parameters of the request: the query's, or the fields of the body."""
    return operation.query if operation.name == "query" else json_object(body)
