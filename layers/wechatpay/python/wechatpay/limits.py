"""The limits of a try, in seconds and in bytes, and the evidence that is collected while they run.

Pure but for the monotonic clock. `wechatpay.sockets` and `wechatpay.http1` keep the limits at the socket.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

HEAD_LIMIT = 1 << 16
"""The most bytes that may come before an answer's body: interim answers (1xx), status line and headers together."""

ANSWER_LIMIT = 1 << 20
"""The most bytes that may follow the head, chunk sizes and trailers included; a service order has 2 KB."""

LATE_LIMIT = 1 << 16
"""The most bytes that are read after the limit of time, where they have arrived by then on a slow machine."""


class OverdueError(TimeoutError):
    """A limit of time is over; the text is safe to show."""


class TooLongError(OSError):
    """An answer has more bytes than are read; the text is safe to show."""


@dataclass(slots=True)
class Try:
    """One try of a call over one connection: its limits, and the evidence about it.

    `connect` limits name resolution, all addresses, the proxy and the TLS handshake together, `read` everything from
    the first byte sent to the last byte of the answer; both are seconds and end at `until` (`time.monotonic`) at the
    latest. `clock` gives Unix seconds. `fresh`: use no connection that has served before.

    `observed` is True where the connection is one of `wechatpay.connections`. Only then `sent`, `reused` and `received`
    (bytes of an answer) are evidence. `allowed` is the most bytes that may be received so far.
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
    _phase: str = ""

    @property
    def end(self) -> float:
        """When the limit that runs is over (`time.monotonic`)."""
        return self._end

    def begin_connecting(self) -> None:
        """Start the limit `connect`."""
        self._end = min(self.until, time.monotonic() + self.connect)
        self._phase = f"no connection within {self.connect:.3g} s"

    def begin_exchange(self, *, reused: bool) -> None:
        """Start the limit `read`; from here on the request may arrive. Raise OverdueError where no time remains."""
        self._end = min(self.until, time.monotonic() + self.read)
        self._phase = f"no whole answer within {self.read:.3g} s"
        self.remaining()
        self.reused, self.sent, self.received, self.allowed = reused, True, 0, HEAD_LIMIT

    def remaining(self) -> float | None:
        """Return the seconds that remain, None without a limit; raise OverdueError where none do."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise self.overdue()
        return None if seconds == math.inf else seconds

    def remaining_to_read(self) -> float | None:
        """Return the seconds that remain, 0 where none do: what has arrived by then is still read."""
        seconds = self._end - time.monotonic()
        return None if seconds == math.inf else max(seconds, 0.0)

    def count(self, size: int) -> None:
        """Count bytes of an answer; raise TooLongError above the limit."""
        self.received += size
        if self.received > self.allowed:
            raise TooLongError(f"the answer is longer than {self.allowed} bytes")

    def overdue(self) -> OverdueError:
        """Return the error that names the limit which is over."""
        return OverdueError(self._phase)


class _Current(threading.local):
    """The try that this thread is in: urllib3 has no argument to hand it to a connection."""

    attempt: Try | None = None


_current = _Current()


class trying:  # noqa: N801  it reads as a statement, as `suppress` does; a generator takes three times as long
    """Make `attempt` the try that the connections of this thread serve."""

    __slots__ = ("_attempt", "_outer")

    def __init__(self, attempt: Try) -> None:
        self._attempt = attempt

    def __enter__(self) -> None:
        self._outer, _current.attempt = _current.attempt, self._attempt

    def __exit__(self, *_: object) -> None:
        _current.attempt = self._outer


def current() -> Try | None:
    """Return the try that this thread is in."""
    return _current.attempt


def current_or_unlimited() -> Try:
    """Return the try that this thread is in, or one without limits of time."""
    return _current.attempt or Try(time.time)
