"""What came of a call, as a reply of `dialogue`: a verified order, a refusal, silence, or an untrusted answer."""

import wechatpay
from orders.dialogue import Refused, Silence, Untrusted, Verified
from orders.order import Facts, Payment, Refusal
from orders.wechat.refusals import is_ahead, judge, refusal_of
from orders.wechat.verdicts import verdict


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
