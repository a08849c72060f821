"""SQS's own message move task: for all letters, where the region has it."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ops.letters.queue import Queue
from ops.letters.reading import Position
from ops.stack import OpsError, describe

FASTEST = 500  # letters per second, SQS's limit of a task's rate
PAUSE = 2.0  # seconds between two looks at a task
_ABSENT = frozenset(
    {"InvalidAction", "UnknownOperation", "UnknownOperationException", "UnsupportedOperation", "InvalidAddress"}
)


class NoMoveTaskError(Exception):
    """SQS has no message move task here; the text is its own answer."""


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """How a task ended: its status, how many letters it has moved, and SQS's reason if it failed."""

    status: str
    moved: int
    reason: str = ""


class MoveTask:
    """A task that moves all letters of a queue. The destination is named, so that their origin does not matter."""

    def __init__(self, sqs: Any, source: Queue, destination: Queue) -> None:  # noqa: ANN401  boto3 makes its clients at run time
        self._sqs = sqs
        self._source = source.arn()
        self._destination = destination.arn()
        self._handle = ""

    def probe(self) -> None:
        """Raise NoMoveTaskError if SQS has no such task, and OpsError if one is running or SQS refuses."""
        try:
            tasks = self._sqs.list_message_move_tasks(SourceArn=self._source).get("Results", [])
        except ClientError as error:
            raise _failure(error) from error
        for task in tasks:
            if task.get("Status") == "RUNNING":
                moved = task.get("ApproximateNumberOfMessagesMoved", 0)
                total = task.get("ApproximateNumberOfMessagesToMove", "all")
                raise OpsError(f"a task that moves them is running ({moved} of {total}): wait until it ends")

    def start(self, rate: float | None = None) -> str:
        """Start it with at most `rate` letters per second, and return its handle; raises what `probe` raises."""
        arguments: dict[str, Any] = {"SourceArn": self._source, "DestinationArn": self._destination}
        if rate is not None:
            arguments["MaxNumberOfMessagesPerSecond"] = int(rate)
        try:
            self._handle = str(self._sqs.start_message_move_task(**arguments)["TaskHandle"])
        except ClientError as error:
            raise _failure(error) from error
        return self._handle

    def watch(
        self, *, is_cancelled: Callable[[], bool] = lambda: False, sleep: Callable[[float], object] = time.sleep
    ) -> Iterator[Position | TaskEnd]:
        """Yield positions while the task runs, then how it ended. Cancel it if that is requested."""
        is_cancelling = False
        while True:
            task = self._look()
            status = str(task.get("Status", "UNKNOWN"))
            moved = int(task.get("ApproximateNumberOfMessagesMoved", 0))
            if status not in {"RUNNING", "CANCELLING"}:
                yield TaskEnd(status, moved, str(task.get("FailureReason", "")))
                return
            yield Position(moved, int(task.get("ApproximateNumberOfMessagesToMove", moved)))
            if is_cancelled() and not is_cancelling:
                is_cancelling = True
                with suppress(ClientError):  # it has ended meanwhile
                    self._sqs.cancel_message_move_task(TaskHandle=self._handle)
            sleep(PAUSE)

    def _look(self) -> dict[str, Any]:
        """Return the newest task of the queue; SQS omits the handle of a task that has ended."""
        tasks = self._sqs.list_message_move_tasks(SourceArn=self._source, MaxResults=1).get("Results", [])
        return dict(tasks[0]) if tasks else {}


def _failure(error: ClientError) -> NoMoveTaskError | OpsError:
    code = str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
    if code in _ABSENT and "already a task" not in str(error):
        return NoMoveTaskError(describe(error))
    return OpsError(f"SQS did not start the redrive: {describe(error)}; --own-mover does without its task")
