"""`dead-letters`: list, show, analyze, plan, redrive and delete dead-letter messages."""

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path

from ops import items, screen
from ops.commands import moves
from ops.commands.arguments import complete, program
from ops.commands.parser import Nouns
from ops.installation import HERE
from ops.letters import browse, runs, tasks
from ops.letters.history import REDRIVEN, History
from ops.letters.mover import interruptible
from ops.letters.plan import Plan, Selection
from ops.letters.proofs import Proofs
from ops.letters.reading import Position, Reading
from ops.letters.reasons import Letter
from ops.letters.survey import Survey
from ops.letters.verdicts import Diagnosis, Group, Verdict
from ops.output import Exit, Output, Progress, Report, Row, Stream
from ops.stack import Deployment, OpsError, UsageError
from orders.table import KEYS_PER_READ

_ANALYZE = """\
Group dead letters by cause, and test each cause: may the letters be redriven?

  mended          redrive them: the merchant's secret now passes the function's check, or WeChat Pay now answers for
                  each sample order what the function needs
  perhaps mended  redrive one first: something has changed since, or only some samples are answered
  mend first      the cause is still there; the command or the step to remove it is printed
  never           no redrive helps; it is printed what to do instead

WeChat Pay is asked about three orders of a group at most, by queries, which change nothing. The letters stay."""
_PLAN = """\
Write a plan of a redrive or a delete as JSON: `bin/ops dead-letters plan --reason NO_AUTH > redrive.json`.

The plan has message ids, digests of the bodies, reasons and order numbers. Nothing is moved. Conditions of different
kinds must all be met; one kind may be given several times."""
_REDRIVE = """\
Send dead letters back to OrderQueue, as they are, once their cause is removed.

With --plan it executes that plan; with --message-id alone it sends these messages. With other conditions, or without
any for all letters, it prints what it would do; --yes does it. All letters at once are moved by SQS's own task where
the Region has it; otherwise, and for a selection, this program moves them. Ctrl-C stops between two batches and loses
nothing. A run that was stopped, or killed, is continued by the same --plan: its journal lies next to the plan. The
order's history gets a line REDRIVEN for each letter.

A killed run may send up to ten letters twice, whose batch SQS was taking at that moment. The second copy of a payment
is answered from the table."""
_DELETE = """\
Delete dead letters that no redrive helps, such as REVOKED, EXPIRED and UNREADABLE ones.

It prints what it would delete; --yes does it. The whole messages are kept in a file first, which only you can read. The
order's history gets a line DELETED for each letter. The order itself stays: see `bin/ops order acknowledge`."""


def register(nouns: Nouns) -> None:
    """Add the noun and its verbs."""
    letters = nouns.noun("dead-letters", "list, explain, redrive and delete dead-letter messages")
    listing = letters.command("list", _list, "list dead-letter messages with their reasons; they stay in the queue")
    moves.add_conditions(listing)
    show = letters.command("show", _show, "show one message with its body")
    show.add_argument("message_id", metavar="ID", help="as `dead-letters list` prints it")
    analyze = letters.command("analyze", _analyze, "group by cause, and test whether each cause is mended", _ANALYZE)
    moves.add_conditions(analyze)
    plan = letters.command("plan", _plan, "write a plan of a redrive as JSON; nothing is moved", _PLAN)
    moves.add_conditions(plan)
    redrive = letters.command("redrive", _redrive, "send messages back to the order queue", _REDRIVE)
    moves.add_conditions(redrive)
    moves.add_run(redrive)
    redrive.add_argument("--own-mover", action="store_true", help="do not use SQS's task for all letters")
    delete = letters.command("delete", _delete, "delete messages that no redrive helps; a file keeps them", _DELETE)
    moves.add_conditions(delete)
    moves.add_plan(delete)
    delete.add_argument("--keep", type=Path, metavar="FILE", help="default: deleted-letters-TIME.jsonl in this folder")
    for command in (analyze, plan, redrive, delete):
        command.add_argument("--offline", action="store_true", help="do not ask WeChat Pay whether a cause is mended")
    for command in (plan, redrive, delete):
        command.add_argument("--mended", action="store_true", help="letters whose cause is mended, as analyze says")


# ---- list and show ---------------------------------------------------------------------------------------------------


def _list(deployment: Deployment, options: argparse.Namespace) -> Output:
    selection = moves.selection_of(options, time.time())
    return Stream(("message", "sent", "order", "reason"), _rows(deployment, selection))


