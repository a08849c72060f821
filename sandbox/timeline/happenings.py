"""The moments of what happened in the embedded AWS: events, messages, items, invocations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from orders.order import Attempt, Status
from sandbox.journal import JournalEntry
from sandbox.timeline.facts import Facts
from sandbox.timeline.identity import identity_of
from sandbox.timeline.moment import Level, Moment, duration, unix
from sandbox.timeline.rules import objections

_SETTLED = frozenset({Status.SYNCED, Status.NOTHING_DUE})


def happenings(facts: Facts) -> Iterator[Moment]:
    """Yield a moment for each entry of the journal; what kind of entry has no words of its own is shown as it is."""
    attempts = _Attempts(facts)
    earlier: list[JournalEntry] = []
    for entry in facts.entries:
        if is_look(entry, facts):
            continue
        if entry.kind == "item_written":
            yield attempts.written(entry)
        elif words := _WORDS.get(entry.kind):
            yield from (_with_fields(moment, entry) for moment in words(entry, facts, earlier))
        else:
            yield _with_fields(_moment(entry, entry.kind.replace("_", " "), _plain(entry.fields)), entry)
        earlier.append(entry)
    yield from attempts.unwritten()


def is_look(entry: JournalEntry, facts: Facts) -> bool:
    """Return whether an entry is an operator's look into the dead letters, which changes nothing."""
    kinds = {"message_received", "visibility_changed"}
    return entry.kind in kinds and entry.fields.get("queue") == facts.queues.get("dead letters")


def _plain(fields: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in fields.items() if value not in ("", None))


def _moment(entry: JournalEntry, kind: str, words: str, level: Level = Level.STEP) -> Moment:
    return Moment(entry.at, kind, words, level, n=entry.n)


def _with_fields(moment: Moment, entry: JournalEntry) -> Moment:
    return replace(moment, fields={**entry.fields, **moment.fields})


def _name(facts: Facts, queue: object) -> str:
    """Return a queue by its role, as it is called on the pages."""
    roles = {"orders": "OrderQueue", "dead letters": "DeadLetters", "undelivered": "UndeliveredEvents"}
    return next((roles[role] for role, name in facts.queues.items() if name == queue), str(queue))


# ---- events ----------------------------------------------------------------------------------------------------------


def _event(entry: JournalEntry, facts: Facts, _: Sequence[JournalEntry]) -> Iterator[Moment]:
    fields = entry.fields
    what = f"{fields.get('source') or 'no source'}, {fields.get('detail_type') or 'no detail-type'}"
    yield _moment(
        entry, "event", f"published on the bus {fields.get('bus')}: {what}; id {fields.get('event_id') or 'none'}"
    )
    against = objections(entry, facts.rules)
    rules = fields.get("rules")
    if isinstance(rules, list) and rules:
        yield _moment(entry, "rule", f"matched by {', '.join(map(str, rules))}")
    elif fields.get("error"):
        yield _moment(entry, "refused", against[0].words, Level.BAD)
    else:
        why = "; ".join(objection.words for objection in against) or "EventBridge drops such an event"
        more = {"objections": [{"rule": one.rule, "field": one.field, "problem": one.problem} for one in against]}
        yield replace(_moment(entry, "no rule", f"no rule matched: {why}", Level.BAD), fields=more)


# ---- messages --------------------------------------------------------------------------------------------------------


def _sent(entry: JournalEntry, facts: Facts, earlier: Sequence[JournalEntry]) -> Iterator[Moment]:
    fields = entry.fields
    queue, by = _name(facts, fields.get("queue")), str(fields.get("by", ""))
    if queue == "DeadLetters":
        yield _moment(entry, "letter", f"moved to {queue} as message {fields.get('message_id')}", Level.BAD)
        return
    dead = [one for one in earlier if one.kind == "message_dead" and _same_body(one, fields.get("body"), earlier)]
    if "move task" in by or dead:
        old = f", before {dead[-1].fields.get('message_id')}" if dead else ""
        yield _moment(entry, "redrive", f"redriven to {queue} by {by}; new message {fields.get('message_id')}{old}")
        return
    yield _moment(entry, "message", f"sent to {queue} by {by}: message {fields.get('message_id')}")


def _same_body(dead: JournalEntry, body: object, earlier: Sequence[JournalEntry]) -> bool:
    message_id = dead.fields.get("message_id")
    sent = (one for one in earlier if one.kind == "message_sent" and one.fields.get("message_id") == message_id)
    return any(one.fields.get("body") == body for one in sent)


def _received(entry: JournalEntry, facts: Facts, earlier: Sequence[JournalEntry]) -> Iterator[Moment]:
    fields = entry.fields
    message_id, by = fields.get("message_id"), fields.get("by")
    before = [one for one in earlier if one.fields.get("message_id") == message_id and one.kind in _VISIBLE_SINCE]
    waited = f" after {duration(entry.at - before[-1].at)}" if before else ""
    whose = "" if by == "mapping" else f" by {by}, which is not the function"
    queue = _name(facts, fields.get("queue"))
    yield _moment(entry, "receive", f"receive {fields.get('receive_count')} from {queue}{waited}{whose}")


