"""`order`: show an order, list those that need attention, acknowledge one."""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from ops import acknowledgement, advice, attention, items, log_lines
from ops.acknowledgement import Acknowledgement
from ops.commands.arguments import add_order, count, duration, key_of, program
from ops.commands.parser import Nouns
from ops.items import Item
from ops.log_lines import LogLine, Span
from ops.order_view import view
from ops.output import Output, Progress, Report, Row, Stream
from ops.stack import Deployment
from orders.order import Status, instant
from orders.rules import RETRIES_EXHAUSTED


def register(nouns: Nouns) -> None:
    """Add the noun and its verbs."""
    order = nouns.noun("order", "show, list and acknowledge orders")
    show = order.command("show", _show, "show everything about one order, and what to do next", _ABOUT_SHOW)
    add_order(show)
    show.add_argument("--logs", action="store_true", help="also print the function's log lines about the order")
    show.add_argument(
        "--since", type=duration, metavar="TIME", help="with --logs: so far back, such as 2d; default: the item's life"
    )
    _register_list(order.command("list", _list, "list the orders that need attention, oldest first", _ABOUT_LIST))
    end = order.command("acknowledge", _acknowledge, "take an order that was dealt with out of the list", _ABOUT_END)
    add_order(end)
    end.add_argument("--who", required=True, metavar="NAME", help="who has dealt with it")
    end.add_argument(
        "--why", required=True, metavar="TEXT", help="what was done: refunded, corrected, hopeless and why"
    )


def _register_list(listing: argparse.ArgumentParser) -> None:
    listing.add_argument("--attention", action="store_true", help="the index that is listed; it may be left out")
    statuses = [status.value for status in attention.STATUSES]
    listing.add_argument("--status", action="append", choices=statuses, help="only this status; may be repeated")
    listing.add_argument("--merchant", metavar="MCHID", help="only orders of this mchid")
    listing.add_argument(
        "--reason", action="append", metavar="REASON", help="only this reason, or this cause of RETRIES_EXHAUSTED"
    )
    listing.add_argument(
        "--older-than", type=duration, metavar="TIME", help="last written before this time: 30m, 4h, 2d"
    )
    listing.add_argument(
        "--newer-than", type=duration, metavar="TIME", help="last written within this time: 30m, 4h, 2d"
    )
    listing.add_argument("--limit", type=count, metavar="N", help="at most N orders")


_ABOUT_SHOW = """Show an order: its status, what to do next, its history and WeChat Pay's answer.

With --json it is the item as one flat document. With --logs and --json it is JSON Lines: the item first, then the log
lines. --logs reads the log from a quarter of an hour before the item was created until a quarter of an hour after its
last write, or until now if the order is not settled."""

_ABOUT_LIST = """List the orders with the status RETRYING, REJECTED or PAID_BY_WECHAT, oldest first for each status.

Orders are printed as they are read from the index. A settled or acknowledged order is not in it."""

_ABOUT_END = """Take an order out of `order list` once it is dealt with: refunded, corrected by hand, or hopeless.

Its status and its reason stay. The item keeps who did it, when and why, and a line in its history. If the function
records another attempt, the order is in the list again. A dead-letter message of the order is not touched."""


# ---- show ------------------------------------------------------------------------------------------------------------


def _show(deployment: Deployment, options: argparse.Namespace) -> Output:
    item = items.require(deployment, key_of(options))
    report = Report(tuple(view(item, program(options))), _document(item))
    if not options.logs:
        return report
    return Stream(("at", "level", "message", "fields"), _with_logs(deployment, item, report, options.since))


def _document(item: Item) -> dict[str, object]:
    end = Acknowledgement.of(item.order) if item.order else None
    return item.document | ({"acknowledged": end.document} if end else {})


# ---- its log lines ---------------------------------------------------------------------------------------------------


