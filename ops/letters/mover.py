"""Execute a plan: receive its letters, do with them what is to be done, delete them. At least once, and resumable.

Letters that are not in the plan are held while it runs, because they would be received again and again, and are put
back at its end. A run is stopped between two batches, never within one.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from botocore.exceptions import ClientError

from ops.letters.history import History
from ops.letters.keep import Keep
from ops.letters.ledger import Ledger, Step
from ops.letters.plan import Entry, Plan
from ops.letters.queue import ENTRIES_PER_CALL, Queue, Received, batches
from ops.letters.reading import HOLD, Position, Reading
from ops.letters.reasons import digest_of


@dataclass(frozen=True, slots=True)
class Clocks:
    """`clock` gives seconds, `wall_clock` Unix seconds; `sleep` waits for so many seconds."""

    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep


REAL = Clocks()


@dataclass(slots=True)
class Tally:
    """How a run ended. `done`: letters that are no longer in the queue by this run; `errors` by message id.

    `repeated`: letters that an interrupted run may have sent already. `missing`: letters of the plan that the queue did
    not deliver. `put_back_failures`: letters that become visible only when their hold ends.
    """

    done: int = 0
    repeated: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    is_cancelled: bool = False
    put_back_failures: dict[str, str] = field(default_factory=dict)


class Work(Protocol):
    """What is done with letters before they are deleted."""

    repeated: set[str]
    """The letters that an interrupted run may have sent, and that were sent again."""

    @property
    def finished(self) -> set[str]:
        """The letters that an earlier run has dealt with whole."""

    @property
    def sent(self) -> set[str]:
        """The letters that have been sent, and of which it is not noted that they were deleted."""

    @property
    def hold_until(self) -> float:
        """When the hold of an interrupted run ends, in Unix seconds."""

    def do(self, messages: list[Received], keys: Mapping[str, str], until: float) -> Mapping[str, str]:
        """Deal with a batch whose hold ends at `until`; return errors by message id: these are not deleted."""

    def deleted(self, message_ids: list[str], until: float) -> None:
        """Take note that letters have been deleted."""

    def end(self) -> None:
        """Take note that no letter is held any more."""


@dataclass(slots=True)
class Redrive:
    """Send letters to a queue, as they are: body, attributes, trace header and message group."""

    destination: Queue
    ledger: Ledger
    history: History | None
    with_attributes: bool = True
    wall_clock: Callable[[], float] = time.time
    repeated: set[str] = field(default_factory=set)

    @property
    def finished(self) -> set[str]:
        """The letters that are sent and deleted."""
        return self.ledger.at(Step.DELETED)

    @property
    def sent(self) -> set[str]:
        """The letters that are sent; a run that was killed may have deleted them."""
        return self.ledger.at(Step.SENT)

    @property
    def hold_until(self) -> float:
        """When the hold of an interrupted run ends."""
        return self.ledger.hold_until

    def do(self, messages: list[Received], keys: Mapping[str, str], until: float) -> Mapping[str, str]:
        """Write the history's lines, then send what the ledger does not know as sent."""
        steps = {message.message_id: self.ledger.steps.get(message.message_id) for message in messages}
        self.repeated |= {message_id for message_id, step in steps.items() if step is Step.SENDING}
        errors: dict[str, str] = {}
        for batch in batches(message for message in messages if steps[message.message_id] is not Step.SENT):
            ids = [message.message_id for message in batch]
            if self.history is not None:
                self.history.write({message_id: keys[message_id] for message_id in ids}, self.wall_clock())
            self.ledger.write(Step.SENDING, ids, until=until)
            try:
                answer = self.destination.send(batch, with_attributes=self.with_attributes)
            except ClientError:  # SQS has refused the call, so no message was sent
                self.ledger.write(Step.REFUSED, ids, until=until)
                raise
            if answer.new_ids:
                self.ledger.write(Step.SENT, answer.new_ids, until=until, new_ids=dict(answer.new_ids))
            if answer.errors:
                self.ledger.write(Step.REFUSED, answer.errors, until=until)
            errors |= answer.errors
        return errors

    def deleted(self, message_ids: list[str], until: float) -> None:
        """Write that letters are deleted."""
        self.ledger.write(Step.DELETED, message_ids, until=until)

    def end(self) -> None:
        """Write that no letter is held any more."""
        self.ledger.close_hold()


@dataclass(slots=True)
class Removal:
    """Keep the letters in a file, and send them to no queue."""

    keep: Keep
    history: History
    reasons: Mapping[str, str]
    wall_clock: Callable[[], float] = time.time
    finished: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    hold_until: float = 0.0
    repeated: set[str] = field(default_factory=set)

    def do(self, messages: list[Received], keys: Mapping[str, str], until: float) -> Mapping[str, str]:
        """Write the letters to the file, then the history's lines."""
        self.keep.write(messages, self.reasons)
        self.history.write({message.message_id: keys[message.message_id] for message in messages}, self.wall_clock())
        return {}

    def deleted(self, message_ids: list[str], until: float) -> None:
        """Nothing to note: what is deleted is not delivered again."""

    def end(self) -> None:
        """Nothing to note."""


