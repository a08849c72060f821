"""The same commands for a till in another process: `POST /__sandbox__/{verb}`, `GET /__sandbox__/{view}`.

They have a port of their own, which stays open while the hosts refuse connections; the hosts answer them too.
"""

import json
from typing import Any

from sandbox.browser_guard import is_json
from sandbox.wechat_pay import verbs, wanted_states
from sandbox.wechat_pay.forgeries import SignedNotification
from sandbox.wechat_pay.message import Request, SimulatedReply, as_json
from sandbox.wechat_pay.refusals import NOT_EXIST, SimulatedRefusal
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.verbs import CommandError, Verb, nearest
from sandbox.wechat_pay.views import VIEWS, look

PREFIX = "/__sandbox__/"
METHODS = ("GET", "POST")
VERBS = frozenset(verbs.VERBS)


def answer(service: SimulatedService, request: Request) -> SimulatedReply:
    """Execute a verb or return a view; 400 with the reason and a remedy, 415 for a body not declared as JSON."""
    name, _, query = request.target.removeprefix(PREFIX).partition("?")
    if request.method not in METHODS or not request.target.startswith(PREFIX):
        return _refuse(404, f"there is no {request.method} {request.target:.80}: {_usage()}")
    if request.method == "POST" and not is_json(request.header("Content-Type")):
        return _refuse(
            415, "send the header Content-Type: application/json, which no web page sends without a preflight"
        )
    service.pass_time()
    try:
        value = look(service, name, query) if request.method == "GET" else _act(service, name, request.body)
        return SimulatedReply(200, as_json(value), signed=False)
    except CommandError as error:
        return _refuse(400, str(error), **error.remedy)
    except (LookupError, OSError, TypeError, ValueError) as error:
        return _refuse(400, f"{name}: {error}")


def _usage() -> str:
    return (
        f"POST {PREFIX}{{verb}}, GET {PREFIX}{{view}}: GET {PREFIX}verbs lists the verbs, GET {PREFIX}calls the calls"
    )


def _refuse(status: int, why: str, **remedy: object) -> SimulatedReply:
    return SimulatedReply(status, as_json({"error": why, **remedy}), signed=False)


def _act(service: SimulatedService, name: str, body: bytes) -> object:
    if name in VIEWS and name not in VERBS:
        raise CommandError(f"{name} is a view: GET {PREFIX}{name}", accepted=list(VERBS))
    return _as_json(execute(service, name, _json(name, body)))


def execute(service: SimulatedService, name: str, values: object) -> Any:  # noqa: ANN401  what verbs return
    """Execute a verb with these arguments; CommandError says which is at fault, or which state was wanted."""
    one = verbs.verb_of(name)
    arguments = one.read(values)
    try:
        return getattr(service, name)(**arguments)
    except SimulatedRefusal as refusal:
        raise _explained(service, one, arguments, refusal) from None


def _json(name: str, body: bytes) -> object:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{name}: the body is no JSON ({error})") from None


def _as_json(value: Any) -> object:  # noqa: ANN401  what verbs return
    match value:
        case None:
            return {}
        case (dict() as headers, bytes() as body):
            return SignedNotification(headers, body).as_dict()
        case dict():
            return value
    return value.as_dict()


def _explained(
    service: SimulatedService, one: Verb, arguments: dict[str, Any], refusal: SimulatedRefusal
) -> CommandError:
    """Return the refusal of a verb with what to do about it."""
    mchid, number = arguments.get("mchid", ""), arguments.get("out_order_no", "")
    if refusal is NOT_EXIST:
        likely = nearest(number, service.numbers(mchid))
        hint = f"did you mean {likely}?" if likely else "open it first; GET ledger lists the orders"
        return CommandError(
            f"{one.name}: merchant {mchid} has no order {number!r:.80}: {hint}", field="out_order_no", nearest=likely
        )
    if not one.needs:
        return CommandError(f"{one.name}: {refusal.code} {refusal.message}")
    order = service.order(mchid, number, sub_mchid=arguments.get("sub_mchid", ""))
    why = wanted_states.objection(one.name, one.needs, order)
    return CommandError(
        f"{why} ({refusal.code})",
        field="out_order_no",
        state=wanted_states.state_of(order),
        needs=one.needs,
        code=refusal.code,
    )
