"""Switches of the simulator: where WeChat Pay's pages are silent or ambiguous, each choice has a name and a default.

The table of `sandbox/README.md`, `GET /__sandbox__/switches` and every refusal derive from the fields below.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from sandbox.wechat_pay.verbs import Argument, CommandError, nearest, require_name, types_of

SecondSync = Literal["ORDER_DONE", "INVALID_ORDER_STATE", "INVALID_REQUEST", "200"]
DeductingCode = Literal["INVALID_REQUEST", "INVALID_ORDER_STATE", "SYSTEM_ERROR"]
PaidTimeCode = Literal["PARAM_ERROR", "INVALID_REQUEST"]
ErrorTable = Literal["direct", "common"]

PERCENT = 100


@dataclass(frozen=True, slots=True)
class Switches:
    """The choices of one simulator, each with the question that it answers; `changed` changes one of them."""

    signed_refusals: Annotated[
        bool, "Refusals are signed too. Pages say that every answer is, most refusals in practice are not"
    ] = False
    lower_case_serials: Annotated[
        bool, "The serial of a certificate is taken in small letters as well; no page says so"
    ] = True
    largest_body: Annotated[int, "Bytes of a body, above which it is refused; no page states a limit"] = 1 << 20
    unknown_fields_refused: Annotated[
        bool, "A field that the page does not have is a `PARAM_ERROR`, which finds a misspelled name"
    ] = False
    observed_parameter_errors: Annotated[
        bool,
        "A `PARAM_ERROR` has its sentence as message and only `location` and `value` as detail, as merchants report; "
        "otherwise the form of doc 4012081709",
    ] = False
    reason_limit: Annotated[
        int, "Characters of the reason of a cancellation; the newest page says 50, the former one 30"
    ] = 30
    location_limit: Annotated[int, "Characters of a place; some pages say 20, some 50"] = 20
    service_risk_limit: Annotated[
        int | None,
        "Fen, the limit that WeChat Pay agrees with a merchant for its service. It bounds the total of an order with "
        "ESTIMATE_ORDER_COST; where it is not told, the order's own risk fund does",
    ] = None
    cancel_after_complete: Annotated[
        bool,
        "An order that waits for its money can be canceled, as the page of cancel says; the official troubleshooting "
        "guide says that it cannot",
    ] = True
    modify_to_equal: Annotated[
        bool, "The changed total may be the same as before; a former page asks for a smaller one"
    ] = True
    channel_id_required: Annotated[
        bool,
        "Every request of acquiringbank names its channel, as the pages say; the OpenAPI description requires it by "
        "create, query and cancel alone, and former versions by none but create",
    ] = True
    pay_collects: Annotated[
        bool, "WeChat Pay collects at once what `pay` asks for; the page says that its own schedule is unchanged"
    ] = False
    refund_seconds: Annotated[
        float, "How long a refund is in process; pages say minutes for a balance, days for a bank card"
    ] = 60.0
    end_may_equal_start: Annotated[
        bool,
        "A service may end in the second of its start; the page of complete wants a later end, its refusal "
        "one that is not earlier",
    ] = True
    second_sync: Annotated[SecondSync, "How a second sync with the same `paid_time` is answered"] = "ORDER_DONE"
    second_sync_other_time: Annotated[SecondSync, "How a second sync with another `paid_time` is answered"] = (
        "ORDER_DONE"
    )
    sync_notifies: Annotated[bool, "A sync triggers `PAYSCORE.USER_PAID` with `paid_type` MCH"] = False
    sync_in_the_second_of_complete: Annotated[
        bool, "A `paid_time` in the very second of `complete` is accepted; the page wants a later one"
    ] = False
    deducting_code: Annotated[DeductingCode, "The code of 单据正在扣款中，请稍后再试"] = "INVALID_REQUEST"
    paid_time_code: Annotated[PaidTimeCode, "The code of a `paid_time` outside the window"] = "PARAM_ERROR"
    calls_per_second: Annotated[
        int, "Calls of a merchant in a second, after which it gets 429 FREQUENCY_LIMITED; 0 without limit"
    ] = 0
    same_order_throttled: Annotated[
        bool, "A second call about an order within a second is refused with sub-code 268435472"
    ] = False
    query_lag: Annotated[float, "Seconds for which a query still answers with the order as it was before a change"] = (
        0.0
    )
    encoded_star: Annotated[bool, "`%2A` in a path is the same as `*`; otherwise it is a 404"] = True
    sibling_errors: Annotated[
        ErrorTable, "Error table of payafter and oversea, not published: that of direct, or the common codes alone"
    ] = "direct"
    notifications_by_public_key: Annotated[
        int, "Percent of the notifications to a merchant in a migration that the public key signs"
    ] = 100
    notify_beyond_loopback: Annotated[
        bool, "Notifications leave this machine, by HTTPS alone; otherwise only loopback gets them"
    ] = False

    def changed(self, name: object, value: object) -> "Switches":
        """Return the switches with another choice; raise CommandError that says which there are."""
        require_name("switch", name, QUESTIONS, field="name")
        name = str(name)
        if problem := _problem(name, value):
            raise CommandError(
                f"switch {name}: value must be {problem}, not {value!r:.80}",
                field="value",
                accepted=list(CHOICES[name]) or problem,
                nearest=nearest(value, CHOICES[name]),
            )
        choice: dict[str, Any] = {name: value}  # checked above
        return replace(self, **choice)


_HINTS = get_type_hints(Switches)
QUESTIONS: Mapping[str, str] = {
    name: get_args(hint)[1] for name, hint in get_type_hints(Switches, include_extras=True).items()
}
"""What each switch decides."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    name: get_args(hint) if get_origin(hint) is Literal else () for name, hint in _HINTS.items()
}
"""The words that a switch permits; none for a number, or true and false."""

