"""`python -m sandbox event`: send an event as a till does, and list those that no rule matched."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ops.installation import HERE
from sandbox.commands import parser
from sandbox.place import MERCHANT
from sandbox.till_events import DETAIL_TYPE, SOURCE, payload_of

if TYPE_CHECKING:
    from ops.output import Output
    from sandbox.running import Running
    from sandbox.till_events import Way

_ABOUT_SEND = """Send an event to the running sandbox: through its bus, or with --queue to its queue.

FILE has a payload, or a whole EventBridge event; `-` reads stdin. Without FILE the payload is made of the options.
It is checked as the function reads it, and as the rule takes it; --unchecked sends whatever it is."""

_ABOUT_UNMATCHED = """List the events that no rule matched, or that EventBridge refused, and what each rule wants.

EventBridge drops such an event without a word. The exit status is 3 if there is one."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    options = read(arguments)
    from sandbox.commands.execution import execute  # noqa: PLC0415  after a wrong command line is refused

    return execute(lambda: (_send if options.verb == "send" else _unmatched)(options), as_json=options.json)


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the program."""
    noun = parser.command("event", "Send an event as a till does, or list those that no rule matched.")
    verbs = noun.add_subparsers(required=True, metavar="VERB", dest="verb")
    send = verbs.add_parser("send", help="send an event", description=_ABOUT_SEND)
    send.add_argument("file", nargs="?", metavar="FILE", help="JSON; - for stdin")
    send.add_argument("--mchid", type=parser.mchid, default=MERCHANT, help=f"the merchant; default: {MERCHANT}")
    send.add_argument("--out-order-no", type=parser.out_order_no, help="the merchant's number of the order")
    send.add_argument("--paid-time", metavar="TIME", help="when the customer paid, RFC 3339; default: now")
    send.add_argument("--source", default=SOURCE, help=f"the event's source; default: {SOURCE}")
    send.add_argument("--detail-type", default=DETAIL_TYPE, help=f"its detail-type; default: {DETAIL_TYPE}")
    send.add_argument("--bus", default="", help="the event bus; default: the stack's")
    send.add_argument("--queue", action="store_true", help="send to the order queue instead of the bus")
    send.add_argument("--unchecked", action="store_true", help="send it whatever it is, as a faulty till does")
    parser.add_output(send)
    unmatched = verbs.add_parser("unmatched", help="list the events that no rule matched", description=_ABOUT_UNMATCHED)
    parser.add_output(unmatched)
    values = noun.parse_args(arguments)
    if values.verb == "send" and not (values.file or values.out_order_no):
        send.error("what to send? give FILE, or --out-order-no")
    return values


def _unmatched(options: argparse.Namespace) -> "Output":
    from sandbox import running  # noqa: PLC0415
    from sandbox.timeline.reader import FarWeChatPay, Reader  # noqa: PLC0415
    from sandbox.timeline.unmatched import unmatched_events  # noqa: PLC0415
    from sandbox.timeline.view import unmatched_report  # noqa: PLC0415

    sandbox = running.find(options.endpoint_url)
    rules = Reader(sandbox.deployment, sandbox.journal, FarWeChatPay(sandbox.control)).rules()
    return unmatched_report(unmatched_events(sandbox.journal.entries(), rules))


# ---- send ------------------------------------------------------------------------------------------------------------


def _send(options: argparse.Namespace) -> "Output":
    from ops.output import Report  # noqa: PLC0415
    from sandbox import running  # noqa: PLC0415

    text = _text(options)
    sandbox = running.find(options.endpoint_url)
    sent_id = _unchecked(sandbox, options, text) if options.unchecked else _checked(sandbox, options, text)
    by = "message" if options.queue else "event"
    lines = (f"{by:<9} {sent_id}", f"timeline  {HERE.sandbox} timeline {sent_id}")
    return Report(lines, {f"{by}_id": sent_id, "by": "the queue" if options.queue else "the event bus"})


def _text(options: argparse.Namespace) -> str:
    from ops.stack import OpsError  # noqa: PLC0415

    if options.file is None:
        paid_time = options.paid_time or datetime.now(UTC).isoformat(timespec="seconds")
        return json.dumps(payload_of(options.mchid, options.out_order_no, paid_time))
    try:
        return sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise OpsError(f"{options.file} cannot be read: {error}") from error


def _checked(sandbox: "Running", options: argparse.Namespace, text: str) -> str:
    """Send what the function can read and the stack's rule takes; otherwise say which field is wrong."""
    from ops import events  # noqa: PLC0415
    from ops.stack import OpsError  # noqa: PLC0415

    unusual = [name for name, usual in (("detail_type", DETAIL_TYPE), ("bus", "")) if getattr(options, name) != usual]
    if unusual and not options.queue:
        option = f"--{unusual[0].replace('_', '-')}"
        raise OpsError(f"no rule would take it with this {option}: leave it out, or give --unchecked")
    value = _parse(options, text)
    if not isinstance(value, dict):
        raise OpsError("the event is not a JSON object: send one payload or one EventBridge event, or give --unchecked")
    return events.send(sandbox.deployment, value, source=None if options.queue else options.source)


def _unchecked(sandbox: "Running", options: argparse.Namespace, text: str) -> str:
    from sandbox.till import Till  # noqa: PLC0415
    from sandbox.till_events import Dispatch  # noqa: PLC0415

    way: Way = "queue" if options.queue else "bus"
    return Till(sandbox.deployment).send_one(Dispatch(text, way, options.source, options.detail_type), options.bus)


def _parse(options: argparse.Namespace, text: str) -> object:
    from ops.stack import OpsError  # noqa: PLC0415

    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise OpsError(f"{options.file} is not JSON: {error}; to send it all the same, give --unchecked") from error
