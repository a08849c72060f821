"""The adapter's own events, about outcomes of orders, as the journal has them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.journal import OUTCOMES, JournalEntry


@dataclass(frozen=True, slots=True)
class OutcomeEvent:
    """An event of the function about an order's outcome."""

    at: float
    detail_type: str
    mchid: str
    out_order_no: str
    status: str
    detail: object


def outcome_events(entries: Sequence[JournalEntry]) -> list[OutcomeEvent]:
    """Return the function's own events, the newest first."""
    published = [entry for entry in entries if entry.kind == "event_published" and entry.fields["source"] == OUTCOMES]
    return [_event(entry) for entry in reversed(published)]


def _event(entry: JournalEntry) -> OutcomeEvent:
    detail = entry.fields["detail"]
    members = detail if isinstance(detail, Mapping) else {}
    mchid, number, status = (str(members.get(name, "")) for name in ("mchid", "out_order_no", "status"))
    return OutcomeEvent(entry.at, str(entry.fields["detail_type"]), mchid, number, status, detail)
