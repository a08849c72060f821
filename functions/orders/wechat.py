"""Where WeChat Pay's words become ours: `judge` reads a refusal, `verdict` reads an order. Both are pure.

SYNCED, PAID_BY_WECHAT and NOTHING_DUE rest on a verified order alone, and on facts that stand in it: what is absent or
unreadable where it should stand proves nothing. REJECTED may rest on an unsigned error, because a redrive repairs it.
Sources: doc 4012587962 (sync), 4012587902 (query), 4012072670 (401 messages); payafter: wiki chapter 24.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import wechatpay
from orders.order import Payment, Refusal, Status
from orders.waits import (
    DEDUCTING,
    NO_FLOOR,
    NOT_COMPLETED,
    RETRY_AFTER_CAP,
    THROTTLED,
    UNRECOGNIZED_STATE,
    Wait,
)
from wechatpay import times

# ---- the verdict on a verified order --------------------------------------------------------------------------------


class Fact(StrEnum):
    """What an order says about its payment, in one vocabulary for all endpoints."""

    CREATED = "CREATED"
    CONFIRMED = "CONFIRMED"
    TO_BE_PAID = "TO_BE_PAID"
    PAID_AT_THE_TILL = "PAID_AT_THE_TILL"
    PAID_BY_WECHAT = "PAID_BY_WECHAT"
    NOTHING_DUE = "NOTHING_DUE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verified order means for the payment that the till took."""

    status: Status
    reason: str = ""
    wait: Wait = NO_FLOOR


PAYING = Verdict(Status.RETRYING, "USER_PAYING")
UNKNOWN_STATE = Verdict(Status.RETRYING, "UNKNOWN_STATE", UNRECOGNIZED_STATE)

VERDICTS: Mapping[Fact, Verdict] = {
    Fact.PAID_AT_THE_TILL: Verdict(Status.SYNCED),
    Fact.PAID_BY_WECHAT: Verdict(Status.PAID_BY_WECHAT, "NEWTON"),
    Fact.NOTHING_DUE: Verdict(Status.NOTHING_DUE),
    Fact.TO_BE_PAID: PAYING,
    Fact.CONFIRMED: Verdict(Status.RETRYING, "USER_CONFIRM", NOT_COMPLETED),
    Fact.CREATED: Verdict(Status.RETRYING, "CREATED", NOT_COMPLETED),
    Fact.REVOKED: Verdict(Status.REJECTED, "REVOKED"),
    Fact.EXPIRED: Verdict(Status.REJECTED, "EXPIRED"),
    Fact.UNKNOWN: UNKNOWN_STATE,
}
CLOSED = frozenset({"REVOKED", "EXPIRED"})
"""Reasons of a REJECTED order that rest on the order itself: no other secret would change them."""


def verdict(order: wechatpay.ServiceOrder, payment: Payment) -> Verdict:
    """Judge a verified order; what this version does not know is asked for again and reported, never guessed at.

    Another `paid_time` than ours on a synced order is still SYNCED (WeChat Pay was told before), and noted. Moments are
    compared: the endpoints write them in different ways.
    """
    found = VERDICTS[fact(order, payment.endpoint or "direct")]
    if found.status is Status.SYNCED and not _holds(order, payment.paid_time):
        return replace(found, reason="OTHER_PAID_TIME")
    return found


def _holds(order: wechatpay.ServiceOrder, paid_time: str) -> bool:
    """Whether the order was paid at this time; a time that cannot be read contradicts nothing."""
    if order.collection and any(detail.paid_time == paid_time for detail in order.collection.details):
        return True  # mostly the text is the same, and need not be parsed
    moments = order.paid_moments
    return not moments or times.read(paid_time) in moments


def fact(order: wechatpay.ServiceOrder, endpoint: str) -> Fact:
    """Return what the order says, read in its endpoint's own words."""
    return _DECODERS[endpoint](order)


def _service_order(order: wechatpay.ServiceOrder) -> Fact:
    """The words of direct, partner, acquiringbank and oversea orders (doc 4012587902)."""
    match order.state, order.state_description:
        case "DONE", _:
            return _done(order)
        case "DOING", "MCH_COMPLETE":
            return _completed(order)
        case "DOING", "USER_CONFIRM":
            return Fact.CONFIRMED
        case "CREATED" | "REVOKED" | "EXPIRED" as state, _:
            return Fact(state)
        case _:
            return Fact.UNKNOWN


