"""The law of one order: what to do with a message, and what the order becomes. Pure: values in, values out.

WeChat Pay's order is the arbiter. Our item remembers what was asked and what was answered, so that a message which
comes again asks for no more than it must, and a final status never changes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

HISTORY_LENGTH = 20  # attempts kept on the item, for people; the oldest fall off
MESSAGES_KEPT = 20  # messages that an item remembers; for one that fell off each rule takes the careful side

ENDPOINTS = ("direct", "partner", "acquiringbank", "payafter", "oversea")
HAVE_SUB_MCHID = frozenset({"partner", "acquiringbank", "oversea"})


class Status(StrEnum):
    """What we know of an order's payment."""

    SYNCED = "SYNCED"
    PAID_BY_WECHAT = "PAID_BY_WECHAT"
    NOTHING_DUE = "NOTHING_DUE"
    RETRYING = "RETRYING"
    REJECTED = "REJECTED"

    @property
    def final(self) -> bool:
        """Whether WeChat Pay has closed the order, so that no event can change the status again."""
        return self in _FINAL

    @property
    def needs_attention(self) -> bool:
        """Whether an operator wants to see the order in the `attention` index."""
        return self in _ATTENTION


_FINAL = frozenset({Status.SYNCED, Status.PAID_BY_WECHAT, Status.NOTHING_DUE})
_ATTENTION = frozenset({Status.RETRYING, Status.REJECTED, Status.PAID_BY_WECHAT})


@dataclass(frozen=True, slots=True)
class Payment:
    """What the till took, in WeChat Pay's own words; None stands for "the merchant's secret has the default".

    `paid_time` is Beijing time, `yyyyMMddHHmmss` or `yyyyMMdd`; `paid_amount` is fen.
    """

    mchid: str
    out_order_no: str
    paid_time: str
    appid: str | None = None
    service_id: str | None = None
    endpoint: str | None = None
    sub_mchid: str | None = None
    channel_id: str | None = None
    seq: int | None = None
    paid_amount: int | None = None

    @property
    def key(self) -> str:
        """The order's key in the table."""
        return order_key(self.mchid, self.out_order_no, self.endpoint, self.sub_mchid)

    @property
    def key_is_open(self) -> bool:
        """Whether the key depends on the endpoint that the merchant's secret has as the default."""
        return self.endpoint is None and self.sub_mchid is not None


def order_key(mchid: str, out_order_no: str, endpoint: str | None, sub_mchid: str | None) -> str:
    """Return an order's key: `{mchid}#{out_order_no}`, at endpoints with a sub-merchant `{mchid}/{sub_mchid}#…`.

    One sub-merchant's order must not settle another's event. `endpoint` None is one that is not known yet, because the
    merchant's secret has the default and cannot be read: what names a sub-merchant then counts as its order.
    """
    has_sub = sub_mchid and (endpoint is None or endpoint in HAVE_SUB_MCHID)
    return f"{mchid}/{sub_mchid}#{out_order_no}" if has_sub else f"{mchid}#{out_order_no}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of an order's history: which message asked, and how it ended. `outcome` is a status or a note.

    `reason` is ours, `code` WeChat Pay's. `rest` are members that a later version wrote; they are kept.
    """

    at: str
    message_id: str
    outcome: str
    reason: str = ""
    code: str = ""
    request_id: str = ""
    latency_ms: int = 0
    rest: Mapping[str, Any] = field(default_factory=dict, repr=False)


UNKNOWN = "UNKNOWN"  # in the history: WeChat Pay may have executed the call


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the item remembers of a message while the order is open.

    `receives`: the receive count at its last recorded attempt. `rejected`: its payment was judged, it fails again.
    `retried`: the reason whose one delayed retry it has used.
    """

    receives: int
    rejected: bool = False
    retried: str = ""
    rest: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """WeChat Pay's own words for the last failure; `field`, `location`, `issue` say which parameter it refuses."""

    code: str = ""
    message: str = ""
    field: str = ""
    location: str = ""
    issue: str = ""
    http_status: int | None = None
    request_id: str = ""
    rest: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)  # `field` is a member here


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a message waits: never below `floor` seconds, the exponential part starting at `base` seconds."""

    floor: float = 0.0
    base: float = 15.0


NO_FLOOR = Wait()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one conversation with WeChat Pay ended.

    `unknown`: only a query can tell what became of the order: a call may have been executed without our knowing, or
    the order is in a state that this version does not know. `answer` is the last verified order, whole. `payment` is
    what was really sent, defaults filled in. `once`: the wait is the one delayed retry of this reason. `answered`:
    whether WeChat Pay gave any answer, a refusal included but none of its 5xx; None where it was not asked.
    """

    status: Status
    payment: Payment
    reason: str = ""
    unknown: bool = False
    answer: Mapping[str, Any] | None = None
    state: str | None = None
    state_description: str | None = None
    collection_state: str | None = None
    paid_type: str | None = None
    transaction_id: str | None = None
    refusal: Refusal | None = None
    request_id: str = ""
    wait: Wait = NO_FLOOR
    once: bool = False
    latency_ms: int = 0
    answered: bool | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """What a batch's calls say about WeChat Pay: whether any was answered, and the keys of orders met by silence."""

    answered: bool
    silent: frozenset[str]


