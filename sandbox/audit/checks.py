"""The checks of an audit: each takes the evidence and yields the orders for which a promise was broken."""

from collections import Counter
from collections.abc import Iterator, Set

from sandbox.audit.doorway_checks import false_events, missing_events, untold_collections
from sandbox.audit.evidence import FINAL, FINAL_STATUSES, AuditEvidence
from sandbox.audit.findings import Findings
from sandbox.audit.texts import unsafe_texts
from sandbox.audit.till_report import moment

IN_FLIGHT = 5.0  # seconds that a call may have begun before a verdict that it follows


def check(evidence: AuditEvidence, changed: Set[str]) -> Findings:
    """Run every check; `changed` are the orders whose final status was seen to change."""
    return Findings(
        orders=len(evidence.orders),
        lost_orders=list(_lost_orders(evidence)),
        wrong_statuses=list(_wrong_statuses(evidence)),
        changed_statuses=sorted(changed),
        false_times=list(_false_times(evidence)),
        late_calls=list(_late_calls(evidence)),
        unexplained_letters=list(_unexplained_letters(evidence)),
        retrying_letters=list(_retrying_letters(evidence)),
        overwritten_items=[key for key, one in evidence.untouched.items() if evidence.items.get(key) != one.item],
        unsafe_texts=[f"{key} {name}" for key, item in evidence.items.items() for name in unsafe_texts(item)],
        hidden_reports=list(_hidden_reports(evidence)),
        false_collections=list(_false_collections(evidence)),
        untold_collections=list(untold_collections(evidence)),
        missing_events=list(missing_events(evidence)),
        false_events=list(false_events(evidence)),
        ledger=Counter((evidence.truth(key), evidence.status(key)) for key in evidence.orders),
        open=Counter(_open_orders(evidence)),
        dead=Counter(filter(None, _explanations(evidence))),
    )


def _lost_orders(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the orders of which neither an item nor a dead letter is left, once the queue is empty.

    An item that was unreadable before the first message says nothing about the report.
    """
    dead = set(evidence.dead_orders)
    for key in evidence.times if not evidence.waiting else ():
        untouched = evidence.untouched.get(key)
        has_trace = untouched.since > 0 if untouched else key in evidence.items
        if not has_trace and key not in dead:
            yield key


def _wrong_statuses(evidence: AuditEvidence) -> Iterator[str]:
    for key in evidence.times:
        status, truth = evidence.status(key), evidence.truth(key)
        if status in FINAL and status != FINAL_STATUSES.get(truth):
            yield f"{key} is {status}, WeChat Pay has {truth}"


def _false_times(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the orders for which WeChat Pay has a time of payment that no till reported."""
    for key, times in evidence.times.items():
        order = evidence.ledger.get(key)
        if order and order["paid_type"] == "MCH" and moment(order["paid_time"]) not in times:
            yield key


def _late_calls(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the order of each call that began when its verdict had long been recorded."""
    verdicts = evidence.verdict_times()
    for key, at in evidence.calls:
        if key in verdicts and at > verdicts[key] + IN_FLIGHT:
            yield key


def _unexplained_letters(evidence: AuditEvidence) -> Iterator[str]:
    letters = zip(evidence.dead_orders, evidence.letters, _explanations(evidence), strict=True)
    yield from (key or body[:80] for key, body, explanation in letters if not explanation)


def _retrying_letters(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the orders whose message SQS has given up while the item still says RETRYING, once the queue is empty."""
    dead = set(evidence.dead_orders)
    for key in evidence.times if not evidence.waiting else ():
        if key in dead and evidence.items.get(key, {}).get("status") == "RETRYING":
            yield key


def _hidden_reports(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the orders that a till has reported and whose item says that none has, once the queue is empty."""
    dead = set(evidence.dead_orders)
    for key in evidence.times if not evidence.waiting else ():
        if evidence.status(key) == "COLLECTED" and key not in dead:
            yield key


def _false_collections(evidence: AuditEvidence) -> Iterator[str]:
    """Yield the COLLECTED orders that WeChat Pay has not collected, and the orders that expire without being such."""
    for key, item in evidence.items.items():
        is_collected = item.get("status") == "COLLECTED"
        if is_collected and evidence.truth(key) != "DONE NEWTON":
            yield f"{key}: WeChat Pay has {evidence.truth(key)}"
        if is_collected is not ("expires_at" in item) and key not in evidence.untouched:
            yield f"{key}: {item.get('status')} with expires_at {item.get('expires_at')}"


def _open_orders(evidence: AuditEvidence) -> Iterator[str]:
    for key in evidence.times:
        if (status := evidence.status(key)) not in FINAL:
            yield f"{evidence.truth(key)}: {status} {evidence.reason(key)}".rstrip()


def _explanations(evidence: AuditEvidence) -> Iterator[str]:
    """Yield why each dead letter is one; empty where nothing explains it."""
    for key, body in zip(evidence.dead_orders, evidence.letters, strict=True):
        if body in evidence.poison:
            yield "unreadable"
        elif key in evidence.untouched:
            yield "unreadable item"
        elif evidence.reason(key):
            yield evidence.reason(key)
        elif evidence.items.get(key, {}).get("status") in FINAL:
            yield "settled by another message"
        else:
            yield ""
