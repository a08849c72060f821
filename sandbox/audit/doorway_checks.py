"""The checks of what went through the doorways."""

from collections.abc import Iterator, Mapping, Set

from sandbox.audit.doorways import OutcomeEvent
from sandbox.audit.evidence import FINAL, AuditEvidence, RawItem

_STATUSES: Mapping[str, Set[str]] = {
    "OrderSynced": {"SYNCED"},
    "OrderPaidByWeChat": {"PAID_BY_WECHAT"},
    "OrderNothingDue": {"NOTHING_DUE"},
    "OrderRejected": {"REJECTED"},
    "OrderRecovered": {"SYNCED", "NOTHING_DUE"},
}
"""The statuses that an event of each type may report."""

_ANNOUNCED = FINAL | {"REJECTED"}
_LAST_ATTEMPTS = {"RETRYING", "UNKNOWN"}  # as a history has the attempt after which SQS gave the message up
_EXHAUSTED = "RETRIES_EXHAUSTED"
_KEPT = 20  # attempts in an item's history; the oldest go first


def untold_collections(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the orders whose collection WeChat Pay told, and whose item does not say so.

    An order that a till has reported is PAID_BY_WECHAT; COLLECTED while the report waits, or after it was given up.
    """
    for key in evidence.doorways.collections if evidence.doorways else ():
        expected = {"PAID_BY_WECHAT", "COLLECTED"} if key in evidence.times else {"COLLECTED"}
        if evidence.status(key) not in expected:
            yield f"{key} is {evidence.status(key)}"


def missing_events(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the orders with an outcome that no event has announced."""
    if evidence.doorways is None:
        return
    announced: dict[tuple[str, str], int] = {}
    for event in evidence.doorways.events:
        place = event.key, event.status
        announced[place] = min(event.version, announced.get(place, event.version))
    for key, item in evidence.items.items():
        if key not in evidence.untouched and item.get("status") in _ANNOUNCED:
            version = announced.get((key, item["status"]))
            if version is None or version > item["version"]:
                yield f"{key} is {item['status']}"


def false_events(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the events that the table does not bear out, with the reason."""
    for event in evidence.doorways.events if evidence.doorways else ():
        if objection := _objection(event, evidence):
            yield f"{event.key}: {event.detail_type}, version {event.version}: {objection}"


def _objection(event: OutcomeEvent, evidence: AuditEvidence) -> str:
    item = evidence.items.get(event.key)
    if item is None:
        return "there is no item"
    if event.status not in _STATUSES.get(event.detail_type, ()):
        return f"it reports {event.status}"
    if event.version > item["version"]:
        return f"the item's version is {item['version']}"
    if event.status in FINAL and event.key not in evidence.untouched and item["status"] != event.status:
        return f"the item is {item['status']}"
    if event.status == "PAID_BY_WECHAT" and not event.transaction_id:
        return "it names no transaction to refund"
    return "" if _has_happened(event, item) else "the item's history does not have it"


def _has_happened(event: OutcomeEvent, item: RawItem) -> bool:
    history = item.get("history", [])
    outcomes = {event.status, *(_LAST_ATTEMPTS if event.reason == _EXHAUSTED else ())}
    is_forgotten = len(history) >= _KEPT and event.at < history[0]["at"]
    return is_forgotten or any(one["at"] == event.at and one["outcome"] in outcomes for one in history)
