"""Every wait of a message, with its source, and the two rules that turn a wait into SQS visibility seconds. Pure."""

from typing import NamedTuple


class Wait(NamedTuple):
    """How long a message waits: at least `floor` seconds; its exponential backoff starts at `base` seconds."""

    floor: float = 0.0
    base: float = 15.0


NO_FLOOR = Wait()
SOON = Wait(
    floor=3.0, base=3.0
)  # the next try has a good chance: an order a few seconds old, an invocation out of time
DEDUCTING = Wait(floor=180.0)  # WeChat Pay asks for three minutes while it deducts (doc 4012587962)
NOT_COMPLETED = Wait(floor=300.0, base=300.0)  # the shop has not completed the order yet: that takes minutes at least
THROTTLED = Wait(floor=5.0, base=60.0)  # the limits of WeChat Pay count calls per second and per minute
RETRY_AFTER_CAP = 3600.0  # seconds: the longest Retry-After header that is obeyed
CLOCK_APART = Wait(floor=60.0)  # WeChat Pay takes a `paid_time` up to 60 s ahead of its clock (doc 4012587962)
UNRECOGNIZED_STATE = Wait(floor=60.0)  # a state that this version has no word for: query again, no faster than an alarm
KEYS_BROKEN = Wait(floor=30.0, base=60.0)  # all orders of the merchant wait for one repair of its secret

BACKOFF_CAP = 3600.0  # seconds: the longest backoff, unless the deployment's BACKOFF_CAP is shorter
DEFERRAL_BASE, DEFERRAL_CAP = 60.0, 1800.0  # seconds: sixteen receives must outlast an outage of hours
VISIBILITY_LIMIT = 43_200  # seconds: the longest visibility timeout of SQS, 12 hours


def backoff(receive_count: int, wait: Wait, *, jitter: float, cap: float = BACKOFF_CAP, scale: float = 1.0) -> int:
    """Return the seconds until a failed message is received again, an integer from 1 to 43,200.

    The backoff is exponential in the receive count, up to `cap`, with full jitter (`jitter` is uniform in 0..1), and
    never below the floor of the wait. `scale` multiplies the result: 1 in production, less in a sandbox.
    """
    seconds = max(wait.floor, jitter * min(cap, _doubled(wait.base, receive_count))) * scale
    return _visibility(seconds)


def deferral(receive_count: int, closed_for: float, *, jitter: float, scale: float = 1.0) -> int:
    """Return the seconds that a message waits while the circuit is open, an integer from 1 to 43,200.

    The delay doubles from one minute to half an hour, with jitter in its upper half, and is never shorter than the time
    until the next probe (`closed_for` seconds, unscaled).
    """
    growing = min(DEFERRAL_CAP, _doubled(DEFERRAL_BASE, receive_count)) * (1 + jitter) / 2
    return _visibility(max(closed_for, growing * scale))


def _doubled(base: float, receive_count: int) -> float:
    return base * 2.0 ** min(receive_count - 1, 30)


def _visibility(seconds: float) -> int:
    return min(VISIBILITY_LIMIT, max(1, -int(-seconds // 1)))
