"""The same commands for a till in another process: `POST /__sandbox__/{verb}`, `GET /__sandbox__/{view}`.

They have a port of their own, which stays open while the hosts refuse connections; the hosts answer them too.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from sandbox.browser_guard import is_json
from sandbox.wechat_pay.faults import KINDS
from sandbox.wechat_pay.message import Request, SimulatedReply, as_json
from sandbox.wechat_pay.refusals import SimulatedRefusal
from sandbox.wechat_pay.service import SimulatedService

PREFIX = "/__sandbox__/"
METHODS = ("GET", "POST")
VERBS = frozenset(
    {"open", "confirm", "complete", "deduct", "cancel", "expire", "deducting", "ready_to_sync", "misbehave", "behave"}
)
VIEWS = ("calls", "faults", "ledger", "public_keys", "secret")
_CALL_FIELDS = ("method", "path", "operation", "mchid", "out_order_no", "status", "code", "at", "host")


def answer(service: SimulatedService, request: Request) -> SimulatedReply:
    """Execute a verb or return a view; 400 with the reason on failure, 415 for a body not declared as JSON."""
    name, _, query = request.target.removeprefix(PREFIX).partition("?")
    if request.method not in METHODS or not request.target.startswith(PREFIX):
        return _refuse(404, f"there is no {request.method} {request.target}: POST {PREFIX}{{verb}}, GET {PREFIX}calls")
    if request.method == "POST" and not is_json(request.header("Content-Type")):
        return _refuse(
            415, "send the header Content-Type: application/json, which no web page sends without a preflight"
        )
    try:
        if request.method == "GET":
            return SimulatedReply(200, as_json(_view(service, name, query)), signed=False)
        return SimulatedReply(200, as_json(_execute(service, name, request.body)), signed=False)
    except (SimulatedRefusal, LookupError, OSError, TypeError, ValueError) as error:
        return _refuse(400, f"{type(error).__name__}: {error}")


def _refuse(status: int, why: str) -> SimulatedReply:
    return SimulatedReply(status, as_json({"error": why}), signed=False)


def _view(service: SimulatedService, name: str, query: str) -> object:
    match name:
        case "calls":
            return _calls(service, dict(parse_qsl(query)))
        case "faults":
            return [kind.as_dict() for kind in KINDS.values()]
        case "ledger":
            return service.ledger()
        case "public_keys":
            return service.public_keys
        case "secret":
            return service.merchant(parse_qs(query).get("mchid", ["1230000109"])[0]).secret()
    raise LookupError(f"there is no view {name!r}: {', '.join(VIEWS)}")


def _calls(service: SimulatedService, options: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the calls, of one order or merchant; with `detail` also their headers and bodies."""
    filters = {name: value for name, value in options.items() if name in {"mchid", "out_order_no"}}
    calls = [
        call for call in service.calls if all(getattr(call, name) in {value, ""} for name, value in filters.items())
    ]
    if options.get("detail"):
        return [call.as_dict() for call in calls]
    return [{field: getattr(call, field) for field in _CALL_FIELDS} for call in calls]


def _execute(service: SimulatedService, name: str, body: bytes) -> object:
    if name not in VERBS:
        raise LookupError(f"there is no verb {name!r}: {', '.join(sorted(VERBS))}")
    arguments: dict[str, Any] = json.loads(body or b"{}")  # the verb itself checks them
    order = getattr(service, name)(**arguments)
    return {} if order is None else order.as_dict()
