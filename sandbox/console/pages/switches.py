"""Faults with their options, from their registry, and the named switches, where WeChat Pay's pages are silent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from starlette.responses import Response

from sandbox.console import bulletin
from sandbox.console.errors import ConsoleError
from sandbox.console.fields import Field, argument_field, option_field
from sandbox.console.page import Page
from sandbox.console.visit import Visit
from sandbox.wechat_pay import switches
from sandbox.wechat_pay.faults import KINDS, FaultKind, When
from sandbox.wechat_pay.faults.registry import Option


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show(
        "switches.html",
        groups=_groups(),
        operations=OPERATIONS,
        option_field=option_field,
        **_active(visit),
        **_choices(visit),
    )


def active(visit: Visit) -> Response:
    """Show the faults that are on."""
    return visit.show("active_faults.html", **_active(visit))


def choices(visit: Visit) -> Response:
    """Show the named switches with their values."""
    return visit.show("choices.html", **_choices(visit))


def choose(visit: Visit) -> Response:
    """Set a named switch."""
    name = visit.field("switch")
    value = switches.read(name, visit.field(name))
    visit.desk.wechat_pay.switch(name, value)  # type: ignore[arg-type]  # it checks
    return visit.done("switches.chosen", topics=[bulletin.SWITCHES], name=name, value=visit.field(name) or "-")


def misbehave(visit: Visit) -> Response:
    """Switch a fault on."""
    name = visit.field("name")
    if name not in KINDS:
        raise ConsoleError("switches.no_such_fault", name=name)
    kind = KINDS[name]
    visit.desk.wechat_pay.misbehave(name, **_call(visit, kind), **_options(visit, kind))
    return visit.done("switches.switched_on", topics=[bulletin.FAULTS], name=name)


def behave(visit: Visit) -> Response:
    """Switch every fault off."""
    visit.desk.wechat_pay.behave()
    return visit.done("switches.switched_off", topics=[bulletin.FAULTS])


@dataclass(frozen=True, slots=True)
class Choice:
    """A named switch with its field, and its default as a form shows it."""

    field: Field
    question: str
    default: str

    @property
    def is_default(self) -> bool:
        """Whether it has not been changed."""
        return self.field.value == self.default


def _choices(visit: Visit) -> dict[str, object]:
    values = visit.desk.wechat_pay.switches
    return {
        "choices": [
            Choice(
                argument_field(argument, getattr(values, name)),
                switches.QUESTIONS[name],
                argument_field(argument).value,
            )
            for name, argument in switches.ARGUMENTS.items()
        ]
    }


def _groups() -> list[tuple[When, list[FaultKind]]]:
    """Return the faults by where they strike."""
    order = list(When)
    kinds = sorted(KINDS.values(), key=lambda kind: order.index(kind.when))
    return [(when, list(group)) for when, group in groupby(kinds, key=lambda kind: kind.when)]


def _active(visit: Visit) -> dict[str, object]:
    wechat_pay = visit.desk.wechat_pay
    return {"active": wechat_pay.active_faults, "refusing": sorted(wechat_pay.refusing)}


def _call(visit: Visit, kind: FaultKind) -> Mapping[str, Any]:
    """Return which calls it is to strike; a field that is empty means every call."""
    if kind.when is When.CONNECT:
        return {}
    times, operation, number = (visit.field(name) for name in ("times", "operation", "out_order_no"))
    if times and not times.isdecimal():
        raise ConsoleError("switches.no_times", times=times)
    return {"times": int(times) if times else None, "operation": operation or None, "out_order_no": number or None}


def _options(visit: Visit, kind: FaultKind) -> Mapping[str, Any]:
    """Return the options that the form has; one that is empty keeps its default."""
    names = [name for name in kind.options if visit.field(f"option_{name}")]
    return {name: read_option(name, kind.options[name], visit.field(f"option_{name}")) for name in names}


def read_option(name: str, option: Option, text: str) -> object:
    """Read an option's value as its default's type: a text as it is, anything else as JSON."""
    if isinstance(option.default, str) or (option.default is None and text[:1] not in '{["' and not _is_json(text)):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise ConsoleError("switches.no_value", name=name, value=text) from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


OPERATIONS: Sequence[str] = ("sync", "query", "create", "complete", "modify", "cancel", "certificates", "echo")
"""Offered for the field `operation`; any other may be typed."""

PAGE: Page[Visit] = Page(
    "switches",
    "/switches",
    {"": show, "active": active, "choices": choices},
    {"misbehave": misbehave, "behave": behave, "choose": choose},
)
