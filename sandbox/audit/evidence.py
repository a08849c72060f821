"""The evidence of an audit as values: what was reported, what WeChat Pay has, what the table and the queues have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from sandbox.audit.doorways import Doorways
from sandbox.audit.till_report import TillReport, instant, moment, order_key, order_of

type RawItem = dict[str, Any]  # of whatever form the function or another program has written
type LedgerEntry = Mapping[str, Any]  # an order as `Simulator.ledger` returns it

FINAL_STATUSES: Mapping[str, str] = {
    "DONE MCH": "SYNCED",
    "DONE NEWTON": "PAID_BY_WECHAT",
    "DONE nothing due": "NOTHING_DUE",
}
"""The final status that belongs to what WeChat Pay's ledger has."""

FINAL = frozenset(FINAL_STATUSES.values())


@dataclass(frozen=True, slots=True)
class Untouched:
    """An item that nothing may overwrite, since this Unix time; 0 stands for before the first message."""

    item: RawItem
    since: float


@dataclass(frozen=True, slots=True)
class AuditEvidence:
    """Everything that the checks compare; orders are named by their keys in the table."""

    items: Mapping[str, RawItem]
    times: Mapping[str, Set[float]]  # of payment, as the tills reported them
    poison: Set[str]  # bodies that cannot be read
    ledger: Mapping[str, LedgerEntry]
    calls: Sequence[tuple[str, float]] = ()
    letters: Sequence[str] = ()  # bodies of the dead letters
    waiting: int = 0  # messages in the queue
    untouched: Mapping[str, Untouched] = field(default_factory=dict)
    doorways: Doorways | None = None  # both are shut

    def status(self, key: str) -> str:
        """Return the status of an order's item: `unreadable` where it was made so, `-` where there is no item."""
        if key in self.untouched:
            return "unreadable"
        item = self.items.get(key)
        return str(item.get("status", "")) if item else "-"

    def reason(self, key: str) -> str:
        """Return the reason in an order's item; empty where there is none."""
        return str(self.items.get(key, {}).get("reason", ""))

    @property
    def orders(self) -> Set[str]:
        """The orders that a till or WeChat Pay has named."""
        return self.times.keys() | (self.doorways.collections if self.doorways else set())

    @property
    def dead_orders(self) -> list[str]:
        """The order of each dead letter; empty for a letter that cannot be read."""
        return ["" if body in self.poison else order_of(body) for body in self.letters]

    def truth(self, key: str) -> str:
        """Return what WeChat Pay's ledger has of an order, in its own words."""
        order = self.ledger.get(key)
        if order is None:
            return "unknown"
        if order["state"] == "DONE":
            return f"DONE {order['paid_type'] or 'nothing due'}"
        return f"{order['state']} {order['state_description'] or ''}".strip()

    def verdict_times(self) -> dict[str, float]:
        """Return since when each order has its verdict: a final status, the last rejection, or an unreadable item.

        What WeChat Pay told of an order that no till had reported is a verdict too.
        """
        verdicts = FINAL | {"COLLECTED"}
        times = {key: _final_since(item) for key, item in self.items.items() if item.get("status") in verdicts}
        rejections = {key: item for key, item in self.items.items() if item.get("status") == "REJECTED"}
        times |= {key: instant(item["updated_at"]) for key, item in rejections.items()}
        return times | {key: untouched.since for key, untouched in self.untouched.items()}


def _final_since(item: RawItem) -> float:
    """Return when the item got its verdict, in Unix seconds: the first entry of its history with that status."""
    verdicts = {item["status"], "COLLECTED"}
    entries = [entry["at"] for entry in item.get("history", []) if entry["outcome"] in verdicts]
    return instant(entries[0] if entries else item["updated_at"])


def reported_times(reports: Iterable[TillReport]) -> dict[str, set[float]]:
    """Return the times of payment that the tills reported, by order."""
    times: dict[str, set[float]] = {}
    for report in reports:
        if report.readable:
            times.setdefault(report.key, set()).add(moment(report.paid_time))
    return times


def by_key(orders: Iterable[LedgerEntry], reported: Set[str]) -> Iterator[tuple[str, LedgerEntry]]:
    """Yield each order of the ledger with the key that a report of it has: the endpoint decides, not the order."""
    for order in orders:
        key = order_key(order["mchid"], order["out_order_no"], order.get("sub_mchid", ""))
        yield (key if key in reported else order_key(order["mchid"], order["out_order_no"])), order
