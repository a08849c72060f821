"""Values of an order for the tests of its modules: one payment, its order at any status, a line of its history."""

from copy import replace

from orders.order import Attempt, Order, Payment, Reporter, Status, instant

NOW = 1_767_240_000.0  # 2026-01-01T04:00:00Z
PAYMENT = Payment("1230000109", "A1", "20260101110000", appid="wx1", service_id="500001", endpoint="direct")
TILL = Reporter("m1", "e1", "pos.till")
FINAL = [Status.SYNCED, Status.PAID_BY_WECHAT, Status.NOTHING_DUE]
OPEN = [Status.RETRYING, Status.REJECTED]


def an_order(status: Status, *attempts: Attempt, **changes: object) -> Order:
    """Return an order as an earlier attempt left it."""
    order = Order(PAYMENT, None, status, 1, instant(NOW), instant(NOW), history=attempts)
    return replace(order, **changes)  # type: ignore[arg-type]


def an_attempt(message_id: str, outcome: str, code: str = "") -> Attempt:
    """Return a line of history."""
    return Attempt(instant(NOW), message_id, outcome, code)
