"""Reads what a till reported: WeChat Pay's own request, plus who and which. Refuses by field, with the remedy.

A body is the payload itself, a whole EventBridge event with the payload in its `detail`, or an SNS envelope with either
in its `Message`. A field is named by its path in the body as it was sent: `detail.paid_time` in a payload alone,
`detail.detail.paid_time` in an EventBridge event, `Message.detail.detail.paid_time` where SNS delivered that event.

The payload's JSON Schema is `events/order_paid.schema.json`; a property test proves that both agree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from orders.errors import MalformedEventError
from orders.fields import Fields
from orders.order import ENDPOINTS, Payment, Reporter
from wechatpay.text import printable

BODY_LIMIT = 65_536  # bytes; a payload has some 300
ID_LIMIT = 128  # characters of an event id; EventBridge's and SNS's have 36
SOURCE_LIMIT = 256  # characters, as EventBridge allows
FUTURE_LIMIT = 60.0  # seconds: WeChat Pay's own grace for `paid_time` (doc 4012587962)
RETENTION = 14 * 86_400.0  # seconds: the most that SQS keeps a message
BEIJING = timezone(timedelta(hours=8))

_MCHID = re.compile(r"[0-9]{1,32}")
_OUT_ORDER_NO = re.compile(r"[0-9A-Za-z_\-|*]{1,32}")
_ANYTHING = re.compile(r".*", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{14}|[0-9]{8}")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery: an SQS record, or a bare EventBridge event (no receipt handle, nothing to extend).

    `sent_at` is Unix seconds by SQS's clock, None where it is not known. `unreadable`: why the record itself is broken,
    so that `read` refuses it whatever the body holds.
    """

    message_id: str
    body: str = field(repr=False)
    receive_count: int = 1
    receipt_handle: str | None = field(default=None, repr=False)
    sent_at: float | None = None
    unreadable: MalformedEventError | None = None


@dataclass(frozen=True, slots=True)
class OrderPaid:
    """A readable message: the payment it reports, and who reported it."""

    payment: Payment
    reporter: Reporter


def read(message: Message, now: float) -> OrderPaid:
    """Read a message's body: a payload, an EventBridge event around it, or an SNS envelope around either.

    A payment cannot lie in the future: judged by the time at which the message was sent, so that the verdict stays the
    same however often it is received; by `now` (Unix seconds) where that time is not known.
    Raises MalformedEventError naming the field, with the event's id where that could be read.
    """
    if message.unreadable is not None:
        raise message.unreadable
    envelope = _envelope(message)
    event_id = envelope.event_id
    try:
        event_id = envelope.payload.label("event_id", ID_LIMIT) or event_id
        payment = _payment(envelope.payload, _sent_at(message, now))
    except MalformedEventError as error:
        error.event_id = event_id
        raise
    return OrderPaid(payment, Reporter(message.message_id, event_id, envelope.source))


def _sent_at(message: Message, now: float) -> float:
    """The message's own time; `now` where it has none, or one that SQS, which keeps for 14 days, cannot have given."""
    if message.sent_at is None or abs(now - message.sent_at) > RETENTION:
        return now
    return message.sent_at


@dataclass(frozen=True, slots=True)
class _Envelope:
    """The payload that a body holds, and what is around it: an id of the event, and where it comes from."""

    payload: Fields
    event_id: str
    source: str


def _envelope(message: Message) -> _Envelope:
    if len(message.body.encode("utf-8", "surrogatepass")) > BODY_LIMIT:
        problem = f"is over {BODY_LIMIT} bytes"
        raise MalformedEventError("body", problem, "send the payload alone, not the whole sale")
    body, event_id, source = Fields.parse(message.body, "body"), message.message_id, "sqs"
    if _is_payload(body):
        return _Envelope(body, event_id, source)
    if body.values.get("Type") in _SNS_TYPES:
        event_id, source = _delivered_by(body, event_id)
        body = _delivery(body)
    if "detail-type" not in body.values or _is_payload(body):
        return _Envelope(body, event_id, source)
    if body.values["detail-type"] != "Order_Paid":
        raise body.wrong("detail-type", "is not Order_Paid", "this function reads no other event")
    event_id = body.label("id", ID_LIMIT) or event_id
    source = body.label("source", SOURCE_LIMIT) or "events"
    return _Envelope(body.nested("detail", "add it: the payload"), event_id, source)


def _is_payload(body: Fields) -> bool:
    """Whether an object is a payload, whatever else stands in it: no envelope has these two."""
    return "mchid" in body.values and "out_order_no" in body.values


# SNS wraps what it delivers to a queue unless the subscription has raw message delivery
# (docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).
_SNS_TYPES = ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")


def _delivery(body: Fields) -> Fields:
    """Return what SNS delivers: the JSON object in the text `Message`."""
    if body.values["Type"] != "Notification":
        remedy = "confirm the subscription of the queue by its SubscribeURL; a subscription that SNS makes needs none"
        raise body.wrong("Type", "is a confirmation of SNS, no payment", remedy)
    text = body.values.get("Message")
    if not isinstance(text, str):
        raise body.wrong("Message", "is not a string", "publish the payload as the message's text")
    return Fields.parse(text, "Message", "Message.")


