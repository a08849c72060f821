"""A till that sends events, right and wrong ones, and what became of each."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import Response

from sandbox.console import bulletin
from sandbox.console.desk import Desk
from sandbox.console.errors import ConsoleError
from sandbox.console.flow import OUTCOMES
from sandbox.console.links import order_path
from sandbox.console.page import Page
from sandbox.console.till import FAMILY_FIELDS, LATE, Event, Report, Sale, Way, own_event
from sandbox.console.unmatched import Difference, differences
from sandbox.console.visit import Visit
from sandbox.journal import JournalEntry

UNMATCHED = 10  # events that no rule matched, on the page


def _valid(sale: Sale, way: Way) -> list[Event]:
    return [Event(json.dumps(sale.payload()), way, sale.key)]


def _twice(sale: Sale, way: Way) -> list[Event]:
    return _valid(sale, way) * 2


def _without_time(sale: Sale, way: Way) -> list[Event]:
    return [Event(json.dumps(sale.payload() | {"detail": {}}), way, sale.key)]


def _other_source(sale: Sale, _: Way) -> list[Event]:
    return [Event(json.dumps(sale.payload()), "bus", sale.key, source="shop.console")]


def _other_type(sale: Sale, _: Way) -> list[Event]:
    return [Event(json.dumps(sale.payload()), "bus", sale.key, detail_type="Order_Refunded")]


def _not_json(sale: Sale, _: Way) -> list[Event]:
    return [Event(f"{sale.out_order_no}: not JSON", "queue", sale.key)]


KINDS: Mapping[str, Callable[[Sale, Way], list[Event]]] = {
    "valid": _valid,
    "twice": _twice,
    "late": _valid,
    "without_time": _without_time,
    "not_json": _not_json,
    "other_source": _other_source,
    "other_type": _other_type,
}
"""What a till may send, right and wrong, by the button's value."""


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


@dataclass(frozen=True, slots=True)
class Unmatched:
    """An event that no rule matched, or that the bus refused, and why."""

    entry: JournalEntry
    differences: Sequence[Difference]


def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.show(
        "till.html", kinds=[*KINDS, "hundred"], endpoints=FAMILY_FIELDS, example=_example(visit), **_values(visit.desk)
    )


def events(visit: Visit) -> Response:
    """Show what became of the events."""
    return visit.show("events.html", **_values(visit.desk))


def send(visit: Visit) -> Response:
    """Send what the button says, about the order that is named or a new one."""
    desk, kind, endpoint, way = visit.desk, visit.field("kind"), visit.field("endpoint"), _way(visit)
    if kind == "hundred":
        desk.jobs.start("till.hundred", lambda: desk.till.send_hundred(endpoint, way), [bulletin.FLOW])
        return visit.done("till.hundred_begun")
    if kind not in KINDS:
        raise ConsoleError("till.no_such_kind", names=", ".join(KINDS))
    sale = desk.till.sale(visit.field("out_order_no"), endpoint, ago=LATE if kind == "late" else 0.0)
    return _done(visit, desk.till.send(kind, KINDS[kind](sale, way)))


def send_own(visit: Visit) -> Response:
    """Send what a person has typed."""
    text = visit.field("text")
    if not text:
        raise ConsoleError("till.nothing_typed")
    return _done(visit, visit.desk.till.send("own", [own_event(text, _way(visit))]))


def _done(visit: Visit, reports: Sequence[Report]) -> Response:
    if errors := [report.error for report in reports if report.error]:
        visit.desk.board.publish([bulletin.FLOW])
        raise ConsoleError("till.refused", error=errors[0])
    key = reports[0].event.key
    number = key.rpartition("#")[2] or "-"
    where = {"path": order_path(key), "path_text": visit.text("till.look")} if key else {}
    topics = [bulletin.FLOW, bulletin.ORDERS]
    return visit.done("till.sent", topics=topics, count=len(reports), number=number, **where)


def _way(visit: Visit) -> Way:
    return "queue" if visit.field("way") == "queue" else "bus"


def _values(desk: Desk) -> dict[str, object]:
    entries = desk.feed.entries
    published = {entry.fields["event_id"]: entry for entry in entries if entry.kind == "event_published"}
    reports = desk.till.newest_first
    dead = dead_reports(reports, entries)
    lines = [_line(report, published, desk, report.id in dead) for report in reports]
    strays = [entry for entry in published.values() if _is_stray(entry)][-UNMATCHED:]
    patterns = _patterns(desk) if strays else {}
    return {"lines": lines, "unmatched": [_explain(entry, patterns) for entry in reversed(strays)]}


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
    ids = [report.id for report in reports if report.id]
    return {id_ for id_ in ids if id_ in messages or any(id_ in body for body in bodies)}


def _line(report: Report, published: Mapping[object, JournalEntry], desk: Desk, dead: bool) -> Line:
    entry = published.get(report.id)
    matched = True if report.event.way == "queue" else bool(entry.fields["rules"]) if entry else None
    status = desk.feed.flow.statuses.get(report.event.key, "") if matched else ""
    return Line(report, order_path(report.event.key), matched, status, dead)


def _is_stray(entry: JournalEntry) -> bool:
    return not entry.fields["rules"] and entry.fields["source"] != OUTCOMES


def _patterns(desk: Desk) -> dict[str, Mapping[str, object]]:
    """Return the pattern of each rule of the bus that has one."""
    bus = desk.deployment.outputs["EventBusName"]
    rules = desk.deployment.client("events").list_rules(EventBusName=bus)["Rules"]
    return {rule["Name"]: json.loads(rule["EventPattern"]) for rule in rules if rule.get("EventPattern")}


def _explain(entry: JournalEntry, patterns: Mapping[str, Mapping[str, object]]) -> Unmatched:
    names = {"source": "source", "detail-type": "detail_type", "detail": "detail"}
    event = {name: entry.fields[field] for name, field in names.items()}
    lines = [line for rule, pattern in patterns.items() for line in differences(rule, pattern, event)]
    return Unmatched(entry, [] if entry.fields["error"] else lines)


def _example(visit: Visit) -> str:
    """Return a payload for an order of the sandbox that waits for its money."""
    waiting = [order for order in visit.desk.wechat_pay.ledger() if order["collection_state"] == "USER_PAYING"]
    number = waiting[0]["out_order_no"] if waiting else "MINE-1"
    mchid = waiting[0]["mchid"] if waiting else "1230000109"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"mchid": mchid, "out_order_no": number, "detail": {"paid_time": now}}, indent=2)


PAGE = Page("till", "/till", {"": show, "events": events}, {"send": send, "own": send_own})
