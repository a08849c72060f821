"""`undelivered`: events that EventBridge could not deliver to OrderQueue."""

import argparse
import time
from collections.abc import Iterator

from ops import items, undelivered
from ops.commands import moves
from ops.commands.parser import Nouns
from ops.installation import HERE
from ops.letters import runs
from ops.letters.plan import Entry, Selection
from ops.letters.reading import Position
from ops.output import Exit, Output, Progress, Report, Row, Stream
from ops.stack import Deployment, OpsError
from ops.undelivered import Undelivered

_SEND = """\
Send events that EventBridge could not deliver to OrderQueue, unchanged, and delete them from UndeliveredEvents.

It prints what it would do; --yes does it. Remove the cause first: `undelivered list` has EventBridge's error. A run
that was stopped or killed is continued by --plan FILE, the file that it names at its start."""


def register(nouns: Nouns) -> None:
    """Add the noun and its verbs."""
    noun = nouns.noun("undelivered", "list and send events that EventBridge could not deliver")
    noun.command("list", _list, "list undelivered events with EventBridge's errors; they stay in the queue")
    send = noun.command("send", _send, "send undelivered events to the order queue", _SEND)
    send.add_argument("--message-id", action="append", default=[], metavar="ID", help="may be repeated; default: all")
    moves.add_run(send)


def _list(deployment: Deployment, _: argparse.Namespace) -> Output:
    return Stream(("message", "sent", "order", "error"), _rows(deployment))


def _rows(deployment: Deployment) -> Iterator[Row | Progress | Report]:
    count = 0
    for step in undelivered.events(deployment):
        if isinstance(step, Position):
            yield Progress("read", step.count, step.total)
            continue
        count += 1
        owner, number = items.owner_and_number(step.key)
        cells = (step.message_id, moves.instant(step.sent_at), f"{owner} {number}".strip() or "-", step.code)
        yield Row(cells, _document(step), _note(step))
    advice = (f"remove the cause, then: {HERE.ops} undelivered send",) if count else ()
    yield Report((f"{count:,} undelivered event(s)", *advice), status=Exit.ACTION if count else Exit.DONE)


def _note(event: Undelivered) -> str:
    tries = f"{event.attempts} retries" if event.attempts else ""
    problem = f"the function could not read it: {event.problem}" if event.problem else ""
    return "; ".join(filter(None, (event.message, event.condition, tries, problem)))


def _document(event: Undelivered) -> dict[str, object]:
    owner, number = items.owner_and_number(event.key)
    return {
        "message_id": event.message_id,
        "sent_at": moves.instant(event.sent_at),
        "merchant": owner,
        "out_order_no": number,
        "error_code": event.code,
        "error_message": event.message,
        "condition": event.condition,
        "retry_attempts": event.attempts,
        "problem": event.problem,
    }


def _send(deployment: Deployment, options: argparse.Namespace) -> Output:
    return Stream((), _sent(deployment, options))


def _sent(deployment: Deployment, options: argparse.Namespace) -> Iterator[Progress | Report]:
    path = options.plan
    if path:
        plan = runs.load(path)
    else:
        entries: list[Entry] = []
        for step in undelivered.events(deployment):
            if isinstance(step, Position):
                yield Progress("read", step.count, step.total)
            elif not options.message_id or step.message_id in options.message_id:
                entries.append(undelivered.entry_of(step))
        if not entries:
            raise OpsError("there is no undelivered event, or none with this message id: see `undelivered list`")
        selection = Selection(message_ids=tuple(options.message_id))
        plan = undelivered.plan_of(deployment, selection, entries, time.time())
        if not options.yes:
            yield moves.dry_run(plan, "sent to OrderQueue")
            return
        path = runs.save(plan, "undelivered", time.time())
        yield Report((f"the plan is {path}; if this run is interrupted: {HERE.ops} undelivered send --plan {path}",))
    with undelivered.send(deployment, plan, path, rate=options.rate, hold=options.hold) as mover:
        yield from moves.progress(mover, "sent")
    yield moves.report(mover, plan, "in OrderQueue", f"{HERE.ops} undelivered send --plan {path}")
