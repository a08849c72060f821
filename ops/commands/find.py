"""`find`: from the id of an event to wherever it is."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ops import traces
from ops.commands.arguments import duration, program
from ops.commands.parser import Nouns
from ops.items import Item
from ops.log_lines import LogLine, Span
from ops.output import Exit, Output, Progress, Report, Row, Stream
from ops.stack import Deployment
from ops.traces import Search, Step, Trace, Unsearched
from orders.order import instant

_ABOUT = """Find an event by its id: the POS's own, EventBridge's, or the id of the message of SQS.

It is looked for in the function's log, at the order's item, in DeadLetters and in UndeliveredEvents; messages stay in
their queues. OrderQueue is not searched, because a look counts as a receive. If the log has no line, the item is looked
for among the orders that need attention; --scan reads the whole table. The exit status is 1 if it is nowhere."""


def register(nouns: Nouns) -> None:
    """Add the command."""
    find = nouns.command("find", _find, "find an event: log lines, item, dead letter, undelivered event", _ABOUT)
    find.add_argument("event_id", metavar="EVENT_ID", help="id of the event or of its message")
    find.add_argument(
        "--since",
        type=duration,
        default=timedelta(days=1),
        metavar="TIME",
        help="search so far back in the log; default 1d",
    )
    find.add_argument("--scan", action="store_true", help="read the whole table; it costs a read unit for each 8 KB")


def _find(deployment: Deployment, options: argparse.Namespace) -> Output:
    now = datetime.now(UTC)
    search = Search(deployment, options.event_id, Span(now - options.since, now), options.scan)
    return Stream(("at", "place", "merchant", "order", "status", "text"), _rows(search, program(options)))


def _rows(search: Search, begin: str) -> Iterator[Row | Progress | Report]:
    finds = 0
    for step in search.run():
        finds += isinstance(step, LogLine | Item | Trace)
        yield step if isinstance(step, Progress) else _row(step, begin)
    if not finds:
        remedy = "search further back with --since, or the whole table with --scan"
        words = (f"{search.event_id} is nowhere: {remedy}", traces.waiting(search.deployment))
        yield Report(tuple(filter(None, words)), status=Exit.FAILED)


def _row(step: Step, begin: str) -> Row:
    match step:
        case LogLine():
            fields = step.fields
            cells = (step.at, "log", fields.get("mchid"), fields.get("out_order_no"), fields.get("status"))
            return Row((*cells, fields.get("message")), {"place": "log", "at": step.at, **fields}, step.words)
        case Item():
            return _item_row(step, begin)
        case Trace():
            return _trace_row(step)
        case Unsearched():
            document = {"place": step.place, "not_searched": step.problem}
            return Row(("", step.place, "", "", "NOT SEARCHED", step.problem), document)
        case _:
            raise TypeError(f"{type(step).__name__} is no find")


def _item_row(item: Item, begin: str) -> Row:
    status = item.order.status if item.order else "UNREADABLE"
    reason = item.order.reason if item.order else item.problem
    owner, _, sub_mchid = item.owner.partition("/")
    command = f"{begin} order show {owner} {item.out_order_no}" + (f" --sub-mchid {sub_mchid}" if sub_mchid else "")
    cells = (item.updated_at, "order", item.owner, item.out_order_no, status, reason)
    return Row(cells, {"place": "order", **item.document}, command)


def _trace_row(trace: Trace) -> Row:
    payment = trace.event.payment if trace.event else None
    owner, number = (payment.mchid, payment.out_order_no) if payment else ("", "")
    at = instant(trace.sent_at)
    document = {"place": trace.place, "message_id": trace.message_id, "sent_at": at, "problem": trace.problem}
    if payment:
        document |= {"mchid": owner, "out_order_no": number}
    cells = (at, trace.place, owner, number, "UNREADABLE" if trace.problem else "")
    return Row((*cells, f"message {trace.message_id}"), document, trace.problem)
