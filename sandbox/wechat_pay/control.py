"""The same commands for a till in another process: `POST /__sandbox__/{verb}`, `GET /__sandbox__/calls`.

They have a port of their own, which stays open while the hosts refuse connections; the hosts answer them too.
"""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from sandbox.browser_guard import is_json
from sandbox.wechat_pay.answers import Refusal, Reply, as_json
from sandbox.wechat_pay.gate import Request

if TYPE_CHECKING:
    from sandbox.wechat_pay.simulator import Simulator

PREFIX = "/__sandbox__/"
METHODS = ("GET", "POST")
VERBS = frozenset(
    {"open", "confirm", "complete", "deduct", "cancel", "expire", "deducting", "ready_to_sync", "misbehave", "behave"}
)


def answer(simulator: "Simulator", request: Request) -> Reply:
    """Do what is asked; 400 with the reason where it cannot be done, 415 where a body is not declared as JSON."""
    name, _, query = request.target.removeprefix(PREFIX).partition("?")
    if request.method not in METHODS or not request.target.startswith(PREFIX):
        return _refusal(404, f"there is no {request.method} {request.target}: POST {PREFIX}{{verb}}, GET {PREFIX}calls")
    if request.method == "POST" and not is_json(_content_type(request)):
        return _refusal(415, "send the header Content-Type: application/json; no web page can, unasked")
    try:
        if request.method == "GET":
            return Reply(200, as_json(_look(simulator, name, query)), signed=False)
        return Reply(200, as_json(_do(simulator, name, request.body)), signed=False)
    except (Refusal, LookupError, OSError, TypeError, ValueError) as error:
        return _refusal(400, f"{type(error).__name__}: {error}")


def _refusal(status: int, why: str) -> Reply:
    return Reply(status, as_json({"error": why}), signed=False)


def _content_type(request: Request) -> str:
    return next((value for name, value in request.headers.items() if name.lower() == "content-type"), "")


def _look(simulator: "Simulator", name: str, query: str) -> object:
    match name:
        case "calls":
            fields = ("method", "path", "operation", "mchid", "out_order_no", "status", "code", "at", "host")
            return [{field: getattr(call, field) for field in fields} for call in simulator.calls]
        case "ledger":
            return simulator.ledger()
        case "secret":
            return simulator.merchant(parse_qs(query).get("mchid", ["1230000109"])[0]).secret()
    raise LookupError(f"there is nothing named {name!r}: calls, ledger, secret")


def _do(simulator: "Simulator", name: str, body: bytes) -> object:
    if name not in VERBS:
        raise LookupError(f"there is no {name!r}: {', '.join(sorted(VERBS))}")
    arguments: dict[str, Any] = json.loads(body or b"{}")
    order = getattr(simulator, name)(**arguments)
    return {} if order is None else order.as_dict()
