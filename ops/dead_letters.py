"""Dead letters, each with its reason: the order's item knows it, or the parser that refused the message."""

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

HOLD = 30  # seconds that a letter is out of sight while the queue is listed
ENTRIES_PER_CALL = 10  # ChangeMessageVisibilityBatch's limit

_NEVER_ATTEMPTED = (
    "the orders table has no attempt of it: the function may have been throttled or may have crashed before it wrote, "
    "or the table may not have answered; see the function's log and ErrorsAlarm"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in DeadLetters: why it is there, and what WeChat Pay or the parser said.

    `key` is its order's key in the table, empty where the message cannot be read; `order` its item, where there is one
    that can be read.
    """

    message_id: str
    sent_at: float
    reason: str
    said: str
    key: str
    order: Order | None
    body: str = field(repr=False)


def peek(deployment: Deployment) -> list[Letter]:
    """Every dead letter, oldest first; all of them stay where they are."""
    received = [message for messages in _take(deployment) for message in messages]
    _put_back(deployment, received)
    letters = [_letter(deployment, message) for message in received]
    return sorted(letters, key=lambda letter: letter.sent_at)


def _letter(deployment: Deployment, received: Mapping[str, Any]) -> Letter:
    """Explain a letter by the function's own parser, judged by when it was sent, and by the order's item."""
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
        said = f"the order's item cannot be read by this version: {item.problem}"
        return Letter(message_id, sent_at, "UNREADABLE_ITEM", said, key, None, body)
    reason = item.order.reason or str(item.order.status)
    return Letter(message_id, sent_at, reason, _said(item.order), key, item.order, body)


def _said(order: Order) -> str:
    """The last refusal in words; its code too, where that is not the reason already."""
    refusal = order.last_error
    if refusal is None:
        return ""
    return refusal.message if refusal.code == order.reason else f"{refusal.code}: {refusal.message}"


def redrive(deployment: Deployment) -> str:
    """Let SQS move every letter back to its source, as the console does; returns the task's handle."""
    sqs, arguments = deployment.client("sqs"), deployment.redrive
    try:
        task = sqs.start_message_move_task(**arguments)
    except ClientError as error:
        advice = _running(sqs, arguments["SourceArn"]) or "try --message-id"
        raise OpsError(f"SQS did not start the redrive: {describe(error)}; {advice}") from error
    return str(task["TaskHandle"])


def _running(sqs: Any, source: str) -> str:  # noqa: ANN401  boto3 makes its clients at run time
    """Say how far a task is that moves these letters already; empty where none does, or SQS does not tell."""
    with suppress(ClientError, BotoCoreError):
        for task in sqs.list_message_move_tasks(SourceArn=source).get("Results", []):
            if task.get("Status") == "RUNNING":
                moved = task.get("ApproximateNumberOfMessagesMoved", 0)
                total = task.get("ApproximateNumberOfMessagesToMove", "all")
                return f"a task that moves them is running ({moved} of {total}): wait for its end"
    return ""


def redrive_one(deployment: Deployment, message_id: str) -> None:
    """Send one letter back to OrderQueue with its attributes, then take it out; OpsError where none has this id."""
    others: list[dict[str, Any]] = []
    try:
        for messages in _take(deployment):
            chosen = [message for message in messages if message["MessageId"] == message_id]
            others += [message for message in messages if message not in chosen]
            if chosen:
                _send_back(deployment, chosen[0])
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
            f"it is back in the order queue, but stays among the dead letters as well: {describe(error)}"
        ) from error


def _attributes(message: Mapping[str, Any]) -> dict[str, Any]:
    """What SendMessage takes of a received message besides its body."""
    system, attributes = message.get("Attributes", {}), message.get("MessageAttributes", {})
    parts = ("DataType", "StringValue", "BinaryValue")
    kept: dict[str, Any] = {
        "MessageAttributes": {
            name: {part: value[part] for part in parts if part in value} for name, value in attributes.items()
        },
        "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": system["AWSTraceHeader"]}}
        if "AWSTraceHeader" in system
        else {},
        "MessageGroupId": system.get("MessageGroupId"),
    }
    return {name: value for name, value in kept.items() if value}


def _take(deployment: Deployment) -> Iterator[list[dict[str, Any]]]:
    """Receive, ten at a time, until two answers in a row are empty: a queue may hide a message from one request."""
    sqs, empty = deployment.client("sqs"), 0
    seen: set[str] = set()
    while empty < 2:
        answer = sqs.receive_message(
            QueueUrl=deployment.outputs["DeadLettersUrl"],
            MaxNumberOfMessages=10,
            VisibilityTimeout=HOLD,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        new = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
        seen |= {message["MessageId"] for message in new}
        empty = 0 if new else empty + 1
        yield new


def _put_back(deployment: Deployment, messages: Iterable[Mapping[str, Any]]) -> None:
    """Make letters visible again; one whose receipt handle is stale is visible already, or will be within HOLD."""
    sqs = deployment.client("sqs")
    for chunk in batched(messages, ENTRIES_PER_CALL, strict=False):
        entries: Sequence[dict[str, Any]] = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, message in enumerate(chunk)
        ]
        sqs.change_message_visibility_batch(QueueUrl=deployment.outputs["DeadLettersUrl"], Entries=entries)
