"""The same commands for a till in another process: `POST /__sandbox__/{verb}`, `GET /__sandbox__/calls`."""

import json
from typing import TYPE_CHECKING, Any

from sandbox.wechat_pay.answers import Refusal, Reply, as_json
from sandbox.wechat_pay.gate import Request

if TYPE_CHECKING:
    from sandbox.wechat_pay.simulator import Simulator

PREFIX = "/__sandbox__/"
VERBS = frozenset(
    {"open", "confirm", "complete", "deduct", "cancel", "expire", "deducting", "ready_to_sync", "misbehave", "behave"}
)


def answer(simulator: "Simulator", request: Request) -> Reply:
    """Do what is asked; 400 with the reason where it cannot be done."""
    name, _, query = request.target.removeprefix(PREFIX).partition("?")
    try:
        if request.method == "GET":
            return Reply(200, as_json(_look(simulator, name, query)), signed=False)
        return Reply(200, as_json(_do(simulator, name, request.body)), signed=False)
    except (Refusal, LookupError, TypeError, ValueError) as error:
        return Reply(400, as_json({"error": f"{type(error).__name__}: {error}"}), signed=False)


def _look(simulator: "Simulator", name: str, query: str) -> object:
    match name:
        case "calls":
            fields = ("method", "path", "operation", "mchid", "out_order_no", "status", "code", "at", "host")
            return [{field: getattr(call, field) for field in fields} for call in simulator.calls]
        case "ledger":
            return simulator.ledger()
        case "secret":
            return simulator.merchant(query.removeprefix("mchid=") or "1230000109").secret()
    raise LookupError(f"there is nothing named {name!r}: calls, ledger, secret")


def _do(simulator: "Simulator", name: str, body: bytes) -> object:
    if name not in VERBS:
        raise LookupError(f"there is no {name!r}: {', '.join(sorted(VERBS))}")
    arguments: dict[str, Any] = json.loads(body or b"{}")
    order = getattr(simulator, name)(**arguments)
    return {} if order is None else order.as_dict()
