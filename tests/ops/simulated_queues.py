"""An SQS and a DynamoDB in memory, as slow as a test wants, by a clock that only their calls move."""

import heapq
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from ops.stack import Deployment
from orders.items import item_of
from orders.order import Order, Payment, Status

MERCHANT = "1230000109"
AT = "2026-01-01T04:00:00.000Z"
SENT_AT = 1_767_240_001.0


@dataclass
class Clock:
    """Seconds that pass only when they are spent; also Unix seconds."""

    now: float = SENT_AT
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Spend time, and remember how much."""
        self.waits.append(seconds)
        self.now += seconds


class Killed(BaseException):
    """The program is killed: nothing that it does afterwards has an effect."""


def refusal(operation: str, code: str, message: str = "no") -> ClientError:
    """Return an error as boto3 raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class SimulatedMessage:
    """A message in a queue."""

    message_id: str
    entry: Mapping[str, Any]
    receives: int = 0
    visible_at: float = 0.0
    handle: str = ""


@dataclass
class SimulatedQueue:
    """The messages of a queue: those that are visible, and the others by the time at which they become so."""

    messages: dict[str, SimulatedMessage] = field(default_factory=dict)
    visible: deque[str] = field(default_factory=deque)
    invisible: list[tuple[float, str]] = field(default_factory=list)

    def add(self, message: SimulatedMessage) -> None:
        """Add a visible message."""
        self.messages[message.message_id] = message
        self.visible.append(message.message_id)

    def wake(self, now: float) -> None:
        """Make visible what is due."""
        while self.invisible and self.invisible[0][0] <= now:
            at, message_id = heapq.heappop(self.invisible)
            message = self.messages.get(message_id)
            if message is not None and message.visible_at == at:
                self.visible.append(message_id)

    def hide(self, message: SimulatedMessage, until: float) -> None:
        """Make a message invisible until then."""
        message.visible_at = until
        heapq.heappush(self.invisible, (until, message.message_id))

    def of_handle(self, handle: str, now: float) -> SimulatedMessage | None:
        """Return the message that is in flight under this receipt handle."""
        message = self.messages.get(handle.partition("/")[0])
        return message if message is not None and message.handle == handle and message.visible_at > now else None


