"""Fields of forms, from the declarations of the simulated WeChat Pay: verbs, switches and options of faults. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.wechat_pay.faults.registry import Option
from sandbox.wechat_pay.verbs import Argument, Verb

_TRUTH = ("false", "true")


@dataclass(frozen=True, slots=True)
class Field:
    """A field with the value that it shows; a choice that may be left out has an empty one first."""

    name: str
    kind: Literal["choice", "number", "text"]
    value: str
    choices: tuple[str, ...] = ()
    is_required: bool = False


def argument_field(argument: Argument, value: object = None) -> Field:
    """Return the field of an argument; without a value it shows the default."""
    value_text = _text(value if value is not None or argument.is_required else argument.default)
    choices = argument.choices or (_TRUTH if argument.types[:1] == (bool,) else ())
    if choices:
        return Field(
            argument.name, "choice", value_text, choices if value_text or argument.is_required else ("", *choices)
        )
    is_number = bool({int, float} & set(argument.types)) and str not in argument.types
    return Field(argument.name, "number" if is_number else "text", value_text, is_required=argument.is_required)


def option_field(name: str, option: Option) -> Field:
    """Return the field of a fault's option."""
    default, value_text = option.default, _text(option.default)
    if option.choices or isinstance(default, bool):
        return Field(f"option_{name}", "choice", value_text, tuple(option.choices) or _TRUTH)
    kind: Literal["number", "text"] = "number" if isinstance(default, int | float) else "text"
    return Field(f"option_{name}", kind, value_text if isinstance(default, int | float | str) else "")


def read_fields(verb: Verb, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a verb that a form has; a field that is empty keeps its default."""
    return {
        name: argument.read(texts[name])
        for name, argument in verb.arguments.items()
        if texts.get(name) or (argument.is_required and name in texts)
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