class Mover:
    """One run of a plan; `tally` is how far it is, and after `run` how it ended.

    Args:
        plan: the letters.
        queue: where they are.
        work: what is done with them.
        rate: letters per second at most; None for as fast as SQS answers.
        is_cancelled: whether to stop, asked between two batches.
        clocks: for holds, the rate, and what is written.
        hold: seconds that a letter is invisible at least.
    """

    def __init__(
        self,
        plan: Plan,
        queue: Queue,
        work: Work,
        *,
        rate: float | None = None,
        is_cancelled: Callable[[], bool] = lambda: False,
        clocks: Clocks = REAL,
        hold: int = HOLD,
    ) -> None:
        self._plan = plan
        self._queue = queue
        self._work = work
        self._pace = Pace(rate, clocks)
        self._is_cancelled = is_cancelled
        self._clocks = clocks
        self._hold = hold
        self._open = {key: entry for key, entry in plan.entries.items() if key not in work.finished}
        self.tally = Tally()

    @property
    def position(self) -> Position:
        """How many letters of the plan are dealt with, those of earlier runs included."""
        return Position(len(self._plan.entries) - len(self._open), len(self._plan.entries))

    def run(self) -> Iterator[Position]:
        """Execute the plan; yield the position after each batch and each receive.

        Whatever ends it, what is still held is put back, and a letter is deleted only after its work is done.
        """
        reading = Reading(self._queue, clock=self._clocks.clock, hold=self._hold, patience=self._patience)
        try:
            with reading:
                yield from self._run(reading)
        finally:
            self.tally.put_back_failures = reading.put_back_failures
            self._work.end()
        self._close()

    def _close(self) -> None:
        """Take a letter that was sent, and that is no longer in the queue, for deleted: the killed run has done it."""
        missing = set() if self.tally.is_cancelled else set(self._open) - self.tally.errors.keys()
        if finished := missing & self._work.sent:
            self._work.deleted(sorted(finished), 0.0)
        for message_id in finished:
            del self._open[message_id]
        self.tally.missing = missing - finished

    def _patience(self) -> float:
        """Wait for letters that an interrupted run holds."""
        return (
            self._work.hold_until - self._clocks.wall_clock() if self._open.keys() - self.tally.errors.keys() else 0.0
        )

    def _run(self, reading: Reading) -> Iterator[Position]:
        pending: dict[str, Received] = {}
        deliveries = reading.deliveries()
        while self._open.keys() - self.tally.errors.keys() and not self._cancelled():
            answer = next(deliveries, None)
            for message, _ in answer or ():
                if message.message_id in self._open and self._is_as_planned(message):
                    pending[message.message_id] = message  # the newest receipt handle
            yield self.position
            is_last = not answer or len(pending) + len(self.tally.errors) >= len(self._open)
            while len(pending) >= self._pace.batch or (pending and is_last):
                if self._cancelled():
                    return
                batch = [pending.pop(message_id) for message_id in list(islice(pending, self._pace.batch))]
                self._pace.wait(len(batch))
                reading.keep()
                self._deal_with(batch, reading)
                yield self.position
            if answer is None:
                return

    def _cancelled(self) -> bool:
        self.tally.is_cancelled = self.tally.is_cancelled or self._is_cancelled()
        return self.tally.is_cancelled

    def _is_as_planned(self, message: Received) -> bool:
        if digest_of(message.body) == self._open[message.message_id].sha256:
            return True
        self.tally.errors[message.message_id] = "its body is not the one of the plan"
        return False

    def _deal_with(self, batch: list[Received], reading: Reading) -> None:
        until = self._clocks.wall_clock() + reading.hold
        keys = {message.message_id: self._entry(message).order for message in batch}
        errors = self._work.do(batch, keys, until)
        self.tally.errors |= errors
        self.tally.repeated = set(self._work.repeated)
        done = [message for message in batch if message.message_id not in errors]
        if not done:
            return
        refusals = self._queue.delete(done)
        ids = [message.message_id for message in done if message.message_id not in refusals]
        self.tally.errors |= {message_id: f"was not deleted: {code}" for message_id, code in refusals.items()}
        self._work.deleted(ids, until)
        for message_id in ids:
            reading.release(message_id)
            del self._open[message_id]
        self.tally.done += len(ids)

    def _entry(self, message: Received) -> Entry:
        return self._open[message.message_id]


class Pace:
    """A rate: `batch` letters at a time, with waits between them."""

    def __init__(self, rate: float | None, clocks: Clocks) -> None:
        self._rate = rate
        self._clocks = clocks
        self._next_at = clocks.clock()
        self.batch = ENTRIES_PER_CALL if rate is None else max(1, min(ENTRIES_PER_CALL, int(rate)))

    def wait(self, letters: int) -> None:
        """Wait until so many letters may follow those before them."""
        if self._rate is None:
            return
        now = self._clocks.clock()
        if self._next_at > now:
            self._clocks.sleep(self._next_at - now)
        self._next_at = max(self._next_at, now) + letters / self._rate


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a request to stop, for the length of the block; a second one interrupts at once.

    The block's value says whether to stop. Outside the main thread, signals are left alone.
    """
    is_requested = False

    def request(_number: int, _frame: object) -> None:
        nonlocal is_requested
        if is_requested:
            raise KeyboardInterrupt
        is_requested = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    earlier = signal.signal(signal.SIGINT, request)
    try:
        yield lambda: is_requested
    finally:
        signal.signal(signal.SIGINT, earlier)
