"""The law of one order: what to do with a message, and what the order becomes. Pure: values in, values out.

WeChat Pay's order is the arbiter. Our item remembers what was asked and what was answered, so that a message which
comes again asks for no more than it must, and a final status never changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

HISTORY_LENGTH = 20  # attempts kept on the item; the oldest fall off


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
        return f"{self.mchid}#{self.out_order_no}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of an order's history: which message asked, and how it ended. `outcome` is a status or a note."""

    at: str
    message_id: str
    outcome: str
    code: str = ""
    request_id: str = ""
    latency_ms: int = 0


UNKNOWN = "UNKNOWN"  # in the history: RETRYING, and WeChat Pay may have executed the call


@dataclass(frozen=True, slots=True)
class Refusal:
    """WeChat Pay's own words for the last failure."""

    code: str
    message: str
    http_status: int | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a message waits: never below `floor` seconds, the exponential part starting at `base` seconds."""

    floor: float = 0.0
    base: float = 15.0


NO_FLOOR = Wait()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one conversation with WeChat Pay ended.

    `unknown`: a call may have been executed without our knowing; only a query can tell. `answer` is the last verified
    order, whole. `payment` is what was really sent, defaults filled in. `answered`: whether WeChat Pay gave any answer,
    a refusal included but none of its 5xx; None where it was not asked.
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
    latency_ms: int = 0
    answered: bool | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The item in the table, attribute by attribute; times are ISO 8601 in UTC."""

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
    event_id: str = ""
    message_id: str = ""
    source: str = ""
    attempts: int = 0
    history: tuple[Attempt, ...] = ()
    state: str | None = None
    state_description: str | None = None
    collection_state: str | None = None
    paid_type: str | None = None
    transaction_id: str | None = None
    wechat: Mapping[str, Any] | None = None
    last_error: Refusal | None = None
    synced_at: str | None = None

    @property
    def key(self) -> str:
        """The order's key in the table."""
        return f"{self.mchid}#{self.out_order_no}"

    @property
    def outcome_unknown(self) -> bool:
        """Whether WeChat Pay may have executed an attempt whose answer we never got."""
        return self.status is Status.RETRYING and bool(self.history) and self.history[-1].outcome == UNKNOWN


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


def decide(order: Order | None, message_id: str, receive_count: int) -> Step:
    """Choose the step for a message that reports a payment of this order.

    A message received before, of which no attempt is recorded, may have died between WeChat Pay's answer and our
    write: it asks first. So does everybody while an earlier outcome is unknown.
    """
    if order is not None and order.status.final:
        return Step.DONE
    own = [attempt.outcome for attempt in order.history if attempt.message_id == message_id] if order else []
    if Status.REJECTED in own:
        return Step.FAIL_AGAIN
    if order is not None and order.outcome_unknown:
        return Step.QUERY_FIRST
    return Step.QUERY_FIRST if receive_count > 1 and not own else Step.SYNC


def missing_before(order: Order | None, message_id: str) -> bool:
    """Whether this message has met ORDER_NOT_EXIST already: the order may be seconds old once, not twice."""
    attempts = order.history if order else ()
    return any(attempt.message_id == message_id and attempt.code == "ORDER_NOT_EXIST" for attempt in attempts)


def standing(order: Order | None, payment: Payment) -> Payment:
    """What is to be told to WeChat Pay: while an outcome is unknown, the `paid_time` first told stands."""
    if order is not None and order.outcome_unknown:
        return replace(payment, paid_time=order.paid_time)
    return payment


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reported the payment: the message, the event in it, and where the event came from."""

    message_id: str
    event_id: str
    source: str


def record(order: Order | None, outcome: Outcome, reporters: Sequence[Reporter], now: float) -> Order | None:
    """Return the order after this outcome, or None where there is nothing to write.

    A final status stands. Another final verdict on top of it (a race, or WeChat Pay changing its mind) is kept in the
    history; anything less is not news. `reporters`: all messages that this one conversation answered for.
    """
    at = instant(now)
    entries = tuple(_attempt(outcome, reporter, at) for reporter in reporters)
    if order is not None and order.status.final:
        return _conflict(order, outcome, entries, at)
    first = reporters[0]
    sent = outcome.payment
    return Order(
        mchid=sent.mchid,
        out_order_no=sent.out_order_no,
        status=outcome.status,
        reason=outcome.reason,
        paid_time=sent.paid_time,
        appid=sent.appid,
        service_id=sent.service_id,
        endpoint=sent.endpoint,
        sub_mchid=sent.sub_mchid,
        channel_id=sent.channel_id,
        event_id=first.event_id,
        message_id=first.message_id,
        source=first.source,
        attempts=(order.attempts if order else 0) + 1,
        history=((order.history if order else ()) + entries)[-HISTORY_LENGTH:],
        version=(order.version if order else 0) + 1,
        created_at=order.created_at if order else at,
        updated_at=at,
        synced_at=at if outcome.status is Status.SYNCED else None,
        last_error=outcome.refusal,
        **_facts(order, outcome),
    )


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
    }


def _conflict(order: Order, outcome: Outcome, entries: tuple[Attempt, ...], at: str) -> Order | None:
    if not contradicts(order, outcome):
        return None
    history = (order.history + entries)[-HISTORY_LENGTH:]
    return replace(order, history=history, version=order.version + 1, updated_at=at)


def contradicts(order: Order, outcome: Outcome) -> bool:
    """Whether a verified final outcome disagrees with the final status that stands (MCH against NEWTON)."""
    return order.status.final and outcome.status.final and outcome.status is not order.status


def _attempt(outcome: Outcome, reporter: Reporter, at: str) -> Attempt:
    return Attempt(
        at=at,
        message_id=reporter.message_id,
        outcome=UNKNOWN if outcome.unknown else outcome.status,
        code=outcome.reason,
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
    (`closed_for` real seconds): each deferral spends a receive, and twelve of them must outlast an outage of hours.
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
