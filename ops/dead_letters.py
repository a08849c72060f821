"""Dead-letter messages with their reasons, from the order's item or from the parser that refused the message."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops import items
from ops.stack import Deployment, OpsError, describe
from orders.errors import MalformedEventError
from orders.event import Message, read
from orders.order import Order

HOLD = 30  # seconds that a message is invisible while the queue is listed
ENTRIES_PER_CALL = 10  # ChangeMessageVisibilityBatch's limit

_NEVER_ATTEMPTED = (
    "the orders table has no attempt of it: the function may have been throttled or may have crashed before it wrote, "
    "or the table may not have answered; see the function's log and ErrorsAlarm"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in DeadLetters with its reason; `explanation` is the error of WeChat Pay or of the parser.

    `key` is the order's key in the table, empty if the message cannot be read. `order` is None if the table has no item
    of this key, or if the item cannot be read.
    """

    message_id: str
    sent_at: float
    reason: str
    explanation: str
    key: str
    order: Order | None
    body: str = field(repr=False)


def peek(deployment: Deployment) -> list[Letter]:
    """Return all dead letters, oldest first; they stay in the queue."""
    received = [message for messages in _take(deployment) for message in messages]
    _put_back(deployment, received)
    letters = [_letter(deployment, message) for message in received]
    return sorted(letters, key=lambda letter: letter.sent_at)


def _letter(deployment: Deployment, received: Mapping[str, Any]) -> Letter:
    """Explain a message with the function's own parser, as of the time it was sent, and with the order's item."""
    message_id, body = received["MessageId"], received["Body"]
    sent_at = int(received["Attributes"]["SentTimestamp"]) / 1000
    try:
        event = read(Message(message_id, body, sent_at=sent_at), time.time())
    except MalformedEventError as error:
        return Letter(message_id, sent_at, "UNREADABLE", str(error), "", None, body)
    key = event.payment.key
    item = items.find(deployment, key)
    if item is None:
        return Letter(message_id, sent_at, "NEVER_SETTLED", _NEVER_ATTEMPTED, key, None, body)
    if item.order is None:
        explanation = f"the order's item cannot be read by this version: {item.problem}"
        return Letter(message_id, sent_at, "UNREADABLE_ITEM", explanation, key, None, body)
    reason = item.order.reason or str(item.order.status)
    return Letter(message_id, sent_at, reason, _describe_refusal(item.order), key, item.order, body)


def _describe_refusal(order: Order) -> str:
    """Return the message of the last refusal, with its code unless that is the reason already."""
    refusal = order.last_error
    if refusal is None:
        return ""
    return refusal.message if refusal.code == order.reason else f"{refusal.code}: {refusal.message}"


def redrive(deployment: Deployment) -> str:
    """Start a message move task for all dead letters, as the console does; return its handle."""
    sqs, arguments = deployment.client("sqs"), deployment.redrive
    try:
        task = sqs.start_message_move_task(**arguments)
    except ClientError as error:
        advice = _running_task(sqs, arguments["SourceArn"]) or "try --message-id"
        raise OpsError(f"SQS did not start the redrive: {describe(error)}; {advice}") from error
    return str(task["TaskHandle"])


def _running_task(sqs: Any, source: str) -> str:  # noqa: ANN401  boto3 makes its clients at run time
    """Return the progress of a task that is already moving these messages; empty if none is known."""
    with suppress(ClientError, BotoCoreError):
        for task in sqs.list_message_move_tasks(SourceArn=source).get("Results", []):
            if task.get("Status") == "RUNNING":
                moved = task.get("ApproximateNumberOfMessagesMoved", 0)
                total = task.get("ApproximateNumberOfMessagesToMove", "all")
                return f"a task that moves them is running ({moved} of {total}): wait until it ends"
    return ""


def redrive_one(deployment: Deployment, message_id: str) -> None:
    """Send one message back to OrderQueue with its attributes, then delete it; OpsError if none has this id."""
    others: list[dict[str, Any]] = []
    try:
        for messages in _take(deployment):
            matches = [message for message in messages if message["MessageId"] == message_id]
            others += [message for message in messages if message not in matches]
            if matches:
                _send_back(deployment, matches[0])
                return
    finally:
        _put_back(deployment, others)
    raise OpsError(f"no dead letter has the message id {message_id}: see `dead-letters list`")


def _send_back(deployment: Deployment, message: Mapping[str, Any]) -> None:
    sqs = deployment.client("sqs")
    sqs.send_message(QueueUrl=deployment.outputs["OrderQueueUrl"], MessageBody=message["Body"], **_attributes(message))
    try:
        sqs.delete_message(QueueUrl=deployment.outputs["DeadLettersUrl"], ReceiptHandle=message["ReceiptHandle"])
    except ClientError as error:
        raise OpsError(
            f"it is back in the order queue, but is still in the dead-letter queue as well: {describe(error)}"
        ) from error


def _attributes(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of SendMessage that keep a received message's attributes."""
    system, attributes = message.get("Attributes", {}), message.get("MessageAttributes", {})
    parts = ("DataType", "StringValue", "BinaryValue")
    arguments: dict[str, Any] = {
        "MessageAttributes": {
            name: {part: value[part] for part in parts if part in value} for name, value in attributes.items()
        },
        "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": system["AWSTraceHeader"]}}
        if "AWSTraceHeader" in system
        else {},
        "MessageGroupId": system.get("MessageGroupId"),
    }
    return {name: value for name, value in arguments.items() if value}


def _take(deployment: Deployment) -> Iterator[list[dict[str, Any]]]:
    """Receive ten messages at a time until two answers in a row are empty: one request may miss a message."""
    sqs, empty = deployment.client("sqs"), 0
    ids: set[str] = set()
    while empty < 2:
        answer = sqs.receive_message(
            QueueUrl=deployment.outputs["DeadLettersUrl"],
            MaxNumberOfMessages=10,
            VisibilityTimeout=HOLD,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        new = [message for message in answer.get("Messages", []) if message["MessageId"] not in ids]
        ids |= {message["MessageId"] for message in new}
        empty = 0 if new else empty + 1
        yield new


def _put_back(deployment: Deployment, messages: Iterable[Mapping[str, Any]]) -> None:
    """Make messages visible again; one whose receipt handle is stale is visible already, or will be within HOLD."""
    sqs = deployment.client("sqs")
    for chunk in batched(messages, ENTRIES_PER_CALL, strict=False):
        entries: Sequence[dict[str, Any]] = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, message in enumerate(chunk)
        ]
        sqs.change_message_visibility_batch(QueueUrl=deployment.outputs["DeadLettersUrl"], Entries=entries)
