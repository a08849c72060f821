"""Wait for a state of something that runs in the background: poll, with one generous limit, and say what was seen."""

import time
from collections.abc import Callable

PATIENCE = 300.0  # seconds: a machine may have a tenth of one CPU, on which a cold start takes ten of them
PAUSES = (0.02, 0.25)  # seconds between two looks, at first and at most: looking takes CPU from what is waited for


class NotReachedError(Exception):
    """A state was not reached in time; the message says which one, and what was seen instead."""


def until[T](
    look: Callable[[], T | None],
    seconds: float = PATIENCE,
    *,
    state: str = "the state",
    instead: Callable[[], object] | None = None,
) -> T:
    """Look until the value is neither None nor False, and return it.

    Args:
        look: returns the value, or None or False while the state is not reached.
        seconds: the limit.
        state: what is waited for, for the message.
        instead: returns what there is instead, for the message; called only at the limit.

    Raises:
        NotReachedError: the limit has passed.
    """
    start, (pause, longest) = time.monotonic(), PAUSES
    while (value := look()) is None or value is False:
        if time.monotonic() - start > seconds:
            observation = "" if instead is None else f"; seen: {instead()}"
            raise NotReachedError(f"{state} was not reached within {seconds:.0f} s{observation}")
        time.sleep(pause)  # a state is polled; no result depends on the pause
        pause = min(pause * 1.25, longest)
    return value
