"""What a change of an order announces: its outcome, once for each time that it is reached."""

from copy import replace
from itertools import product

import pytest

from orders.order import Facts, Order, Status
from outcomes.announcement import DetailType, announce, announce_again
from tests.orders.values import FINAL, OPEN, an_order

SUCCESS = [Status.SYNCED, Status.NOTHING_DUE]
FACTS = Facts({"total_amount": 3900}, "DONE", None, "USER_PAID", "NEWTON", "4200")


def _next(before: Order, status: Status, **changes: object) -> Order:
    return replace(before, status=status, version=before.version + 1, attempts=before.attempts + 1, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "detail_type"),
    [
        (Status.SYNCED, "OrderSynced"),
        (Status.PAID_BY_WECHAT, "OrderPaidByWeChat"),
        (Status.NOTHING_DUE, "OrderNothingDue"),
        (Status.REJECTED, "OrderRejected"),
        (Status.RETRYING, None),
    ],
)
def test_a_first_write_announces_its_status(status: Status, detail_type: str | None) -> None:
    """The first write of an order announces its outcome; an order that is retried has none yet."""
    announcement = announce(None, an_order(status, attempts=1))
    assert (announcement.detail_type.value if announcement else None) == detail_type


@pytest.mark.parametrize(("before", "after"), list(product(FINAL, [*FINAL, *OPEN])))
def test_a_final_status_is_announced_once(before: Status, after: Status) -> None:
    """Nothing that happens to the item of a final order is announced: not a contradiction, not an acknowledgement."""
    order = an_order(before, attempts=1)
    assert announce(order, _next(order, after)) is None


@pytest.mark.parametrize("status", SUCCESS)
def test_a_success_after_a_rejection_is_a_recovery(status: Status) -> None:
    """A success is `OrderRecovered` if the order was REJECTED, also if retries came between."""
    rejected = an_order(Status.REJECTED, attempts=1)
    retried = _next(rejected, Status.RETRYING, was_rejected=True)
    for before in (rejected, retried):
        announcement = announce(before, _next(before, status, was_rejected=True))
        assert announcement is not None
        assert announcement.detail_type is DetailType.RECOVERED


def test_a_double_payment_is_one_whatever_came_before() -> None:
    """A payment that WeChat Pay has collected is announced to the refund team, also after a rejection."""
    rejected = an_order(Status.REJECTED, attempts=1)
    announcement = announce(rejected, _next(rejected, Status.PAID_BY_WECHAT, was_rejected=True, facts=FACTS))
    assert announcement is not None
    assert announcement.detail_type is DetailType.PAID_BY_WECHAT
    assert announcement.detail["transaction_id"] == "4200"


def test_each_attempt_that_is_rejected_is_announced() -> None:
    """A redrive that is rejected again is announced again; another write of a rejected order is not."""
    rejected = an_order(Status.REJECTED, attempts=1)
    again = announce(rejected, _next(rejected, Status.REJECTED))
    assert again is not None
    assert again.detail_type is DetailType.REJECTED
    assert announce(rejected, replace(rejected, version=2)) is None


@pytest.mark.parametrize(
    ("amount", "announced"),
    [(3900, 3900), (0, 0), ("40000", 40000), (None, None), (True, None), ("４", None), ("1.5", None), ([1], None)],
)
def test_the_amount_is_an_integer_of_fen(amount: object, announced: int | None) -> None:
    """`total_amount` is an integer of fen, or absent; a text of digits, as a notification has it, is one."""
    order = an_order(Status.SYNCED, attempts=1, facts=Facts({"total_amount": amount}))
    announcement = announce(None, order)
    assert announcement is not None
    assert announcement.detail.get("total_amount") == announced


def test_a_detail_has_what_the_order_has() -> None:
    """The detail names the order, the event, the outcome and the version; what the order lacks is absent."""
    order = an_order(Status.PAID_BY_WECHAT, attempts=2, event_id="e1", reason="NEWTON", facts=FACTS)
    announcement = announce_again(order)
    assert announcement is not None
    assert announcement.detail == {
        "mchid": "1230000109",
        "out_order_no": "A1",
        "event_id": "e1",
        "status": "PAID_BY_WECHAT",
        "reason": "NEWTON",
        "paid_time": "20260101110000",
        "transaction_id": "4200",
        "total_amount": 3900,
        "attempts": 2,
        "at": "2026-01-01T04:00:00.000Z",
        "version": 1,
    }


def test_an_order_without_an_outcome_is_not_announced_again() -> None:
    """An order that is retried has nothing to send again."""
    assert announce_again(an_order(Status.RETRYING)) is None
