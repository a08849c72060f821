"""The timeline of an order or an event: the facts that belong to it, as moments in their order. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.timeline.calls import calls, log_moments
from sandbox.timeline.facts import Facts
from sandbox.timeline.happenings import happenings
from sandbox.timeline.moment import Moment, iso
from sandbox.timeline.outlook import Note, outlook
from sandbox.timeline.trail import Subject, Trail, select


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened about a subject, oldest first, and what is missing or comes next; `facts` are those behind it."""

    trail: Trail
    moments: tuple[Moment, ...]
    notes: tuple[Note, ...]
    facts: Facts

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is known of the subject."""
        return not self.moments and not self.facts.ledger

    def document(self) -> Mapping[str, object]:
        """Return the timeline for JSON."""
        order = self.trail.subject
        return {
            "subject": {
                "mchid": order.mchid,
                "out_order_no": order.out_order_no,
                "sub_mchid": order.sub_mchid,
                "event_id": order.event_id,
            },
            "read_at": iso(self.facts.now),
            "moments": [moment.document() for moment in self.moments],
            "now": [note.document() for note in self.notes],
            "order": dict(self.facts.ledger[0]) if self.facts.ledger else None,
            "item": self.facts.items[0].document if self.facts.items else None,
        }


def compose(subject: Subject, facts: Facts) -> Timeline:
    """Return the timeline of a subject out of everything that was read."""
    trail, own = select(subject, facts)
    moments = [*happenings(own), *calls(own.exchanges), *log_moments(own.lines)]
    moments.sort(key=lambda moment: (moment.at, moment.n))
    return Timeline(trail, tuple(moments), tuple(outlook(trail, own)), own)