@dataclass(frozen=True, slots=True)
class Order:
    """The item in the table, attribute by attribute; times are ISO 8601 in UTC.

    `outcome_unknown`: see `Outcome.unknown`. `messages`: receipts by message id, while the order is open.
    `rejected_at`: when it was judged REJECTED. `omitted`: why `wechat` is not whole. `rest` are attributes that this
    version does not know; they are written back as they came.
    """

    mchid: str
    out_order_no: str
    status: Status
    paid_time: str
    version: int
    created_at: str
    updated_at: str
    reason: str = ""
    appid: str | None = None
    service_id: str | None = None
    endpoint: str | None = None
    sub_mchid: str | None = None
    channel_id: str | None = None
    seq: int | None = None
    paid_amount: int | None = None
    event_id: str = ""
    message_id: str = ""
    source: str = ""
    attempts: int = 0
    history: tuple[Attempt, ...] = ()
    outcome_unknown: bool = False
    messages: Mapping[str, Receipt] = field(default_factory=dict)
    rejected_at: str | None = None
    state: str | None = None
    state_description: str | None = None
    collection_state: str | None = None
    paid_type: str | None = None
    transaction_id: str | None = None
    wechat: Mapping[str, Any] | None = None
    omitted: str = ""
    last_error: Refusal | None = None
    synced_at: str | None = None
    rest: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """The order's key in the table."""
        return order_key(self.mchid, self.out_order_no, self.endpoint, self.sub_mchid)


class Step(StrEnum):
    """What to do with one message."""

    DONE = "DONE"
    FAIL_AGAIN = "FAIL_AGAIN"
    QUERY_FIRST = "QUERY_FIRST"
    SYNC = "SYNC"

    @property
    def calls(self) -> bool:
        """Whether the step talks to WeChat Pay."""
        return self in {Step.QUERY_FIRST, Step.SYNC}


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reported the payment: the message, the event in it, where the event came from, and this delivery.

    `sent_at` is SQS's SentTimestamp in Unix seconds. `last`: SQS gives the message up when this receive fails.
    """

    message_id: str
    event_id: str
    source: str
    receive_count: int = 1
    sent_at: float | None = None
    last: bool = False


def decide(order: Order | None, payment: Payment, reporter: Reporter) -> Step:
    """Choose the step for a message that reports this payment of the order.

    Query first while an earlier outcome is unknown, and where an earlier receive of this message is not recorded: the
    environment may have ended between WeChat Pay's answer and our write.
    """
    if order is not None and order.status.final:
        return Step.DONE
    if order is not None and _judged(order, payment, reporter):
        return Step.FAIL_AGAIN
    if order is not None and order.outcome_unknown:
        return Step.QUERY_FIRST
    receipt = order.messages.get(reporter.message_id) if order else None
    recorded = receipt.receives if receipt else 0
    return Step.QUERY_FIRST if reporter.receive_count > recorded + 1 else Step.SYNC


REDRIVE_MARGIN = timedelta(seconds=60)  # clocks of SQS and Lambda differ by less


def _judged(order: Order, payment: Payment, reporter: Reporter) -> bool:
    """Whether the message's payment has been REJECTED: it fails again, without a call.

    True for the message that was judged, whatever became of the order since, and for each message received before that
    reports the payment as it was rejected. A message that was sent after the verdict, which a redrive does, and whose
    first receive ended without an attempt, still has its own attempt to come.
    """
    receipt = order.messages.get(reporter.message_id)
    if receipt is not None and receipt.rejected:
        return True
    if order.status is not Status.REJECTED or order.reason == RETRIES_EXHAUSTED or reporter.receive_count == 1:
        return False
    return _reports(order, payment) and not _sent_after_verdict(order, reporter)


def _reports(order: Order, payment: Payment) -> bool:
    """Whether the order was last judged for this very payment; what the event leaves out is the secret's default."""
    told = ((getattr(payment, name), getattr(order, name)) for name in PAYMENT_FIELDS)
    return all(value is None or value == known for value, known in told)


