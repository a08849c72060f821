"""The registry of views: `@view` enters a function, whose name, docstring and arguments are those of `GET`."""

import base64
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal
from urllib.parse import parse_qsl

from sandbox.wechat_pay import signature_report
from sandbox.wechat_pay.call import SimulatedCall
from sandbox.wechat_pay.call_log import selection
from sandbox.wechat_pay.faults import KINDS
from sandbox.wechat_pay.keys import Mode
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.switches import listing
from sandbox.wechat_pay.verbs import VERBS, Verb, arguments_of, require_name

_CALL_FIELDS = [one.name for one in fields(SimulatedCall) if one.repr]


@dataclass(frozen=True, slots=True)
class View:
    """A view: its declaration, and the function that answers."""

    declaration: Verb
    answer: Callable[..., object]


VIEWS: dict[str, View] = {}
"""Every view by name."""


def view[F: Callable[..., object]](function: F) -> F:
    """Enter a function as a view."""
    summary = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ").removesuffix(".")
    VIEWS[function.__name__] = View(Verb(function.__name__, summary, arguments_of(function)), function)
    return function


def look(service: SimulatedService, name: str, query: str) -> object:
    """Return a view; raise CommandError that names what is at fault."""
    require_name("view", name, VIEWS)
    one, texts = VIEWS[name], dict(parse_qsl(query, keep_blank_values=True))
    arguments = one.declaration.arguments
    values = {key: arguments[key].read(text) if key in arguments else text for key, text in texts.items()}
    return one.answer(service, **one.declaration.read(values))


@view
def calls(
    service: SimulatedService,
    *,
    mchid: str = "",
    out_order_no: str = "",
    operation: str = "",
    status: int | None = None,
    since: float | None = None,
    limit: int = 1000,
    detail: bool = False,
) -> object:
    """The newest calls that arrived; with `detail` headers, both bodies, the text that was signed and the verdict."""
    chosen_calls = selection(
        service.calls,
        limit,
        mchid=mchid,
        out_order_no=out_order_no,
        operation=operation,
        status=status,
        since=since,
    )
    return [_call(call) | (signature_report.detail(call) if detail else {}) for call in chosen_calls]


def _call(call: SimulatedCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in _CALL_FIELDS}


@view
def counts(service: SimulatedService) -> object:
    """How many calls arrived, of each operation and answer."""
    return {"total": service.call_log.total, "calls": dict(service.call_log.counts)}


@view
def ledger(service: SimulatedService, *, mchid: str = "", out_order_no: str = "", state: str = "") -> object:
    """The orders, of one merchant, number or state where one is named."""
    conditions = {"mchid": mchid, "out_order_no": out_order_no, "state": state}
    return [
        order for order in service.ledger() if all(order[name] == value for name, value in conditions.items() if value)
    ]


@view
def notifications(service: SimulatedService, *, mchid: str = "", out_order_no: str = "", limit: int = 100) -> object:
    """The newest notifications, each with its body, its attempts and their answers."""
    return [one.as_dict() for one in service.outbox.newest(mchid, out_order_no, limit)]


@view
def merchants(service: SimulatedService) -> object:
    """The merchants, each with its kind and serials."""
    return service.merchants()


@view
def secret(service: SimulatedService, *, mchid: str = "1230000109", mode: Mode | None = None) -> object:
    """A merchant's keys, as the adapter reads them; by its kind, or by another one."""
    return service.merchant(mchid).secret(mode)


@view
def public_keys(service: SimulatedService) -> object:
    """Every public key as PEM by owner and serial: WeChat Pay's, and each merchant's, its present one last."""
    return service.public_keys


@view
def credentials(service: SimulatedService, *, mchid: str = "1230000109", mode: Mode | None = None) -> object:
    """A merchant's files by name, in base64; by its kind, or by another one."""
    files = service.credentials(mchid, mode)
    return {"files": {name: base64.b64encode(content).decode() for name, content in files.items()}}


@view
def faults(service: SimulatedService) -> object:
    """Every fault with its options."""
    return [kind.as_dict() for kind in KINDS.values()]


@view
def switches(service: SimulatedService) -> object:
    """Every switch with its value, default and choices."""
    return listing(service.switches)


@view
def verbs(service: SimulatedService, *, kind: Literal["verbs", "views"] = "verbs") -> object:
    """Every verb with its arguments; or every view."""
    declarations = VERBS.values() if kind == "verbs" else [one.declaration for one in VIEWS.values()]
    return [one.as_dict() for one in declarations]
