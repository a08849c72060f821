"""`python -m sandbox timeline`: what happened to an order or an event, step by step, and what is missing."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.commands import parser

if TYPE_CHECKING:
    from ops.output import Output

_ABOUT = """Show the timeline of an order, or of an event by its id (also a message's id).

event -> rule (or: no rule matched) -> message -> receives -> calls to WeChat Pay -> item -> dead letter -> redrive, and
what is missing at this moment. + is good, ~ passes by itself, ! needs action."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    options = read(arguments)
    from sandbox.commands.execution import execute  # noqa: PLC0415  after a wrong command line is refused

    return execute(lambda: _show(options), as_json=options.json)


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the program."""
    options = parser.command("timeline", _ABOUT)
    options.add_argument("subject", nargs="+", metavar="MCHID OUT_ORDER_NO | EVENT_ID", help="an order, or an event")
    options.add_argument("--sub-mchid", metavar="MCHID", type=parser.mchid, help="the order's sub-merchant")
    options.add_argument("--all", action="store_true", help="every step, also those that repeat")
    parser.add_output(options)
    values = options.parse_args(arguments)
    if len(values.subject) > 2:
        options.error("give an order by MCHID and OUT_ORDER_NO, or an event by its id")
    return values


def _show(options: argparse.Namespace) -> "Output":
    from sandbox import running  # noqa: PLC0415
    from sandbox.timeline import Subject, compose  # noqa: PLC0415
    from sandbox.timeline.reader import FarWeChatPay, Reader  # noqa: PLC0415
    from sandbox.timeline.view import timeline_report  # noqa: PLC0415

    sandbox = running.find(options.endpoint_url)
    *owner, last = options.subject
    subject = Subject(owner[0], last, options.sub_mchid or "") if owner else Subject(event_id=last)
    facts = Reader(sandbox.deployment, sandbox.journal, FarWeChatPay(sandbox.control)).read(subject)
    return timeline_report(compose(subject, facts), every=options.all)
