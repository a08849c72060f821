"""The picture of an event's way: its stations from the till to the dead letters, each with its numbers. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orders.order import Status
from sandbox.console.flow import Flow, Latency
from sandbox.wechat_pay.call import SimulatedCall


@dataclass(frozen=True, slots=True)
class Number:
    """A number of a station: `name` is a key of the texts of the overview. `is_bad`: it calls for a look."""

    name: str
    value: int
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Station:
    """A part of the way; `path` is the page about it, empty for none."""

    name: str
    numbers: Sequence[Number]
    path: str = ""
    latency: Latency | None = None
    latency_name: str = ""


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages a queue has: visible, and in flight."""

    visible: int
    in_flight: int


def stations(flow: Flow, calls: Sequence[SimulatedCall], queue: Depth, letters: Depth) -> list[Station]:
    """Return the stations in the sequence of the way."""
    counts = flow.counts
    kinds = Counter("answered" if 200 <= call.status < 300 else "refused" if call.status else "lost" for call in calls)
    return [
        Station("till", [Number("reports", sum(counts[name] for name in ("matched", "unmatched", "direct")))], "/till"),
        Station(
            "bus",
            [
                Number("matched", counts["matched"]),
                Number("unmatched", counts["unmatched"], is_bad=counts["unmatched"] > 0),
                Number("refused_events", counts["refused"], is_bad=counts["refused"] > 0),
            ],
            "/till#unmatched",
        ),
        Station("queue", [Number("waiting", queue.visible), Number("in_flight", queue.in_flight)]),
        Station(
            "function",
            [
                Number("invocations", counts["invoked"]),
                Number("errors", counts["errors"], is_bad=counts["errors"] > 0),
                Number("receives", counts["received"]),
            ],
            latency=Latency.of(flow.invocations),
            latency_name="of_invocations",
        ),
        Station(
            "wechat_pay",
            [
                Number("calls_answered", kinds["answered"]),
                Number("calls_refused", kinds["refused"], is_bad=kinds["refused"] > 0),
                Number("calls_lost", kinds["lost"], is_bad=kinds["lost"] > 0),
            ],
            "/orders",
            Latency.of(flow.conversations),
            "of_conversations",
        ),
        _table(flow.by_status(), Latency.of(flow.settlements)),
        Station(
            "letters",
            [Number("waiting", letters.visible + letters.in_flight, is_bad=letters.visible + letters.in_flight > 0)],
            "/dead-letters",
        ),
    ]


def _table(statuses: Mapping[Status, int], latency: Latency) -> Station:
    numbers = [Number(status, count, is_bad=status.needs_attention and count > 0) for status, count in statuses.items()]
    return Station("table", numbers, latency=latency, latency_name="to_final")
