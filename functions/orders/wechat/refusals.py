"""What a refusal of WeChat Pay asks for, by its status, code and message.

REJECTED may rest on an unsigned error, because a redrive repairs it. Sources: doc 4012587962 (sync), 4012072670 (401).
"""

from datetime import datetime

import wechatpay
from orders.dialogue import Action, Judgement
from orders.order import Payment, Refusal
from orders.waits import DEDUCTING, RETRY_AFTER_CAP, THROTTLED
from wechatpay import times

AHEAD_LIMIT = 300.0  # seconds: no further apart does WeChat Pay let two clocks be (doc 4012072670)

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
            Action.WAIT, "THROTTLED", THROTTLED._replace(floor=max(THROTTLED.floor, _retry_after(refusal)))
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
    has_own_code = 400 <= refusal.status < 500 and code
    return Judgement(Action.REJECT_UNLESS_CLOSED if has_own_code else Action.QUERY, code or f"HTTP_{refusal.status}")


def is_ahead(refusal: wechatpay.RefusedError, payment: Payment, now: float) -> bool:
    """Whether WeChat Pay refuses a `paid_time` that may lie ahead of its clock: one of the last five minutes."""
    return _names(refusal, "paid_time") and now - _moment(payment.paid_time).timestamp() < AHEAD_LIMIT


def _moment(paid_time: str) -> datetime:
    moment = times.read(paid_time)
    if moment is None:
        raise ValueError("paid_time is no moment")  # `event` lets none through
    return moment


def _names(refusal: wechatpay.RefusedError, parameter: str) -> bool:
    """Whether the refusal is about this parameter, by its `detail` or its message."""
    return parameter.upper() in f"{refusal.field} {refusal.message}".upper()


def refusal_of(refused: wechatpay.RefusedError) -> Refusal:
    """Return what an operator needs of a refusal; the library has cleaned and bounded its text, and left out values."""
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
    """Return `Retry-After` in seconds, an hour at most; its date form, which WeChat Pay does not use, counts as 0."""
    text = refusal.headers.get("Retry-After", "")
    return min(RETRY_AFTER_CAP, float(text)) if text.isascii() and text.isdigit() else 0.0
