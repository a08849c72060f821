"""A call that is signed and not sent yet, for a caller that must wait for something else before it may send."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

from requests import PreparedRequest

from wechatpay.transport import Started

SIGNATURE_LIFE = 60.0
"""Seconds for which a signature made ahead is used; WeChat Pay accepts it for 300, but clocks differ."""

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SignedCall(Generic[T_co]):
    """A signed call, which `send` makes; safe to use from many threads.

    The signature is used once, within 60 s. A later or second call signs again, so that no nonce is used twice.
    """

    _signed: PreparedRequest
    _exchange: Callable[[PreparedRequest | None, Started | None], T_co]
    _start: Callable[[PreparedRequest], Started | None]
    _expires_at: float
    _clock: Callable[[], float]
    _unused: Lock = field(default_factory=Lock)

    def send(self) -> T_co:
        """Send the call; return and raise what its unsigned form does, such as `sync` for `sign_sync`."""
        return self._exchange(self._take_signature(), None)

    def start(self) -> "StartedCall[T_co]":
        """Send the call over a connection that stands, and return at once: one thread may have many calls under way.

        Where no connection stands, nothing is sent before `result` is asked for. The limits begin when it is sent.
        """
        signature = self._take_signature()
        started = None if signature is None else self._start(signature)
        first = signature if started is None else None
        way, until = (started.socket, started.attempt.end) if started else (None, 0.0)
        receive = started.receive if started else lambda: False
        return StartedCall(way, until, receive, lambda: self._exchange(first, started))

    def _take_signature(self) -> PreparedRequest | None:
        """Return the signature made ahead, to one caller only and only while it is fresh."""
        fresh = self._clock() < self._expires_at
        return self._signed if fresh and self._unused.acquire(blocking=False) else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StartedCall(Generic[T_co]):
    """A call under way. `result` is to be asked for once: until then its connection serves no other call.

    `socket` becomes readable when the answer comes; None where nothing is under way yet, or the sending has failed.
    `until` is when the answer is overdue (`time.monotonic`).
    """

    socket: socket.socket | None
    until: float
    _receive: Callable[[], bool]
    _finish: Callable[[], T_co]

    def receive(self) -> bool:
        """Read the answer, by its limit; return whether it came whole: then `result` waits for nothing more."""
        return self._receive()

    def result(self) -> T_co:
        """Wait for the answer; return and raise what `SignedCall.send` does, which repeats what may be repeated."""
        return self._finish()
