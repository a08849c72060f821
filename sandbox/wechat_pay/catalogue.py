"""Every fault by name: what it does in one line, the options it takes, and the operations it can strike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    `options` holds each option's default; a tuple lists the permitted words and starts with the default, None permits
    any value. `operations` are the only ones that it strikes, all where it is empty. `times`: calls struck unless the
    caller says otherwise; None for all.
    """

    summary: str
    options: Mapping[str, Any] = field(default_factory=dict)
    operations: frozenset[str] = frozenset()
    times: int | None = None


_SYNC = frozenset({"sync"})
_CHANGES = frozenset({"sync", "complete", "modify", "cancel"})
_HEADERS: Mapping[str, Any] = {"headers": None}
_PROCESSED: Mapping[str, Any] = {"processed": False}

KINDS: Mapping[str, Kind] = {
    # ---- refused in the operation's place: nothing is executed ----
    "system_error": Kind("500 SYSTEM_ERROR", _HEADERS),
    "system_error_400": Kind("SYSTEM_ERROR under 400", _HEADERS),
    "gateway_error": Kind("502 with a page of HTML"),
    "gateway_408": Kind("a 4xx of a gateway: no code of WeChat Pay's", {"status": 408, "body": None}),
    "html_200": Kind("200 with a page of HTML, unsigned: a captive portal", {"body": None}),
    "unsigned_error": Kind("any refusal, unsigned", {"status": 400, "code": "ORDER_DONE", "message": "订单已完成"}),
    "dirty_words": Kind(
        "a refusal whose words hold escape sequences, U+202E, line breaks, a lone surrogate and 500 KB",
        {"status": 400, "code": None, "bytes": 500_000},
    ),
    "frequency_limited": Kind("429 FREQUENCY_LIMITED", {"retry_after": None}),
    "sub_code_throttled": Kind("throttled, as the Request-ID alone says", _HEADERS),
    "not_found_blank": Kind("404 `ORDER_NOT_ EXIST`", _HEADERS),
    "clock_skew_401": Kind("401 SIGN_ERROR about the timestamp", _HEADERS),
    "bad_sign_401": Kind("401 SIGN_ERROR about the signature", _HEADERS),
    "sign_error_400": Kind("SIGN_ERROR under 400", _HEADERS),
    "wrong_platform_serial": Kind("400 PARAM_ERROR that names Wechatpay-Serial", _HEADERS),
    "paid_time_ahead": Kind("400 PARAM_ERROR: paid_time is ahead of WeChat Pay's clock", {}, _SYNC, times=1),
    "accepted_202": Kind("202: accepted, not executed"),
    "redirect": Kind("302", {"location": "http://127.0.0.1:9/"}),
    # ---- executed and refused: the refusal is another one ----
    "param_error_done": Kind("PARAM_ERROR where the order's state is what forbids the operation", {}, _CHANGES),
    "order_done_on_replay": Kind("a second sync is ORDER_DONE", {}, _SYNC),
    "invalid_order_state_on_replay": Kind("a second sync is INVALID_ORDER_STATE", {}, _SYNC),
    "invalid_request_on_replay": Kind("a second sync is INVALID_REQUEST", {}, _SYNC),
    "ok_on_replay": Kind("a second sync is answered as the first", {}, _SYNC),
    # ---- executed: the answer is not what was signed, or not by the right key ----
    "tampered_body": Kind("the body is changed after signing"),
    "reserialised_body": Kind("the body's JSON is spaced otherwise after signing"),
    "stale_timestamp": Kind("signed `seconds` off the present", {"seconds": -400.0}),
    "foreign_serial": Kind("signed by a key that the merchant does not hold", {"serial": "5" + "F" * 39}),
    "wrong_signature": Kind("signed by another key under the right serial"),
    "missing_signature_headers": Kind("without the signature's headers, or without one", {"header": None}),
    "signtest": Kind("WeChat Pay's own probe of the verification"),
    "certificate_serial": Kind("signed by the platform certificate although the public key was asked for"),
    "forged_success": Kind("not executed; a body that says paid under the signature of the true one"),
    # ---- executed and signed: the order's words are not as documented ----
    "unknown_state": Kind("a state outside the documentation", {"state": "SUSPENDED"}),
    "foreign_words": Kind("words of another endpoint, or of none", {"words": ("payafter", "unknown")}),
    "no_collection": Kind("the order without `collection`"),
    "collection_empty": Kind("`collection` is []"),
    "collection_null": Kind("`collection` is null"),
    "collection_unreadable": Kind("`collection` is `value`", {"value": None}),
    "details_unreadable": Kind("`collection.details` is `details`", {"details": None}),
    "total_amount_missing": Kind("the order without `total_amount`"),
    "nested_answer": Kind("a member nested `depth` levels deep", {"depth": 1000}),
    "huge_body": Kind("2 MB in one member"),
    "other_order": Kind("another order's number", {"as_order": "SOMEBODY-ELSE"}),
    "gateway_408_after": Kind("executed, then answered as by `gateway_408`", {"status": 408, "body": None}),
    # ---- on the wire ----
    "connection_refused": Kind("hosts refuse connections until `behave`", {"host": ("both", "main", "backup")}),
    "reset_before_answer": Kind("the connection is reset instead of an answer", _PROCESSED),
    "reset_after_processing": Kind("executed, then the connection is reset"),
    "silence": Kind("no answer for a minute; `processed`: the operation is executed", _PROCESSED),
    "truncated_body": Kind("the connection ends in the middle of the body"),
    "slow": Kind("the answer comes after `seconds`", {"seconds": 1.0}),
    "drip_headers": Kind("status line and headers come one byte per `seconds`", {"seconds": 0.05}),
    "drip_body": Kind("the body comes one byte per `seconds`", {"seconds": 0.05, "chunked": False}),
    "big_headers": Kind("`lines` more headers of `bytes` each", {"bytes": 102_400, "lines": 10}),
    "big_trailers": Kind("a chunked body, then `lines` trailers of `bytes` each", {"bytes": 102_400, "lines": 10}),
    "interim_answers": Kind(
        "`count` interim answers before the real one, each with a header of `bytes`; `endless`: none follows",
        {"count": 3, "status": 103, "bytes": 0, "seconds": 0.0, "endless": False},
    ),
}


def options_of(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fault's options, defaults filled in; raises ValueError that names the fault or option refused."""
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"no fault is named {name!r}; there are {', '.join(sorted(KINDS))}")
    for option, value in options.items():
        if option not in kind.options:
            known = ", ".join(sorted(kind.options)) or "none"
            raise ValueError(f"{name} has no option {option!r}; its options: {known}")
        if problem := _problem(kind.options[option], value):
            raise ValueError(f"{name}: {option} {problem}, not {value!r:.80}")
    defaults = {option: value[0] if isinstance(value, tuple) else value for option, value in kind.options.items()}
    return defaults | dict(options)


def require_times(name: str, times: object) -> None:
    """Raise ValueError unless a fault can strike so many calls: None for all, otherwise 0 or more."""
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 0):
        raise ValueError(f"{name}: times must be a whole number of calls, not {times!r:.80}")


def _problem(default: object, value: object) -> str:
    match default:
        case tuple() if value not in default:
            return f"must be one of {', '.join(map(str, default))}"
        case bool() if not isinstance(value, bool):
            return "must be true or false"
        case bool():
            return ""
        case int() | float() if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        case str() if not isinstance(value, str):
            return "must be text"
    return ""