def _completed(order: wechatpay.ServiceOrder) -> Fact:
    """An order whose money was asked for. The answer of `complete` itself has no `collection` yet."""
    if _lacks_collection(order) or order.collection_state == "USER_PAYING":
        return Fact.TO_BE_PAID
    return Fact.UNKNOWN


def _done(order: wechatpay.ServiceOrder) -> Fact:
    if _lacks_collection(order):
        return Fact.NOTHING_DUE if _was_free(order) else Fact.UNKNOWN
    return _paid(order) if order.collection_state == "USER_PAID" else Fact.UNKNOWN


def _lacks_collection(order: wechatpay.ServiceOrder) -> bool:
    return order.collection is None and "collection" not in order.raw


def _was_free(order: wechatpay.ServiceOrder) -> bool:
    """Whether `total_amount` is 0, or, where it is absent, nothing was to be paid for."""
    if "total_amount" in order.raw or order.total_amount is not None:
        return order.total_amount == 0
    return "post_payments" not in order.raw and not order.post_payments


def _paid(order: wechatpay.ServiceOrder) -> Fact:
    """Who took the money: WeChat Pay if it took any part, the till if it took every part, and all parts are told."""
    collection = order.collection
    words = {detail.paid_type for detail in collection.details} if collection else set()
    if "NEWTON" in words:
        return Fact.PAID_BY_WECHAT
    if collection is None or collection.unreadable or _lacks_parts(collection):
        return Fact.UNKNOWN
    return Fact.PAID_AT_THE_TILL if words == {"MCH"} else Fact.UNKNOWN


def _lacks_parts(collection: wechatpay.Collection) -> bool:
    """Whether the parts add up to less than was paid, so that one of them is not told."""
    amounts = [detail.amount for detail in collection.details]
    known = [amount for amount in amounts if amount is not None]
    return collection.paid_amount is not None and len(known) == len(amounts) and sum(known) < collection.paid_amount


def _payafter(order: wechatpay.ServiceOrder) -> Fact:
    """The words of payafter orders, older than the others (wiki chapter 24)."""
    match order.state:
        case "USER_ACCEPTED":
            return Fact.CONFIRMED
        case "FINISHED":
            return Fact.TO_BE_PAID
        case "USER_PAID":
            return _paid_after(order)
        case "CREATED" | "REVOKED" | "EXPIRED" as state:
            return Fact(state)
        case _:
            return Fact.UNKNOWN


def _paid_after(order: wechatpay.ServiceOrder) -> Fact:
    match order.paid_type:
        case "NEWTON":
            return Fact.PAID_BY_WECHAT
        case "MCH":
            return Fact.PAID_AT_THE_TILL
        case _:
            return Fact.UNKNOWN


_DECODERS: Mapping[str, Callable[[wechatpay.ServiceOrder], Fact]] = {
    "direct": _service_order,
    "partner": _service_order,
    "acquiringbank": _service_order,
    "payafter": _payafter,
    "oversea": _service_order,
}


# ---- the judgement on a refusal --------------------------------------------------------------------------------------