def _with_logs(
    deployment: Deployment, item: Item, report: Report, since: timedelta | None
) -> Iterator[Row | Progress | Report]:
    yield report
    span = _span(item, since, datetime.now(UTC))
    yield Report(("", f"log lines from {_minute(span.since)} to {_minute(span.until)}"))
    lines = 0
    for step in log_lines.find(deployment, span, item.out_order_no, partial(_is_about, item)):
        if isinstance(step, LogLine):
            lines += 1
        yield log_row(step) if isinstance(step, LogLine) else step
    if not lines:
        yield Report(("none: give --since to look further back, and mind the stack's LogRetentionDays",))


def _is_about(item: Item, fields: Mapping[str, object]) -> bool:
    return item.key in log_lines.keys_of(fields)


def log_row(line: LogLine) -> Row:
    """Return a log line as a row."""
    cells = (line.at, line.fields.get("level"), line.fields.get("message"), line.words)
    return Row(cells, {"at": line.at, **line.fields})


def _span(item: Item, since: timedelta | None, now: datetime) -> Span:
    """Return the time in which the item's log lines are: its life, with a margin."""
    order = item.order
    created, updated = _moment(order.created_at if order else ""), _moment(order.updated_at if order else "")
    is_settled = order is not None and order.status.final and updated is not None
    first = now - since if since is not None else created - log_lines.MARGIN if created else now - timedelta(days=1)
    return Span(first, updated + log_lines.MARGIN if is_settled and updated is not None else now)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


# ---- list ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which orders are listed."""

    statuses: tuple[Status, ...]
    merchant: str | None
    reasons: frozenset[str]
    since: str | None
    until: str | None
    limit: int | None

    def admits(self, item: Item) -> bool:
        """Whether an item has one of the reasons."""
        if not self.reasons:
            return True
        order = item.order
        if order is None:
            return "UNREADABLE_ITEM" in self.reasons
        cause = advice.last_cause(order.history) if order.reason == RETRIES_EXHAUSTED else ""
        return bool(self.reasons & {order.reason, cause})


def _list(deployment: Deployment, options: argparse.Namespace) -> Output:
    statuses = tuple(Status(word) for word in dict.fromkeys(options.status or attention.STATUSES))
    since, until = (_ago(age) for age in (options.newer_than, options.older_than))
    reasons = frozenset(word.upper() for word in options.reason or ())
    listing = _Filter(statuses, options.merchant, reasons, since, until, options.limit)
    columns = ("updated", "status", "merchant", "order", "reason", "refusal", "transaction")
    return Stream(columns, _rows(deployment, listing))


def _ago(age: timedelta | None) -> str | None:
    return None if age is None else instant(time.time() - age.total_seconds())


def _rows(deployment: Deployment, listing: _Filter) -> Iterator[Row | Progress | Report]:
    rows = 0
    for number, item in enumerate(_items(deployment, listing), 1):
        if listing.admits(item):
            yield Row(_cells(item), _document(item))
            rows += 1
        if rows == listing.limit:
            return
        yield Progress("orders read", number)
    if not rows:
        yield Report(("no order of this kind needs attention",))


def _items(deployment: Deployment, listing: _Filter) -> Iterator[Item]:
    if listing.since and listing.until and listing.since > listing.until:
        return iter(())  # DynamoDB refuses such a range
    return attention.items(
        deployment, listing.statuses, merchant=listing.merchant, since=listing.since, until=listing.until
    )


def _cells(item: Item) -> tuple[object, ...]:
    order = item.order
    if order is None:
        return (item.updated_at, "UNREADABLE", item.owner, item.out_order_no, item.problem, "", "")
    refusal = f"{order.last_error.code} {order.last_error.message}" if order.last_error else ""
    transaction_id = order.facts.transaction_id if order.facts else None
    return (order.updated_at, order.status, item.owner, item.out_order_no, order.reason, refusal, transaction_id)


# ---- acknowledge -----------------------------------------------------------------------------------------------------


def _acknowledge(deployment: Deployment, options: argparse.Namespace) -> Output:
    item = items.require(deployment, key_of(options))
    end = acknowledgement.acknowledge(deployment, item, who=options.who, why=options.why, now=time.time())
    words = f"{item.key} is not in `order list` any more: acknowledged by {end.who} at {end.at}: {end.why}"
    return Report((words,), {"pk": item.key, "acknowledged": end.document})
