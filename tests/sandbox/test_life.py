"""Orders live by themselves by the simulator's clock: confirmed, deducted, paid, expired; the till may win or lose."""

from pathlib import Path
from typing import Any

import pytest

from sandbox.wechat_pay import examples, times
from sandbox.wechat_pay.message import as_json
from sandbox.wechat_pay.service import SimulatedService
from sandbox.wechat_pay.verbs import CommandError
from tests.sandbox.signed import BASE, MCHID, signed_request

NOON = 1_790_000_000.0


class Clock:
    """A clock that a test drives."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        """Return the driven time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of service and shop."""
    clock = Clock()
    monkeypatch.setattr("tests.sandbox.signed.time.time", clock)
    return clock


@pytest.fixture
def service(clock: Clock, key_ring: Path) -> SimulatedService:
    """A service on the driven clock."""
    return SimulatedService(clock=clock, keys=key_ring)


def sync(service: SimulatedService, clock: Clock, number: str = "S1", at: float | None = None) -> tuple[int, str]:
    """Sync a payment of now, or of `at`; return status and code."""
    body = as_json(examples.sync(times.digits(clock.now if at is None else at)))
    reply = service.answer(signed_request(service, "POST", f"{BASE}/{number}/sync", body)).reply
    return reply.status, reply.code


def state(service: SimulatedService, number: str = "S1") -> str:
    """An order's state in one word each."""
    order = service.order(MCHID, number)
    return " ".join(filter(None, (order.state, order.state_description, order.paid_type)))


def test_a_deduction_wins_the_race_against_a_later_sync(service: SimulatedService, clock: Clock) -> None:
    """WeChat Pay deducts so many seconds after complete; a sync after it is refused with ORDER_DONE."""
    service.automate(deduct_after=30.0)
    service.ready_to_sync(MCHID, "S1", at=NOON)
    clock.now += 31
    assert sync(service, clock) == (400, "ORDER_DONE")
    order = service.order(MCHID, "S1")
    assert (order.paid_type, order.paid_time) == ("NEWTON", times.digits(NOON + 30))


def test_a_sync_wins_the_race_against_a_later_deduction(service: SimulatedService, clock: Clock) -> None:
    """A sync before the deduction is accepted, and the deduction does not happen any more."""
    service.automate(deduct_after=30.0)
    service.ready_to_sync(MCHID, "S1", at=NOON)
    clock.now += 29
    assert sync(service, clock) == (200, "")
    clock.now += 3600
    service.pass_time()
    assert state(service) == "DONE MCH"


def test_a_sync_while_wechat_pay_is_deducting_is_refused(service: SimulatedService, clock: Clock) -> None:
    """A deduction takes its time: a sync meanwhile is refused, one after a failed deduction accepted."""
    service.automate(deduct_after=30.0, deducting_for=10.0, failures=1, retry_after=600.0)
    service.ready_to_sync(MCHID, "S1", at=NOON)
    clock.now += 35
    assert sync(service, clock) == (400, "INVALID_REQUEST")
    clock.now += 6
    assert sync(service, clock) == (200, "")


def test_a_failed_deduction_is_tried_again_until_it_succeeds(service: SimulatedService, clock: Clock) -> None:
    """Each failure is followed by another deduction after the pause; the last one ends the order."""
    service.automate(MCHID, "S1", deduct_after=30.0, deducting_for=10.0, failures=2, retry_after=600.0)
    service.ready_to_sync(MCHID, "S1", at=NOON)
    states = []
    for moment in (35, 45, 645, 655, 1255, 1261):
        clock.now = NOON + moment
        service.pass_time()
        order = service.order(MCHID, "S1")
        states.append("deducting" if order.deducting else order.collection_state)
    assert states == ["deducting", "USER_PAYING", "deducting", "USER_PAYING", "deducting", "USER_PAID"]
    assert service.order(MCHID, "S1").paid_time == times.digits(NOON + 1260)


