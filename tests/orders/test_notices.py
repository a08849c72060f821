"""What a notification makes of an order, and what a till's report makes of a COLLECTED one: values in, values out."""

from copy import replace

import pytest

from orders.items import item_of, order_of
from orders.notices import DAY, record_notification
from orders.order import Facts, Order, Outcome, Payment, Reporter, Status, instant
from orders.rules import Step, plan, record, remembered, settled_by_item
from outcomes.announcement import DetailType, announce_again

from .values import FINAL, NOW, OPEN, PAYMENT, TILL, an_attempt, an_order

FACTS = Facts({"state": "DONE"}, "DONE", None, "USER_PAID", "NEWTON", "T1")
TOLD = Payment("1230000109", "A1", appid="wx1", service_id="500001")
NEWTON = Outcome(Status.PAID_BY_WECHAT, TOLD, "NEWTON", facts=FACTS)
MCH = Outcome(Status.SYNCED, TOLD, facts=replace(FACTS, paid_type="MCH"))
NOTICE = Reporter("n1", "n1", "wechatpay")


def _after_notice(order: Order | None, outcome: Outcome = NEWTON, notice: Reporter = NOTICE) -> Order | None:
    return record_notification(order, outcome, notice, NOW + 1, days=14)


def _collected() -> Order:
    order = _after_notice(None)
    assert order is not None
    return order


def test_a_collected_order_is_neither_final_nor_in_need_of_attention() -> None:
    """An order that WeChat Pay has collected and no till has reported stays out of the index, and expires."""
    order = _collected()
    assert (order.status.final, order.status.needs_attention) == (False, False)
    assert order.expires_at == int(NOW + 1) + 14 * DAY
    item = item_of(order)
    assert item["expires_at"] == {"N": str(order.expires_at)}
    assert "attention" not in item
    assert "paid_time" not in item
    assert order_of(item) == order


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.COLLECTED])
def test_no_other_order_expires(status: Status) -> None:
    """An item of any other status has no `expires_at`."""
    assert "expires_at" not in item_of(an_order(status))


@pytest.mark.parametrize(
    "outcome", [MCH, replace(NEWTON, status=Status.NOTHING_DUE), replace(NEWTON, status=Status.RETRYING)]
)
def test_only_wechat_pays_own_payment_is_remembered(outcome: Outcome) -> None:
    """Of an order without an item nothing else is kept."""
    assert _after_notice(None, outcome) is None


@pytest.mark.parametrize("status", OPEN)
@pytest.mark.parametrize("outcome", [NEWTON, MCH])
def test_a_verified_payment_settles_an_open_order(status: Status, outcome: Outcome) -> None:
    """An order that is retried or rejected takes the verified status; its report stays whose it was."""
    before = an_order(status, outcome_unknown=True, event_id="e1", source="pos.till", rest={"new": {"S": "x"}})
    after = _after_notice(before, outcome)
    assert after is not None
    assert (after.status, after.payment, after.event_id, after.version) == (outcome.status, PAYMENT, "e1", 2)
    assert (after.outcome_unknown, after.rest) == (False, before.rest)


@pytest.mark.parametrize(("status", "earlier"), [(Status.REJECTED, False), (Status.RETRYING, True)])
def test_a_rejection_is_not_forgotten(status: Status, earlier: bool) -> None:
    """An order that was rejected says so after the notification: its outcome event, sent again, is OrderRecovered."""
    after = _after_notice(an_order(status, was_rejected=earlier), MCH)
    assert after is not None
    assert after.was_rejected
    announcement = announce_again(after)
    assert announcement is not None
    assert announcement.detail_type is DetailType.RECOVERED


@pytest.mark.parametrize("status", OPEN)
def test_an_open_state_settles_nothing(status: Status) -> None:
    """A notification whose order is not final leaves the item alone."""
    assert _after_notice(an_order(status), replace(NEWTON, status=Status.RETRYING, reason="USER_CONFIRM")) is None


@pytest.mark.parametrize("status", FINAL)
def test_a_final_status_stays(status: Status) -> None:
    """The same verdict changes nothing; another is a line of the history, once for each notification."""
    outcome = MCH if status is Status.PAID_BY_WECHAT else NEWTON
    before = an_order(status, an_attempt("m1", status))
    assert _after_notice(before, replace(outcome, status=status)) is None
    after = _after_notice(before, outcome)
    assert after is not None
    assert (after.status, after.facts, len(after.history)) == (status, before.facts, 2)
    assert _after_notice(after, outcome) is None
    again = _after_notice(after, outcome, Reporter("n2", "n2", "wechatpay"))
    assert again is not None
    assert len(again.history) == 3


# ---- a till's report of a COLLECTED order ----------------------------------------------------------------------------


def test_a_report_needs_no_call() -> None:
    """The step of a report is to remember, whatever the receive count, and the outcome has the report's own time."""
    for reporter in (TILL, replace(TILL, receive_count=5)):
        step = plan(_collected(), PAYMENT, reporter)
        assert (step, step.calls) == (Step.REMEMBERED, False)
    outcome = remembered(_collected(), replace(PAYMENT, appid=None))
    assert outcome is not None
    assert (outcome.status, outcome.reason, outcome.facts) == (Status.PAID_BY_WECHAT, "NEWTON", FACTS)
    assert outcome.payment == PAYMENT
    assert remembered(None, PAYMENT) is None
    assert remembered(an_order(Status.RETRYING), PAYMENT) is None


@pytest.mark.parametrize("status", [Status.RETRYING, Status.REJECTED, Status.PAID_BY_WECHAT])
def test_any_report_makes_it_paid_twice(status: Status) -> None:
    """However the conversation of a report ended that raced with the notification, the customer has paid twice."""
    outcome = Outcome(status, PAYMENT, "X", unknown=True)
    after = record(_collected(), outcome, [TILL], NOW + 2, raced=True)
    assert after is not None
    assert (after.status, after.payment, after.version) == (Status.PAID_BY_WECHAT, PAYMENT, 2)
    assert (after.expires_at, after.facts, after.outcome_unknown) == (None, FACTS, False)
    assert after.created_at == instant(NOW + 1)
    effective = settled_by_item(_collected(), outcome)
    assert effective.status is Status.PAID_BY_WECHAT


@pytest.mark.parametrize("status", [Status.SYNCED, Status.NOTHING_DUE])
def test_two_truths_are_one_status_and_a_line(status: Status) -> None:
    """A verified answer that says otherwise is kept in the history; what was told first stays."""
    outcome = Outcome(status, PAYMENT, facts=replace(FACTS, paid_type="MCH"))
    after = record(_collected(), outcome, [TILL], NOW + 2, raced=True)
    assert after is not None
    assert (after.status, after.version, after.facts) == (Status.PAID_BY_WECHAT, 2, FACTS)
    assert [one.outcome for one in after.history] == [Status.COLLECTED, Status.PAID_BY_WECHAT, status]
    assert settled_by_item(_collected(), outcome) is outcome


def test_what_has_expired_meanwhile_is_recorded_all_the_same() -> None:
    """If DynamoDB deletes the item between the read and the write, the outcome still has its facts."""
    outcome = remembered(_collected(), PAYMENT)
    assert outcome is not None
    after = record(None, outcome, [TILL], NOW + 2)
    assert (after.status, after.version, after.facts) == (Status.PAID_BY_WECHAT, 1, FACTS)
