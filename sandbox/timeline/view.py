"""A timeline and the events without a rule, as outputs of a command; the printer escapes what comes from outside."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ops.output import Exit, Report, Table
from sandbox.timeline.composition import Timeline
from sandbox.timeline.condensation import condense
from sandbox.timeline.moment import Level, Moment, duration
from sandbox.timeline.unmatched import UnmatchedEvent

MARKS = {Level.STEP: " ", Level.GOOD: "+", Level.WAIT: "~", Level.BAD: "!"}


def timeline_report(timeline: Timeline, *, every: bool = False) -> Report:
    """Return the timeline for people and programs; the exit status is ACTION where something needs action.

    `every` shows every step to people, too; programs get every one.
    """
    rows = tuple(_rows(timeline.moments if every else tuple(condense(timeline.moments))))
    lines: list[str | Table] = [f"timeline of {timeline.trail.subject}"]
    if rows:
        lines += ["", Table(("time", "after", "", "what", "in words"), rows)]
    lines += ["", "now"]
    for note in timeline.notes:
        lines.append(f"  {MARKS[note.level]} {note.words}")
        if note.remedy:
            lines.append(f"    -> {note.remedy}")
    is_bad = any(note.level is Level.BAD for note in timeline.notes)
    return Report(tuple(lines), timeline.document(), Exit.ACTION if is_bad else Exit.DONE)


def _rows(moments: Sequence[Moment]) -> Iterator[tuple[object, ...]]:
    before = moments[0].at if moments else 0.0
    for moment in moments:
        later = moment.at - before
        yield (clock_time(moment.at), _span(later), MARKS[moment.level], moment.kind, moment.words)
        before = moment.at


def clock_time(at: float) -> str:
    """Return the time of day in UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def _span(seconds: float) -> str:
    if seconds < 0.0005:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 100 else duration(seconds)


def unmatched_report(events: Sequence[UnmatchedEvent]) -> Report:
    """Return the events that no rule matched; the exit status is ACTION if there is one."""
    if not events:
        return Report(("every event that was published has matched a rule",), [])
    lines = [f"{len(events)} events led to nothing" if len(events) > 1 else "1 event led to nothing"]
    for event in events:
        what = f"{event.source or 'no source'}, {event.detail_type or 'no detail-type'}, on {event.bus}"
        number = f", order {event.out_order_no}" if event.out_order_no else ""
        lines.append(f"{clock_time(event.at)}  {event.event_id or 'no id'}  {what}{number}")
        lines += [f"    {one.problem}\n    -> {one.remedy}" for one in event.objections]
    split = tuple(part for line in lines for part in line.split("\n"))
    return Report(split, [event.document() for event in events], Exit.ACTION)
