"""The registry of endpoints: `@operation(method, template, family)` enters a function, by which requests are routed.

An operation's name is its function's: `create`, `query`, `sync`. A fault strikes it by that name, in every family.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, unquote

from sandbox.wechat_pay import parameters, refusals
from sandbox.wechat_pay.exchange import Exchange, Executed
from sandbox.wechat_pay.fields.shared import IN_PATH
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.parameters import Fields, Location

type Endpoint = Callable[[Exchange], Executed]


@dataclass(frozen=True)
class Route:
    """One endpoint: method and path template, the family that it belongs to (empty for none), and its function."""

    name: str
    method: str
    template: str
    family: str
    execute: Endpoint
    fields: Fields = ()

    def check(self, exchange: Exchange) -> None:
        """Refuse a request whose path or parameters are not as the fields say."""
        in_path = tuple(field for field in IN_PATH if field.name in exchange.path)
        parameters.require(in_path, exchange.path, "url")
        location: Location = "query" if self.method == "GET" else "body"
        parameters.require(self.fields, exchange.parameters, location)
        if exchange.switches.unknown_fields_refused and self.fields:
            parameters.refuse_unknown(self.fields, exchange.parameters, location)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The template as a pattern; a placeholder such as `{out_order_no}` is one segment of the path."""
        parts = re.split(r"\{(\w+)\}", self.template)
        return re.compile("".join(f"(?P<{part}>[^/]+)" if n % 2 else re.escape(part) for n, part in enumerate(parts)))

    def values(self, path: str) -> Mapping[str, str] | None:
        """Return the placeholders' values in this path, decoded; None where the path is another one."""
        match = self.pattern.fullmatch(path)
        return {name: unquote(value) for name, value in match.groupdict().items()} if match else None


ROUTES: list[Route] = []
"""Every endpoint, in the order of the rooms that enter them."""


def operation(method: str, template: str, family: str = "", *, fields: Fields = ()) -> Callable[[Endpoint], Endpoint]:
    """Enter a function as an endpoint; ValueError where the path has one already.

    A request is checked against the documented `fields`, of its query for GET and of its body otherwise, before the
    function is called; so are `shared.IN_PATH`'s in the path.
    """

    def enter(execute: Endpoint) -> Endpoint:
        if any((route.method, route.template) == (method, template) for route in ROUTES):
            raise ValueError(f"{method} {template} is entered twice")
        ROUTES.append(Route(execute.__name__.strip("_"), method, template, family, execute, fields))
        return execute

    return enter


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks for; without a route it asks for nothing that WeChat Pay has."""

    route: Route | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    out_order_no: str = ""

    @property
    def name(self) -> str:
        """The operation's name; empty without a route."""
        return self.route.name if self.route else ""

    def execute(self, exchange: Exchange) -> Executed:
        """Check the request and execute the endpoint's function; 404 without a route."""
        if self.route is None:
            raise refusals.NO_SUCH_RESOURCE
        self.route.check(exchange)
        return self.route.execute(exchange)

    @property
    def endpoint(self) -> str:
        """The family; empty for an operation that belongs to none."""
        return self.route.family if self.route else ""


def read_operation(request: Request) -> Operation:
    """Read the operation from method and path; 404 for an unknown path, 405 for a known one under another method."""
    path, _, query = request.target.partition("?")
    matches = [(route, values) for route in ROUTES if (values := route.values(path)) is not None]
    for route, values in sorted(matches, key=lambda match: len(match[1])):
        if route.method == request.method:
            names = dict(parse_qsl(query, keep_blank_values=True))
            return Operation(route, values, names, _number(values, names, request))
    raise refusals.METHOD_NOT_ALLOWED if matches else refusals.NO_SUCH_RESOURCE


def _number(path: Mapping[str, str], query: Mapping[str, str], request: Request) -> str:
    """Return the order's number wherever the request has it; empty where it has none that can be read."""
    if number := path.get("out_order_no") or query.get("out_order_no"):
        return number
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return ""
    return str(body.get("out_order_no", "")) if isinstance(body, dict) else ""
