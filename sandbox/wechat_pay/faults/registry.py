"""The registry of faults: `@fault(when=…)` enters a function, and everything else that lists faults derives from it.

A fault's name is its function's, its description the docstring, and its options are the keyword-only parameters with
their defaults; a `Literal` lists the words that an option permits, a default of None permits any value.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Concatenate, get_args, get_type_hints

from sandbox.wechat_pay.draft import Draft

type Options = Mapping[str, object]
type Change[**P] = Callable[Concatenate[Draft, P], Draft]


class When(StrEnum):
    """Where a fault strikes a call."""

    CONNECT = "at connect"
    BEFORE = "before the operation"  # in its place: nothing is executed
    UNEXECUTED = "before the operation, on an order that exists"  # nothing is executed
    STATE = "at a refusal for the order's state"
    REPLAY = "at a second sync"
    AFTER = "after the operation"  # which was executed and succeeded
    KEY = "at the choice of the key"
    WIRE = "on the wire"  # nothing is answered; the option `processed` has the operation executed first
    DELIVERY = "at delivery"  # of any answer, a refusal and another fault's answer included


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a fault: its default, and the words that it permits where it permits only some."""

    default: object
    choices: tuple[str, ...] = ()

    def problem(self, value: object) -> str:
        """Return what is wrong with a value; empty where nothing is."""
        match self.default:
            case str() if self.choices and value not in self.choices:
                return f"must be one of {', '.join(self.choices)}"
            case bool() if not isinstance(value, bool):
                return "must be true or false"
            case bool():
                return ""
            case int() | float() if isinstance(value, bool) or not isinstance(value, int | float):
                return "must be a number"
            case str() if not isinstance(value, str):
                return "must be text"
        return ""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault.

    `operations` are the only ones that it strikes, all where it is empty. `times`: calls struck unless `misbehave` says
    otherwise; None for all. `chaos_options` differ from the defaults where `make chaos` draws the fault.
    """

    name: str
    when: When
    summary: str
    change: Callable[..., Draft]
    options: Mapping[str, Option]
    operations: frozenset[str]
    times: int | None
    chaos_options: Options

    @property
    def strikes_a_call(self) -> bool:
        """Whether it strikes one call, and not a host or every key of a merchant."""
        return self.when not in {When.CONNECT, When.KEY}

    def can_strike(self, operation: str) -> bool:
        """Whether the fault makes sense for the operation."""
        return not self.operations or operation in self.operations

    def as_dict(self) -> dict[str, object]:
        """Return the kind as `GET /__sandbox__/faults` lists it."""
        options = {name: option.default for name, option in self.options.items()}
        return {"name": self.name, "strikes": self.when, "options": options, "what": self.summary}

    def complete(self, options: Options) -> dict[str, object]:
        """Return the options with the defaults filled in; raise ValueError that names the option refused."""
        for name, value in options.items():
            if name not in self.options:
                names = ", ".join(sorted(self.options)) or "none"
                raise ValueError(f"{self.name} has no option {name!r}; its options: {names}")
            if problem := self.options[name].problem(value):
                raise ValueError(f"{self.name}: {name} {problem}, not {value!r:.80}")
        return {name: option.default for name, option in self.options.items()} | dict(options)


KINDS: dict[str, FaultKind] = {}
"""Every fault by name, in the order of the modules that enter them."""


def fault[**P](
    when: When,
    *,
    operations: frozenset[str] = frozenset(),
    times: int | None = None,
    chaos: Options | None = None,
) -> Callable[[Change[P]], Change[P]]:
    """Enter a function as a fault: it takes the draft of an answer and its options, and returns the draft changed."""

    def enter(change: Change[P]) -> Change[P]:
        name = change.__name__
        summary = (inspect.getdoc(change) or "").removesuffix(".")
        KINDS[name] = FaultKind(name, when, summary, change, _options(change), operations, times, chaos or {})
        return change

    return enter


def _options(change: Callable[..., Draft]) -> dict[str, Option]:
    parameters = inspect.signature(change).parameters.values()
    hints: dict[str, Any] = get_type_hints(inspect.unwrap(change))
    keywords = [parameter for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    return {
        one.name: Option(one.default, get_args(hints[one.name]) if isinstance(one.default, str) else ())
        for one in keywords
    }


def kind_of(name: str) -> FaultKind:
    """Return the fault of this name; raise ValueError that lists them all where there is none."""
    if name not in KINDS:
        raise ValueError(f"no fault is named {name!r}; there are {', '.join(sorted(KINDS))}")
    return KINDS[name]


def can_strike(name: str, operation: str) -> bool:
    """Whether a fault of this name makes sense for the operation."""
    return kind_of(name).can_strike(operation)
