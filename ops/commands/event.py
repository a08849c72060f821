"""`event`: send an event as a POS does."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ops import events, screen
from ops.commands.parser import Nouns
from ops.events import Draft
from ops.output import Output, Report
from ops.stack import Deployment, OpsError, UsageError

_ABOUT_SEND = """Check an event with the function's own parser, as it will arrive, then send it.

FILE has a payload, or a whole EventBridge event around one; `-` reads stdin. Without FILE the payload is made of
--mchid, --out-order-no and --paid-time. It goes to the order queue, or with --source through EventBridge, where the
stack's rule takes only sources that start with its parameter EventSourcePrefix."""

_FIELDS = ("mchid", "out_order_no", "paid_time")


def register(nouns: Nouns) -> None:
    """Add the noun and its verb."""
    event = nouns.noun("event", "send an event as a POS does")
    send = event.command("send", _send, "check an event, then send it", _ABOUT_SEND)
    send.add_argument("file", nargs="?", metavar="FILE", help="JSON of a payload or an EventBridge event; - for stdin")
    send.add_argument("--mchid", metavar="MCHID", help="the merchant")
    send.add_argument("--out-order-no", metavar="OUT_ORDER_NO", help="the merchant's number of the order")
    send.add_argument("--paid-time", metavar="TIME", help="RFC 3339 with an offset, or yyyyMMddHHmmss in Beijing time")
    send.add_argument("--source", help="send through EventBridge with this source; default: to the queue")
    send.add_argument("--dry-run", action="store_true", help="check it and print what would be sent; send nothing")


def _send(deployment: Deployment, options: argparse.Namespace) -> Output:
    draft = events.draft(deployment, _event(options), source=options.source)
    if options.dry_run:
        return Report(tuple(_preview(draft)), draft.document | {"body": json.loads(draft.body)})
    id_ = events.dispatch(deployment, draft)
    payment = draft.event.payment
    by = f"event {id_} to the event bus" if draft.source else f"message {id_} to the order queue"
    document = draft.document | {"event_id" if draft.source else "message_id": id_}
    return Report((f"sent {by}: {payment.key}, paid {payment.paid_time}",), document)


def _preview(draft: Draft) -> list[str]:
    lines = [f"{name:<14}{screen.line(value)}" for name, value in draft.document.items()]
    return [
        "the function can read this; nothing was sent",
        *lines,
        *screen.document(json.loads(draft.body)).split("\n"),
    ]


def _event(options: argparse.Namespace) -> dict[str, Any]:
    fields = {name: value for name in _FIELDS if (value := getattr(options, name)) is not None}
    if options.file is None and not fields:
        raise UsageError("what to send? give FILE, or --mchid, --out-order-no and --paid-time")
    if options.file is None:
        paid_time = fields.pop("paid_time", None)
        return fields | ({"detail": {"paid_time": paid_time}} if paid_time else {})
    if fields:
        raise UsageError(f"{options.file} has the fields already: give FILE alone, or the fields as options")
    try:
        text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
        value = json.loads(text.removeprefix("\ufeff"))
    except (OSError, ValueError, RecursionError) as error:
        raise OpsError(f"{options.file} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise OpsError(f"{options.file} is not a JSON object: send one payload, or one EventBridge event")
    return value
