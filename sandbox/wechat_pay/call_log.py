"""The calls that arrived: the newest with everything about them, and how many there were of each kind."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from sandbox.wechat_pay.call import SimulatedCall

KEEP = 20_000  # calls, some 60 MB


class CallLog:
    """Calls in the order in which they arrived; of the oldest only their number remains."""

    def __init__(self, keep: int | None = KEEP) -> None:
        self._calls: deque[SimulatedCall] = deque(maxlen=keep)
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many calls there were."""
        return self.counts.total()

    def add(self, call: SimulatedCall) -> None:
        """Add a call."""
        self._calls.append(call)
        self.counts[f"{call.operation or '-'} {call.status or '-'} {call.code}".rstrip()] += 1

    def keep(self, keep: int | None) -> None:
        """Keep so many calls from now on, None all."""
        self._calls = deque(self._calls, maxlen=keep)

    def __iter__(self) -> Iterator[SimulatedCall]:
        return iter(list(self._calls))


def selection(calls: Iterable[SimulatedCall], limit: int, **wanted_fields: object) -> list[SimulatedCall]:
    """Return the newest calls with these fields, the newest last; an empty field selects nothing."""
    since = wanted_fields.pop("since", None)
    conditions = {name: value for name, value in wanted_fields.items() if value not in ("", None)}
    matches = [
        call
        for call in calls
        if (not isinstance(since, float) or call.at >= since)
        and all(getattr(call, name) == value for name, value in conditions.items())
    ]
    return matches[-limit:] if limit else []
