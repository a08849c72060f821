"""The way of events as numbers: how many are where, and how long each part took. Values in, values out, no network."""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil

from orders.errors import MalformedEventError
from orders.event import Message, read
from orders.order import Order, Status
from sandbox.journal import OUTCOMES, JournalEntry

REMEMBERED = 1000  # durations of which median and percentile are computed


@dataclass(frozen=True, slots=True)
class Latency:
    """Median and 95th percentile of some durations, in seconds; None where there is none yet."""

    count: int
    median: float | None
    p95: float | None

    @classmethod
    def of(cls, durations: Collection[float]) -> "Latency":
        """Compute by nearest rank."""
        ranks = sorted(durations)
        if not ranks:
            return cls(0, None, None)
        return cls(len(ranks), *(ranks[ceil(len(ranks) * share) - 1] for share in (0.5, 0.95)))


def payment_key(message_id: str, body: str, at: float) -> str:
    """Return the key of the order that a message is about, as the function reads it; empty where it cannot."""
    try:
        return read(Message(message_id, body, sent_at=at), at).payment.key
    except MalformedEventError:
        return ""


@dataclass(slots=True)
class Flow:
    """What the journal has told so far; `order_queue` and `dead_letters` are names of queues.

    `statuses` has the newest status of each order by its key. Durations are seconds: of invocations, of conversations
    with WeChat Pay, and from a message's arrival in OrderQueue to the item's final status.
    """

    order_queue: str
    dead_letters: str
    counts: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, str] = field(default_factory=dict)
    invocations: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    conversations: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    settlements: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _sent_at: dict[str, float] = field(default_factory=dict)
    _attempts: dict[str, str] = field(default_factory=dict)

    def add(self, entry: JournalEntry) -> None:
        """Count one entry."""
        fields = entry.fields
        match entry.kind:
            case "event_published" if fields["source"] != OUTCOMES:
                self.counts["refused" if fields["error"] else "matched" if fields["rules"] else "unmatched"] += 1
            case "message_sent" if fields["queue"] == self.order_queue:
                self._add_message(entry)
            case "message_received" if fields["queue"] == self.order_queue:
                self.counts["received"] += 1
            case "invoked":
                self.counts["errors" if fields["error"] else "invoked"] += 1
                self.invocations.append(float(str(fields["duration_ms"])) / 1000)
            case "message_dead":
                self.counts["dead"] += 1
            case "item_written":
                self._add_item(entry)

    def add_orders(self, orders: Iterable[Order]) -> None:
        """Take the duration of each order's newest attempt, once."""
        for order in orders:
            attempt = next((one for one in reversed(order.history) if one.latency_ms), None)
            if attempt is not None and self._attempts.get(order.payment.key) != attempt.at + attempt.message_id:
                self._attempts[order.payment.key] = attempt.at + attempt.message_id
                self.conversations.append(attempt.latency_ms / 1000)

    def _add_message(self, entry: JournalEntry) -> None:
        sender = str(entry.fields["by"])
        self.counts["by rule" if sender.startswith("rule ") else "direct"] += 1
        if key := payment_key(str(entry.fields["message_id"]), str(entry.fields["body"]), entry.at):
            self._sent_at.setdefault(key, entry.at)

    def _add_item(self, entry: JournalEntry) -> None:
        key, status = str(entry.fields["pk"]), str(entry.fields["status"])
        if status not in Status.__members__:
            return
        self.statuses[key] = status
        if Status(status).final and key in self._sent_at:
            self.settlements.append(max(0.0, entry.at - self._sent_at.pop(key)))

    def by_status(self) -> Mapping[Status, int]:
        """Return how many orders have each status."""
        counts = Counter(self.statuses.values())
        return {status: counts[status] for status in Status}
