"""How fast a merchant may call: limits that the pages do not publish, set by switches."""

from collections import deque

from sandbox.wechat_pay import refusals
from sandbox.wechat_pay.switches import Switches

SECOND = 1.0
THROTTLED = refusals.SimulatedRefusal(400, "INVALID_REQUEST", "请求过于频繁", "268435472")


class Pace:
    """The calls of the last second."""

    def __init__(self) -> None:
        self._calls: deque[tuple[float, str, str]] = deque()

    def require(self, mchid: str, out_order_no: str, now: float, switches: Switches) -> None:
        """Count a call; raise the official refusal where it is one too many."""
        if not (switches.calls_per_second or switches.same_order_throttled):
            return
        while self._calls and not now - SECOND < self._calls[0][0] <= now:
            self._calls.popleft()
        calls = [number for _, merchant, number in self._calls if merchant == mchid]
        if switches.calls_per_second and len(calls) >= switches.calls_per_second:
            raise refusals.FREQUENCY_LIMITED
        if switches.same_order_throttled and out_order_no and out_order_no in calls:
            raise THROTTLED
        self._calls.append((now, mchid, out_order_no))
