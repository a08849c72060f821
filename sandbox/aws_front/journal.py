"""The journal of the embedded AWS: what happened in it, numbered, the newest entries only."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

CAPACITY = 20_000  # entries
LONGEST_WAIT = 25.0  # seconds that a reader may wait for an entry

type Entry = dict[str, object]


class Journal:
    """Entries by number, from 1. Any thread writes; readers wait in the event loop."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._waiting: set[Callable[[], object]] = set()
        self.last = 0

    def write(self, kind: str, **fields: object) -> None:
        """Add an entry and wake the readers."""
        with self._lock:
            self.last += 1
            self._entries.append({"n": self.last, "at": time.time(), "kind": kind, **fields})
            waiting = list(self._waiting)
        for wake in waiting:
            wake()

    def after(self, number: int) -> Entry:
        """Return the entries with a greater number, oldest first, and the numbers of the newest and oldest held."""
        with self._lock:
            first = self.last - len(self._entries) + 1
            entries = list(islice(self._entries, max(number - first + 1, 0), None))
            return {"entries": entries, "last": self.last, "first": first}

    async def wait(self, number: int, seconds: float) -> None:
        """Return when there is an entry with a greater number, at the latest after that many seconds."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(woken.set)

        with self._lock:
            if self.last > number:
                return
            self._waiting.add(wake)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(seconds, LONGEST_WAIT))
        finally:
            with self._lock:
                self._waiting.discard(wake)
