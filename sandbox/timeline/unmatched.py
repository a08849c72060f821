"""The events that no rule matched, each with why and the remedy: EventBridge itself drops them without a word. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.journal import OUTCOMES, JournalEntry
from sandbox.timeline.identity import identity_of
from sandbox.timeline.moment import iso
from sandbox.timeline.rules import Objection, Rule, objections


@dataclass(frozen=True, slots=True)
class UnmatchedEvent:
    """An event that led to nothing, and the objections against it."""

    n: int
    at: float
    event_id: str
    bus: str
    source: str
    detail_type: str
    out_order_no: str
    objections: tuple[Objection, ...]
    detail: object

    @property
    def why(self) -> str:
        """Why, and what to send instead, in one line."""
        return "; ".join(objection.words for objection in self.objections)

    def document(self) -> dict[str, object]:
        """Return the event for JSON."""
        return {
            "at": iso(self.at),
            "event_id": self.event_id,
            "bus": self.bus,
            "source": self.source,
            "detail_type": self.detail_type,
            "out_order_no": self.out_order_no,
            "objections": [
                {"rule": one.rule, "field": one.field, "problem": one.problem, "remedy": one.remedy}
                for one in self.objections
            ],
        }


_FIELDS = ("event_id", "bus", "source", "detail_type")


def unmatched_events(entries: Iterable[JournalEntry], rules: Sequence[Rule]) -> list[UnmatchedEvent]:
    """Return a till's events that no rule matched, oldest first; a rule for the function's own is optional."""
    tills = (one for one in entries if one.kind == "event_published" and one.fields.get("source") != OUTCOMES)
    return [_unmatched(entry, against) for entry in tills if (against := objections(entry, rules))]


def _unmatched(entry: JournalEntry, against: Sequence[Objection]) -> UnmatchedEvent:
    fields = entry.fields
    event_id, bus, source, detail_type = (str(fields.get(name, "")) for name in _FIELDS)
    detail = fields.get("detail")
    number = identity_of(detail).out_order_no
    return UnmatchedEvent(entry.n, entry.at, event_id, bus, source, detail_type, number, tuple(against), detail)
