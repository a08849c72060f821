"""Where WeChat Pay's vocabulary becomes the function's: `verdict` reads an order, `judge` reads a refusal. Pure.

SYNCED, PAID_BY_WECHAT and NOTHING_DUE rest on a verified order alone, and on facts that stand in it: what is absent or
unreadable where it should stand proves nothing. REJECTED may rest on an unsigned error, because a redrive repairs it.
Sources: doc 4012587962 (sync), 4012587902 (query), 4012072670 (401 messages); payafter: wiki chapter 24.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol, cast

import wechatpay
from orders.dialogue import PAYING, UNKNOWN_STATE, Action, Judgement, Refused, Silence, Untrusted, Verdict, Verified
from orders.order import Facts, Payment, Refusal, Status
from orders.waits import DEDUCTING, NOT_COMPLETED, RETRY_AFTER_CAP, THROTTLED
from wechatpay import times
from wechatpay.endpoints import ENDPOINTS, Endpoint, EndpointName

# ---- the request -----------------------------------------------------------------------------------------------------


class Defaults(Protocol):
    """What a merchant's secret says for the fields that an event leaves out."""

    @property
    def appid(self) -> str | None:
        """The appid of an event without one."""

    @property
    def service_id(self) -> str | None:
        """The service_id of an event without one."""

    @property
    def endpoint(self) -> str:
        """The endpoint of an event without one."""


def with_defaults(payment: Payment, defaults: Defaults) -> Payment:
    """Return the payment as it is sent, the fields that the event leaves out from the merchant's secret."""
    return replace(
        payment,
        endpoint=payment.endpoint or defaults.endpoint,
        appid=payment.appid or defaults.appid,
        service_id=payment.service_id or defaults.service_id,
    )


def missing_fields(payment: Payment) -> tuple[str, ...]:
    """Return the names of the fields that the endpoint requires and the payment lacks."""
    return tuple(name for name in _endpoint(payment).required if not getattr(payment, name))


def order_query(payment: Payment) -> wechatpay.OrderQuery:
    """Return the arguments of a query: those for which the order's endpoint has a place."""
    places = _endpoint(payment).fields
    return {
        "out_order_no": payment.out_order_no,
        "service_id": payment.service_id or "",
        "endpoint": _endpoint_name(payment),
        "appid": payment.appid if "appid" in places else None,
        "sub_mchid": payment.sub_mchid if "sub_mchid" in places else None,
        "channel_id": payment.channel_id if "channel_id" in places else None,
    }


def sync_payment(payment: Payment) -> wechatpay.SyncPayment:
    """Return the arguments of a sync: what the endpoint has a place for; a POS may send more."""
    places = _endpoint(payment).fields
    return {
        **order_query(payment),
        "paid_time": payment.paid_time,
        "seq": payment.seq if "seq" in places else None,
        "paid_amount": payment.paid_amount if "paid_amount" in places else None,
    }


def _endpoint(payment: Payment) -> Endpoint:
    return ENDPOINTS[_endpoint_name(payment)]


def _endpoint_name(payment: Payment) -> EndpointName:
    return cast("EndpointName", payment.endpoint or "direct")  # `event` and `secret` let no other name through


# ---- replies: what an answer means -----------------------------------------------------------------------------------


def order_reply(order: wechatpay.ServiceOrder, payment: Payment) -> Verified:
    """Return the reply that a verified order is."""
    facts = Facts(
        answer=order.raw,
        state=order.state,
        state_description=order.state_description,
        collection_state=order.collection_state,
        paid_type=order.paid_type,
        transaction_id=order.transaction_id,
    )
    return Verified(verdict(order, payment), facts, order.request_id)


def error_reply(error: wechatpay.WeChatPayError, payment: Payment, now: float) -> Refused | Silence | Untrusted:
    """Return the reply that an error is; `now` is Unix seconds."""
    match error:
        case wechatpay.RefusedError():
            return Refused(judge(error), refusal_of(error), is_ahead(error, payment, now))
        case wechatpay.UnansweredError():
            return Silence(Refusal("UNANSWERED", str(error)), error.sent)
        case _:
            refusal = Refusal(type(error).__name__, str(error), request_id=getattr(error, "request_id", ""))
            return Untrusted(refusal, is_about_keys(error))


def is_about_keys(error: wechatpay.WeChatPayError) -> bool:
    """Whether the platform keys in use do not fit; a probe or a stale answer says nothing about them."""
    return isinstance(error, wechatpay.UntrustedError) and error.reason in {"unknown_serial", "signature"}


def is_answer(error: wechatpay.WeChatPayError) -> bool:
    """Whether WeChat Pay itself has answered: in an outage it is silent, or answers 5xx, or a gateway does."""
    if isinstance(error, wechatpay.RefusedError):
        return error.status < 500 and bool(error.code)
    return not isinstance(error, wechatpay.UnansweredError)


# ---- the verdict on a verified order ---------------------------------------------------------------------------------


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


def verdict(order: wechatpay.ServiceOrder, payment: Payment) -> Verdict:
    """Judge a verified order; a state that this version has no word for is queried again and reported.

    A synced order with another `paid_time` is still SYNCED (an earlier sync was executed), and the reason says so.
    Moments are compared, not texts: the endpoints write them in different ways.
    """
    judged = VERDICTS[fact(order, payment.endpoint or "direct")]
    if judged.status is Status.SYNCED and not _was_paid_at(order, payment.paid_time):
        return judged._replace(reason="OTHER_PAID_TIME")
    return judged


def _was_paid_at(order: wechatpay.ServiceOrder, paid_time: str) -> bool:
    """Whether the order was paid at this time; a time that cannot be read contradicts nothing."""
    if order.collection and any(detail.paid_time == paid_time for detail in order.collection.details):
        return True  # mostly the text is the same, and need not be parsed
    moments = order.paid_moments
    return not moments or times.read(paid_time) in moments


def fact(order: wechatpay.ServiceOrder, endpoint: str) -> Fact:
    """Return what the order says, read in the vocabulary of its endpoint."""
    return _DECODERS[endpoint](order)


def _service_order(order: wechatpay.ServiceOrder) -> Fact:
    """Read the words of direct, partner, acquiringbank and oversea orders (doc 4012587902)."""
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
    """Read an order that the shop has completed; the answer of `complete` itself has no `collection` yet."""
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
    """Return who took the money: WeChat Pay if it took any part, the till if it took every part and none is missing."""
    collection = order.collection
    words = {detail.paid_type for detail in collection.details} if collection else set()
    if "NEWTON" in words:
        return Fact.PAID_BY_WECHAT
    if collection is None or collection.unreadable or _lacks_parts(collection):
        return Fact.UNKNOWN
    return Fact.PAID_AT_THE_TILL if words == {"MCH"} else Fact.UNKNOWN


def _lacks_parts(collection: wechatpay.Collection) -> bool:
    """Whether the parts add up to less than was paid, so that one of them is missing."""
    amounts = [detail.amount for detail in collection.details]
    readable = [amount for amount in amounts if amount is not None]
    if collection.paid_amount is None or len(readable) < len(amounts):
        return False
    return sum(readable) < collection.paid_amount


def _payafter(order: wechatpay.ServiceOrder) -> Fact:
    """Read the words of payafter orders, which are older than the others (wiki chapter 24)."""
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
