"""Move one message as a task of SQS does: receive, send, delete. What arrives is a new message."""

import threading
from typing import Any

from sandbox.aws_front.hooks import MiniStackRecord, service
from sandbox.aws_front.move_task import MoveFailedError
from sandbox.aws_front.queues import by

HOLD = 30  # seconds that a message is invisible while it is moved


class Mover:
    """Moves the messages of one queue, to `destination` or each to where it came from."""

    def __init__(self, lock: threading.RLock, source: MiniStackRecord, destination: str | None) -> None:
        self._sqs: Any = service("sqs")
        self._lock = lock
        self._source = source
        self._destination = destination

    def move_one(self) -> bool:
        """Receive, send and delete one message. One that cannot be moved is put back."""
        token = by.set("move task")
        try:
            with self._lock:
                messages: list[MiniStackRecord] = self._sqs._collect_msgs(self._source, 1, HOLD)
                for message in messages:
                    self._move(message)
                return bool(messages)
        finally:
            by.reset(token)

    def _move(self, message: MiniStackRecord) -> None:
        handle = {"QueueUrl": self._source["url"], "ReceiptHandle": message["receipt_handle"]}
        try:
            self._send(message, self._queue_for(message))
        except MoveFailedError:
            self._sqs._act_change_visibility({**handle, "VisibilityTimeout": 0}, self._source["url"])
            raise
        self._sqs._act_delete_message(handle, self._source["url"])

    def _queue_for(self, message: MiniStackRecord) -> MiniStackRecord:
        arn = self._destination or message["sys"].get("DeadLetterQueueSourceArn")
        if not arn:
            raise MoveFailedError("CouldNotDetermineMessageSource")
        queue: MiniStackRecord | None = self._sqs._queue_by_arn(arn)
        if queue is None:
            raise MoveFailedError("AWS.SimpleQueueService.NonExistentQueue")
        return queue

    def _send(self, message: MiniStackRecord, destination: MiniStackRecord) -> None:
        traces = {name: text for name, text in message["sys"].items() if name == "AWSTraceHeader"}
        request = {
            "MessageBody": message["body"],
            "MessageAttributes": message["message_attributes"],
            "MessageSystemAttributes": {name: {"StringValue": text} for name, text in traces.items()},
            "MessageGroupId": message.get("group_id"),
            "MessageDeduplicationId": message.get("dedup_id"),
        }
        try:
            self._sqs._act_send_message(request, destination["url"])
        except self._sqs._Err as error:
            raise MoveFailedError(str(error.code)) from error
