"""Shorten a timeline: of many receives that led to nothing, the first and the last are shown. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from sandbox.timeline.moment import Moment, duration

REPEATED = frozenset({"receive", "wait", "invoked"})
"""Kinds of moments that repeat while a message fails again and again."""

EDGE = 4  # moments that stay at either end of a run
LEAST = 6  # moments that are worth a line that stands for them


def condense(moments: Sequence[Moment]) -> Iterator[Moment]:
    """Yield the moments; the middle of a long run of repeated ones as one, which counts them."""
    for is_repeated, group in groupby(moments, lambda moment: moment.kind in REPEATED):
        run = list(group)
        middle = run[EDGE:-EDGE] if is_repeated else []
        if len(middle) < LEAST:
            yield from run
            continue
        receives = sum(moment.kind == "receive" for moment in middle)
        span = duration(middle[-1].at - middle[0].at)
        words = f"{receives} receives more in {span}, alike ({len(middle)} steps)"
        yield from run[:EDGE]
        yield Moment(middle[0].at, "…", words, middle[0].level, {"steps": len(middle)}, middle[0].n)
        yield from run[-EDGE:]
