"""The templates, as Jinja2 renders them: everything is escaped, and an undefined name is an error."""

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).with_name("templates")


def _moment(seconds: float) -> str:
    """Return Unix seconds as a time of day in UTC, by the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S.%f")[:-3]


def _iso(seconds: float) -> str:
    """Return Unix seconds as RFC 3339, for the attribute `datetime`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _yuan(fen: int) -> str:
    """Return fen as yuan."""
    return f"{fen / 100:.2f}"


def _duration(seconds: float) -> str:
    """Return a duration in milliseconds, or in seconds from one second on."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {"moment": _moment, "iso": _iso, "yuan": _yuan, "duration": _duration}
