"""The queues of a chaos run: send the reports, measure the depth, list and redrive the dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

from sandbox.audit import TillReport
from sandbox.testbed import Testbed
from sandbox.till import Till
from sandbox.till_events import Dispatch, Way


@dataclass(frozen=True, slots=True)
class ChaosQueues:
    """The order queue, the event bus and the dead letters of a deployed template."""

    testbed: Testbed

    def send(self, reports: Sequence[TillReport]) -> None:
        """Send half through EventBridge, half straight to the queue, and so what a bus does not carry."""
        for number, chunk in enumerate(batched(reports, 10, strict=False)):
            ways: list[Way] = ["bus" if report.by_bus and number % 2 == 0 else "queue" for report in chunk]
            dispatches = [Dispatch(one.body, way, "pos.chaos") for one, way in zip(chunk, ways, strict=True)]
            receipts = Till(self.testbed.deployment).send(sorted(dispatches, key=lambda dispatch: dispatch.way))
            assert not [receipt for receipt in receipts if receipt.error], receipts  # noqa: S101  the sandbox's own

    def depth(self) -> int:
        """Return how many messages are in the order queue, in flight included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self._orders, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def dead_letters(self) -> list[str]:
        """Return the bodies of all dead letters; they become visible again after the listing."""
        bodies: dict[str, str] = {}
        handles: list[str] = []
        while messages := self._receive_dead_letters(120):
            bodies |= {message["MessageId"]: message["Body"] for message in messages}
            handles += [message["ReceiptHandle"] for message in messages]
        for handle in handles:
            self._sqs.change_message_visibility(QueueUrl=self._dead, ReceiptHandle=handle, VisibilityTimeout=0)
        return list(bodies.values())

    def redrive(self) -> None:
        """Receive, send, delete: so an operator redrives in China's regions, where SQS has no message move tasks."""
        while messages := self._receive_dead_letters(60):
            entries = [{"Id": str(n), "MessageBody": message["Body"]} for n, message in enumerate(messages)]
            self._sqs.send_message_batch(QueueUrl=self._orders, Entries=entries)
            receipts = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._dead, Entries=receipts)

    def _receive_dead_letters(self, seconds: int) -> list[dict[str, Any]]:
        """Receive up to ten dead letters, invisible to others for so many seconds."""
        answer = self._sqs.receive_message(QueueUrl=self._dead, MaxNumberOfMessages=10, VisibilityTimeout=seconds)
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    @property
    def _sqs(self) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        return self.testbed.cloud.client("sqs")

    @property
    def _orders(self) -> str:
        return self.testbed.stack.outputs["OrderQueueUrl"]

    @property
    def _dead(self) -> str:
        return self.testbed.stack.outputs["DeadLettersUrl"]
