"""One moment of a timeline: when, what kind, in words, how it is to be judged, and the fields for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class Level(StrEnum):
    """How a moment is to be judged."""

    STEP = "step"  # on the way
    GOOD = "good"  # as it should be, or an end
    WAIT = "wait"  # it passes by itself
    BAD = "bad"  # it needs someone's action


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened at `at` (Unix seconds); `n` orders moments of the same time."""

    at: float
    kind: str
    words: str
    level: Level = Level.STEP
    fields: Mapping[str, object] = field(default_factory=dict, repr=False)
    n: int = 0

    def document(self) -> dict[str, object]:
        """Return the moment for JSON."""
        return {
            "at": iso(self.at),
            "kind": self.kind,
            "level": self.level.value,
            "words": self.words,
            "fields": dict(self.fields),
        }


def iso(at: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str) -> float:
    """Return an ISO 8601 time as Unix seconds; 0 for a text that is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def duration(seconds: float) -> str:
    """Return a span of time in words: `2 s`, `3 min`, `1 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return f"{minutes} min" + (f" {rest} s" if rest and minutes < 10 else "")
    return f"{minutes // 60} h {minutes % 60} min"
