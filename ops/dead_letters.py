"""Dead letters, each with its reason: the order's item knows it, or the parser that refused the message."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ops.stack import Deployment, OpsError
from orders.errors import MalformedEventError
from orders.event import Message, read
from orders.order import Order

HOLD = 30  # seconds that a letter is out of sight while the queue is listed


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in DeadLetters: why it is there, and what WeChat Pay or the parser said. `order`: its item."""

    message_id: str
    sent_at: float
    reason: str
    said: str
    order: Order | None
    body: str
    receipt_handle: str


def peek(deployment: Deployment) -> list[Letter]:
    """Every dead letter, oldest first; all of them stay where they are."""
    letters = [_letter(deployment, message) for message in _take(deployment)]
    _put_back(deployment, letters)
    return sorted(letters, key=lambda letter: letter.sent_at)


def explain(deployment: Deployment, message_id: str, body: str) -> tuple[str, str, Order | None]:
    """Return reason, words and order of a message, by the function's own parser and the order's item."""
    try:
        event = read(Message(message_id, body), time.time())
    except MalformedEventError as error:
        return "UNREADABLE", str(error), None
    order = deployment.table.load([event.payment.key]).get(event.payment.key)
    if order is None:
        return "NEVER_SETTLED", "no attempt was recorded: the function could not reach the table", None
    return order.reason or str(order.status), _said(order), order


def _said(order: Order) -> str:
    """The last refusal in words; its code too, where that is not the reason already."""
    refusal = order.last_error
    if refusal is None:
        return ""
    return refusal.message if refusal.code == order.reason else f"{refusal.code}: {refusal.message}"


def redrive(deployment: Deployment) -> str:
    """Let SQS move every letter back to its source, as the console does; returns the task's handle."""
    try:
        task = deployment.client("sqs").start_message_move_task(**deployment.redrive)
    except ClientError as error:
        raise OpsError(
            f"SQS did not start the redrive ({error.response['Error']['Code']}); try --message-id"
        ) from error
    return str(task["TaskHandle"])


def redrive_one(deployment: Deployment, message_id: str) -> Letter:
    """Send one letter back to OrderQueue, then take it out; OpsError where there is none of this id."""
    letters = [_letter(deployment, message) for message in _take(deployment)]
    chosen = next((letter for letter in letters if letter.message_id == message_id), None)
    if chosen is not None:
        sqs = deployment.client("sqs")
        sqs.send_message(QueueUrl=deployment.outputs["OrderQueueUrl"], MessageBody=chosen.body)
        sqs.delete_message(QueueUrl=deployment.outputs["DeadLettersUrl"], ReceiptHandle=chosen.receipt_handle)
    _put_back(deployment, [letter for letter in letters if letter is not chosen])
    if chosen is None:
        raise OpsError(f"no dead letter has the message id {message_id}: see `dead-letters list`")
    return chosen


def _take(deployment: Deployment) -> Iterator[dict[str, Any]]:
    """Receive until two answers in a row are empty: a queue may hide a message from one request."""
    sqs, empty = deployment.client("sqs"), 0
    seen: set[str] = set()
    while empty < 2:
        answer = sqs.receive_message(
            QueueUrl=deployment.outputs["DeadLettersUrl"],
            MaxNumberOfMessages=10,
            VisibilityTimeout=HOLD,
            AttributeNames=["SentTimestamp"],
        )
        new = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
        seen |= {message["MessageId"] for message in new}
        empty = 0 if new else empty + 1
        yield from new


def _letter(deployment: Deployment, message: dict[str, Any]) -> Letter:
    reason, said, order = explain(deployment, message["MessageId"], message["Body"])
    return Letter(
        message_id=message["MessageId"],
        sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
        reason=reason,
        said=said,
        order=order,
        body=message["Body"],
        receipt_handle=message["ReceiptHandle"],
    )


def _put_back(deployment: Deployment, letters: list[Letter]) -> None:
    sqs = deployment.client("sqs")
    for letter in letters:
        sqs.change_message_visibility(
            QueueUrl=deployment.outputs["DeadLettersUrl"], ReceiptHandle=letter.receipt_handle, VisibilityTimeout=0
        )
