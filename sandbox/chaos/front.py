"""The front of the notifications under chaos: it refuses, it is slow, and it stops listening for a while."""

import random
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sandbox.notifications_front import Invoke

REFUSED, SLOW, LOST = 0.05, 0.02, 0.03  # of all notifications that arrive
SLOWNESS = 6.0  # seconds: longer than WeChat Pay waits


class FrontFaults:
    """Strikes a part of the notifications that a front passes on; `counts` has what happened.

    A slow or a lost answer belongs to a notification that was dealt with, and that WeChat Pay sends again.
    """

    def __init__(self, invoke: Invoke, seed: int, slowness: float = SLOWNESS) -> None:
        self.counts: Counter[str] = Counter()
        self.are_over = False
        self._slowness = slowness
        self._invoke_function = invoke
        self._dice = random.Random(seed)  # noqa: S311  not for secrets

    def invoke(self, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Invoke the function, or do what a front in trouble does."""
        fault = self._draw()
        self.counts[fault] += 1
        if fault == "refused":
            return {"statusCode": 429, "body": '{"message":"Too Many Requests"}'}
        answer = self._invoke_function(event)
        if fault == "slow":
            time.sleep(self._slowness)  # the fault itself
        return None if fault == "lost" else answer

    def _draw(self) -> str:
        words = ("refused", "slow", "lost", "passed on")
        shares = (REFUSED, SLOW, LOST, 1 - REFUSED - SLOW - LOST)
        return "passed on" if self.are_over else self._dice.choices(words, shares)[0]
