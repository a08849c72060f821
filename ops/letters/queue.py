"""One queue of SQS in batches of ten. The error of one entry is a value; only the error of a whole call is raised."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Self

from botocore.exceptions import ClientError

ENTRIES_PER_CALL = 10  # SQS's limit of every batch
BYTES_PER_CALL = 262_144  # SQS's limit of a batch before August 2025, still that of some regions
WAIT = 1  # seconds that a receive polls: from one second on SQS asks all its servers; a short poll may miss messages
LONGEST_HOLD = 43_200  # seconds: SQS's limit of a visibility timeout
STALE = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "AWS.SimpleQueueService.MessageNotInflight",
        "MessageNotInflight",
        "InvalidParameterValue",
    }
)
"""Codes of a message whose visibility timeout has ended (AWS says the last one): it is visible, which is no failure."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message as SQS delivered it; `sent_at` is SentTimestamp in Unix seconds. `repr` does not show the body."""

    message_id: str
    body: str = field(repr=False)
    receipt_handle: str = field(repr=False)
    sent_at: float
    system: Mapping[str, str] = field(default_factory=dict, repr=False)
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Self:
        """Read a message of ReceiveMessage."""
        system = message.get("Attributes", {})
        return cls(
            message_id=str(message["MessageId"]),
            body=str(message["Body"]),
            receipt_handle=str(message["ReceiptHandle"]),
            sent_at=int(system.get("SentTimestamp", 0)) / 1000,
            system=system,
            attributes=message.get("MessageAttributes", {}),
        )

    @property
    def size(self) -> int:
        """Bytes of the body, and about those of the attributes."""
        values = (
            str(value.get("StringValue", "")) + str(value.get("BinaryValue", "")) for value in self.attributes.values()
        )
        return len(self.body.encode("utf-8", "surrogatepass")) + sum(map(len, values)) + 64 * len(self.attributes)

    def copy(self, *, with_attributes: bool = True) -> dict[str, Any]:
        """Return SendMessage's arguments for the same message: body, attributes, trace header and message group."""
        if not with_attributes:
            return {"MessageBody": self.body}
        parts = ("DataType", "StringValue", "BinaryValue")
        trace = self.system.get("AWSTraceHeader")
        arguments: dict[str, Any] = {
            "MessageAttributes": {
                name: {part: value[part] for part in parts if part in value} for name, value in self.attributes.items()
            },
            "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
            if trace
            else {},
            "MessageGroupId": self.system.get("MessageGroupId"),
        }
        return {"MessageBody": self.body} | {name: value for name, value in arguments.items() if value}


class Queue:
    """A queue by its URL. `clock` gives seconds; with it the queue measures its calls.

    `wait` is the time in seconds that a receive polls, by default WAIT.
    """

    def __init__(
        self,
        sqs: Any,  # noqa: ANN401  boto3 makes its clients at run time
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: int | None = None,
    ) -> None:
        self._sqs = sqs
        self.url = url
        self._clock = clock
        self._wait = WAIT if wait is None else wait
        self.seconds_per_call = 0.0
        """The mean duration of the last calls, long polls that found no message excluded."""

    def size(self) -> int:
        """Return about how many messages are visible."""
        name = "ApproximateNumberOfMessages"
        answer = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def arn(self) -> str:
        """Return the queue's ARN."""
        answer = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def receive(self, hold: int) -> list[Received]:
        """Receive up to ten messages, which stay invisible for `hold` seconds."""
        start = self._clock()
        answer = self._sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=ENTRIES_PER_CALL,
            VisibilityTimeout=hold,
            WaitTimeSeconds=self._wait,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = [Received.of(message) for message in answer.get("Messages", [])]
        if messages:
            self._measure(start)
        return messages

    def hold(self, handles: Sequence[str], seconds: int) -> dict[str, str]:
        """Set the visibility timeout of messages; return the codes of the refused ones by receipt handle."""
        start = self._clock()
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, handle in enumerate(handles)
        ]
        try:
            answer = self._sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)
        except ClientError as error:
            return dict.fromkeys(handles, _code(error))
        self._measure(start)
        return {handles[int(failure["Id"])]: str(failure["Code"]) for failure in answer.get("Failed", [])}

    def delete(self, messages: Sequence[Received]) -> dict[str, str]:
        """Delete up to ten messages; return the codes of the refused ones by message id."""
        entries = [
            {"Id": str(number), "ReceiptHandle": message.receipt_handle} for number, message in enumerate(messages)
        ]
        answer = self._sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)
        return {messages[int(failure["Id"])].message_id: str(failure["Code"]) for failure in answer.get("Failed", [])}

    def send(self, messages: Sequence[Received], *, with_attributes: bool = True) -> "Sent":
        """Send copies of up to ten messages."""
        entries = [
            {"Id": str(number)} | message.copy(with_attributes=with_attributes)
            for number, message in enumerate(messages)
        ]
        answer = self._sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
        return Sent(
            {messages[int(one["Id"])].message_id: str(one["MessageId"]) for one in answer.get("Successful", [])},
            {
                messages[int(one["Id"])].message_id: f"{one['Code']}: {one.get('Message', 'no message')}"
                for one in answer.get("Failed", [])
            },
        )

    def _measure(self, start: float) -> None:
        duration = self._clock() - start
        self.seconds_per_call += (duration - self.seconds_per_call) / (4 if self.seconds_per_call else 1)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a batch of copies became: new message ids, and errors, by the id of the original."""

    new_ids: Mapping[str, str]
    errors: Mapping[str, str]


def batches(messages: Iterable[Received]) -> list[list[Received]]:
    """Divide messages into batches that SQS takes: ten, and not too many bytes."""
    chunks: list[list[Received]] = []
    size = 0
    for message in messages:
        if not chunks or len(chunks[-1]) == ENTRIES_PER_CALL or size + message.size > BYTES_PER_CALL:
            chunks.append([])
            size = 0
        chunks[-1].append(message)
        size += message.size
    return chunks


def handles_of(handles: Iterable[str]) -> list[tuple[str, ...]]:
    """Divide receipt handles into batches of ten."""
    return list(batched(handles, ENTRIES_PER_CALL, strict=False))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "no code"))