class Action(StrEnum):
    """What a refusal asks for."""

    QUERY = "QUERY"  # the order alone can tell
    WAIT = "WAIT"
    REJECT = "REJECT"
    REJECT_UNLESS_CLOSED = "REJECT_UNLESS_CLOSED"  # query; where the order is still open, the refusal stands
    NOT_EXIST = "NOT_EXIST"  # one short retry, the order may be seconds old
    SIGN_AGAIN = "SIGN_AGAIN"
    FRESH_KEYS = "FRESH_KEYS"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One row of the table: what to do, under which word, and how long to wait where waiting is the answer."""

    action: Action
    reason: str
    wait: Wait = NO_FLOOR


_CODES = {
    "ORDER_DONE": Action.QUERY,
    "ORDER_CANCELED": Action.QUERY,
    "INVALID_ORDER_STATE": Action.QUERY,
    "INVALID_REQUEST": Action.QUERY,
    "SYSTEM_ERROR": Action.QUERY,
    "PARAM_ERROR": Action.REJECT_UNLESS_CLOSED,
    "NO_AUTH": Action.REJECT,
    "RESOURCE_NOT_EXISTS": Action.REJECT,
    "ORDER_NOT_EXIST": Action.NOT_EXIST,
}
_THROTTLES = {"FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATELIMIT_EXCEEDED", "RATELIMIT_EXCEED", "RATE_LIMITED"}
_DEDUCTING_WORDS = ("正在扣款", "收款结果不明")
_PROTOCOL_WORDS = ("HTTP请求不符合", "HTTP头", "APIV3接口规则")
KEY_REASONS = frozenset({"SIGN_ERROR", "CLOCK", "WECHATPAY_SERIAL", "UNTRUSTED_ANSWER", "SECRET_UNAVAILABLE"})
"""Reasons that lie in a merchant's keys, ours or WeChat Pay's: every order of the merchant meets them."""


def judge(refusal: wechatpay.RefusedError) -> Judgement:  # noqa: PLR0911  one line per row of the table
    """Judge a refusal by status, code and message; the sub-code of the Request-ID is a hint that only ever waits.

    A refusal without a `code` of WeChat Pay's comes from a gateway in between, whatever its status: the call may have
    been executed.
    """
    code = refusal.code.replace(" ", "").upper()
    message = refusal.message.replace(" ", "").upper()
    if any(word in message for word in _DEDUCTING_WORDS) or refusal.sub_code == "271316754":
        return Judgement(Action.WAIT, "DEDUCTING", DEDUCTING)
    if refusal.status == 429 or code in _THROTTLES or refusal.sub_code == "268435472":
        return Judgement(
            Action.WAIT, "THROTTLED", replace(THROTTLED, floor=max(THROTTLED.floor, _retry_after(refusal)))
        )
    if refusal.status == 401 or code == "SIGN_ERROR":
        stale = "TIMESTAMP" in message
        return Judgement(Action.SIGN_AGAIN if stale else Action.FRESH_KEYS, "CLOCK" if stale else "SIGN_ERROR")
    if code == "PARAM_ERROR" and _names(refusal, "Wechatpay-Serial"):
        return Judgement(Action.FRESH_KEYS, "WECHATPAY_SERIAL")
    if code == "INVALID_REQUEST" and any(word in message for word in _PROTOCOL_WORDS):
        return Judgement(Action.REJECT, code)
    if code in _CODES:
        return Judgement(_CODES[code], code)
    own_words = 400 <= refusal.status < 500 and code
    return Judgement(Action.REJECT_UNLESS_CLOSED if own_words else Action.QUERY, code or f"HTTP_{refusal.status}")


def is_ahead(refusal: wechatpay.RefusedError, payment: Payment, now: float) -> bool:
    """Whether WeChat Pay refuses a `paid_time` that may lie ahead of its clock: of the last minutes by ours."""
    return _names(refusal, "paid_time") and now - _moment(payment.paid_time).timestamp() < 300


def _moment(paid_time: str) -> datetime:
    moment = times.read(paid_time)
    if moment is None:
        raise ValueError("paid_time is no moment")  # `event` lets none through
    return moment


def _names(refusal: wechatpay.RefusedError, parameter: str) -> bool:
    """Whether the refusal is about this parameter, by its `detail` or its message."""
    return parameter.upper() in f"{refusal.field} {refusal.message}".upper()


def in_our_words(refused: wechatpay.RefusedError) -> Refusal:
    """Return what an operator needs of a refusal: the library has cleaned and bounded it; no value is in it."""
    return Refusal(
        code=refused.code or f"HTTP_{refused.status}",
        message=refused.message,
        field=refused.field,
        location=refused.location,
        issue=refused.issue,
        http_status=refused.status,
        request_id=refused.request_id,
    )


def _retry_after(refusal: wechatpay.RefusedError) -> float:
    """`Retry-After` in seconds, an hour at most; its date form is not used by WeChat Pay and counts as absent."""
    text = refusal.headers.get("Retry-After", "")
    return min(RETRY_AFTER_CAP, float(text)) if text.isascii() and text.isdigit() else 0.0
