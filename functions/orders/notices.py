"""What a verified notification makes of an order. Pure.

WeChat Pay tells by itself that it has collected (doc 4012587960). The rules are those of `rules`: a final status stays,
a contradiction goes into the history, and nothing rests on what was not verified. A notification is sent again until it
is answered, so one that changes nothing costs a read and no write.
"""

from orders.order import Attempt, Order, Outcome, Reporter, Status, instant
from orders.rules import HISTORY_LENGTH, contradicts

DAY = 86_400  # seconds


def record_notification(
    order: Order | None, outcome: Outcome, notification: Reporter, now: float, *, days: int
) -> Order | None:
    """Return the order after a notification, or None if there is nothing to write.

    An order that a till has reported takes the verified status at once. One that no till has reported is remembered as
    COLLECTED, and only if WeChat Pay itself has collected: a payment at the till is for a till to report, and any other
    word changes nothing that is due.

    Args:
        order: the order before it; None if there is no item.
        outcome: what the order in the notification means; its payment has what the notification says of the order.
        notification: its id, as the reporter.
        now: Unix seconds.
        days: how long an order that no till has reported is remembered.
    """
    at = instant(now)
    if order is None:
        return _collected(outcome, notification, at, int(now) + days * DAY)
    if order.status is Status.COLLECTED:
        return _with_line(order, outcome, notification, at) if _disagrees(outcome) else None
    if order.status.final:
        return _with_line(order, outcome, notification, at) if contradicts(order, outcome) else None
    return _with_status(order, outcome, notification, at) if outcome.status.final else None


def _collected(outcome: Outcome, notification: Reporter, at: str, expires_at: int) -> Order | None:
    if outcome.status is not Status.PAID_BY_WECHAT:
        return None
    return Order(
        payment=outcome.payment,
        facts=outcome.facts,
        status=Status.COLLECTED,
        reason=outcome.reason,
        event_id=notification.event_id,
        message_id=notification.message_id,
        source=notification.source,
        history=(_line(outcome._replace(status=Status.COLLECTED), notification, at),),
        version=1,
        created_at=at,
        updated_at=at,
        expires_at=expires_at,
    )


def _with_status(order: Order, outcome: Outcome, notification: Reporter, at: str) -> Order:
    """Return an open order with its final status; whose report it is stays as it was."""
    return order._replace(
        facts=outcome.facts,
        status=outcome.status,
        reason=outcome.reason,
        history=(*order.history, _line(outcome, notification, at))[-HISTORY_LENGTH:],
        outcome_unknown=False,
        messages={},
        rejected_at=None,
        was_rejected=order.was_rejected or order.status is Status.REJECTED,
        last_error=None,
        version=order.version + 1,
        updated_at=at,
        synced_at=at if outcome.status is Status.SYNCED else None,
    )


def _disagrees(outcome: Outcome) -> bool:
    """Whether a final outcome is not the one that a COLLECTED order remembers."""
    return outcome.status.final and outcome.status is not Status.PAID_BY_WECHAT


def _with_line(order: Order, outcome: Outcome, notification: Reporter, at: str) -> Order | None:
    """Return the order with the contradiction in its history, once for each notification."""
    line = _line(outcome, notification, at)
    if any((one.message_id, one.outcome) == (line.message_id, line.outcome) for one in order.history):
        return None
    history = (*order.history, line)[-HISTORY_LENGTH:]
    return order._replace(history=history, version=order.version + 1, updated_at=at)


def _line(outcome: Outcome, notification: Reporter, at: str) -> Attempt:
    return Attempt(at, notification.message_id, outcome.status, outcome.reason)
