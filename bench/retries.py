"""How long a message is retried before SQS gives it up: the exact distribution, by the function's own waits.

`python -m bench.retries` prints the tables of docs/operate/retries.md. Nothing is measured or simulated: each wait is a
whole number of seconds, the probability of each number is counted with `orders.waits`' own functions, and the sum of
the waits is the convolution of these. A message that is received N times has N - 1 waits between its first attempt and
its last; the first receive is the first attempt.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, chain, pairwise, repeat

from bench import figures
from bench.cost import Prices
from orders.circuit import RECOVERY
from orders.waits import (
    BACKOFF_CAP,
    DEDUCTING,
    KEYS_BROKEN,
    NO_FLOOR,
    NOT_COMPLETED,
    THROTTLED,
    Wait,
    backoff,
    deferral,
)

PROMISE = 4 * 3600  # seconds: the median of the default, by the template's MaxReceiveCount and README
FEWEST, MOST = 8, 30  # receives in the table
RETENTION = 4 * 86_400  # seconds that OrderQueue keeps a message
LARGEST = 48  # MaxReceiveCount's MaxValue
IN_FLIGHT = 120_000  # messages received and not deleted, at which SQS hands out no more
JITTERS = (
    28_800  # equally likely values: a multiple of every wait's bound (15, 60, 300 · 2^n, 3,600), so counts are exact
)
CAPPED = 9  # receives from which every wait has the same distribution: 15 · 2^8 is over the cap
ROUNDING = 1e-9  # what the sums of the probabilities may lack
MEMORY_GB = 0.5  # the template's MemorySize
REJECTED_AGAIN = 0.02  # seconds of Lambda for a batch that makes no call: a read and a visibility change

type Waits = Callable[[int, float], int]
"""Seconds until the next receive, from the receive count and a jitter in 0..1."""


def _waits(wait: Wait) -> Waits:
    return lambda receive_count, jitter: backoff(receive_count, wait, jitter=jitter)


DEFAULT: Waits = _waits(NO_FLOOR)
WAITS: Mapping[str, Waits] = {
    "most reasons": DEFAULT,
    "THROTTLED": _waits(THROTTLED),
    "DEDUCTING": _waits(DEDUCTING),
    "USER_CONFIRM, CREATED": _waits(NOT_COMPLETED),
    "SIGN_ERROR, SECRET_UNAVAILABLE": _waits(KEYS_BROKEN),
    "CIRCUIT_OPEN all the time": lambda receive_count, jitter: deferral(receive_count, RECOVERY, jitter=jitter),
}
"""Each reason's waits; a message that meets several reasons lies between them."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How long messages are retried, first attempt to last: `probabilities[t]` is that of exactly t seconds."""

    receives: int
    probabilities: Sequence[float]

    @property
    def mean(self) -> float:
        """Seconds on average."""
        return sum(seconds * probability for seconds, probability in enumerate(self.probabilities))

    @property
    def longest(self) -> int:
        """Seconds at most."""
        return len(self.probabilities) - 1

    def percentiles(self, parts: Sequence[float]) -> list[int]:
        """Seconds that each of these parts of all messages (0..1) does not exceed."""
        reached = list(accumulate(self.probabilities))
        return [min(self.longest, bisect_left(reached, part - ROUNDING)) for part in parts]


@dataclass(frozen=True, slots=True)
class Run:
    """Whole seconds from `first` to `last`, each of which has this probability."""

    first: int
    last: int
    probability: float


@cache
def one_wait(waits: Waits, receive_count: int) -> dict[int, float]:
    """Return the probability of each number of seconds that a message waits after this receive."""
    counts = Counter(waits(receive_count, (number + 0.5) / JITTERS) for number in range(JITTERS))
    return {seconds: count / JITTERS for seconds, count in sorted(counts.items())}


