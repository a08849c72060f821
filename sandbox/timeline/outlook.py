"""What is missing in a timeline, and what comes next: where the message is, and why there is no item yet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ops import advice
from ops.installation import HERE
from ops.letters.reasons import UNREADABLE
from sandbox.journal import JournalEntry
from sandbox.timeline.facts import Facts
from sandbox.timeline.happenings import is_look
from sandbox.timeline.moment import Level, duration
from sandbox.timeline.trail import Trail


@dataclass(frozen=True, slots=True)
class Note:
    """One line about what is missing or what comes next; `remedy` is what to do, if anything."""

    words: str
    level: Level = Level.STEP
    remedy: str = ""

    def document(self) -> dict[str, str]:
        """Return the note for JSON."""
        return {"words": self.words, "level": self.level.value, "remedy": self.remedy}


def outlook(trail: Trail, facts: Facts) -> list[Note]:
    """Return the notes for the present; `facts` are those of the trail."""
    return [*_item(facts), *_messages(facts), *_arrival(trail, facts), *_at_wechat_pay(trail, facts), *_unread(facts)]


def _item(facts: Facts) -> Iterator[Note]:
    """Yield what the items say; without an item, why there is none is said by the other notes."""
    is_unreadable = any(letter.reason == UNREADABLE for letter in facts.letters)
    if not facts.items and (facts.entries or facts.exchanges) and not is_unreadable:
        yield Note("no item yet: the function has written nothing about it", Level.WAIT)
    for item in facts.items:
        if item.order is None:
            yield Note(f"item {item.key} cannot be read: {item.problem}", Level.BAD, "correct or delete it by hand")
            continue
        row = advice.for_order(item.order)[0]
        status = " ".join(filter(None, (item.order.status, item.order.reason)))
        level = Level.GOOD if item.order.status.final else Level.WAIT
        if row.course not in {advice.Course.NOTHING, advice.Course.WAIT}:
            level = Level.BAD
        yield Note(f"item {item.key}: {status}: {row.meaning}", level, row.action)


def _messages(facts: Facts) -> Iterator[Note]:
    """Yield where each message is that has not been deleted."""
    by_message: dict[str, list[JournalEntry]] = {}
    for entry in facts.entries:
        if (message_id := str(entry.fields.get("message_id", ""))) and not is_look(entry, facts):
            by_message.setdefault(message_id, []).append(entry)
    for message_id, entries in by_message.items():
        if note := _position(message_id, entries, facts):
            yield note


def _position(message_id: str, entries: Sequence[JournalEntry], facts: Facts) -> Note | None:
    last, queue = entries[-1], entries[-1].fields.get("queue")
    if last.kind == "message_deleted":
        return None
    if last.kind == "message_dead" or queue == facts.queues.get("dead letters"):
        return _letter(message_id, facts)
    if queue == facts.queues.get("undelivered"):
        words = f"message {message_id} is among the undelivered events"
        return Note(words, Level.BAD, f"see `{HERE.ops} undelivered list`")
    if last.kind == "visibility_changed":
        seconds = last.fields.get("seconds")
        return _in_flight(message_id, last.at + (seconds if isinstance(seconds, int | float) else 0), facts.now)
    if last.kind == "message_received":
        return _in_flight(message_id, last.at + facts.visibility_timeout, facts.now, "; the function has it")
    return Note(f"message {message_id} waits in OrderQueue for its first receive", Level.WAIT)


def _in_flight(message_id: str, back: float, now: float, more: str = "") -> Note:
    if back <= now:
        return Note(f"message {message_id} is visible again: its next receive is due", Level.WAIT)
    words = f"message {message_id} is in flight{more}; next receive in {duration(back - now)} at the latest"
    return Note(words if more else words.removesuffix(" at the latest"), Level.WAIT)


def _letter(message_id: str, facts: Facts) -> Note | None:
    letter = next((one for one in facts.letters if one.message_id == message_id), None)
    if letter is None:
        return Note(f"message {message_id} was in DeadLetters, and is not any more", Level.STEP)
    row = advice.for_reason(letter.reason)
    return Note(f"message {message_id} is in DeadLetters: {letter.reason}: {row.meaning}", Level.BAD, row.action)


def _arrival(trail: Trail, facts: Facts) -> Iterator[Note]:
    """Yield what has not arrived: no event, or an event of which no message came."""
    events = [entry for entry in facts.entries if entry.kind == "event_published"]
    messages = [entry for entry in facts.entries if entry.kind == "message_sent"]
    if not events and not messages:
        remedy = f"send one: `{HERE.sandbox} event send --help`; or search by the event's id"
        yield Note(f"no event and no message about {trail.subject} has arrived here", Level.BAD, remedy)
    elif not messages and not any(entry.fields.get("rules") for entry in events):
        yield Note(
            "no message was made of the event: no rule took it", Level.BAD, "see the objection above, send again"
        )


def _at_wechat_pay(trail: Trail, facts: Facts) -> Iterator[Note]:
    order = trail.subject
    if not order.out_order_no:
        if facts.entries:
            yield Note("the event names no order", Level.BAD, "send mchid and out_order_no in the payload")
    elif not facts.ledger:
        remedy = f"create it: `{HERE.sandbox} order ready {order.mchid} {order.out_order_no}`"
        yield Note(f"WeChat Pay has no order {order.out_order_no} of merchant {order.mchid}", Level.BAD, remedy)
    for one in facts.ledger:
        parts = (one.get("state"), one.get("state_description"), one.get("collection_state"), one.get("paid_type"))
        yield Note(f"WeChat Pay's order: {' '.join(str(part) for part in parts if part)}")


def _unread(facts: Facts) -> Iterator[Note]:
    yield from (Note(f"not searched: {problem}", Level.BAD) for problem in facts.unread)
