"""The types in public signatures: an application can import every one of them from `wechatpay`."""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import pytest

import wechatpay

OUTSIDE = {"requests", "cryptography"}  # what the library stands on
MADE_BY_THE_CLIENT = {
    "AsyncVerb",
    "Node",
    "PayScore",
    "Security",
    "SignedCall",
    "StartedCall",
    "Verb",
}  # no application makes one


def exported() -> dict[str, Any]:
    """The public names."""
    return {name: getattr(wechatpay, name) for name in wechatpay.__all__}


def classes(hint: object) -> Iterator[type]:
    """Every class that a type hint is made of."""
    if get_origin(hint) is Literal:
        return
    for part in get_args(hint):
        yield from (each for inner in (part if isinstance(part, list) else [part]) for each in classes(inner))
    for each in (hint, get_origin(hint)):
        if isinstance(each, type):
            yield each


def signatures(name: str, owner: Any) -> Iterator[tuple[str, object]]:
    """Every annotated thing that an application meets: functions, methods, properties and fields."""
    if inspect.isfunction(owner) or is_typeddict(owner):
        yield name, owner
        return
    if not isinstance(owner, type):
        return
    if is_dataclass(owner) and name not in MADE_BY_THE_CLIENT:
        yield name, owner  # its fields
    constructors = {"__call__"} if name in MADE_BY_THE_CLIENT else {"__call__", "__init__"}
    parents = [base for base in inspect.getmro(owner) if base.__module__.startswith("requests")]
    for base in inspect.getmro(owner):
        if not base.__module__.startswith("wechatpay"):
            continue
        for member, value in vars(base).items():
            if member.startswith("_") and member not in constructors:
                continue
            if member != "__init__" and any(hasattr(parent, member) for parent in parents):
                continue  # an override has the signature of requests
            function = getattr(value, "fget", None) or getattr(value, "func", None) or inspect.unwrap(value)
            function = getattr(function, "__func__", function)
            if inspect.isfunction(function):
                yield f"{name}.{member}", function


SIGNATURES = dict(pair for name, owner in exported().items() for pair in signatures(name, owner))


def is_public(kind: type) -> bool:
    """Whether an application can name this class without a private import."""
    top = kind.__module__.partition(".")[0]
    return top in sys.stdlib_module_names or top in OUTSIDE or kind in exported().values()


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_type_of_a_public_signature_can_be_imported(name: str) -> None:
    """The hints of a signature resolve at run time, and every class in them is exported or another package's."""
    types = {each for hint in get_type_hints(SIGNATURES[name]).values() for each in classes(hint)}
    assert {each for each in types if not is_public(each)} == set()


def test_the_walk_meets_what_it_is_about() -> None:
    """The walk over signatures reads keyword arguments of a TypedDict, generic results, fields and nested types."""
    assert len(SIGNATURES) > 100
    hints = get_type_hints(wechatpay.PayScore.sign_sync)
    assert {wechatpay.SyncPayment, wechatpay.SignedCall, wechatpay.ServiceOrder} <= {
        each for hint in hints.values() for each in classes(hint)
    }
    assert not is_public(type("Foreign", (), {"__module__": "wechatpay.caller"}))


ENTRY_POINTS = {
    "Client": (wechatpay.Client, "Args Raises"),
    "Client.call": (wechatpay.Client.call, "Returns Raises"),
    "Client.notification": (wechatpay.Client.notification, "Args Returns Raises"),
    "Notification.open": (wechatpay.Notification.open, "Args Returns Raises"),
    "Verb": (wechatpay.Verb.__call__, "Args Returns Raises"),
    "PayScore.sync": (wechatpay.PayScore.sync, "Args Returns Raises"),
    "PayScore.query": (wechatpay.PayScore.query, "Args Returns Raises"),
    "PayScore.create": (wechatpay.PayScore.create, "Args Returns Raises"),
    "PayScore.complete": (wechatpay.PayScore.complete, "Args Returns Raises"),
    "PayScore.modify": (wechatpay.PayScore.modify, "Args Returns Raises"),
    "PayScore.cancel": (wechatpay.PayScore.cancel, "Args Raises"),
    "Security.echo": (wechatpay.Security.echo, "Args Returns Raises"),
}


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_an_entry_point_lists_its_arguments_results_and_errors(name: str) -> None:
    """The docstring of an entry point has the sections that editors and the API reference show."""
    thing, sections = ENTRY_POINTS[name]
    text = inspect.getdoc(thing) or ""
    assert [section for section in sections.split() if f"\n{section}:\n" not in text] == []


@pytest.mark.parametrize("function", [wechatpay.PayScore.sync, wechatpay.PayScore.query])
def test_the_help_of_a_typed_call_names_every_argument(function: Any) -> None:
    """The docstring of a call that takes a TypedDict lists every argument in it."""
    (arguments,) = [each for each in classes(next(iter(get_type_hints(function).values()))) if is_typeddict(each)]
    text = (inspect.getdoc(wechatpay.PayScore.sync) or "") + (inspect.getdoc(function) or "")
    assert [name for name in get_type_hints(arguments) if f"`{name}`" not in text] == []
