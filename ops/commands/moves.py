"""What the commands that move messages have in common: their options, progress, dry run and report."""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ops.letters.mover import Mover
from ops.letters.plan import Plan, Selection, moment
from ops.letters.reading import HOLD
from ops.letters.tasks import TaskEnd
from ops.output import Exit, Progress, Report, Table
from ops.stack import UsageError

ERRORS_PRINTED = 10  # of a run: the rest is counted


def instant(at: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC, by the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


# ---- options ---------------------------------------------------------------------------------------------------------


def add_conditions(parser: argparse.ArgumentParser) -> None:
    """Add the options of a selection."""
    group = parser.add_argument_group("conditions", "A message must meet one of each kind that is given.")
    group.add_argument("--reason", action="append", default=[], metavar="WORD", help="reason or cause; may be repeated")
    group.add_argument("--merchant", action="append", default=[], metavar="MCHID", help="may be repeated")
    group.add_argument(
        "--order",
        action="append",
        default=[],
        metavar="NUMBER",
        help="ORDER, MCHID#ORDER or MCHID/SUB#ORDER; may be repeated",
    )
    group.add_argument("--message-id", action="append", default=[], metavar="ID", help="may be repeated")
    group.add_argument("--older-than", metavar="AGE", help="90s, 15m, 2h, 3d, or a time: 2026-01-01T12:00:00+08:00")
    group.add_argument("--newer-than", metavar="AGE", help="likewise")


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the plan, in place of conditions, and --yes."""
    parser.add_argument("--plan", type=Path, metavar="FILE", help="the messages of this plan, in place of conditions")
    parser.add_argument("--yes", action="store_true", help="do it; without it the command prints what it would do")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run that sends."""
    add_plan(parser)
    parser.add_argument("--rate", type=_rate, metavar="N", help="messages per second at most; default: no limit")
    parser.add_argument(
        "--hold",
        type=int,
        default=HOLD,
        metavar="S",
        help=f"seconds after which a killed run's messages are visible again; default: {HOLD}",
    )


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of messages per second, 1 to 10000")
    return rate


def selection_of(options: argparse.Namespace, now: float) -> Selection:
    """Return the conditions of a command line; UsageError if an age cannot be read."""
    try:
        return Selection(
            reasons=tuple(word.upper() for word in options.reason),
            mchids=tuple(options.merchant),
            orders=tuple(options.order),
            message_ids=tuple(options.message_id),
            sent_before=moment(options.older_than, now) if options.older_than else None,
            sent_after=moment(options.newer_than, now) if options.newer_than else None,
            mended=bool(getattr(options, "mended", False)),
        )
    except ValueError as error:
        raise UsageError(f"{error}; nothing was done") from error


def require_one_source(options: argparse.Namespace) -> None:
    """Raise UsageError if a plan is given together with conditions."""
    if options.plan and not selection_of(options, 0.0).takes_all:
        raise UsageError("--plan has its own selection: give either it or conditions; nothing was done")


# ---- results ---------------------------------------------------------------------------------------------------------


def dry_run(plan: Plan, verb: str) -> Report:
    """Report what a run would do."""
    counts = Counter(entry.reason for entry in plan.entries.values())
    oldest = {reason: min(e.sent_at for e in plan.entries.values() if e.reason == reason) for reason in counts}
    rows = tuple((f"{count:,}", instant(oldest[reason]), reason) for reason, count in counts.most_common())
    total = len(plan.entries)
    lines = (Table(("count", "oldest", "reason"), rows), f"{total:,} message(s) would be {verb}: add --yes to do it")
    return Report(lines, {"dry_run": True, "messages": total, "reasons": dict(counts)})


def progress(mover: Mover, words: str) -> Iterator[Progress]:
    """Run, and yield the progress."""
    for position in mover.run():
        yield Progress(words, position.count, position.total)


def report(mover: Mover, plan: Plan, place: str, again: str) -> Report:
    """Report how a run ended; `again` is the command that continues it."""
    tally, position = mover.tally, mover.position
    lines = [f"{tally.done:,} message(s) are {place} ({position.count:,} of the plan's {position.total:,})"]
    if tally.is_cancelled and position.count < position.total:
        lines.append(f"stopped on request; the rest is in the queue as before; to continue: {again}")
    elif tally.missing:
        lines.append(
            f"{len(tally.missing):,} message(s) of the plan are not in the queue: another reader holds them, or they "
            f"have been moved or deleted; to try again: {again}"
        )
    if tally.repeated:
        lines.append(
            f"{len(tally.repeated):,} message(s) may have been sent twice: the earlier run was killed while SQS took "
            "them; the second copy of a payment is answered from the table"
        )
    lines += [f"{message_id}: {error}" for message_id, error in list(tally.errors.items())[:ERRORS_PRINTED]]
    if tally.errors:
        lines.append(f"{len(tally.errors):,} message(s) failed and stay; to try again: {again}")
    lines += put_back_lines(tally.put_back_failures)
    document = {
        "done": tally.done,
        "planned": len(plan.entries),
        "cancelled": tally.is_cancelled,
        "missing": sorted(tally.missing),
        "repeated": sorted(tally.repeated),
        "errors": tally.errors,
    }
    is_whole = not (tally.errors or tally.missing)
    status = Exit.INTERRUPTED if tally.is_cancelled else Exit.DONE if is_whole else Exit.ACTION
    return Report(tuple(lines), document, status)


def put_back_lines(failures: Mapping[str, str]) -> list[str]:
    """Return a line about messages that could not be put back, if there are any."""
    if not failures:
        return []
    codes = ", ".join(sorted(set(failures.values())))
    return [f"{len(failures):,} message(s) become visible again only when their hold ends ({codes})"]


def task_report(end: TaskEnd) -> Report:
    """Report how SQS's own task ended."""
    document = {"status": end.status, "moved": end.moved, "reason": end.reason}
    match end.status:
        case "COMPLETED":
            line, status = f"SQS's task is complete: {end.moved:,} message(s) moved", Exit.DONE
        case "CANCELLED":
            line, status = f"SQS's task was cancelled: {end.moved:,} message(s) moved, the rest stays", Exit.INTERRUPTED
        case _:
            reason = end.reason or "SQS gives no reason"
            line = f"SQS's task is {end.status} after {end.moved:,} message(s): {reason}; --own-mover does without it"
            status = Exit.ACTION
    return Report((line,), document, status)