def retries(waits: Waits, most: int) -> Iterator[Retries]:
    """Yield the distribution for 1, 2, … `most` receives."""
    probabilities = [1.0]
    yield Retries(1, probabilities)
    for receives in range(2, most + 1):
        probabilities = _convolve(probabilities, runs(one_wait(waits, min(receives - 1, CAPPED))))
        yield Retries(receives, probabilities)


def runs(wait: Mapping[int, float]) -> tuple[Run, ...]:
    """The wait as few runs of equal probability: jitter is uniform, a floor adds one value of its own."""
    seconds = list(wait)
    breaks = [after for before, after in pairwise(seconds) if after != before + 1 or wait[after] != wait[before]]
    groups = [[one for one in seconds if start <= one < end] for start, end in pairwise([0, *breaks, seconds[-1] + 1])]
    return tuple(Run(group[0], group[-1], wait[group[0]]) for group in groups)


def _convolve(probabilities: Sequence[float], runs: Sequence[Run]) -> list[float]:
    """Add one wait; a run costs one pass, by differences of running sums."""
    total = [0.0] * (len(probabilities) + max(run.last for run in runs))
    sums = list(accumulate(probabilities))
    for run in runs:
        upper = chain(sums, repeat(sums[-1]))
        lower = chain(repeat(0.0, run.last - run.first + 1), sums, repeat(sums[-1]))
        within = zip(total[run.first :], upper, lower, strict=False)
        total[run.first :] = [before + run.probability * (most - least) for before, most, least in within]
    return total


def total_of(waits: Waits, receives: int) -> Retries:
    """Return the distribution for this many receives."""
    *_, total = retries(waits, receives)
    return total


def receives_for(median: float, waits: Waits = DEFAULT) -> int:
    """Return the fewest receives whose median is at least this many seconds."""
    return next(total.receives for total in retries(waits, LARGEST) if total.percentiles([0.5])[0] >= median)


# ---- the tables ------------------------------------------------------------------------------------------------------

_PARTS = {"5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}


def tables() -> dict[str, str]:
    """Return every table of docs/operate/retries.md, as Markdown."""
    receives = receives_for(PROMISE)
    return {"receives": _by_receives(), "reasons": _by_reason(receives), "costs": _costs(receives)}


def _by_receives() -> str:
    rows = [
        [str(distribution.receives), *_row(distribution), f"{IN_FLIGHT / distribution.mean:,.0f}"]
        for distribution in retries(DEFAULT, MOST)
        if distribution.receives >= FEWEST
    ]
    return figures.table(["MaxReceiveCount", *_PARTS, "longest", "failing a second that fill the queue"], rows)


def _by_reason(receives: int) -> str:
    rows = [[name, *_row(total_of(waits, receives))] for name, waits in WAITS.items()]
    return figures.table([f"{receives} receives, the reason is always", *_PARTS, "longest"], rows)


def _row(distribution: Retries) -> list[str]:
    return [*map(_hours, distribution.percentiles(list(_PARTS.values()))), _hours(distribution.longest)]


def _costs(receives: int) -> str:
    rows = [
        [str(count), f"{dollars(count, batch=1):.2f}", f"{dollars(count, batch=10):.2f}"]
        for count in (12, receives, 24, LARGEST)
    ]
    return figures.table(["MaxReceiveCount", "$ for a million dead letters, one in a batch", "ten in a batch"], rows)


def dollars(receives: int, *, batch: int, prices: Prices = Prices()) -> float:  # noqa: B008  a frozen record
    """Return dollars for a million messages that are rejected at once and received this often, without a call.

    A receive costs its share of two SQS requests and of an invocation, and one strongly consistent read.
    """
    sqs = 2 * prices.sqs_request / batch
    invocation = (prices.lambda_request + prices.gb_second * MEMORY_GB * REJECTED_AGAIN) / batch
    return receives * (sqs + invocation + prices.read_unit)


def longest_wait(receives: int) -> float:
    """Return the seconds that a message can be in the queue: every wait, the last included, at its bound."""
    return receives * BACKOFF_CAP


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    print("\n\n".join(tables().values()))
