"""`outcome`: publish what became of orders again, after outcome events were lost."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ops import outcomes
from ops.commands.arguments import add_order, duration, key_of, program
from ops.commands.parser import Nouns
from ops.output import Exit, Output, Progress, Report, Row, Stream
from ops.stack import Deployment, UsageError
from outcomes.announcement import Announcement

_ABOUT_SEND = """Publish the outcome of an order, or of every order written in a time, as its item stands.

It prints what it would publish; --yes does it. Consumers may receive an outcome twice: the order and its version
identify it. --since reads the whole table; it costs a read unit for each 8 KB."""


def register(nouns: Nouns) -> None:
    """Add the noun and its verb."""
    outcome = nouns.noun("outcome", "publish what became of orders again")
    send = outcome.command("send", _send, "publish lost outcome events again", _ABOUT_SEND)
    add_order(send, optional=True)
    send.add_argument("--since", type=duration, metavar="TIME", help="every order written in the last 30m, 4h, 2d")
    send.add_argument(
        "--until", type=duration, metavar="TIME", help="with --since: but not in the last 10m; default: 0"
    )
    send.add_argument("--yes", action="store_true", help="publish; without it, only print")


def _send(deployment: Deployment, options: argparse.Namespace) -> Output:
    one = options.out_order_no is not None
    if one == (options.since is not None):
        raise UsageError("which outcomes? give MCHID and OUT_ORDER_NO, or --since")
    if options.until is not None and one:
        raise UsageError("--until goes with --since")
    return Stream(("at", "merchant and order", "version", "outcome"), _steps(deployment, options, one=one))


def _steps(deployment: Deployment, options: argparse.Namespace, *, one: bool) -> Iterator[Row | Progress | Report]:
    announcements: list[Announcement] = []
    if one:
        announcements.append(outcomes.of_order(deployment, key_of(options)))
    else:
        now = datetime.now(UTC)
        for step in outcomes.written_between(deployment, now - options.since, now - (options.until or timedelta())):
            if isinstance(step, Announcement):
                announcements.append(step)
                yield Progress("read", len(announcements), None)
            else:
                yield Report((f"{step.key} cannot be read and is left out: {step.problem}",), status=Exit.ACTION)
    yield from map(_row, outcomes.publish(deployment, announcements) if options.yes else announcements)
    yield _summary(len(announcements), options)


def _row(announcement: Announcement) -> Row:
    document = {"detail_type": announcement.detail_type.value, **announcement.detail}
    cells = (announcement.at, announcement.key, announcement.version, announcement.detail_type.value)
    return Row(cells, document)


def _summary(number: int, options: argparse.Namespace) -> Report:
    if not number:
        return Report(("no order has an outcome in this time",))
    if options.yes:
        return Report((f"{number} published",))
    which = f"{options.mchid} {options.out_order_no}" if options.out_order_no else "--since …"
    return Report((f"{number} would be published: {program(options)} outcome send {which} --yes",), status=Exit.ACTION)
