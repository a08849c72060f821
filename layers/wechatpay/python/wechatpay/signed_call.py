"""A call that is signed and not sent yet, for a caller that must wait for something else before it may send."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

from requests import PreparedRequest

SIGNATURE_LIFE = 60.0
"""Seconds for which a signature made ahead is used; WeChat Pay accepts it for 300, but clocks differ."""

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SignedCall(Generic[T_co]):
    """A signed call, which `send` makes; safe to use from many threads.

    The signature is used once, within 60 s. A later or second `send` signs again, so that no nonce is used twice.
    """

    _signed: PreparedRequest
    _exchange: Callable[[PreparedRequest | None], T_co]
    _expires_at: float
    _clock: Callable[[], float]
    _unused: Lock = field(default_factory=Lock)

    def send(self) -> T_co:
        """Send the call; return and raise what its unsigned form does, such as `sync` for `sign_sync`."""
        return self._exchange(self._take_signature())

    def _take_signature(self) -> PreparedRequest | None:
        """Return the signature made ahead, to one caller only and only while it is fresh."""
        fresh = self._clock() < self._expires_at
        return self._signed if fresh and self._unused.acquire(blocking=False) else None
