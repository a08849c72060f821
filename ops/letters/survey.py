"""One pass over the dead letters: the groups of their causes, and the entries of a plan. No body is kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ops.letters.browse import letters
from ops.letters.plan import Entry, Plan, Selection
from ops.letters.proofs import Proofs
from ops.letters.queue import Queue
from ops.letters.reading import Position, Reading
from ops.letters.verdicts import Cause, Diagnosis, Group, Verdict
from orders.table import OrdersTable


@dataclass(slots=True)
class Survey:
    """What a pass has seen of the letters that a selection takes; `total` counts the others as well."""

    selection: Selection = field(default_factory=Selection)
    total: int = 0
    groups: dict[Cause, Group] = field(default_factory=dict)
    entries: list[tuple[Cause, Entry]] = field(default_factory=list)

    def look(self, queue: Queue, table: OrdersTable) -> Iterator[Position]:
        """Read the queue; yield positions."""
        with Reading(queue) as reading:
            for step in letters(reading, table):
                if isinstance(step, Position):
                    yield step
                    continue
                self.total += 1
                if self.selection.takes(step):
                    cause = Cause.of(step)
                    self.groups.setdefault(cause, Group(cause)).add(step)
                    self.entries.append((cause, Entry.of(step)))

    def diagnose(self, proofs: Proofs) -> Iterator[tuple[Group, Diagnosis]]:
        """Yield each group with its verdict, the largest first."""
        for group in sorted(self.groups.values(), key=lambda group: -group.count):
            yield group, proofs.diagnose(group)

    def plan(self, queue: str, destination: str, proofs: Proofs, now: float) -> Plan:
        """Return the plan of the letters that are selected; the causes are tested only if the selection asks for it."""
        entries = self.entries
        if self.selection.mended:
            mended = {group.cause for group, result in self.diagnose(proofs) if result.verdict is Verdict.MENDED}
            entries = [(cause, entry) for cause, entry in entries if cause in mended]
        return Plan.of(queue, destination, self.selection, [entry for _, entry in entries], now)
