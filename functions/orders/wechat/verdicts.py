"""What a verified order means for the payment at the till, read in the words of its endpoint.

SYNCED, PAID_BY_WECHAT and NOTHING_DUE rest on a verified order alone, and on facts that stand in it: what is absent or
unreadable where it should stand proves nothing. Sources: doc 4012587902 (query); payafter: wiki chapter 24.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

import wechatpay
from orders.dialogue import PAYING, UNKNOWN_STATE, Verdict
from orders.order import Payment, Status
from orders.waits import NOT_COMPLETED
from wechatpay import times


class PaymentState(StrEnum):
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


VERDICTS: Mapping[PaymentState, Verdict] = {
    PaymentState.PAID_AT_THE_TILL: Verdict(Status.SYNCED),
    PaymentState.PAID_BY_WECHAT: Verdict(Status.PAID_BY_WECHAT, "NEWTON"),
    PaymentState.NOTHING_DUE: Verdict(Status.NOTHING_DUE),
    PaymentState.TO_BE_PAID: PAYING,
    PaymentState.CONFIRMED: Verdict(Status.RETRYING, "USER_CONFIRM", NOT_COMPLETED),
    PaymentState.CREATED: Verdict(Status.RETRYING, "CREATED", NOT_COMPLETED),
    PaymentState.REVOKED: Verdict(Status.REJECTED, "REVOKED"),
    PaymentState.EXPIRED: Verdict(Status.REJECTED, "EXPIRED"),
    PaymentState.UNKNOWN: UNKNOWN_STATE,
}


def verdict(order: wechatpay.ServiceOrder, payment: Payment) -> Verdict:
    """Judge a verified order; a state that this version has no word for is queried again and reported.

    A synced order with another `paid_time` is still SYNCED (an earlier sync was executed), and the reason says so.
    Moments are compared, not texts: the endpoints write them in different ways.
    """
    judged = VERDICTS[payment_state(order, payment.endpoint or "direct")]
    if judged.status is Status.SYNCED and not _was_paid_at(order, payment.paid_time):
        return judged._replace(reason="OTHER_PAID_TIME")
    return judged


def _was_paid_at(order: wechatpay.ServiceOrder, paid_time: str) -> bool:
    """Whether the order was paid at this time; a time that cannot be read contradicts nothing."""
    if order.collection and any(detail.paid_time == paid_time for detail in order.collection.details):
        return True  # mostly the text is the same, and need not be parsed
    moments = order.paid_moments
    return not moments or times.read(paid_time) in moments


def payment_state(order: wechatpay.ServiceOrder, endpoint: str) -> PaymentState:
    """Return what the order says, read in the vocabulary of its endpoint."""
    return _DECODERS[endpoint](order)


def _service_order(order: wechatpay.ServiceOrder) -> PaymentState:
    """Read the words of direct, partner, acquiringbank and oversea orders (doc 4012587902)."""
    match order.state, order.state_description:
        case "DONE", _:
            return _done(order)
        case "DOING", "MCH_COMPLETE":
            return _completed(order)
        case "DOING", "USER_CONFIRM":
            return PaymentState.CONFIRMED
        case "CREATED" | "REVOKED" | "EXPIRED" as state, _:
            return PaymentState(state)
        case _:
            return PaymentState.UNKNOWN


def _completed(order: wechatpay.ServiceOrder) -> PaymentState:
    """Read an order that the shop has completed; the answer of `complete` itself has no `collection` yet."""
    if _lacks_collection(order) or order.collection_state == "USER_PAYING":
        return PaymentState.TO_BE_PAID
    return PaymentState.UNKNOWN


def _done(order: wechatpay.ServiceOrder) -> PaymentState:
    if _lacks_collection(order):
        return PaymentState.NOTHING_DUE if _was_free(order) else PaymentState.UNKNOWN
    return _paid(order) if order.collection_state == "USER_PAID" else PaymentState.UNKNOWN


def _lacks_collection(order: wechatpay.ServiceOrder) -> bool:
    return order.collection is None and "collection" not in order.raw


def _was_free(order: wechatpay.ServiceOrder) -> bool:
    """Whether `total_amount` is 0, or, where it is absent, nothing was to be paid for."""
    if "total_amount" in order.raw or order.total_amount is not None:
        return order.total_amount == 0
    return "post_payments" not in order.raw and not order.post_payments


def _paid(order: wechatpay.ServiceOrder) -> PaymentState:
    """Return who took the money: WeChat Pay if it took any part, the till if it took every part and none is missing."""
    collection = order.collection
    words = {detail.paid_type for detail in collection.details} if collection else set()
    if "NEWTON" in words:
        return PaymentState.PAID_BY_WECHAT
    if collection is None or collection.unreadable or _lacks_parts(collection):
        return PaymentState.UNKNOWN
    return PaymentState.PAID_AT_THE_TILL if words == {"MCH"} else PaymentState.UNKNOWN


def _lacks_parts(collection: wechatpay.Collection) -> bool:
    """Whether the parts add up to less than was paid, so that one of them is missing."""
    amounts = [detail.amount for detail in collection.details]
    readable = [amount for amount in amounts if amount is not None]
    if collection.paid_amount is None or len(readable) < len(amounts):
        return False
    return sum(readable) < collection.paid_amount


def _payafter(order: wechatpay.ServiceOrder) -> PaymentState:
    """Read the words of payafter orders, which are older than the others (wiki chapter 24)."""
    match order.state:
        case "USER_ACCEPTED":
            return PaymentState.CONFIRMED
        case "FINISHED":
            return PaymentState.TO_BE_PAID
        case "USER_PAID":
            return _paid_after(order)
        case "CREATED" | "REVOKED" | "EXPIRED" as state:
            return PaymentState(state)
        case _:
            return PaymentState.UNKNOWN


def _paid_after(order: wechatpay.ServiceOrder) -> PaymentState:
    match order.paid_type:
        case "NEWTON":
            return PaymentState.PAID_BY_WECHAT
        case "MCH":
            return PaymentState.PAID_AT_THE_TILL
        case _:
            return PaymentState.UNKNOWN


_DECODERS: Mapping[str, Callable[[wechatpay.ServiceOrder], PaymentState]] = {
    "direct": _service_order,
    "partner": _service_order,
    "acquiringbank": _service_order,
    "payafter": _payafter,
    "oversea": _service_order,
}
