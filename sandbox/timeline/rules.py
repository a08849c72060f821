"""Why a rule of EventBridge does not match an event: the field, what the rule wants, what the event has.

The patterns are those of docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html, as far as their
operators are those of text: exact values, prefix, suffix, equals-ignore-case, anything-but, exists.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from sandbox.journal import JournalEntry


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a bus with its event pattern."""

    name: str
    bus: str
    pattern: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an event was not taken: the rule (empty: none is on the bus), the field, the problem, and the remedy.

    Where a field differs, `value` is what the event has, `pattern` what the rule takes, both as JSON has them, and
    `example` a value that it would take.
    """

    rule: str
    field: str
    problem: str
    remedy: str
    value: str = ""
    pattern: str = ""
    example: str = ""

    @property
    def words(self) -> str:
        """The objection in one line."""
        return f"{self.problem}; {self.remedy}"


def event_of(entry: JournalEntry) -> dict[str, object]:
    """Return an event as a pattern sees it."""
    fields = entry.fields
    return {
        "id": fields.get("event_id", ""),
        "source": fields.get("source", ""),
        "detail-type": fields.get("detail_type", ""),
        "detail": fields.get("detail", {}),
    }


def objections(entry: JournalEntry, rules: Sequence[Rule]) -> list[Objection]:
    """Return why no rule took an event; empty if one did. A refusal of PutEvents itself is the only objection."""
    if error := str(entry.fields.get("error", "")):
        return [Objection("", "entry", f"EventBridge refused it: {error}", "correct the entry of PutEvents")]
    if entry.fields.get("rules"):
        return []
    bus = str(entry.fields.get("bus", "default"))
    on_bus = [rule for rule in rules if rule.bus == bus]
    if not on_bus:
        buses = sorted({rule.bus for rule in rules})
        remedy = f"publish to the bus {' or '.join(buses)}" if buses else "deploy the stack: no bus has a rule"
        return [Objection("", "bus", f"no rule is on the bus {bus}", remedy)]
    event = event_of(entry)
    return [objection for rule in on_bus for objection in _against(rule, event) or [_against_whole(rule)]]


def _against_whole(rule: Rule) -> Objection:
    """Return the objection of a pattern that takes the event as far as it is read here."""
    problem = f"{rule.name} has not matched, by an operator that is not read here: {_json(rule.pattern)}"
    return Objection(rule.name, "event", problem, "compare the event with the pattern")


def _against(rule: Rule, event: Mapping[str, object]) -> list[Objection]:
    objections: list[Objection] = []
    for name, wanted_values, value in _mismatches(rule.pattern, event):
        wants = " or ".join(map(_words, wanted_values)) or "nothing"
        problem = f"{rule.name} wants {name} {wants}, not {_value_words(value)}"
        example, why = _example(wanted_values, value)
        remedy = f"send {name} {example}{why}" if example else f"change {name}"
        objections.append(Objection(rule.name, name, problem, remedy, _value(value), _json(wanted_values), example))
    return objections


def _mismatches(
    pattern: Mapping[str, object], event: object, path: str = ""
) -> Iterator[tuple[str, list[object], object]]:
    """Yield each field that does not match: its path, what the pattern allows, and the event's value."""
    for name, condition in pattern.items():
        value = event.get(name, _ABSENT) if isinstance(event, Mapping) else _ABSENT
        if isinstance(condition, Mapping):
            yield from _mismatches(condition, value, f"{path}{name}.")
        elif isinstance(condition, list) and not any(_admits(one, value) for one in condition):
            yield f"{path}{name}", condition, value


class _Absent:
    """The value of a field that an event does not have."""


_ABSENT = _Absent()


def _admits(condition: object, value: object) -> bool:
    if isinstance(value, list):
        return any(_admits(condition, one) for one in value)
    if not isinstance(condition, Mapping):
        return condition == value
    tests = [(test, operand) for name, operand in condition.items() if (test := _OPERATORS.get(name))]
    return all(test(value, operand) for test, operand in tests)  # an operator that is not known here may have matched


def _is_other(value: object, operand: object) -> bool:
    return value is not _ABSENT and value not in (operand if isinstance(operand, list) else [operand])


_OPERATORS: Mapping[str, Callable[[object, object], bool]] = {
    "exists": lambda value, operand: (value is not _ABSENT) is operand,
    "anything-but": _is_other,
    "prefix": lambda value, operand: isinstance(value, str) and value.startswith(str(operand)),
    "suffix": lambda value, operand: isinstance(value, str) and value.endswith(str(operand)),
    "equals-ignore-case": lambda value, operand: isinstance(value, str) and value.lower() == str(operand).lower(),
}


def _words(condition: object) -> str:
    match condition:
        case {"prefix": text}:
            return f"that starts with {text}"
        case {"suffix": text}:
            return f"that ends with {text}"
        case Mapping():
            return " ".join(f"{name} {value}" for name, value in condition.items())
    return str(condition)


def _value_words(value: object) -> str:
    return "nothing" if value is _ABSENT or value == "" else str(value)[:80]


def _value(value: object) -> str:
    return "-" if value is _ABSENT else value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _example(conditions: Sequence[object], value: object) -> tuple[str, str]:
    """Return what to send instead, and what to mind where only the case or a letter differs; both may be empty."""
    for condition in conditions:
        match condition:
            case {"prefix": str(prefix)}:
                rest = value if isinstance(value, str) else ""
                bare = next((part for part in rest.split(".") if part and part != prefix.strip(".")), "till")
                is_case = rest.lower().startswith(prefix.lower())
                right = f"{prefix}{rest[len(prefix) :]}" if is_case else f"{prefix}{bare}"
                return right, " (upper and lower case count)" if is_case else ""
            case str(text):
                is_case = isinstance(value, str) and value.lower() == text.lower()
                near = isinstance(value, str) and get_close_matches(value, [text], n=1)
                why = " (upper and lower case count)" if is_case else " (mind the spelling)" if near else ""
                return text, why
    return "", ""