def test_a_customer_confirms_and_pays_in_the_order_page(service: SimulatedService, clock: Clock) -> None:
    """The customer confirms after a while, and pays before WeChat Pay deducts: one payment, by NEWTON."""
    service.automate(confirm_after=20.0, pay_after=60.0, deduct_after=90.0)
    service.open(MCHID, "S1")
    clock.now += 19
    service.pass_time()
    assert state(service) == "CREATED"
    clock.now += 1
    service.pass_time()
    assert state(service) == "DOING USER_CONFIRM"
    service.complete(MCHID, "S1", at=clock.now)
    clock.now += 3600
    service.pass_time()
    assert service.order(MCHID, "S1").paid_time == times.digits(NOON + 80)


def test_an_automation_of_one_order_begins_where_the_order_stands(service: SimulatedService, clock: Clock) -> None:
    """A command about one order counts from now, replaces the one before, and leaves all others alone."""
    service.ready_to_sync(MCHID, "S1")
    service.ready_to_sync(MCHID, "S2")
    service.automate(MCHID, "S1", deduct_after=1.0)
    service.automate(MCHID, "S1", deduct_after=100.0)
    clock.now += 50
    service.pass_time()
    assert (state(service), state(service, "S2")) == ("DOING MCH_COMPLETE", "DOING MCH_COMPLETE")
    clock.now += 50
    service.pass_time()
    assert (state(service), state(service, "S2")) == ("DONE NEWTON", "DOING MCH_COMPLETE")


def test_an_automation_ends_by_a_command_without_seconds(service: SimulatedService, clock: Clock) -> None:
    """A command without seconds removes what was planned."""
    service.ready_to_sync(MCHID, "S1")
    service.automate(MCHID, "S1", deduct_after=10.0)
    service.automate(MCHID, "S1")
    clock.now += 3600
    service.pass_time()
    assert state(service) == "DOING MCH_COMPLETE"


def test_an_order_that_starts_over_has_no_past(service: SimulatedService, clock: Clock) -> None:
    """What was planned for an order does not happen to the next order of its number."""
    service.ready_to_sync(MCHID, "S1")
    service.automate(MCHID, "S1", deduct_after=10.0)
    service.open(MCHID, "S1")
    clock.now += 3600
    service.pass_time()
    assert state(service) == "CREATED"


def test_an_order_expires_after_thirty_days_without_a_confirmation(service: SimulatedService, clock: Clock) -> None:
    """Thirty days after it was created an order that was not confirmed expires, and no other (doc 4012587166)."""
    for number in ("S1", "S2", "S3"):
        service.open(MCHID, number)
    service.confirm(MCHID, "S2")
    service.cancel(MCHID, "S3")
    clock.now += 30 * 86_400 - 1
    service.pass_time()
    assert state(service) == "CREATED"
    clock.now += 1
    service.pass_time()
    assert [state(service, number) for number in ("S1", "S2", "S3")] == ["EXPIRED", "DOING USER_CONFIRM", "REVOKED"]


def test_an_order_that_waits_for_its_money_never_expires(service: SimulatedService, clock: Clock) -> None:
    """An order with USER_PAYING waits for ever (doc 4012587200)."""
    service.ready_to_sync(MCHID, "S1")
    clock.now += 400 * 86_400
    service.pass_time()
    assert state(service) == "DOING MCH_COMPLETE"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mchid": MCHID}, "name both mchid and out_order_no"),
        ({"deduct_after": -1.0}, "deduct_after must be 0 or more, not -1.0"),
        ({"failures": -1}, "failures must be 0 or more, not -1"),
    ],
)
def test_an_automation_that_cannot_be_is_refused(
    service: SimulatedService, arguments: dict[str, Any], message: str
) -> None:
    """A negative number and half of an order's name are refused by name."""
    with pytest.raises(CommandError, match=message):
        service.automate(**arguments)


def test_the_customer_pays_by_command(service: SimulatedService) -> None:
    """`pay` collects as the customer does in the order page."""
    service.ready_to_sync(MCHID, "S1")
    assert service.pay(MCHID, "S1").paid_type == "NEWTON"
