"""Which facts belong to one order or one event: by event ids, message ids, number and merchant, or by a text search."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ops.log_lines import keys_of
from sandbox.journal import JournalEntry
from sandbox.timeline.exchange import Exchange
from sandbox.timeline.facts import Facts
from sandbox.timeline.identity import Identity, identity_of, mentions


@dataclass(frozen=True, slots=True)
class Subject:
    """What a timeline is about: an order, or (`event_id`) an event or a message by its id."""

    mchid: str = ""
    out_order_no: str = ""
    sub_mchid: str = ""
    event_id: str = ""

    def __str__(self) -> str:
        """Return the subject as an operator writes it."""
        return self.event_id or " ".join(filter(None, (self.key.replace("#", " "),)))

    @property
    def key(self) -> str:
        """The order's key in the table; empty for an event of no order."""
        owner = f"{self.mchid}/{self.sub_mchid}" if self.sub_mchid else self.mchid
        return f"{owner}#{self.out_order_no}" if self.out_order_no else ""


@dataclass(frozen=True, slots=True)
class Trail:
    """The subject, completed by what its events tell, with every id that belongs to it."""

    subject: Subject
    ids: frozenset[str] = frozenset()

    def has_order(self, mchid: str, out_order_no: str, sub_mchid: str = "") -> bool:
        """Return whether this is the subject's order; a sub-merchant counts where the subject names one."""
        subject = self.subject
        is_sub = not subject.sub_mchid or sub_mchid in {"", subject.sub_mchid}
        return bool(out_order_no) and (mchid, out_order_no) == (subject.mchid, subject.out_order_no) and is_sub

    def has_key(self, key: str) -> bool:
        """Return whether a key of the table is the subject's: with its sub-merchant, or without."""
        owner, _, number = key.rpartition("#")
        mchid, _, sub_mchid = owner.partition("/")
        return self.has_order(mchid, number, sub_mchid)

    def has_fields(self, fields: object) -> bool:
        """Return whether a log line's fields are about the subject."""
        if not isinstance(fields, dict):
            return False
        if {str(fields.get("event_id")), str(fields.get("message_id"))} & self.ids:
            return True
        return any(map(self.has_key, keys_of(fields)))

    def has_exchange(self, exchange: Exchange) -> bool:
        """Return whether a call is about the order; one that was not authenticated names its merchant in the header."""
        if exchange.mchid:
            return self.has_order(exchange.mchid, exchange.out_order_no)
        header = exchange.header("Authorization")
        mchid = self.subject.mchid if mentions(header, self.subject.mchid) or 'mchid="' not in header else ""
        return self.has_order(mchid, exchange.out_order_no)

    def _has_identity(self, identity: Identity, own_id: str) -> bool:
        if identity.has_order:
            if self.subject.out_order_no:
                return self.has_order(identity.mchid, identity.out_order_no, identity.sub_mchid)
            return bool(self.ids & {own_id, *identity.event_ids})
        if self.ids & {own_id, *identity.event_ids}:
            return True
        word = self.subject.out_order_no or self.subject.event_id
        return bool(word) and mentions(identity.text, word)


def follow(subject: Subject, entries: Iterable[JournalEntry]) -> Trail:
    """Return the trail of a subject: each event and message of it adds its ids, until none adds another."""
    trail = Trail(subject, frozenset(filter(None, (subject.event_id,))))
    carriers = [(entry, *_carried(entry)) for entry in entries if entry.kind in {"event_published", "message_sent"}]
    size = -1
    while len(trail.ids) != size:
        size = len(trail.ids)
        for _, own_id, identity in carriers:
            if trail._has_identity(identity, own_id):
                trail = _extend(trail, own_id, identity)
    return trail


def _carried(entry: JournalEntry) -> tuple[str, Identity]:
    """Return the id of an event or a message, and the identity of what it carries."""
    fields = entry.fields
    if entry.kind == "event_published":
        return str(fields.get("event_id", "")) or f"refused-{entry.n}", identity_of(fields.get("detail"))
    return str(fields.get("message_id", "")), identity_of(fields.get("body"))


def _extend(trail: Trail, own_id: str, identity: Identity) -> Trail:
    subject = trail.subject
    if identity.has_order and not subject.out_order_no:
        subject = replace(
            subject, mchid=identity.mchid, out_order_no=identity.out_order_no, sub_mchid=identity.sub_mchid
        )
    return Trail(subject, trail.ids | {own_id, *identity.event_ids})


def belongs(trail: Trail, entry: JournalEntry) -> bool:
    """Return whether an entry of the journal is part of the trail."""
    fields = entry.fields
    match entry.kind:
        case "event_published" | "message_sent":
            own_id, identity = _carried(entry)
            return trail._has_identity(identity, own_id)
        case "invoked":
            message_ids = fields.get("message_ids")
            return isinstance(message_ids, list) and bool(trail.ids & set(map(str, message_ids)))
        case "item_written" | "item_removed":
            return trail.has_key(str(fields.get("pk", "")))
        case "stream_record":
            return False
    if str(fields.get("message_id", "")) in trail.ids or str(fields.get("event_id", "")) in trail.ids:
        return True
    return trail.has_order(str(fields.get("mchid", "")), str(fields.get("out_order_no", "")))


def select(subject: Subject, facts: Facts) -> tuple[Trail, Facts]:
    """Return the trail of a subject, and the facts that belong to it."""
    trail = _from_log(follow(subject, facts.entries), facts)
    order = trail.subject
    return trail, replace(
        facts,
        entries=[entry for entry in facts.entries if belongs(trail, entry)],
        lines=[line for line in facts.lines if trail.has_fields(line.fields)],
        exchanges=[exchange for exchange in facts.exchanges if trail.has_exchange(exchange)],
        items=[item for item in facts.items if trail.has_key(item.key)],
        letters=[one for one in facts.letters if one.message_id in trail.ids or (one.key and trail.has_key(one.key))],
        ledger=[
            one
            for one in facts.ledger
            if order.out_order_no and (one.get("mchid"), one.get("out_order_no")) == (order.mchid, order.out_order_no)
        ],
    )


def _from_log(trail: Trail, facts: Facts) -> Trail:
    """Complete an event's subject by the order that a log line names, where the journal has forgotten the event."""
    if trail.subject.out_order_no:
        return trail
    for line in facts.lines:
        if trail.has_fields(line.fields) and keys_of(line.fields):
            identity = identity_of(dict(line.fields))
            return _extend(trail, "", identity) if identity.has_order else trail
    return trail