class SimulatedSqs:
    """Queues by URL. Each call takes `seconds`; `strike(operation, number, is_after)` may raise before or after it."""

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.queues: dict[str, SimulatedQueue] = {name: SimulatedQueue() for name in ("dead", "orders", "undelivered")}
        self.calls: Counter[str] = Counter()
        self.arguments: list[tuple[str, dict[str, Any]]] = []
        self.strike: Callable[[str, int, bool], None] = lambda *_: None
        self.refused_entries: dict[str, str] = {}  # operation → code for its first entry
        self.tasks: list[dict[str, Any]] | None = None
        self.is_short_of_messages = 0  # polls that find no message, as a short poll of SQS may
        self._lock = threading.RLock()
        self._number = 0

    def put(self, body: str, url: str = "dead", **entry: Any) -> str:
        """Put a message into a queue; return its id."""
        self._number += 1
        message_id = f"{url}-{self._number}"
        self.queues[url].add(SimulatedMessage(message_id, {"MessageBody": body, "sent_at": self.clock.now} | entry))
        return message_id

    def bodies(self, url: str) -> list[str]:
        """Return the bodies of a queue, those in flight included."""
        return [message.entry["MessageBody"] for message in self.queues[url].messages.values()]

    def in_flight(self, url: str = "dead") -> int:
        """Return how many messages of a queue are invisible."""
        return sum(message.visible_at > self.clock.now for message in self.queues[url].messages.values())

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Return an operation of SQS."""
        if operation.startswith("__"):
            raise AttributeError(operation)

        def call(**arguments: Any) -> Any:
            with self._lock:
                self.calls[operation] += 1
                self.arguments.append((operation, arguments))
                number = sum(self.calls.values())
                self.strike(operation, number, False)
                self.clock.now += self.seconds
                answer = getattr(self, f"_{operation}")(**arguments)
                self.strike(operation, number, True)
                return answer

        return call

    def _get_queue_attributes(self, QueueUrl: str, AttributeNames: Sequence[str]) -> Any:  # noqa: N803
        queue = self.queues[QueueUrl]
        queue.wake(self.clock.now)
        values = {"ApproximateNumberOfMessages": str(len(queue.visible)), "QueueArn": f"arn:{QueueUrl}"}
        return {"Attributes": {name: values[name] for name in AttributeNames}}

    def _receive_message(self, QueueUrl: str, MaxNumberOfMessages: int, VisibilityTimeout: int, **rest: Any) -> Any:  # noqa: N803
        queue = self.queues[QueueUrl]
        queue.wake(self.clock.now)
        if self.is_short_of_messages and queue.visible:
            self.is_short_of_messages -= 1
            return {}
        if not queue.visible:
            self.clock.now += rest["WaitTimeSeconds"]
            queue.wake(self.clock.now)
        messages: list[dict[str, Any]] = []
        while queue.visible and len(messages) < MaxNumberOfMessages:
            message = queue.messages.get(queue.visible.popleft())
            if message is None:
                continue
            message.receives += 1
            message.handle = f"{message.message_id}/{message.receives}"
            queue.hide(message, self.clock.now + VisibilityTimeout)
            messages.append(self._delivery(message))
        return {"Messages": messages} if messages else {}

    @staticmethod
    def _delivery(message: SimulatedMessage) -> dict[str, Any]:
        entry = message.entry
        system = {"SentTimestamp": str(int(entry["sent_at"] * 1000))}
        if "MessageGroupId" in entry:
            system["MessageGroupId"] = entry["MessageGroupId"]
        if "trace" in entry:
            system["AWSTraceHeader"] = entry["trace"]
        return {
            "MessageId": message.message_id,
            "ReceiptHandle": message.handle,
            "Body": entry["MessageBody"],
            "Attributes": system,
            "MessageAttributes": entry.get("MessageAttributes", {}),
        }

    def _change_message_visibility_batch(self, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> Any:  # noqa: N803
        queue, failures = self.queues[QueueUrl], self._failures("change_message_visibility_batch", Entries)
        for entry in Entries:
            message = queue.of_handle(entry["ReceiptHandle"], self.clock.now)
            if message is None:
                failures.append({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid"})
            elif entry["Id"] not in {failure["Id"] for failure in failures}:
                queue.hide(message, self.clock.now + entry["VisibilityTimeout"])
        return {"Failed": failures}

    def _delete_message_batch(self, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> Any:  # noqa: N803
        queue, failures = self.queues[QueueUrl], self._failures("delete_message_batch", Entries)
        for entry in Entries:
            message = queue.of_handle(entry["ReceiptHandle"], self.clock.now)
            if message is None:
                failures.append({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid"})
            elif entry["Id"] not in {failure["Id"] for failure in failures}:
                del queue.messages[message.message_id]
        return {"Failed": failures}

    def _send_message_batch(self, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> Any:  # noqa: N803
        failures = self._failures("send_message_batch", Entries)
        refused = {failure["Id"] for failure in failures}
        successes = [
            {"Id": entry["Id"], "MessageId": self.put(entry["MessageBody"], QueueUrl, **_rest(entry))}
            for entry in Entries
            if entry["Id"] not in refused
        ]
        return {"Successful": successes, "Failed": failures}

    def _failures(self, operation: str, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        code = self.refused_entries.get(operation)
        return [{"Id": entries[0]["Id"], "Code": code, "Message": "refused"}] if code else []

    # ---- message move tasks ------------------------------------------------------------------------------------------

    def _list_message_move_tasks(self, **_: Any) -> Any:
        if self.tasks is None:
            raise refusal("ListMessageMoveTasks", "AWS.SimpleQueueService.UnsupportedOperation", "not here")
        return {"Results": [self.tasks.pop(0)] if self.tasks else []}

    def _start_message_move_task(self, **_: Any) -> Any:
        return {"TaskHandle": "task-1"}

    def _cancel_message_move_task(self, **_: Any) -> Any:
        return {"ApproximateNumberOfMessagesMoved": 1}


def _rest(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in {"Id", "MessageBody"}}


class SimulatedTable:
    """The orders table in memory; each call takes `seconds`. `error` is raised by every call."""

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.items: dict[str, dict[str, Any]] = {}
        self.reads: list[int] = []
        self.error: BaseException | None = None
        self.before_update: Callable[[str], None] = lambda _: None
        self._lock = threading.Lock()

    def put(self, number: str, status: Status = Status.REJECTED, mchid: str = MERCHANT, **fields: Any) -> Order:
        """Write an order."""
        payment = Payment(mchid, number, "20260101120000")
        defaults: dict[str, Any] = {"facts": None, "version": 1, "created_at": AT, "updated_at": AT}
        order = Order(payment=payment, status=status, **defaults | fields)
        self.items[order.key] = item_of(order)
        return order

    def history(self, number: str) -> list[tuple[str, str]]:
        """Return message id and outcome of each line of an order's history."""
        lines = self.items[f"{MERCHANT}#{number}"].get("history", {"L": []})["L"]
        return [(line["M"]["message_id"]["S"], line["M"]["outcome"]["S"]) for line in lines]

    def batch_get_item(self, RequestItems: Mapping[str, Any]) -> Any:  # noqa: N803
        """Read items."""
        keys = [key["pk"]["S"] for key in RequestItems["orders-table"]["Keys"]]
        self.reads.append(len(keys))
        self._spend()
        return {"Responses": {"orders-table": [dict(self.items[key]) for key in keys if key in self.items]}}

    def update_item(self, Key: Mapping[str, Any], ExpressionAttributeValues: Mapping[str, Any], **_: Any) -> None:  # noqa: N803
        """Write a history if the version is the expected one."""
        with self._lock:
            self._spend()
            key = Key["pk"]["S"]
            self.before_update(key)
            item = self.items[key]
            if item["version"] != ExpressionAttributeValues[":version"]:
                raise refusal("UpdateItem", "ConditionalCheckFailedException")
            later = {"history": ExpressionAttributeValues[":history"], "version": ExpressionAttributeValues[":next"]}
            self.items[key] = item | later

    def _spend(self) -> None:
        self.clock.now += self.seconds
        if self.error is not None:
            raise self.error