def _sent_after_verdict(order: Order, reporter: Reporter) -> bool:
    if reporter.sent_at is None or order.rejected_at is None:
        return False
    return datetime.fromtimestamp(reporter.sent_at, UTC) > datetime.fromisoformat(order.rejected_at) + REDRIVE_MARGIN


def retried(order: Order | None, message_id: str) -> str:
    """Return the reason whose one delayed retry this message has used; empty where it has not."""
    receipt = order.messages.get(message_id) if order else None
    return receipt.retried if receipt else ""


def standing(order: Order | None, payment: Payment) -> Payment:
    """What is to be told to WeChat Pay: while an outcome is unknown, the `paid_time` first told stands."""
    if order is not None and order.outcome_unknown:
        return replace(payment, paid_time=order.paid_time)
    return payment


RETRIES_EXHAUSTED = "RETRIES_EXHAUSTED"


def record(
    order: Order | None, outcome: Outcome, reporters: Sequence[Reporter], now: float, *, raced: bool = False
) -> Order | None:
    """Return the order after this outcome, or None where there is nothing to write.

    A final status stands. Another final verdict on top of it (a race, or WeChat Pay changing its mind) is kept in the
    history; anything less is not news. `reporters`: all messages that this one conversation answered for; where SQS
    gives one of them up, the order is REJECTED. `raced`: the order was written after the conversation had begun, so
    the answer may be older than what the order remembers, and closes no unknown outcome.
    """
    at = instant(now)
    entries = tuple(_attempt(outcome, reporter, at) for reporter in reporters)
    if outcome.status is Status.RETRYING and any(reporter.last for reporter in reporters):
        outcome = _exhausted(outcome, order)
    if order is not None and order.status.final:
        return _conflict(order, outcome, entries, at)
    settled = outcome.answer is not None and not raced
    still_unknown = order is not None and order.outcome_unknown and not settled and not outcome.status.final
    sent = standing(order, outcome.payment) if still_unknown else outcome.payment
    first = reporters[0]
    return Order(
        **{name: getattr(sent, name) for name in PAYMENT_FIELDS},
        status=outcome.status,
        reason=outcome.reason,
        event_id=first.event_id,
        message_id=first.message_id,
        source=first.source,
        attempts=(order.attempts if order else 0) + 1,
        history=((order.history if order else ()) + entries)[-HISTORY_LENGTH:],
        outcome_unknown=not outcome.status.final and (outcome.unknown or still_unknown),
        messages={} if outcome.status.final else _receipts(order, outcome, reporters),
        rejected_at=at if outcome.status is Status.REJECTED else None,
        version=(order.version if order else 0) + 1,
        created_at=order.created_at if order else at,
        updated_at=at,
        synced_at=at if outcome.status is Status.SYNCED else None,
        last_error=outcome.refusal,
        rest=order.rest if order else {},
        **_facts(order, outcome),
    )


PAYMENT_FIELDS = tuple(one.name for one in fields(Payment))


def _exhausted(outcome: Outcome, order: Order | None) -> Outcome:
    """SQS gives a message up: what it last met stays the last error, and its reason the last in the history.

    An unknown outcome stays unknown.
    """
    refusal = outcome.refusal or (order.last_error if order else None) or Refusal(outcome.reason, "")
    return replace(outcome, status=Status.REJECTED, reason=RETRIES_EXHAUSTED, refusal=refusal)