def _rows(deployment: Deployment, selection: Selection) -> Iterator[Row | Progress | Report]:
    count = 0
    reading = Reading(browse.source(deployment))
    with reading:
        for step in browse.letters(reading, deployment.table):
            if isinstance(step, Position):
                yield Progress("read", step.count, step.total)
            elif selection.takes(step):
                count += 1
                cells = (step.message_id, moves.instant(step.sent_at), _order_in(step), step.reason)
                yield Row(cells, _document(step), step.explanation)
    total = reading.position.count
    some = "" if selection.takes_all else f" of {total:,} meet the conditions"
    yield Report((f"{count:,} dead letter(s){some}", *moves.put_back_lines(reading.put_back_failures)))


def _document(letter: Letter) -> dict[str, object]:
    owner, number = items.owner_and_number(letter.key)
    return {
        "message_id": letter.message_id,
        "sent_at": moves.instant(letter.sent_at),
        "merchant": owner,
        "out_order_no": number,
        "status": letter.order.status if letter.order else "",
        "reason": letter.reason,
        "cause": letter.cause,
        "explanation": letter.explanation,
    }


def _order_in(letter: Letter) -> str:
    if not letter.key:
        return "-"
    owner, number = items.owner_and_number(letter.key)
    return f"{owner} {number}  {letter.order.status if letter.order else '-'}"


def _show(deployment: Deployment, options: argparse.Namespace) -> Output:
    return Stream((), _search(deployment, options.message_id))


def _search(deployment: Deployment, message_id: str) -> Iterator[Progress | Report]:
    with Reading(browse.source(deployment)) as reading:
        for messages in reading.messages():
            yield Progress("searched", reading.position.count, reading.position.total)
            matches = [message for message in messages if message.message_id == message_id]
            for letter in browse.explain(matches, deployment.table, time.time()):
                lines = (screen.line(letter.reason), screen.line(letter.explanation), letter.body)
                yield Report(lines, _document(letter) | {"body": letter.body})
                return
    raise OpsError(f"no dead letter has the message id {message_id}: see `dead-letters list`")


# ---- analyze and plan ------------------------------------------------------------------------------------------------


def _analyze(deployment: Deployment, options: argparse.Namespace) -> Output:
    survey = Survey(moves.selection_of(options, time.time()))
    proofs = Proofs(deployment, offline=options.offline)
    return Stream(
        ("count", "oldest", "reason", "cause", "merchant", "verdict"), _groups(deployment, survey, proofs, options)
    )


def _groups(
    deployment: Deployment, survey: Survey, proofs: Proofs, options: argparse.Namespace
) -> Iterator[Row | Progress | Report]:
    yield from _surveyed(deployment, survey)
    counts: dict[Verdict, int] = {}
    for group, diagnosis in survey.diagnose(proofs):
        counts[diagnosis.verdict] = counts.get(diagnosis.verdict, 0) + group.count
        yield _group_row(group, diagnosis, complete(diagnosis.remedy, options))
    parts = [f"{count:,} {verdict}" for verdict, count in counts.items()]
    words = f"{len(survey.entries):,} dead letter(s)" + (f": {', '.join(parts)}" if parts else "")
    advice = (
        (f"{program(options)} dead-letters redrive --mended shows what to redrive now",)
        if Verdict.MENDED in counts
        else ()
    )
    yield Report((words, *advice), status=Exit.ACTION if survey.entries else Exit.DONE)


def _group_row(group: Group, diagnosis: Diagnosis, remedy: str) -> Row:
    cause, oldest = group.cause, moves.instant(group.oldest)
    cells = (f"{group.count:,}", oldest, cause.reason, cause.detail or "-", cause.mchid or "-", diagnosis.verdict)
    document = {
        "count": group.count,
        "oldest": oldest,
        "newest": moves.instant(group.newest),
        "reason": cause.reason,
        "cause": cause.detail,
        "merchant": cause.mchid,
        "explanation": group.explanation,
        "verdict": diagnosis.verdict,
        "evidence": diagnosis.evidence,
        "remedy": HERE.words(diagnosis.remedy),
    }
    return Row(cells, document, "; ".join(filter(None, (diagnosis.evidence, remedy))))


def _surveyed(deployment: Deployment, survey: Survey) -> Iterator[Progress]:
    for position in survey.look(browse.source(deployment), deployment.table):
        yield Progress("read", position.count, position.total)


def _plan(deployment: Deployment, options: argparse.Namespace) -> Output:
    return Stream((), _planned(deployment, options))


