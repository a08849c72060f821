"""One message move task: what it was asked for, how far it is, and its run in a thread of its own."""

import base64
import binascii
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """The states of a task, in SQS's words."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


ACTIVE = frozenset({State.RUNNING, State.CANCELLING})


class MoveFailedError(Exception):
    """A message cannot be moved; the text is SQS's word for the reason, and the task ends with it."""


@dataclass(slots=True)
class MoveTask:
    """A task that moves the messages of a dead-letter queue, one by one, at most `rate` in a second."""

    source: str
    destination: str | None
    rate: int | None
    to_move: int
    started: float = field(default_factory=time.time)
    state: State = State.RUNNING
    moved: int = 0
    reason: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of the state

    @property
    def handle(self) -> str:
        """What names the task towards SQS."""
        return base64.b64encode(json.dumps({"taskId": self.id, "sourceArn": self.source}).encode()).decode()

    def run(self, move_one: Callable[[], bool]) -> None:
        """Move until as many messages are moved as there were, or none is left, or it is cancelled or fails.

        `move_one` moves a message and returns whether there was one; it raises MoveFailedError.
        """
        try:
            while self.moved < self.to_move and not self._cancelled.wait(self._pause()) and move_one():
                self.moved += 1
        except MoveFailedError as failure:
            self.reason = str(failure)
        with self._lock:
            end = State.CANCELLED if self._cancelled.is_set() else State.COMPLETED
            self.state = State.FAILED if self.reason else end

    def _pause(self) -> float:
        """Return how long the rate makes the next message wait."""
        return max(0.0, self.started + self.moved / self.rate - time.time()) if self.rate else 0.0

    def cancel(self) -> bool:
        """Ask it to stop before the next message, and return whether it was running; what is moved stays moved."""
        with self._lock:
            if self.state is not State.RUNNING:
                return False
            self.state = State.CANCELLING
            self._cancelled.set()
            return True

    def as_result(self) -> dict[str, Any]:
        """Return it as ListMessageMoveTasks does: the handle while it runs, the reason where it failed."""
        result: dict[str, Any] = {
            "Status": self.state.value,
            "SourceArn": self.source,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": int(self.started * 1000),
        }
        if self.state is State.RUNNING:
            result["TaskHandle"] = self.handle
        if self.destination:
            result["DestinationArn"] = self.destination
        if self.rate:
            result["MaxNumberOfMessagesPerSecond"] = self.rate
        if self.reason:
            result["FailureReason"] = self.reason
        return result


def read_handle(text: str) -> tuple[str, str] | None:
    """Return the task's id and its source from a handle; None where it is none."""
    try:
        content = json.loads(base64.b64decode(text, validate=True))
        return str(content["taskId"]), str(content["sourceArn"])
    except (binascii.Error, ValueError, TypeError, LookupError):
        return None
