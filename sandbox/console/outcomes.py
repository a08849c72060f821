"""What others are told: the function's events about outcomes, and WeChat Pay's notifications to the merchant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sandbox.journal import OUTCOMES, JournalEntry


@runtime_checkable
class NotifyingWeChatPay(Protocol):
    """A simulated WeChat Pay that sends notifications, as far as the console shows them."""

    def notifications(self, mchid: str = "", out_order_no: str = "") -> Sequence[Mapping[str, object]]:
        """Return the newest notifications, the newest last: `event_type`, `out_order_no`, `created_at`, `delivery`."""


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
