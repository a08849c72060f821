"""The consumer of the outcome events: a rule on the bus, a queue behind it, and a thread that empties the queue."""

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError

from sandbox.audit import OutcomeEvent
from sandbox.testbed import Testbed

NAME = "chaos-outcomes"
PATTERN = {"source": ["payscore.orders"]}


@dataclass(slots=True)
class OutcomeQueue:
    """Collects every outcome event; `events` has those that came so far, repeated ones as often as they came."""

    testbed: Testbed
    events: list[OutcomeEvent] = field(default_factory=list)
    _url: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def open(self) -> None:
        """Make the queue and its rule, and begin to collect."""
        self._url = self._sqs.create_queue(QueueName=NAME)["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]
        events, bus = self.testbed.cloud.client("events"), self.testbed.stack.outputs["EventBusName"]
        events.put_rule(Name=NAME, EventBusName=bus, EventPattern=json.dumps(PATTERN))
        events.put_targets(Rule=NAME, EventBusName=bus, Targets=[{"Id": NAME, "Arn": attributes["QueueArn"]}])
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Collect what is there, and end."""
        self._over.set()
        if self._thread:
            self._thread.join()

    def _collect(self) -> None:
        while not self._over.is_set():
            with suppress(BotoCoreError):  # a busy machine, or the end of the run
                while self._receive():
                    pass
            self._over.wait(0.5)  # a queue is polled

    def _receive(self) -> bool:
        """Receive up to ten events; False if there is none."""
        messages = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", [])
        if messages:
            self.events += [OutcomeEvent.of(json.loads(message["Body"])) for message in messages]
            receipts = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._url, Entries=receipts)
        return bool(messages)

    @property
    def _sqs(self) -> Any:  # noqa: ANN401  boto3 makes its clients at run time
        return self.testbed.cloud.client("sqs")
