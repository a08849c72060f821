"""A till that sends events, right and wrong ones, and what became of each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import Response

from sandbox.console import bulletin
from sandbox.console.desk import Desk
from sandbox.console.errors import ConsoleError
from sandbox.console.jobs import Step
from sandbox.console.links import order_path
from sandbox.console.page import Page
from sandbox.console.till import Report
from sandbox.console.visit import Visit
from sandbox.journal import OUTCOMES, JournalEntry
from sandbox.place import MERCHANT
from sandbox.till_events import FAMILIES, Family, Way, payload_of
from sandbox.timeline.unmatched import unmatched_events
from sandbox.triggers import TRIGGERS, Trigger

UNMATCHED = 10  # events that no rule matched, on the page
TOPICS = [bulletin.FLOW, bulletin.ORDERS]


@dataclass(frozen=True, slots=True)
class Line:
    """An event that was sent, and what became of it: `matched` is None while the journal has not told.

    `status` is that of its order's item; `dead`: its message is a dead letter.
    """

    report: Report
    path: str
    matched: bool | None
    status: str
    dead: bool


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show(
        "till.html", triggers=TRIGGERS, endpoints=FAMILIES, example=_example(visit), **_values(visit.desk)
    )


def events(visit: Visit) -> Response:
    """Show what became of the events."""
    return visit.show("events.html", **_values(visit.desk))


def send(visit: Visit) -> Response:
    """Fire the trigger that the button names, about the order that is named or a new one."""
    desk, name, family = visit.desk, visit.field("trigger"), family_of(visit)
    if name == "hundred":
        desk.jobs.start("till.hundred", lambda: desk.till.send_hundred(family), TOPICS)
        return visit.done("till.hundred_begun")
    if name not in TRIGGERS:
        raise ConsoleError("till.no_such_trigger", names=", ".join(TRIGGERS))
    trigger, number = TRIGGERS[name], visit.field("out_order_no")
    if trigger.fault:
        desk.jobs.start("till.firing", lambda: _fire(desk, trigger, number, family), TOPICS)
        return visit.done("till.begun")
    return _done(visit, desk.till.fire(trigger, number, family), len(trigger.events))


def send_own(visit: Visit) -> Response:
    """Send what a person has typed."""
    text = visit.field("text")
    if not text:
        raise ConsoleError("till.nothing_typed")
    way: Way = "queue" if visit.field("way") == "queue" else "bus"
    try:
        key = visit.desk.till.send_own(text, way)
    finally:
        visit.desk.board.publish([bulletin.FLOW])  # the list has what was refused, too
    return _done(visit, key, 1)


def family_of(visit: Visit) -> Family:
    """Return the family that a form has chosen."""
    endpoint = visit.field("endpoint")
    if endpoint not in FAMILIES:
        raise ConsoleError("till.no_such_endpoint", endpoint=endpoint, names=", ".join(filter(None, FAMILIES)))
    return FAMILIES[endpoint]


def _fire(desk: Desk, trigger: Trigger, number: str, family: Family) -> Iterator[Step]:
    """Fire a trigger that waits for an attempt."""
    yield Step(line=desk.till.fire(trigger, number, family))


def _done(visit: Visit, key: str, count: int) -> Response:
    where = {"path": order_path(key), "path_text": visit.text("till.look")} if key else {}
    return visit.done("till.sent", topics=TOPICS, count=count, number=key.rpartition("#")[2] or "-", **where)


def _values(desk: Desk) -> dict[str, object]:
    entries = desk.feed.entries
    published = {entry.fields["event_id"]: entry for entry in entries if entry.kind == "event_published"}
    reports = desk.till.newest_first
    dead = dead_reports(reports, entries)
    lines = [_line(report, published, desk, report.receipt.id in dead) for report in reports]
    strays = [entry for entry in published.values() if not entry.fields["rules"] and entry.fields["source"] != OUTCOMES]
    unmatched = unmatched_events(strays[-UNMATCHED:], desk.rules()) if strays else []
    return {"lines": lines, "unmatched": unmatched[::-1]}


def dead_reports(reports: Sequence[Report], entries: Sequence[JournalEntry]) -> set[str]:
    """Return the ids of reports whose message has become a dead letter: a message of the bus holds its event's id."""
    messages = {str(entry.fields["message_id"]) for entry in entries if entry.kind == "message_dead"}
    if not messages:
        return set()
    bodies = [
        str(entry.fields["body"])
        for entry in entries
        if entry.kind == "message_sent" and entry.fields["message_id"] in messages
    ]
    ids = [report.receipt.id for report in reports if report.receipt.id]
    return {id_ for id_ in ids if id_ in messages or any(id_ in body for body in bodies)}


def _line(report: Report, published: Mapping[object, JournalEntry], desk: Desk, dead: bool) -> Line:
    entry = published.get(report.receipt.id)
    is_message = report.receipt.dispatch.way == "queue"
    matched = True if is_message else bool(entry.fields["rules"]) if entry else None
    status = desk.feed.flow.statuses.get(report.key, "") if matched else ""
    return Line(report, order_path(report.key), matched, status, dead)


def _example(visit: Visit) -> str:
    """Return a payload for an order of the sandbox that waits for its money."""
    waiting = [order for order in visit.desk.wechat_pay.ledger() if order["collection_state"] == "USER_PAYING"]
    mchid, number = (waiting[0]["mchid"], waiting[0]["out_order_no"]) if waiting else (MERCHANT, "MINE-1")
    return json.dumps(payload_of(mchid, number, datetime.now(UTC).isoformat(timespec="seconds")), indent=2)


PAGE: Page[Visit] = Page("till", "/till", {"": show, "events": events}, {"send": send, "own": send_own})
