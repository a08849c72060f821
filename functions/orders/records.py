"""Turns an invocation's event into messages: an SQS batch, or a bare EventBridge event. Any other event is an error.

One more event carries no message: `{"self_test": true}`, by which a deployment asks a new version to test itself.

A broken record costs that record alone. If it has a messageId it becomes a message that `orders.event.read` refuses, so
that SQS keeps it and moves it to the dead letters. If it has none, the function cannot report it to SQS: an empty
`itemIdentifier` makes Lambda treat the whole batch as failed, which would redeliver the good messages
(docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html). SQS sends no such record, so there is no message
to keep: it is logged and ignored.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orders.errors import MalformedEventError, UnsupportedEventError
from orders.event import Message
from orders.mistakes import foreign_source, mistaken_for
from wechatpay.text import printable

SELF_TEST = {"self_test": True}
MESSAGE_ID_LIMIT = 128  # characters; SQS's have 36
_BY_QUEUE = "send the payload to the order queue or to the event bus"
_NOT_SQS = "SQS invokes this function with records of its own only"


class Batch(NamedTuple):
    """An SQS batch: one message per record, in order; `unreadable` has an error for each record without a messageId."""

    messages: tuple[Message, ...]
    unreadable: tuple[MalformedEventError, ...] = ()


class Bare(NamedTuple):
    """One EventBridge event, handed straight to the function."""

    message: Message


class SelfTest:
    """The request of a deployment's pre-traffic hook: no payment, no call, no metric."""


def read_records(event: object, request_id: str) -> Batch | Bare | SelfTest:
    """Return the messages in an event; `request_id` replaces a bare event's id if it has none.

    Raises:
        UnsupportedEventError: whatever the event is, no other error.
    """
    if isinstance(event, Mapping):
        if isinstance(event.get("Records"), list):
            return _batch(event["Records"])
        if "detail-type" in event:
            return Bare(_bare(event, request_id))
        if event == SELF_TEST:
            return SelfTest()
    description, remedy = _description(event)
    raise UnsupportedEventError(
        f"the event {description}: neither an SQS batch (Records) nor an EventBridge event (detail-type); {remedy}"
    )


def _batch(records: Sequence[object]) -> Batch:
    messages, errors, from_sqs = [], [], 0
    for number, record in enumerate(records):
        match _message(record, number):
            case Message() as message:
                messages.append(message)
                from_sqs += foreign_source(record) is None
            case error:
                errors.append(error)
    if records and not from_sqs:
        raise UnsupportedEventError(_problem(records))
    return Batch(tuple(messages), tuple(errors))


def _problem(records: Sequence[object]) -> str:
    """Return why no record of a list is a message of SQS."""
    source = next(filter(None, map(foreign_source, records)), None)
    if source is None:
        return f"no record has a messageId, so none can be kept or reported: {_NOT_SQS}"
    if source == "aws:sns":
        return f"Records of {source} cannot be retried one by one: subscribe the order queue to the topic"
    return f"Records of {source} are not payments: subscribe an SQS queue, and {_BY_QUEUE}"


def _message(record: object, number: int) -> Message | MalformedEventError:
    """Return the record's message, unreadable if the record is broken; the error itself if it has no messageId."""
    path = f"Records[{number}]"
    if not isinstance(record, Mapping):
        return MalformedEventError(path, "is not an object", _NOT_SQS)
    message_id = record.get("messageId")
    if not isinstance(message_id, str) or not _is_usable(message_id):
        problem = "is missing" if "messageId" not in record else "is not an id of SQS"
        return MalformedEventError(f"{path}.messageId", problem, _NOT_SQS)
    body, attributes, handle = record.get("body"), record.get("attributes", {}), record.get("receiptHandle")
    receive_count = _receive_count(attributes)
    return Message(
        message_id,
        body if isinstance(body, str) else "",
        receive_count or 1,
        handle if isinstance(handle, str) and handle else None,
        _sent_at(attributes),
        _fault(record, receive_count),
    )


def _is_usable(message_id: str) -> bool:
    """Whether an id can be returned to Lambda and written into a log unchanged."""
    return bool(message_id.strip()) and message_id == printable(message_id, MESSAGE_ID_LIMIT)


def _fault(record: Mapping[str, object], receive_count: int | None) -> MalformedEventError | None:
    """Return what is wrong with a record; of its members only the body is needed to read a payment."""
    if foreign_source(record) is not None:
        return MalformedEventError("eventSource", "is not aws:sqs", _NOT_SQS)
    if not isinstance(record.get("body"), str):
        problem = "is not a string" if "body" in record else "is missing"
        return MalformedEventError("body", problem, "send the payload as the message's text")
    if not isinstance(record.get("attributes", {}), Mapping):
        return MalformedEventError("attributes", "is not an object", _NOT_SQS)
    if receive_count is None:
        return MalformedEventError("attributes.ApproximateReceiveCount", "is not a number from 1", _NOT_SQS)
    if not isinstance(record.get("receiptHandle", ""), str):
        return MalformedEventError("receiptHandle", "is not a string", _NOT_SQS)
    return None


def _receive_count(attributes: object) -> int | None:
    """Return how often the message was received, 1 if no attribute says so; None if the attribute is no such number."""
    if not isinstance(attributes, Mapping):
        return None
    value = attributes.get("ApproximateReceiveCount", "1")
    count = _integer(value)
    return count if count is not None and count >= 1 else None


def _sent_at(attributes: object) -> float | None:
    """Return when SQS took the message, in Unix seconds (SentTimestamp is milliseconds); None if it cannot be read."""
    if not isinstance(attributes, Mapping):
        return None
    milliseconds = _integer(attributes.get("SentTimestamp"))
    return None if milliseconds is None else milliseconds / 1000


def _integer(value: object) -> int | None:
    """Return an integer of at most 15 digits, written as SQS writes it (a string) or as JSON does; otherwise None."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15 else value
    return int(text) if isinstance(text, str) and len(text) <= 15 and text.isascii() and text.isdigit() else None


def _bare(event: Mapping[str, object], request_id: str) -> Message:
    event_id = event.get("id")
    message_id = event_id if isinstance(event_id, str) and _is_usable(event_id) else request_id
    try:
        return Message(message_id, json.dumps(event, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        problem = MalformedEventError("body", "is not JSON", "hand over what EventBridge sends")
        return Message(message_id, "", unreadable=problem)


def _description(event: object) -> tuple[str, str]:  # noqa: PLR0911  one line per kind of event
    """Return what an event is, and what to send instead; none of its values is repeated."""
    match event:
        case None:
            return "is null", _BY_QUEUE
        case []:
            return "is an empty list", _BY_QUEUE
        case list():
            return "is a list, as EventBridge Pipes makes", "let Pipes send to the order queue, not to this function"
        case str() | bool() | int() | float():
            return "is no object", _BY_QUEUE
        case Mapping() if not event:
            return "is an empty object", _BY_QUEUE
        case Mapping() if "mchid" in event:
            return "is a payload alone", f"{_BY_QUEUE}, or put it into the detail of an EventBridge event"
        case Mapping() if "Records" in event:
            return "has Records that are no list", _BY_QUEUE
        case Mapping() if source := foreign_source(event):
            return f"comes from {source}", _BY_QUEUE
        case Mapping() if mistake := mistaken_for(event):
            return mistake
        case _:
            return "is of no kind that this function reads", _BY_QUEUE
