"""The merchants' secrets, with a limit on the fetches that a caller can cause.

Any caller can send a request. Without a limit, a request with a number of no merchant, or with an unknown serial, would
be a call of Secrets Manager.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from orders.merchants import Merchant

NEW_MERCHANTS = 30  # fetches within a minute for numbers that are not known to be a merchant's, in one environment
REFRESHES = 60.0  # seconds between two refreshes of one merchant's secret


class LookupsLimitedError(Exception):
    """Too many unknown merchants were named within the last minute."""


class Secrets(Protocol):
    """The merchants' secrets, as `orders.merchants` has them."""

    def now(self) -> float:
        """Return the time on the clock of `refresh`, in seconds."""

    def answers_at_once(self, mchid: str) -> bool:
        """Whether `get` causes no fetch that a caller could cause at will."""

    def get(self, mchid: str) -> Merchant:
        """Return the merchant; raise UnknownMerchantError or MerchantUnavailableError."""

    def refresh(self, mchid: str, *, since: float) -> Merchant:
        """Return the merchant of a secret that was fetched at `since` or later; raise as `get` does."""


class Lookups:
    """Looks merchants up, for one invocation at a time; `clock` gives seconds."""

    def __init__(self, merchants: Secrets, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._merchants = merchants
        self._clock = clock
        self._new: deque[float] = deque()
        self._refreshed: dict[str, float] = {}  # of merchants that there are
        self._since = 0.0  # when the last merchant was asked for, by the clock of the secrets

    def get(self, mchid: str) -> Merchant:
        """Return the merchant.

        Raises:
            LookupsLimitedError: it is not known yet, and thirty others were looked up within a minute.
            UnknownMerchantError, MerchantUnavailableError: as `orders.merchants` raises them.
        """
        self._since = self._merchants.now()
        if not self._merchants.answers_at_once(mchid):
            self._take_turn()
        return self._merchants.get(mchid)

    def refresh(self, merchant: Merchant) -> Merchant | None:
        """Return the merchant of a fresher secret than `get` has returned; None if there is none to be had.

        It has not changed, `get` has just fetched it, or it was refreshed within the last minute.

        Raises MerchantUnavailableError.
        """
        now, mchid = self._clock(), merchant.client.mchid
        if now - self._refreshed.get(mchid, float("-inf")) < REFRESHES:
            return None
        self._refreshed[mchid] = now
        fresh = self._merchants.refresh(mchid, since=self._since)
        return None if fresh.digest == merchant.digest else fresh

    def _take_turn(self) -> None:
        now = self._clock()
        while self._new and self._new[0] <= now - 60:
            self._new.popleft()
        if len(self._new) >= NEW_MERCHANTS:
            raise LookupsLimitedError
        self._new.append(now)