def _receipts(order: Order | None, outcome: Outcome, reporters: Sequence[Reporter]) -> dict[str, Receipt]:
    """The newest receipts, those of these reporters last."""
    judged = outcome.status is Status.REJECTED and outcome.reason != RETRIES_EXHAUSTED
    receipts = dict(order.messages) if order else {}
    for reporter in reporters:
        before = receipts.pop(reporter.message_id, None)
        once = outcome.reason if outcome.once else before.retried if before else ""
        receipts[reporter.message_id] = Receipt(
            reporter.receive_count, judged or reporter.last, once, before.rest if before else {}
        )
    return dict(list(receipts.items())[-MESSAGES_KEPT:])


def _facts(order: Order | None, outcome: Outcome) -> dict[str, Any]:
    """The last verified answer and its key facts; an attempt without one leaves the earlier answer standing."""
    seen = outcome if outcome.answer is not None or order is None else order
    return {
        "state": seen.state,
        "state_description": seen.state_description,
        "collection_state": seen.collection_state,
        "paid_type": seen.paid_type,
        "transaction_id": seen.transaction_id,
        "wechat": seen.answer if isinstance(seen, Outcome) else seen.wechat,
        "omitted": "" if isinstance(seen, Outcome) else seen.omitted,
    }


def _conflict(order: Order, outcome: Outcome, entries: tuple[Attempt, ...], at: str) -> Order | None:
    if not contradicts(order, outcome):
        return None
    history = (order.history + entries)[-HISTORY_LENGTH:]
    return replace(order, history=history, version=order.version + 1, updated_at=at)


def same_write(order: Order, other: Order) -> bool:
    """Whether both are one write: ours, taken by DynamoDB, whose answer was late and which boto3 repeated."""
    return (order.version, order.updated_at, order.history) == (other.version, other.updated_at, other.history)


def contradicts(order: Order, outcome: Outcome) -> bool:
    """Whether a verified final outcome disagrees with the final status that stands (MCH against NEWTON)."""
    return order.status.final and outcome.status.final and outcome.status is not order.status


def _attempt(outcome: Outcome, reporter: Reporter, at: str) -> Attempt:
    return Attempt(
        at=at,
        message_id=reporter.message_id,
        outcome=UNKNOWN if outcome.unknown and outcome.status is Status.RETRYING else outcome.status,
        reason=outcome.reason,
        code=outcome.refusal.code if outcome.refusal else "",
        request_id=outcome.request_id,
        latency_ms=outcome.latency_ms,
    )


BACKOFF_CAP = 3600.0  # seconds: an hour between attempts at most, unless the deployment says less
DEFERRAL_BASE, DEFERRAL_CAP = 60.0, 1800.0  # seconds
VISIBILITY_LIMIT = 43_200  # seconds: SQS keeps a message invisible for 12 hours at most


def backoff(receive_count: int, wait: Wait, *, jitter: float, cap: float = BACKOFF_CAP, scale: float = 1.0) -> int:
    """Seconds until a failed message is received again, an integer from 1 to 43,200.

    Exponential from the receive count up to `cap`, with full jitter (`jitter` is uniform in 0..1), never below what the
    judgement asked for. `scale` multiplies the whole: 1 in production, less in a sandbox that has no hours to spare.
    """
    seconds = max(wait.floor, jitter * min(cap, _doubled(wait.base, receive_count))) * scale
    return _visibility(seconds)


def deferral(receive_count: int, closed_for: float, *, jitter: float, scale: float = 1.0) -> int:
    """Seconds that a message waits while nobody may ask WeChat Pay, an integer from 1 to 43,200.

    It doubles from one minute to half an hour, its upper half jittered, and lasts until somebody may ask again at least
    (`closed_for` real seconds): each deferral spends a receive, and sixteen of them must outlast an outage of hours.
    """
    growing = min(DEFERRAL_CAP, _doubled(DEFERRAL_BASE, receive_count)) * (1 + jitter) / 2
    return _visibility(max(closed_for, growing * scale))


def _doubled(base: float, receive_count: int) -> float:
    return base * 2.0 ** min(receive_count - 1, 30)


def _visibility(seconds: float) -> int:
    return min(VISIBILITY_LIMIT, max(1, -int(-seconds // 1)))


def instant(now: float) -> str:
    """Unix seconds as ISO 8601 in UTC with milliseconds, such as `2026-01-01T04:00:00.000Z`."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
