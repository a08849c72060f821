"""The journal's entries about queues, and one lock around every change of a queue.

MiniStack changes its queues in two threads, the server's and that of the event source mappings. Under one lock nothing
comes between a change and its entry, so that a message is never received before it was sent.
"""

import json
import threading
from contextvars import ContextVar
from itertools import islice
from typing import Any

from sandbox.aws_front.hooks import Around, HookError, MiniStackRecord, around, service
from sandbox.aws_front.journal import Journal

by: ContextVar[str] = ContextVar("by", default="")
"""Who sends or receives at present, where it is not a request of SQS's own API."""


def one_lock() -> threading.RLock:
    """Make MiniStack's lock of the queues one that a hook may hold too, and return it."""
    sqs: Any = service("sqs")
    if not hasattr(sqs, "_queues_lock"):
        raise HookError("MiniStack's sqs has no _queues_lock: adapt sandbox/aws_front to this version")
    sqs._queues_lock = lock = threading.RLock()
    return lock


class QueueEntries:
    """Hooks that write what happens to messages."""

    def __init__(self, journal: Journal, lock: threading.RLock) -> None:
        self._journal = journal
        self._sqs: Any = service("sqs")
        self._lock = lock

    def install(self) -> None:
        """Put the hooks around MiniStack's functions."""
        around("sqs", "_act_send_message", "data qurl", self._send)
        around("eventbridge", "_dispatch_to_sqs", "spec payload sqs_parameters", self._send_by_rule)
        around(
            "sns",
            "_deliver_to_sqs",
            "endpoint envelope raw raw_message message_group_id message_dedup_id message_attributes topic_arn",
            self._send_by_topic,
        )
        around("sqs", "_collect_msgs", "q max_n vis_timeout", self._receive)
        around("sqs", "_receive_messages_for_esm", "queue_url max_number", self._receive_for_mapping)
        around("sqs", "_expire_retained", "q", self._expire)
        around("sqs", "_dlq_sweep", "q", self._sweep)
        for name in ("_act_delete_message", "_act_delete_message_batch"):
            around("sqs", name, "data qurl", self._delete)
        around("sqs", "_act_purge_queue", "data qurl", self._purge)
        around("sqs", "_delete_messages_for_esm", "queue_url receipt_handles", self._delete_for_mapping)
        for name in ("_act_change_visibility", "_act_change_visibility_batch"):
            around("sqs", name, "data qurl", self._change_visibility)

    def _send(self, original: Around, data: MiniStackRecord, qurl: str) -> MiniStackRecord:
        with self._lock:
            answer: MiniStackRecord = original(data, qurl)
            queue = self._queue(data, qurl)
            self._sent(queue, answer["MessageId"], data["MessageBody"], by.get() or "SendMessage")
        return answer

    def _sent(self, queue: MiniStackRecord, message_id: str, body: str, sender: str) -> None:
        self._journal.write("message_sent", queue=queue["name"], message_id=message_id, body=body, by=sender)

    def _send_by_rule(self, original: Around, spec: object, *arguments: object) -> None:
        self._send_inside(original, str(spec), by.get(), spec, *arguments)

    def _send_by_topic(self, original: Around, endpoint: str, *arguments: object, **keywords: str) -> None:
        topic = keywords.get("topic_arn", "").rpartition(":")[2]
        self._send_inside(original, endpoint, f"topic {topic}", endpoint, *arguments, **keywords)

    def _send_inside(self, original: Around, arn: str, sender: str, *arguments: object, **keywords: object) -> None:
        """Write what another service has added to the queue without a request to SQS."""
        with self._lock:
            queue: MiniStackRecord | None = self._sqs._queue_by_arn(arn)
            before = len(queue["messages"]) if queue else 0
            original(*arguments, **keywords)
            if queue:
                for message in queue["messages"][before:]:
                    self._sent(queue, message["id"], message["body"], sender)

    def _receive(self, original: Around, q: MiniStackRecord, *limits: int) -> list[MiniStackRecord]:
        with self._lock:
            messages: list[MiniStackRecord] = original(q, *limits)
            receiver = by.get() or "ReceiveMessage"
            for message in messages:
                self._message("message_received", q, message, receive_count=message["receive_count"], by=receiver)
        return messages

    def _receive_for_mapping(self, original: Around, *arguments: object) -> object:
        token = by.set("mapping")
        try:
            return original(*arguments)
        finally:
            by.reset(token)

    def _expire(self, original: Around, q: MiniStackRecord) -> None:
        with self._lock:
            original(q)

    def _sweep(self, original: Around, q: MiniStackRecord) -> None:
        with self._lock:
            before = q["messages"]
            original(q)
            if len(q["messages"]) == len(before):
                return
            rest = {message["id"] for message in q["messages"]}
            dead_letters = self._dead_letter_queue(q)
            for message in before:
                if message["id"] not in rest:
                    count = message["receive_count"]
                    self._message("message_dead", q, message, dead_letter_queue=dead_letters, receive_count=count)

    def _dead_letter_queue(self, queue: MiniStackRecord) -> str:
        return str(json.loads(queue["attributes"]["RedrivePolicy"])["deadLetterTargetArn"]).rpartition(":")[2]

    def _delete(self, original: Around, data: MiniStackRecord, qurl: str) -> object:
        with self._lock:
            queue = self._queue(data, qurl)
            messages = self._with_handles(queue, {entry.get("ReceiptHandle") for entry in data.get("Entries", [data])})
            answer = original(data, qurl)
            self._deleted(queue, messages)
        return answer

    def _delete_for_mapping(self, original: Around, queue_url: str, receipt_handles: set[str]) -> None:
        with self._lock:
            queue = self._sqs._get_q(queue_url)
            messages = self._with_handles(queue, receipt_handles)
            original(queue_url, receipt_handles)
            self._deleted(queue, messages)

    def _purge(self, original: Around, data: MiniStackRecord, qurl: str) -> object:
        with self._lock:
            queue = self._queue(data, qurl)
            messages = list(queue["messages"])
            answer = original(data, qurl)
            self._deleted(queue, messages)
        return answer

    def _deleted(self, queue: MiniStackRecord, messages: list[MiniStackRecord]) -> None:
        for message in messages:
            self._message("message_deleted", queue, message)

    def _change_visibility(self, original: Around, data: MiniStackRecord, qurl: str) -> object:
        with self._lock:
            answer = original(data, qurl)
            queue = self._queue(data, qurl)
            seconds = {
                entry.get("ReceiptHandle"): int(entry.get("VisibilityTimeout", 30))
                for entry in data.get("Entries", [data])
            }
            for message in self._with_handles(queue, set(seconds)):
                self._message("visibility_changed", queue, message, seconds=seconds[message["receipt_handle"]])
        return answer

    def _message(self, kind: str, queue: MiniStackRecord, message: MiniStackRecord, **fields: object) -> None:
        self._journal.write(kind, queue=queue["name"], message_id=message["id"], **fields)

    def _with_handles(self, queue: MiniStackRecord, handles: set[Any]) -> list[MiniStackRecord]:
        """Return the messages that these receipt handles name; the queue may have tens of thousands of others."""
        handles = handles - {None}
        matches = (message for message in queue["messages"] if message.get("receipt_handle") in handles)
        return list(islice(matches, len(handles)))

    def _queue(self, data: MiniStackRecord, url: str) -> MiniStackRecord:
        queue: MiniStackRecord = self._sqs._get_q(data.get("QueueUrl", url))
        return queue