def _delivered_by(body: Fields, message_id: str) -> tuple[str, str]:
    """Return SNS's own id of the message, and the topic's name as the source: `sns:payments`."""
    own_id, topic = body.values.get("MessageId"), body.values.get("TopicArn")
    event_id = printable(own_id, ID_LIMIT).strip() if isinstance(own_id, str) else ""
    name = printable(topic, 2 * SOURCE_LIMIT).rpartition(":")[2].strip() if isinstance(topic, str) else ""
    return event_id or message_id, f"sns:{name}"[:SOURCE_LIMIT] if name else "sns"


def _payment(payload: Fields, judged_at: float) -> Payment:
    if "mchid" not in payload.values and (mistake := mistaken_for(payload.values)):
        raise payload.wrong("", *mistake)
    mchid = payload.matching("mchid", _MCHID, "1 to 32 digits")
    out_order_no = payload.matching("out_order_no", _OUT_ORDER_NO, "1 to 32 of digits, letters, _ - | *")
    payload.one_of("type", ("Order_Paid",))
    detail = payload.nested("detail", "add it: WeChat Pay wants to know when the customer paid")
    return Payment(
        mchid=mchid,
        out_order_no=out_order_no,
        paid_time=_paid_time(detail, judged_at),
        appid=payload.identifier("appid"),
        service_id=payload.identifier("service_id"),
        endpoint=payload.one_of("endpoint", ENDPOINTS),
        sub_mchid=payload.identifier("sub_mchid"),
        channel_id=payload.identifier("channel_id"),
        seq=detail.integer("seq", least=1),
        paid_amount=detail.integer("paid_amount", least=0),
    )


# What is sent by mistake for the payload: a member that tells it, what it is, what to send. The first that fits counts.
_MISTAKES = (
    ("requestPayload", "is Lambda's record of a failed invocation", "send its requestPayload"),
    ("requestContext", "is an HTTP request (API Gateway, Function URL)", "send its body alone, decoded"),
    ("httpMethod", "is an HTTP request (API Gateway)", "send its body alone, decoded"),
    ("Records", "is a list of Records", "send the body of each SQS record as a message of its own"),
    ("detail-type", "is an EventBridge event inside another", "put the payload into detail, once"),
    ("DetailType", "is an entry of PutEvents", "put it on the event bus, or send its Detail alone"),
    ("Entries", "is a request of PutEvents", "put it on the event bus, or send each Detail alone"),
    ("TopicArn", "is an SNS envelope", "publish the payload once, or use raw message delivery"),
    ("MessageBody", "is a request of SendMessage", "send its MessageBody alone"),
    ("Body", "is an SQS message inside a message", "send its Body alone"),
    ("body", "is a message inside a message", "send its body alone"),
    ("specversion", "is a CloudEvent", "send its data alone"),
    ("s3:TestEvent", "is Amazon S3's test event", "remove the bucket's notification to this queue"),
)


def mistaken_for(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Say what a JSON object without a payload's fields is, and what to send instead; None where that is not known."""
    found = next((mistake for mistake in _MISTAKES if mistake[0] in values or mistake[0] == values.get("Event")), None)
    if found is None:
        return None
    _, problem, remedy = found
    records = values.get("Records")
    if source := foreign_source(records[0]) if isinstance(records, list) and records else None:
        return f"is a list of Records of {source}", "send the payload alone: this function reads payments only"
    return problem, remedy


_SOURCES = re.compile(r"aws:[a-z0-9-]{1,32}")


def foreign_source(record: object) -> str | None:
    """Return the service that a record names as its source; None for SQS, and where it names none."""
    if not isinstance(record, Mapping):
        return None
    source = record.get("eventSource", record.get("EventSource", "aws:sqs"))
    if source == "aws:sqs":
        return None
    return source if isinstance(source, str) and _SOURCES.fullmatch(source) else "an unknown source"


_TIME_FORMS = "send yyyyMMddHHmmss (Beijing time) or RFC 3339 with an offset, such as 2026-01-01T12:00:00+08:00"


def _paid_time(detail: Fields, judged_at: float) -> str:
    """The time of payment as WeChat Pay takes it: Beijing time, digits only. It is converted, never invented."""
    text = detail.matching("paid_time", _ANYTHING, "the time at which the customer paid")
    moment = _moment(detail, text)
    if moment.timestamp() > judged_at + FUTURE_LIMIT:
        raise detail.wrong("paid_time", "lies in the future", "check the till's clock and time zone")
    return text if _DIGITS.fullmatch(text) else re.sub(r"\D", "", moment.isoformat()[:19])  # strftime cuts years < 1000


def _moment(detail: Fields, text: str) -> datetime:
    if _NAIVE.fullmatch(text):
        raise detail.wrong("paid_time", "has no offset", _TIME_FORMS)
    try:
        if _DIGITS.fullmatch(text):
            return datetime.strptime(text.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
        if _RFC_3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(BEIJING)
    except (ValueError, OverflowError):
        raise detail.wrong("paid_time", "is a date or time that does not exist", _TIME_FORMS) from None
    raise detail.wrong("paid_time", "is not a time", _TIME_FORMS)