def _planned(deployment: Deployment, options: argparse.Namespace) -> Iterator[Progress | Report]:
    survey = Survey(moves.selection_of(options, time.time()))
    yield from _surveyed(deployment, survey)
    document = _plan_of(deployment, survey, options).document()
    yield Report(tuple(screen.document(document).splitlines()), document)


def _plan_of(deployment: Deployment, survey: Survey, options: argparse.Namespace) -> Plan:
    """Return the plan of what was read; OpsError if it is empty."""
    destination = deployment.outputs["OrderQueueUrl"]
    proofs = Proofs(deployment, offline=options.offline)
    plan = survey.plan(browse.source(deployment).url, destination, proofs, time.time())
    if not plan.entries:
        raise OpsError(f"none of {survey.total:,} dead letter(s) meets the conditions: see `dead-letters analyze`")
    return plan


# ---- redrive and delete ----------------------------------------------------------------------------------------------


def _redrive(deployment: Deployment, options: argparse.Namespace) -> Output:
    moves.require_one_source(options)
    return Stream((), _redriven(deployment, options))


def _redriven(deployment: Deployment, options: argparse.Namespace) -> Iterator[Progress | Report]:
    if options.plan:
        yield from _move(deployment, runs.load(options.plan), options.plan, options)
        return
    survey = Survey(moves.selection_of(options, time.time()))
    yield from _surveyed(deployment, survey)
    plan = _plan_of(deployment, survey, options)
    if not (options.yes or plan.selection.names_messages):
        yield moves.dry_run(plan, "redriven")
        return
    path = runs.save(plan, "redrive", time.time())
    yield Report((f"the plan is {path}; if this run is interrupted: {HERE.ops} dead-letters redrive --plan {path}",))
    yield from _move(deployment, plan, path, options)


def _move(deployment: Deployment, plan: Plan, path: Path, options: argparse.Namespace) -> Iterator[Progress | Report]:
    """Move by SQS's task if all letters are wanted and there is one; otherwise by our own mover."""
    wants_task = plan.selection.takes_all and not options.own_mover and (options.rate or 1) <= tasks.FASTEST
    if wants_task and not runs.has_begun(path):
        try:
            yield from _move_by_task(deployment, plan, options.rate)
        except tasks.NoMoveTaskError as error:
            yield Report((f"SQS has no move task here ({error}); this program moves the letters",))
        else:
            return
    again = f"{HERE.ops} dead-letters redrive --plan {path}"
    with runs.redrive(deployment, plan, path, rate=options.rate, hold=options.hold) as mover:
        yield from moves.progress(mover, "redriven")
    yield moves.report(mover, plan, "back in OrderQueue", again)


def _move_by_task(deployment: Deployment, plan: Plan, rate: float | None) -> Iterator[Progress | Report]:
    queue = browse.source(deployment)
    runs.require_same_queues(plan, queue.url, deployment.outputs["OrderQueueUrl"])
    task = tasks.MoveTask(deployment.client("sqs"), queue, runs.orders(deployment))
    with interruptible() as is_cancelled:
        task.probe()
        history = History(deployment, REDRIVEN, by=runs.operator())
        for entries in batched(plan.entries.values(), KEYS_PER_READ, strict=False):
            history.write({entry.message_id: entry.order for entry in entries}, time.time())
        yield Report((f"SQS is moving all dead letters: {task.start(rate)}",))
        for step in task.watch(is_cancelled=is_cancelled):
            if isinstance(step, Position):
                yield Progress("moved", step.count, step.total)
            else:
                yield moves.task_report(step)


def _delete(deployment: Deployment, options: argparse.Namespace) -> Output:
    moves.require_one_source(options)
    if not options.plan and moves.selection_of(options, time.time()).takes_all:
        raise UsageError("delete needs a condition, such as --reason or --message-id, or a --plan: nothing was deleted")
    return Stream((), _deleted(deployment, options))


def _deleted(deployment: Deployment, options: argparse.Namespace) -> Iterator[Progress | Report]:
    if options.plan:
        plan = runs.load(options.plan)
    else:
        survey = Survey(moves.selection_of(options, time.time()))
        yield from _surveyed(deployment, survey)
        plan = _plan_of(deployment, survey, options)
    if not options.yes:
        yield moves.dry_run(plan, "deleted")
        return
    keep = options.keep or Path(f"deleted-letters-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.jsonl")
    with runs.delete(deployment, plan, keep) as mover:
        yield from moves.progress(mover, "deleted")
    yield moves.report(mover, plan, f"deleted and kept in {keep}", "the same command")