DEFAULTS = Switches()
"""The choices of a simulator that none were made for."""


ARGUMENTS: Mapping[str, Argument] = {
    one.name: Argument(one.name, *types_of(_HINTS[one.name]), one.default) for one in fields(Switches)
}
"""What each switch may be, declared as an argument of a verb is."""


def read(name: str, text: str) -> object:
    """Return a text of a form or a command line as the switch wants it; unchanged where it cannot be."""
    argument = ARGUMENTS.get(name)
    if argument is None:
        return text
    return None if not text and NoneType in argument.types else argument.read(text)


def _problem(name: str, value: object) -> str:
    """Return what the value must be; empty where it is."""
    if choices := CHOICES[name]:
        return "" if value in choices else f"one of {', '.join(choices)}"
    if _HINTS[name] is bool:
        return "" if isinstance(value, bool) else "true or false"
    types = get_args(_HINTS[name]) or (_HINTS[name],)
    if value is None and NoneType in types:
        return ""
    words = "a number" if float in types else "a whole number"
    limit = PERCENT if name == "notifications_by_public_key" else sys.maxsize
    is_number = isinstance(value, int | float) if float in types else isinstance(value, int)
    fits = is_number and not isinstance(value, bool) and 0 <= float(str(value)) <= limit
    return "" if fits else f"{words} from 0" + (f" to {limit}" if limit == PERCENT else "")


def listing(switches: Switches) -> list[dict[str, object]]:
    """Return every switch with its value, default and choices, as `GET /__sandbox__/switches` lists it."""
    return [
        {
            "name": one.name,
            "value": getattr(switches, one.name),
            "default": one.default,
            "choices": list(CHOICES[one.name]),
            "question": QUESTIONS[one.name],
        }
        for one in fields(switches)
    ]


def table() -> str:
    """Return every switch in Markdown, as `sandbox/README.md` shows it."""
    rows = [f"| `{one.name}` | {_default(one.name, one.default)} | {QUESTIONS[one.name]} |" for one in fields(Switches)]
    return "\n".join(["| switch | default | what it decides |", "|---|---|---|", *rows])


def _default(name: str, default: object) -> str:
    if choices := CHOICES[name]:
        return " or ".join(choices)
    return "" if default is None else str(default).lower()
