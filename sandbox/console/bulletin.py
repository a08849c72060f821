"""What has changed, by topic: pages subscribe to topics, and fetch the parts that show them.

A topic has the number of its last change, so a subscriber that comes back asks for what has changed since a number;
nothing is queued, and a slow subscriber costs no memory.
"""

import asyncio
import secrets
import threading
from collections.abc import Iterable
from typing import Final

ORDERS: Final = "orders"  # orders of the simulator
CALLS: Final = "calls"  # calls that reached it
FAULTS: Final = "faults"
FLOW: Final = "flow"  # what the embedded AWS has noted
LETTERS: Final = "letters"  # dead letters
JOBS: Final = "jobs"  # operations in the background
MERCHANTS: Final = "merchants"  # merchants, keys, permissions, refunds
NOTIFICATIONS: Final = "notifications"  # of WeChat Pay
SWITCHES: Final = "switches"
TOPICS = (ORDERS, CALLS, FAULTS, FLOW, LETTERS, JOBS, MERCHANTS, NOTIFICATIONS, SWITCHES)


class Bulletin:
    """The numbers of the last changes; any thread may publish."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(4)  # numbers of another run mean nothing here
        self._number = 0
        self._last: dict[str, int] = {}
        self._lock = threading.Lock()
        self._readers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self.is_closed = False

    @property
    def position(self) -> str:
        """The number of the newest change, as `since` takes it."""
        with self._lock:
            return f"{self._run}-{self._number}"

    @property
    def readers(self) -> int:
        """How many subscribers there are now."""
        with self._lock:
            return len(self._readers)

    def publish(self, topics: Iterable[str]) -> None:
        """Say that these topics have changed."""
        with self._lock:
            self._number += 1
            self._last |= dict.fromkeys(topics, self._number)
        self._wake()

    def since(self, position: str) -> tuple[str, list[str]]:
        """Return the present position, and the topics that have changed since another one.

        Every topic has, where that position is of another run or none.
        """
        run, _, number = position.partition("-")
        with self._lock:
            now = f"{self._run}-{self._number}"
            if run != self._run or not number.isdecimal():
                return now, sorted({*TOPICS, *self._last})
            return now, sorted(topic for topic, last in self._last.items() if last > int(number))

    def close(self) -> None:
        """End every subscription."""
        self.is_closed = True
        self._wake()

    def subscribe(self) -> asyncio.Event:
        """Return an event that is set at each change; call it in a running loop, and `unsubscribe` at the end."""
        event = asyncio.Event()
        with self._lock:
            self._readers[event] = asyncio.get_running_loop()
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        """End a subscription."""
        with self._lock:
            self._readers.pop(event, None)

    def _wake(self) -> None:
        with self._lock:
            readers = list(self._readers.items())
        for event, loop in readers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
