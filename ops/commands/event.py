"""`event`: send an event as a POS does."""

import argparse
import json
from pathlib import Path
from typing import Any

from ops import events, screen
from ops.commands.parser import Nouns
from ops.output import Output, Report
from ops.stack import Deployment, OpsError


def register(nouns: Nouns) -> None:
    """Add the noun and its verb."""
    event = nouns.noun("event", "send an event as a POS does")
    send = event.command("send", _send, "check a payload, then send it")
    send.add_argument("file", nargs="?", type=Path, help="file with a JSON payload; or give the fields as options")
    send.add_argument("--mchid")
    send.add_argument("--out-order-no")
    send.add_argument("--paid-time", help="RFC 3339 with an offset, or yyyyMMddHHmmss in Beijing time")
    send.add_argument("--source", help="send through EventBridge with this source; default: to the queue")


def _send(deployment: Deployment, options: argparse.Namespace) -> Output:
    id_ = events.send(deployment, _payload(options), source=options.source)
    return Report((screen.line(id_),), {"event_id" if options.source else "message_id": id_})


def _payload(options: argparse.Namespace) -> dict[str, Any]:
    if options.file is None:
        fields = {"mchid": options.mchid, "out_order_no": options.out_order_no}
        payload: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        return payload | ({"detail": {"paid_time": options.paid_time}} if options.paid_time else {})
    try:
        value = json.loads(options.file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OpsError(f"{options.file}: {error}") from error
    if not isinstance(value, dict):
        raise OpsError(f"{options.file} is not a JSON object")
    return value
