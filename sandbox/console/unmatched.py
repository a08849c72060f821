"""Why no rule of a bus takes an event: the fields in which it differs from each rule's pattern. Pure.

Patterns as EventBridge has them; of its comparisons the common ones are read, every other is quoted as it stands.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of an event that a rule's pattern does not take: its path, its value, and what the pattern wants."""

    rule: str
    field: str
    value: str
    pattern: str


def differences(rule: str, pattern: Mapping[str, object], event: Mapping[str, object]) -> list[Difference]:
    """Return where an event differs from a rule's pattern; empty where the rule takes it."""
    return [Difference(rule, *one) for one in _differences(pattern, event, "")]


def _differences(pattern: Mapping[str, object], event: Mapping[str, object], prefix: str) -> list[tuple[str, str, str]]:
    lines: list[tuple[str, str, str]] = []
    for name, condition in pattern.items():
        value = event.get(name)
        if isinstance(condition, Mapping):
            lines += _differences(condition, value if isinstance(value, Mapping) else {}, f"{prefix}{name}.")
        elif isinstance(condition, list) and not any(_takes(one, value, name in event) for one in condition):
            lines.append((prefix + name, _text(value) if name in event else "-", _text(condition)))
    return lines


def _takes(condition: object, value: object, is_there: bool) -> bool:
    match condition:
        case {"prefix": str() as prefix}:
            return isinstance(value, str) and value.startswith(prefix)
        case {"suffix": str() as suffix}:
            return isinstance(value, str) and value.endswith(suffix)
        case {"exists": bool() as exists}:
            return is_there is exists
        case {"anything-but": list() as values}:
            return is_there and value not in values
    return is_there and value == condition


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
