"""Unwraps a body: the payload itself, an EventBridge event with the payload in its `detail`, or an SNS envelope.

An SNS envelope holds either of them in its `Message`. It is around what SNS delivers to a queue, unless the
subscription has raw message delivery (docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).
"""

from typing import NamedTuple

from orders.errors import MalformedEventError
from orders.fields import Fields
from wechatpay.text import printable

BODY_LIMIT = 65_536  # bytes; a payload has some 300
ID_LIMIT = 128  # characters of an event id; EventBridge's and SNS's have 36
SOURCE_LIMIT = 256  # characters, as EventBridge allows
_SNS_TYPES = ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")


class Envelope(NamedTuple):
    """The payload of a body, the id of the event around it, and the event's source.

    Without EventBridge or SNS around the payload the id is the message's, and the source is `sqs`.
    """

    payload: Fields
    event_id: str
    source: str


def unwrap(text: str, message_id: str) -> Envelope:
    """Return the payload in a message's body; raise MalformedEventError naming the field of the envelope."""
    if len(text.encode("utf-8", "surrogatepass")) > BODY_LIMIT:
        problem = f"is over {BODY_LIMIT} bytes"
        raise MalformedEventError("body", problem, "send the payload alone, not the whole sale")
    body, event_id, source = Fields.parse(text, "body"), message_id, "sqs"
    if _is_payload(body):
        return Envelope(body, event_id, source)
    if body.values.get("Type") in _SNS_TYPES:
        event_id, source = _sns_origin(body, event_id)
        body = _sns_message(body)
    if "detail-type" not in body.values or _is_payload(body):
        return Envelope(body, event_id, source)
    if body.values["detail-type"] != "Order_Paid":
        raise body.wrong("detail-type", "is not Order_Paid", "this function reads no other event")
    event_id = body.label("id", ID_LIMIT) or event_id
    source = body.label("source", SOURCE_LIMIT) or "events"
    return Envelope(body.nested("detail", "add it: the payload"), event_id, source)


def _is_payload(body: Fields) -> bool:
    """Whether an object is a payload, whatever else it holds: no envelope has these two fields."""
    return "mchid" in body.values and "out_order_no" in body.values


def _sns_message(body: Fields) -> Fields:
    """Return the JSON object in the text `Message` of an SNS envelope."""
    if body.values["Type"] != "Notification":
        remedy = "confirm the subscription of the queue by its SubscribeURL; a subscription that SNS makes needs none"
        raise body.wrong("Type", "is a confirmation of SNS, no payment", remedy)
    text = body.values.get("Message")
    if not isinstance(text, str):
        raise body.wrong("Message", "is not a string", "publish the payload as the message's text")
    return Fields.parse(text, "Message", "Message.")


def _sns_origin(body: Fields, message_id: str) -> tuple[str, str]:
    """Return SNS's own id of the message, and the topic's name as the source: `sns:payments`."""
    own_id, topic = body.values.get("MessageId"), body.values.get("TopicArn")
    event_id = printable(own_id, ID_LIMIT).strip() if isinstance(own_id, str) else ""
    name = printable(topic, 2 * SOURCE_LIMIT).rpartition(":")[2].strip() if isinstance(topic, str) else ""
    return event_id or message_id, f"sns:{name}"[:SOURCE_LIMIT] if name else "sns"
