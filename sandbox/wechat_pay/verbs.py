"""The registry of control verbs: `@verb` enters a method, whose name, docstring and arguments are the verb's.

The table of `sandbox/README.md`, `GET /__sandbox__/verbs` and every refusal derive from it.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

_WORDS: Mapping[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


class CommandError(Exception):
    """A command that cannot be executed; `remedy` has the field at fault, what is accepted, and the nearest name."""

    def __init__(self, message: str, **remedy: object) -> None:
        super().__init__(message)
        self.remedy = {name: value for name, value in remedy.items() if value not in ("", None)}


def nearest(name: object, names: object) -> str:
    """Return the name that was probably meant; empty where none is like it."""
    candidates = [str(one) for one in names] if isinstance(names, list | tuple | set | frozenset | dict) else []
    return next(iter(get_close_matches(str(name), candidates, 1, 0.6)), "")


def require_name(kind: str, name: object, names: Collection[str], field: str = "") -> None:
    """Raise CommandError with the nearest name and all of them unless there is a thing of this kind and name."""
    if isinstance(name, str) and name in names:
        return
    likely = nearest(name, list(names))
    hint = f"did you mean {likely}? " if likely else ""
    plural = f"{kind}es" if kind.endswith("ch") else f"{kind}s"
    raise CommandError(
        f"there is no {kind} {name!r:.80}; {hint}{plural}: {', '.join(names)}",
        field=field,
        accepted=list(names),
        nearest=likely,
    )


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a verb: its types, the words that it permits where it permits only some, and its default."""

    name: str
    types: tuple[type, ...]
    choices: tuple[str, ...] = ()
    default: object = inspect.Parameter.empty

    @property
    def is_required(self) -> bool:
        """Whether the verb cannot do without it."""
        return self.default is inspect.Parameter.empty

    @property
    def accepted(self) -> str:
        """What the argument may be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return " or ".join(_WORDS[one] for one in self.types if one is not NoneType) or "JSON"

    def accepts(self, value: object) -> bool:
        """Whether the value is of the argument's type; true is no number."""
        if self.choices:
            return value in self.choices
        types = (*self.types, int) if float in self.types else self.types
        return not types or (type(value) in types and (not isinstance(value, str) or len(value) <= 2048))

    def read(self, text: str) -> object:
        """Return a text of a query, a form or a command line as the argument wants it; unchanged where it cannot be."""
        if str in self.types or self.choices:
            return text
        if bool in self.types:
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
        try:
            return float(text) if float in self.types else int(text)
        except ValueError:
            return text

    def as_dict(self) -> dict[str, object]:
        """Return the argument as `GET /__sandbox__/verbs` lists it."""
        entry: dict[str, object] = {"name": self.name, "accepts": self.accepted, "required": self.is_required}
        return entry if self.is_required else entry | {"default": self.default}


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: what it does, its arguments, the state that its order must have, and what its other options are."""

    name: str
    summary: str
    arguments: Mapping[str, Argument]
    needs: str = ""
    options: str = ""

    def read(self, values: object) -> dict[str, Any]:
        """Return the arguments of a command; raise CommandError that names the one at fault."""
        if not isinstance(values, dict):
            raise CommandError(f"{self.name}: send a JSON object, such as {{}}", accepted=list(self.arguments))
        for name, value in values.items():
            self._require(name, value)
        for argument in self.arguments.values():
            if argument.is_required and argument.name not in values:
                raise CommandError(
                    f"{self.name} needs {argument.name}: {argument.accepted}",
                    field=argument.name,
                    accepted=argument.accepted,
                )
        return values

    def _require(self, name: str, value: object) -> None:
        argument = self.arguments.get(name)
        if argument is None:
            if self.options:
                return
            likely, names = nearest(name, list(self.arguments)), ", ".join(self.arguments) or "nothing"
            hint = f"did you mean {likely}? " if likely else ""
            raise CommandError(
                f"{self.name} has no argument {name!r:.80}; {hint}it takes {names}",
                field=name,
                accepted=list(self.arguments),
                nearest=likely,
            )
        if not argument.accepts(value) and (argument.is_required or not self.options):  # otherwise the verb checks them
            raise CommandError(
                f"{self.name}: {name} must be {argument.accepted}, not {value!r:.80}",
                field=name,
                accepted=list(argument.choices) or argument.accepted,
                nearest=nearest(value, argument.choices),
            )

    def listing(self) -> str:
        """Return the arguments in one line, those that it cannot do without first."""
        ordered = sorted(self.arguments.values(), key=lambda argument: not argument.is_required)
        listing = [f"**`{one.name}`**" if one.is_required else f"`{one.name}`" for one in ordered]
        return ", ".join([*listing, *([self.options] if self.options else [])])

    def as_dict(self) -> dict[str, object]:
        """Return the verb as `GET /__sandbox__/verbs` lists it."""
        arguments = [argument.as_dict() for argument in self.arguments.values()]
        entry: dict[str, object] = {"name": self.name, "does": self.summary, "arguments": arguments}
        return entry | {name: text for name, text in (("needs", self.needs), ("options", self.options)) if text}


VERBS: dict[str, Verb] = {}
"""Every verb by name, in the order of the rooms that enter them."""


def verb[F: Callable[..., Any]](*, needs: str = "", options: str = "") -> Callable[[F], F]:
    """Enter a method as a verb; `needs` is the state that its order must have, `options` says what `**options` are."""

    def enter(method: F) -> F:
        summary = (inspect.getdoc(method) or "").partition("\n\n")[0].replace("\n", " ").removesuffix(".")
        VERBS[method.__name__] = Verb(method.__name__, summary, arguments_of(method), needs, options)
        return method

    return enter


def table(declarations: Mapping[str, Verb] = VERBS, name: str = "verb") -> str:
    """Return verbs, or views, in Markdown, as `sandbox/README.md` shows them."""
    rows = [f"| `{one.name}` | {one.listing()} | {_does(one)} |" for one in declarations.values()]
    return "\n".join([f"| {name} | arguments | does |", "|---|---|---|", *rows])


def _does(one: Verb) -> str:
    return f"{one.summary}. Needs {one.needs}" if one.needs else one.summary


def verb_of(name: str) -> Verb:
    """Return the verb of this name; raise CommandError with the nearest one where there is none."""
    require_name("verb", name, VERBS)
    return VERBS[name]


def arguments_of(method: Callable[..., Any]) -> dict[str, Argument]:
    """Return the arguments of a function but the first, by name."""
    hints = get_type_hints(method)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    keywords = [one for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD]
    return {one.name: Argument(one.name, *types_of(hints[one.name]), one.default) for one in keywords}


def types_of(hint: object) -> tuple[tuple[type, ...], tuple[str, ...]]:
    """Return the types that a hint permits, and the words where it permits only some."""
    if get_origin(hint) is Literal:
        return (), get_args(hint)
    parts = get_args(hint) or (hint,)
    if any(get_origin(part) is Literal for part in parts):
        return (), next(get_args(part) for part in parts if get_origin(part) is Literal)
    return tuple(part for part in parts if part in {*_WORDS, NoneType}), ()
