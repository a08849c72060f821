"""Waiting for a state of something that runs beside us: polled, with one generous limit, and told what was seen."""

import time
from collections.abc import Callable

PATIENCE = 300.0  # seconds: a machine may have a tenth of one CPU, on which a cold start takes ten of them
PAUSES = (0.02, 0.25)  # seconds between two looks, at first and at most: looking costs what is waited for its processor


class NotReachedError(Exception):
    """A state was not reached in time; the message says which one, and what was seen instead."""


def until[T](
    look: Callable[[], T | None],
    seconds: float = PATIENCE,
    *,
    state: str = "the state",
    seen: Callable[[], object] | None = None,
) -> T:
    """Look again and again until there is something to see, and return it; False counts as nothing to see.

    `state` names what is waited for; `seen` tells what there is instead, and is asked only in the end. Raises
    NotReachedError after so many seconds.
    """
    begun, (pause, longest) = time.monotonic(), PAUSES
    while (value := look()) is None or value is False:
        if time.monotonic() - begun > seconds:
            told = "" if seen is None else f"; seen: {seen()}"
            raise NotReachedError(f"{state} was not reached within {seconds:.0f} s{told}")
        time.sleep(pause)  # a state is polled; no result depends on the pause
        pause = min(pause * 1.25, longest)
    return value
