"""Read a whole queue without losing a message: hold what is received until the reading ends, then put it back.

A message that is put back at once would be received again, so every message stays invisible until all are read. The
hold grows with the queue and with the measured duration of a call, and is extended before it ends.
"""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError

from ops.letters.queue import ENTRIES_PER_CALL, LONGEST_HOLD, STALE, Queue, Received, handles_of

HOLD = 120  # seconds that a message is invisible at least
WORKERS = 8  # calls in parallel that put messages back; boto3 keeps ten connections
EMPTY_POLLS = 3  # empty answers in a row that end a reading although SQS counts visible messages
REPEATS = 2  # times the size of the queue: so many repeated deliveries end a reading that its hold does not outlast


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reading is: `count` messages of about `total`."""

    count: int
    total: int

    def __str__(self) -> str:
        """Return `N of M`."""
        return f"{self.count:,} of {self.total:,}"


def hold_for(messages: int, seconds_per_call: float, least: int = HOLD) -> int:
    """Return the hold in seconds: four times the time in which all these messages can be received or extended once."""
    round_trip = math.ceil(messages / ENTRIES_PER_CALL) * seconds_per_call
    return min(LONGEST_HOLD, max(least, math.ceil(4 * round_trip)))


@dataclass(slots=True)
class _Hold:
    """A message that is invisible until `until`, a reading of the clock."""

    handle: str
    until: float


class Reading:
    """A pass over a queue, as a context manager: at its end, whatever happened, messages become visible again.

    `put_back_failures` then has the codes of those that did not, which become visible when their hold ends. A stale
    receipt handle is none of them: that message is visible already. `clock` gives seconds. `patience` returns for how
    many more seconds an empty queue is polled.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        clock: Callable[[], float] = time.monotonic,
        hold: int = HOLD,
        patience: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._least = hold
        self._patience = patience
        self._holds: dict[str, _Hold] = {}  # by message id
        self._due_at = math.inf  # when the first of them has less than half of its hold left
        self._ids: set[str] = set()
        self.total = 0
        self.hold = hold
        self.put_back_failures: dict[str, str] = {}

    @property
    def position(self) -> Position:
        """How many messages have been received, of about how many."""
        return Position(len(self._ids), max(self.total, len(self._ids)))

    def __enter__(self) -> Self:
        """Count the queue's messages."""
        self.total = self._queue.size()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make every message that is still on hold visible again."""
        self._put_back()

    def messages(self) -> Iterator[list[Received]]:
        """Yield messages as they arrive, up to ten at a time, each once; an empty list is a poll without any."""
        for answer in self.deliveries():
            yield [message for message, is_new in answer if is_new]

    def deliveries(self) -> Iterator[list[tuple[Received, bool]]]:
        """Yield each delivery with whether it is the first of its message; end when the queue is empty."""
        empty = repeats = 0
        while True:
            self.keep()
            self.hold = hold_for(max(self.total, len(self._holds)), self._queue.seconds_per_call, self._least)
            start = self._clock()
            answer = [(message, message.message_id not in self._ids) for message in self._queue.receive(self.hold)]
            for message, _ in answer:
                self._ids.add(message.message_id)
                self._holds[message.message_id] = _Hold(message.receipt_handle, start + self.hold)
            self._due_at = min(self._due_at, start + self.hold / 2)
            repeats += sum(not is_new for _, is_new in answer)
            empty = 0 if answer else empty + 1
            yield answer
            if repeats > REPEATS * max(self.total, len(self._ids)) + ENTRIES_PER_CALL:
                return
            if empty and self._patience() <= 0 and (empty >= EMPTY_POLLS or self._queue.size() == 0):
                return

    def keep(self) -> None:
        """Extend the hold of each message of which less than half is left."""
        now = self._clock()
        if now < self._due_at:
            return
        due = [message_id for message_id, hold in self._holds.items() if hold.until - now < self.hold / 2]
        ids = {self._holds[message_id].handle: message_id for message_id in due}
        for handles in handles_of(ids):
            seconds = hold_for(len(self._holds), self._queue.seconds_per_call, self._least)
            until = self._clock() + seconds
            failures = self._queue.hold(handles, seconds)
            for handle in handles:
                self._holds.pop(ids[handle], None)
                if handle not in failures:
                    self._holds[ids[handle]] = _Hold(handle, until)
                elif failures[handle] not in STALE:
                    self.put_back_failures[ids[handle]] = failures[handle]
        self._due_at = min((hold.until - self.hold / 2 for hold in self._holds.values()), default=math.inf)

    def release(self, message_id: str) -> None:
        """Forget a message that has been deleted."""
        self._holds.pop(message_id, None)

    def _put_back(self) -> None:
        ids = {hold.handle: message_id for message_id, hold in self._holds.items()}
        with ThreadPoolExecutor(WORKERS) as pool:
            for failures in pool.map(self._make_visible, handles_of(ids)):
                self.put_back_failures |= {ids[handle]: code for handle, code in failures.items() if code not in STALE}
        self._holds.clear()

    def _make_visible(self, handles: tuple[str, ...]) -> dict[str, str]:
        try:
            return self._queue.hold(handles, 0)
        except (ClientError, BotoCoreError) as error:  # they become visible when their hold ends
            return dict.fromkeys(handles, type(error).__name__)
