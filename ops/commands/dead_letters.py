"""`dead-letters`: list, show and redrive dead-letter messages."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

from ops import dead_letters, items, screen
from ops.commands.parser import Nouns
from ops.dead_letters import Letter
from ops.output import Output, Report, Row, Stream
from ops.stack import Deployment, OpsError


def register(nouns: Nouns) -> None:
    """Add the noun and its verbs."""
    letters = nouns.noun("dead-letters", "list, show and redrive dead-letter messages")
    letters.command("list", _list, "list dead-letter messages with their reasons; they stay in the queue")
    letters.command("show", _show, "show one message with its body").add_argument("message_id")
    redrive = letters.command("redrive", _redrive, "move messages back to the order queue, once the cause is fixed")
    redrive.add_argument("--message-id", help="only this message; default: all")


def _list(deployment: Deployment, _: argparse.Namespace) -> Output:
    return Stream(("message", "sent", "order", "reason"), _rows(deployment))


def _rows(deployment: Deployment) -> Iterator[Row | Report]:
    letters = dead_letters.peek(deployment)
    for letter in letters:
        yield Row(
            (letter.message_id, _sent(letter), _order_in(letter), letter.reason), _document(letter), letter.explanation
        )
    yield Report((f"{len(letters)} dead letter(s)",))


def _sent(letter: Letter) -> str:
    return datetime.fromtimestamp(letter.sent_at, UTC).isoformat(timespec="seconds")


def _document(letter: Letter) -> dict[str, object]:
    owner, number = items.owner_and_number(letter.key)
    return {
        "message_id": letter.message_id,
        "sent_at": _sent(letter),
        "merchant": owner,
        "out_order_no": number,
        "status": letter.order.status if letter.order else "",
        "reason": letter.reason,
        "explanation": letter.explanation,
    }


def _order_in(letter: Letter) -> str:
    if not letter.key:
        return "-"
    owner, number = items.owner_and_number(letter.key)
    return f"{owner} {number}  {letter.order.status if letter.order else '-'}"


def _show(deployment: Deployment, options: argparse.Namespace) -> Output:
    for letter in dead_letters.peek(deployment):
        if letter.message_id == options.message_id:
            lines = (screen.line(letter.reason), screen.line(letter.explanation), letter.body)
            return Report(lines, _document(letter) | {"body": letter.body})
    raise OpsError(f"no dead letter has the message id {options.message_id}: see `dead-letters list`")


def _redrive(deployment: Deployment, options: argparse.Namespace) -> Output:
    if options.message_id:
        dead_letters.redrive_one(deployment, options.message_id)
        return Report((f"{options.message_id} is back in the order queue",), {"message_id": options.message_id})
    handle = dead_letters.redrive(deployment)
    return Report((f"SQS is moving all dead letters back to their source: {handle}",), {"task_handle": handle})
