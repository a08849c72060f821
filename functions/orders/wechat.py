"""Where WeChat Pay's words become ours: `judge` reads a refusal, `verdict` reads an order. Both are pure.

SYNCED, PAID_BY_WECHAT and NOTHING_DUE rest on a
verified order alone; REJECTED may rest on an unsigned error, because a redrive repairs it.
Sources: doc 4012587962 (sync), 4012587902 (query), 4012072670 (401 messages).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import wechatpay
from orders.order import NO_FLOOR, Status, Wait

# ── the verdict on a verified order ───────────────────────────────────────────────────────────────────────────────

NOT_COMPLETED = Wait(floor=300.0, base=300.0)  # the shop has not asked for the money yet: minutes at least
DEDUCTING = Wait(floor=180.0)  # WeChat Pay's own advice: three minutes
THROTTLED = Wait(floor=5.0, base=60.0)
SOON = Wait(floor=3.0, base=3.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verified order means for the payment that the till took."""

    status: Status
    reason: str = ""
    wait: Wait = NO_FLOOR


PAYING = Verdict(Status.RETRYING, "USER_PAYING")
UNKNOWN_WORD = Verdict(Status.RETRYING, "UNKNOWN_STATE", Wait(floor=60.0))

# state, state_description, collection.state, paid_type → verdict; "" stands for "absent"
VERDICTS: dict[tuple[str, str, str, str], Verdict] = {
    ("DONE", "", "USER_PAID", "MCH"): Verdict(Status.SYNCED),
    ("DONE", "", "USER_PAID", "NEWTON"): Verdict(Status.PAID_BY_WECHAT, "NEWTON"),
    ("DONE", "", "", ""): Verdict(Status.NOTHING_DUE),
    ("DOING", "MCH_COMPLETE", "USER_PAYING", ""): PAYING,
    ("DOING", "USER_CONFIRM", "", ""): Verdict(Status.RETRYING, "USER_CONFIRM", NOT_COMPLETED),
    ("CREATED", "", "", ""): Verdict(Status.RETRYING, "CREATED", NOT_COMPLETED),
    ("REVOKED", "", "", ""): Verdict(Status.REJECTED, "REVOKED"),
    ("EXPIRED", "", "", ""): Verdict(Status.REJECTED, "EXPIRED"),
}


def verdict(order: wechatpay.ServiceOrder, paid_time: str) -> Verdict:
    """Judge a verified order; a word that nobody knows is retried and reported, never guessed at.

    Another `paid_time` than ours on a synced order is still SYNCED (somebody told WeChat Pay before), and noted.
    """
    found = VERDICTS.get(_key_facts(order), UNKNOWN_WORD)
    if found.status is Status.SYNCED and paid_time not in _paid_times(order):
        return replace(found, reason="OTHER_PAID_TIME")
    return found


def _key_facts(order: wechatpay.ServiceOrder) -> tuple[str, str, str, str]:
    """The facts the table goes by: the description only of a DOING order, the collection once it has been asked for."""
    description = (order.state_description or "") if order.state == "DOING" else ""
    asked_for = order.state == "DONE" or description == "MCH_COMPLETE"
    collection = (order.collection_state or "") if asked_for else ""
    return order.state, description, collection, _paid_type(order) if collection == "USER_PAID" else ""


def _paid_type(order: wechatpay.ServiceOrder) -> str:
    """MCH only where every part was taken by the merchant; one NEWTON is enough to have charged the customer twice."""
    words = {detail.paid_type or "" for detail in order.collection.details} if order.collection else set()
    if "NEWTON" in words:
        return "NEWTON"
    return words.pop() if len(words) == 1 else "?"


def _paid_times(order: wechatpay.ServiceOrder) -> set[str]:
    """The times of payment that WeChat Pay holds; the 8-digit form that we may have sent means midnight."""
    times = {detail.paid_time for detail in order.collection.details if detail.paid_time} if order.collection else set()
    return times | {moment[:8] for moment in times if moment.endswith("000000")}


# ── the judgement on a refusal ────────────────────────────────────────────────────────────────────────────────────


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
    "PARAM_ERROR": Action.REJECT,
    "NO_AUTH": Action.REJECT,
    "RESOURCE_NOT_EXISTS": Action.REJECT,
    "ORDER_NOT_EXIST": Action.NOT_EXIST,
}
_THROTTLES = {"FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATELIMIT_EXCEEDED", "RATELIMIT_EXCEED", "RATE_LIMITED"}
_DEDUCTING_WORDS = ("正在扣款", "收款结果不明")
_PROTOCOL_WORDS = ("HTTP请求不符合", "HTTP头", "APIV3接口规则")


def judge(refusal: wechatpay.RefusedError) -> Judgement:
    """Judge a refusal by status, code and message; the sub-code of the Request-ID is a hint that only ever waits."""
    code = refusal.code.replace(" ", "").upper()
    message = refusal.message.replace(" ", "").upper()
    if any(word in message for word in _DEDUCTING_WORDS) or refusal.sub_code == "271316754":
        return Judgement(Action.WAIT, "DEDUCTING", DEDUCTING)
    if refusal.status == 429 or code in _THROTTLES or refusal.sub_code == "268435472":
        return Judgement(
            Action.WAIT, "THROTTLED", replace(THROTTLED, floor=max(THROTTLED.floor, _retry_after(refusal)))
        )
    if refusal.status == 401:
        stale = "TIMESTAMP" in message
        return Judgement(Action.SIGN_AGAIN if stale else Action.FRESH_KEYS, "CLOCK" if stale else "SIGN_ERROR")
    if code == "INVALID_REQUEST" and any(word in message for word in _PROTOCOL_WORDS):
        return Judgement(Action.REJECT, code)
    if code in _CODES:
        return Judgement(_CODES[code], code)
    client_error = 400 <= refusal.status < 500
    return Judgement(Action.REJECT_UNLESS_CLOSED if client_error else Action.QUERY, code or f"HTTP_{refusal.status}")


def _retry_after(refusal: wechatpay.RefusedError) -> float:
    """`Retry-After` in seconds, an hour at most; its date form is not used by WeChat Pay and counts as absent."""
    text = refusal.headers.get("Retry-After", "")
    return min(3600.0, float(text)) if text.isascii() and text.isdigit() else 0.0
