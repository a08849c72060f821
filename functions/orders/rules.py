"""The rules of one order: what to do with a message, and what an outcome makes of the order. Pure.

The order at WeChat Pay decides. The item remembers what was asked and answered, so that a redelivered message makes
only the calls that are needed, and a final status never changes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import overload

from orders.order import UNKNOWN, Attempt, Order, Outcome, Payment, Receipt, Refusal, Reporter, Status, instant

HISTORY_LENGTH = 20  # attempts that an item keeps, for operators; the oldest go first
MESSAGES_KEPT = 20  # messages that an item remembers; for a forgotten one each rule takes the careful side
REDRIVE_MARGIN = timedelta(seconds=60)  # the clocks of SQS and Lambda differ by less
RETRIES_EXHAUSTED = "RETRIES_EXHAUSTED"


class Step(StrEnum):
    """What to do with one message."""

    DONE = "DONE"
    FAIL_AGAIN = "FAIL_AGAIN"
    REMEMBERED = "REMEMBERED"
    QUERY_FIRST = "QUERY_FIRST"
    SYNC = "SYNC"

    @property
    def calls(self) -> bool:
        """Whether the step calls WeChat Pay."""
        return self in {Step.QUERY_FIRST, Step.SYNC}


# ---- before the conversation ---------------------------------------------------------------------------------------


def plan(order: Order | None, payment: Payment, reporter: Reporter) -> Step:
    """Choose the step for a message that reports this payment of the order.

    Query first while an earlier outcome is unknown, and where an earlier receive of this message is not recorded: the
    environment may have ended between WeChat Pay's answer and the write to the table.
    """
    if order is not None and order.status.final:
        return Step.DONE
    if order is not None and order.status is Status.COLLECTED:
        return Step.REMEMBERED
    if order is not None and _is_rejected(order, payment, reporter):
        return Step.FAIL_AGAIN
    if order is not None and order.outcome_unknown:
        return Step.QUERY_FIRST
    receipt = order.messages.get(reporter.message_id) if order else None
    recorded_receives = receipt.receives if receipt else 0
    return Step.QUERY_FIRST if reporter.receive_count > recorded_receives + 1 else Step.SYNC


def _is_rejected(order: Order, payment: Payment, reporter: Reporter) -> bool:
    """Whether the message's payment has been REJECTED: it fails again, without a call.

    True for the message that was rejected, whatever became of the order since, and for each message received before
    that reports the payment as it was rejected. A message that was sent after the rejection, which a redrive does, and
    whose first receive ended without an attempt, still has its own attempt to come.
    """
    receipt = order.messages.get(reporter.message_id)
    if receipt is not None and receipt.rejected:
        return True
    if order.status is not Status.REJECTED or order.reason == RETRIES_EXHAUSTED or reporter.receive_count == 1:
        return False
    return _repeats(payment, order.payment) and not _sent_after_rejection(order, reporter)


def _repeats(payment: Payment, earlier: Payment) -> bool:
    """Whether a report is of the earlier payment; what it leaves out is the default of the merchant's secret."""
    fields = zip(payment, earlier, strict=True)
    return all(value is None or value == earlier_value for value, earlier_value in fields)


def _sent_after_rejection(order: Order, reporter: Reporter) -> bool:
    if reporter.sent_at is None or order.rejected_at is None:
        return False
    return datetime.fromtimestamp(reporter.sent_at, UTC) > datetime.fromisoformat(order.rejected_at) + REDRIVE_MARGIN


def payment_to_send(order: Order | None, payment: Payment) -> Payment:
    """Return the payment to send: while an outcome is unknown, with the `paid_time` that was sent first."""
    if order is not None and order.outcome_unknown:
        return payment._replace(paid_time=order.payment.paid_time)
    return payment


def used_retry(order: Order | None, message_id: str) -> str:
    """Return the reason for which this message has used its one delayed retry; empty if it has not."""
    receipt = order.messages.get(message_id) if order else None
    return receipt.retried if receipt else ""


# ---- without a conversation ----------------------------------------------------------------------------------------


def remembered(order: Order | None, payment: Payment) -> Outcome | None:
    """Return the outcome that the item of a COLLECTED order gives to a payment at the till; None for any other order.

    WeChat Pay has told of its own payment by a verified notification: the customer has paid twice, and no call could
    find out more. What the report leaves out is as the notification had it.
    """
    if order is None or order.status is not Status.COLLECTED:
        return None
    defaults = order.payment
    payment = payment._replace(
        appid=payment.appid or defaults.appid, service_id=payment.service_id or defaults.service_id
    )
    return Outcome(Status.PAID_BY_WECHAT, payment, order.reason, facts=order.facts, remembered=True)


def settled_by_item(order: Order | None, outcome: Outcome) -> Outcome:
    """Return what a COLLECTED order's item says, in place of an outcome that settles nothing; otherwise the outcome."""
    answer = None if outcome.status.final else remembered(order, outcome.payment)
    return answer or outcome


# ---- after the conversation ----------------------------------------------------------------------------------------


@overload
def record(order: None, outcome: Outcome, reporters: Sequence[Reporter], now: float) -> Order: ...


@overload
def record(
    order: Order | None, outcome: Outcome, reporters: Sequence[Reporter], now: float, *, raced: bool = False
) -> Order | None: ...


