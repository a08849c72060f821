"""The limits of a call, in seconds and in bytes, and what is known of a try while they run.

Pure but for the clock; what keeps them at the socket is in `connections`.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HEAD_LIMIT = 1 << 16
"""Bytes that come before an answer's body at most: interim answers (1xx), status line and headers together."""

ANSWER_LIMIT = 1 << 20
"""Bytes of an answer that are read besides at most, chunk sizes and trailers included; a service order has 2 KB."""

LATE_LIMIT = 1 << 16
"""Bytes that are read after the limit of time at most, where they have arrived by then: a slow machine's."""


class OverdueError(TimeoutError):
    """A limit of time is over; the text may be shown."""


class TooLongError(OSError):
    """An answer has more bytes than are read; the text may be shown."""


@dataclass(slots=True)
class Try:
    """One try of a call over one connection: its limits, and what is known of it.

    `connect` limits name resolution, all addresses, the proxy and the TLS handshake together, `read` everything from
    the first byte sent to the last byte of the answer; both are seconds and end at `until` (`time.monotonic`) at the
    latest. `fresh`: use no connection that has served before. `observed` is True where the connection is one of
    `wechatpay.connections`: only then `sent`, `reused` and `received` (bytes of an answer) say what happened.
    """

    clock: Callable[[], float]
    connect: float = math.inf
    read: float = math.inf
    until: float = math.inf
    fresh: bool = False
    observed: bool = False
    reused: bool = False
    sent: bool = False
    received: int = 0
    allowed: int = HEAD_LIMIT
    _end: float = math.inf
    _words: str = ""

    def begin_connecting(self) -> None:
        """Start the limit of `connect`."""
        self._end = min(self.until, time.monotonic() + self.connect)
        self._words = f"no connection within {self.connect:.3g} s"

    def begin_talking(self, *, reused: bool) -> None:
        """Start the limit of `read`; from here on the request may arrive. Raises OverdueError where no time is left."""
        self._end = min(self.until, time.monotonic() + self.read)
        self._words = f"no whole answer within {self.read:.3g} s"
        self.left()
        self.reused, self.sent, self.received, self.allowed = reused, True, 0, HEAD_LIMIT

    def left(self) -> float | None:
        """Return the seconds left, None without a limit; raises OverdueError where none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.overdue()
        return None if left == math.inf else left

    def patience(self) -> float | None:
        """Return the seconds left, 0 where none are: what has arrived by then is still read."""
        left = self._end - time.monotonic()
        return None if left == math.inf else max(left, 0.0)

    def overdue(self) -> OverdueError:
        """Return the error that says which limit is over."""
        return OverdueError(self._words)


class _Current(threading.local):
    """The try that this thread is in; urllib3 has no other way to tell its connections."""

    attempt: Try | None = None


_current = _Current()


@contextmanager
def trying(attempt: Try) -> Iterator[None]:
    """Make this the try that the connections of this thread serve."""
    before, _current.attempt = _current.attempt, attempt
    try:
        yield
    finally:
        _current.attempt = before


def current() -> Try | None:
    """Return the try that this thread is in."""
    return _current.attempt
