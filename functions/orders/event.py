"""Reads the payment that a till reported: WeChat Pay's own request, plus the merchant and the order.

A refusal names the field, the problem and the remedy. A field is named by its path in the body as it was sent:
`detail.paid_time` in a payload alone, `detail.detail.paid_time` in an EventBridge event, and
`Message.detail.detail.paid_time` if SNS delivered that event.

The payload's JSON Schema is `events/order_paid.schema.json`; a property test proves that both agree.
"""

import re
from typing import NamedTuple

from orders.envelope import ID_LIMIT, unwrap
from orders.errors import MalformedEventError
from orders.fields import Fields
from orders.mistakes import mistaken_for
from orders.order import Payment, Reporter
from wechatpay import times
from wechatpay.endpoints import ENDPOINTS

FUTURE_LIMIT = 60.0  # seconds: WeChat Pay's own grace for `paid_time` (doc 4012587962)
RETENTION = 14 * 86_400.0  # seconds: the longest that SQS keeps a message

_MCHID = re.compile(r"[0-9]{1,32}")
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")
_ANYTHING = re.compile(r".*", re.DOTALL)


class Message(NamedTuple):
    """One delivery: an SQS record, or a bare EventBridge event (no receipt handle, nothing to extend).

    `sent_at` is Unix seconds by SQS's clock, None if it is not known. `unreadable`: why the record itself is broken, so
    that `read` refuses it whatever the body holds.
    """

    message_id: str
    body: str
    receive_count: int = 1
    receipt_handle: str | None = None
    sent_at: float | None = None
    unreadable: MalformedEventError | None = None

    def __repr__(self) -> str:
        """Show neither the body nor the handle."""
        names = ("message_id", "receive_count", "sent_at", "unreadable")
        return f"Message({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


class OrderPaid(NamedTuple):
    """A readable message: the payment that it reports, and where the report comes from."""

    payment: Payment
    reporter: Reporter


def read(message: Message, now: float) -> OrderPaid:
    """Read a message's body: a payload, an EventBridge event around it, or an SNS envelope around either.

    A payment cannot lie in the future. That is judged by the time at which the message was sent, so that the result is
    the same at every receive, and by `now` (Unix seconds) if that time is not known.

    Raises:
        MalformedEventError: it names the field, and the event's id if that could be read.
    """
    if message.unreadable is not None:
        raise message.unreadable
    envelope = unwrap(message.body, message.message_id)
    event_id = envelope.event_id
    try:
        event_id = envelope.payload.label("event_id", ID_LIMIT) or event_id
        payment = _payment(envelope.payload, _sent_at(message, now))
    except MalformedEventError as error:
        error.event_id = event_id
        raise
    reporter = Reporter(message.message_id, event_id, envelope.source, message.receive_count, message.sent_at)
    return OrderPaid(payment, reporter)


def _sent_at(message: Message, now: float) -> float:
    """Return the message's own time; `now` if it has none, or one outside the 14 days that SQS keeps a message."""
    if message.sent_at is None or abs(now - message.sent_at) > RETENTION:
        return now
    return message.sent_at


def _payment(payload: Fields, sent_at: float) -> Payment:
    if "mchid" not in payload.values and (mistake := mistaken_for(payload.values)):
        raise payload.wrong("", *mistake)
    mchid = payload.matching("mchid", _MCHID, "1 to 32 digits")
    out_order_no = payload.matching("out_order_no", _OUT_ORDER_NO, "1 to 32 of digits, letters, _ - | *")
    payload.one_of("type", ("Order_Paid",))
    detail = payload.nested("detail", "add it: WeChat Pay needs the time of the payment")
    return Payment(
        mchid=mchid,
        out_order_no=out_order_no,
        paid_time=_paid_time(detail, sent_at),
        appid=payload.identifier("appid"),
        service_id=payload.identifier("service_id"),
        endpoint=payload.one_of("endpoint", tuple(ENDPOINTS)),
        sub_mchid=payload.identifier("sub_mchid"),
        channel_id=payload.identifier("channel_id"),
        seq=detail.integer("seq", least=1),
        paid_amount=detail.integer("paid_amount", least=0),
    )


# ---- the time of the payment ---------------------------------------------------------------------------------------

_TIME_FORMS = "send yyyyMMddHHmmss (Beijing time) or RFC 3339 with an offset, such as 2026-01-01T12:00:00+08:00"
_DATE_AND_HOUR = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d"
_NAIVE = re.compile(rf"{_DATE_AND_HOUR}(:\d\d(\.\d+)?)?", re.ASCII)
_TIME = re.compile(rf"\d{{14}}|\d{{8}}|{_DATE_AND_HOUR}:\d\d(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)


def _paid_time(detail: Fields, sent_at: float) -> str:
    """Return the time of payment as WeChat Pay takes it, digits of Beijing time; it goes into the customer's record."""
    text = detail.matching("paid_time", _ANYTHING, "the time at which the customer paid")
    moment = times.read(text)
    try:
        digits = times.write(text)
    except ValueError:
        raise detail.wrong("paid_time", _time_problem(text), _TIME_FORMS) from None
    if moment is not None and moment.timestamp() > sent_at + FUTURE_LIMIT:
        raise detail.wrong("paid_time", "lies in the future", "check the till's clock and time zone")
    return digits


def _time_problem(text: str) -> str:
    if _NAIVE.fullmatch(text):
        return "has no offset"
    return "is a date or time that does not exist" if _TIME.fullmatch(text) else "is not a time"