_VISIBLE_SINCE = frozenset({"message_sent", "message_received", "message_dead"})


def _deleted(entry: JournalEntry, facts: Facts, _: Sequence[JournalEntry]) -> Iterator[Moment]:
    queue = _name(facts, entry.fields.get("queue"))
    if queue == "OrderQueue":
        yield _moment(entry, "done", f"deleted from {queue}: nothing is left to do", Level.GOOD)
    else:
        yield _moment(entry, "done", f"taken out of {queue}")


def _visibility(entry: JournalEntry, facts: Facts, _: Sequence[JournalEntry]) -> Iterator[Moment]:
    seconds = _number(entry.fields.get("seconds"))
    back = entry.at + seconds
    when = f": visible again in {duration(back - facts.now)}" if back > facts.now else ""
    words = f"waits {duration(seconds)}{when}" if seconds else "visible again at once"
    yield _moment(entry, "wait", words, Level.WAIT)


def _dead(entry: JournalEntry, facts: Facts, _: Sequence[JournalEntry]) -> Iterator[Moment]:
    fields = entry.fields
    letter = next((one for one in facts.letters if one.message_id == fields.get("message_id")), None)
    why = f": {letter.reason}" + (f", {letter.explanation}" if letter.explanation else "") if letter else ""
    words = f"given up after {fields.get('receive_count')} receives, now in DeadLetters{why}"
    yield _moment(entry, "dead letter", words, Level.BAD)


def _invoked(entry: JournalEntry, _: Facts, __: Sequence[JournalEntry]) -> Iterator[Moment]:
    fields = entry.fields
    error = str(fields.get("error") or "")
    message_ids = fields.get("message_ids")
    count = len(message_ids) if isinstance(message_ids, list) else 0
    batch = f"{count} messages" if count != 1 else "1 message"
    words = f"the function ran {_number(fields.get('duration_ms')):.0f} ms with {batch}"
    yield _moment(entry, "invoked", f"{words}: {error}" if error else words, Level.BAD if error else Level.STEP)


def _removed(entry: JournalEntry, _: Facts, __: Sequence[JournalEntry]) -> Iterator[Moment]:
    yield _moment(entry, "item", "the item was removed", Level.BAD)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


_WORDS: Mapping[str, Callable[[JournalEntry, Facts, Sequence[JournalEntry]], Iterator[Moment]]] = {
    "event_published": _event,
    "message_sent": _sent,
    "message_received": _received,
    "message_deleted": _deleted,
    "visibility_changed": _visibility,
    "message_dead": _dead,
    "invoked": _invoked,
    "item_removed": _removed,
}


# ---- items -----------------------------------------------------------------------------------------------------------


class _Attempts:
    """The history of the item, each attempt with the write that recorded it, in their common order."""

    def __init__(self, facts: Facts) -> None:
        self._left = [attempt for item in facts.items if item.order for attempt in item.order.history]

    def written(self, entry: JournalEntry) -> Moment:
        """Return the moment of a write, with the reason of the attempt that it recorded."""
        status, version = str(entry.fields.get("status", "")), entry.fields.get("version")
        attempt = next((one for one in self._left if _is_of(one, status, entry.at)), None)
        if attempt is not None:
            self._left.remove(attempt)
        words = " ".join(filter(None, (status or "no status", _reason(attempt))))
        reason = {"reason": attempt.reason} if attempt else {}
        moment = _moment(entry, "item", f"item written: {words}, version {version}", _level(status))
        return replace(moment, fields={**entry.fields, **reason})

    def unwritten(self) -> Iterator[Moment]:
        """Yield the attempts of which the journal has no write: it keeps the newest entries only."""
        for attempt in self._left:
            words = " ".join(filter(None, (attempt.outcome, _reason(attempt))))
            yield Moment(unix(attempt.at), "item", f"item's history: {words}", _level(attempt.outcome))


def _is_of(attempt: Attempt, status: str, at: float) -> bool:
    same = attempt.outcome == status or (attempt.outcome == "UNKNOWN" and status == "RETRYING")
    return same and unix(attempt.at) <= at + 1  # the function's clock and the embedded AWS's are this machine's


def _reason(attempt: Attempt | None) -> str:
    if attempt is None:
        return ""
    code = f"({attempt.code})" if attempt.code not in {"", attempt.reason} else ""
    return " ".join(filter(None, (attempt.reason, code)))


def _level(status: str) -> Level:
    if status in _SETTLED:
        return Level.GOOD
    return Level.WAIT if status in {Status.RETRYING, "UNKNOWN"} else Level.BAD


def order_of(entry: JournalEntry) -> str:
    """Return the number of the order that an event names; empty if it names none."""
    return identity_of(entry.fields.get("detail")).out_order_no