def record(
    order: Order | None, outcome: Outcome, reporters: Sequence[Reporter], now: float, *, raced: bool = False
) -> Order | None:
    """Return the order after this outcome, or None if there is nothing to write.

    A final status stays. Another final outcome on top of it (a race, or WeChat Pay changing the order) goes into the
    history; any other outcome is not recorded. An order that is COLLECTED becomes PAID_BY_WECHAT by any report, however
    its conversation ended; another final outcome goes into the history.

    Args:
        order: the order before it; None if there is no item.
        outcome: how the conversation ended.
        reporters: the messages that the conversation was about. If SQS gives up one of them, the order is REJECTED.
        now: Unix seconds.
        raced: the order was written after the conversation had begun, so that the answer may be older than the item,
            and closes no unknown outcome.
    """
    at, outcome = instant(now), settled_by_item(order, outcome)
    attempts = tuple(_attempt(outcome, reporter, at) for reporter in reporters)
    if order is not None and order.status is Status.COLLECTED and outcome.status is not Status.PAID_BY_WECHAT:
        return _paid_twice(order, outcome, reporters, now)
    if outcome.status is Status.RETRYING and any(reporter.last for reporter in reporters):
        outcome = _exhausted(outcome, order)
    if order is not None and order.status.final:
        return _with_contradiction(order, outcome, attempts, at)
    answered = outcome.facts is not None and not raced
    still_unknown = order is not None and order.outcome_unknown and not answered and not outcome.status.final
    first = reporters[0]
    return Order(
        payment=payment_to_send(order, outcome.payment) if still_unknown else outcome.payment,
        facts=outcome.facts or (order.facts if order else None),
        status=outcome.status,
        reason=outcome.reason,
        event_id=first.event_id,
        message_id=first.message_id,
        source=first.source,
        attempts=(order.attempts if order else 0) + 1,
        history=((order.history if order else ()) + attempts)[-HISTORY_LENGTH:],
        outcome_unknown=not outcome.status.final and (outcome.unknown or still_unknown),
        messages={} if outcome.status.final else _receipts(order, outcome, reporters),
        rejected_at=at if outcome.status is Status.REJECTED else None,
        was_rejected=order is not None and (order.was_rejected or order.status is Status.REJECTED),
        version=(order.version if order else 0) + 1,
        created_at=order.created_at if order else at,
        updated_at=at,
        synced_at=at if outcome.status is Status.SYNCED else None,
        last_error=outcome.refusal,
        rest=order.rest if order else {},
    )


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


def _exhausted(outcome: Outcome, order: Order | None) -> Outcome:
    """Return the outcome of a message that SQS gives up.

    Its last refusal stays the last error, its reason stays in the history, and an unknown outcome stays unknown.
    """
    refusal = outcome.refusal or (order.last_error if order else None) or Refusal(outcome.reason, "")
    return outcome._replace(status=Status.REJECTED, reason=RETRIES_EXHAUSTED, refusal=refusal)


def _paid_twice(order: Order, outcome: Outcome, reporters: Sequence[Reporter], now: float) -> Order | None:
    """Return a COLLECTED order after a report for which WeChat Pay answers another final outcome: the history has both.

    What was verified first stays, and it is the careful side: the customer may have paid twice.
    """
    answer = remembered(order, outcome.payment) or outcome
    after = record(order, answer, reporters, now)
    if after is None:
        return None
    attempts = tuple(_attempt(outcome, reporter, instant(now)) for reporter in reporters)
    return after._replace(history=(after.history + attempts)[-HISTORY_LENGTH:])


def _with_contradiction(order: Order, outcome: Outcome, attempts: tuple[Attempt, ...], at: str) -> Order | None:
    if not contradicts(order, outcome):
        return None
    history = (order.history + attempts)[-HISTORY_LENGTH:]
    return order._replace(history=history, version=order.version + 1, updated_at=at)


def _receipts(order: Order | None, outcome: Outcome, reporters: Sequence[Reporter]) -> dict[str, Receipt]:
    """Return the newest receipts, those of these reporters last."""
    rejected = outcome.status is Status.REJECTED and outcome.reason != RETRIES_EXHAUSTED
    receipts = dict(order.messages) if order else {}
    for reporter in reporters:
        earlier = receipts.pop(reporter.message_id, None)
        retried = outcome.reason if outcome.once else earlier.retried if earlier else ""
        receipts[reporter.message_id] = Receipt(
            reporter.receive_count, rejected or reporter.last, retried, earlier.rest if earlier else {}
        )
    return dict(list(receipts.items())[-MESSAGES_KEPT:])


def contradicts(order: Order, outcome: Outcome) -> bool:
    """Whether a verified final outcome disagrees with the order's final status (MCH against NEWTON)."""
    return order.status.final and outcome.status.final and outcome.status is not order.status


def raised_alarm(order: Order, message_id: str) -> bool:
    """Whether this message, or the notification of this id, has brought a double payment or a contradicting verdict.

    One that comes again finds nothing to write, and the first time may have ended between the write and its metric. It
    rests on the newest lines of the history: a line that was cut off costs the repetition of an alarm, no verdict.
    """
    verdicts = {one.outcome for one in order.history if one.message_id == message_id and one.outcome in _VERDICTS}
    return any(verdict == Status.PAID_BY_WECHAT or verdict != order.status for verdict in verdicts)


_VERDICTS = frozenset(status.value for status in Status if status.final)


def same_write(order: Order, other: Order) -> bool:
    """Whether both are one write: DynamoDB took it, answered too late, and boto3 repeated it."""
    return (order.version, order.updated_at, order.history) == (other.version, other.updated_at, other.history)