class SimulatedVault:
    """A Secrets Manager with secrets by mchid, and when each changed last."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Any]] = {}
        self.changes: dict[str, datetime] = {}

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        """Return a secret."""
        mchid = SecretId.rpartition("/")[2]
        if mchid not in self.secrets:
            raise refusal("GetSecretValue", "ResourceNotFoundException", "Secrets Manager can't find the secret.")
        return {"SecretString": json.dumps(self.secrets[mchid])}

    def describe_secret(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        """Return when a secret changed; a refusal where the test has not said."""
        mchid = SecretId.rpartition("/")[2]
        if mchid not in self.changes:
            raise refusal("DescribeSecret", "AccessDeniedException")
        return {"LastChangedDate": self.changes[mchid]}


@dataclass
class Bench:
    """A deployment of simulated services, by one clock."""

    clock: Clock
    sqs: SimulatedSqs
    table: SimulatedTable
    vault: SimulatedVault
    parameters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, seconds: float = 0.0) -> "Bench":
        """Return services whose calls take so many seconds."""
        clock = Clock()
        return cls(clock, SimulatedSqs(clock, seconds), SimulatedTable(clock, seconds), SimulatedVault())

    @property
    def deployment(self) -> Deployment:
        """The stack of these services."""
        services: dict[str, Any] = {"sqs": self.sqs, "dynamodb": self.table, "secretsmanager": self.vault}
        outputs = {
            "DeadLettersUrl": "dead",
            "OrderQueueUrl": "orders",
            "UndeliveredEventsUrl": "undelivered",
            "OrdersTableName": "orders-table",
        }
        return Deployment(lambda service: services[service], outputs, self.parameters)


def a_body(number: str, mchid: str = MERCHANT, **changes: Any) -> str:
    """Return a payload as JSON."""
    return json.dumps({"mchid": mchid, "out_order_no": number, "detail": {"paid_time": "20260101120000"}} | changes)
