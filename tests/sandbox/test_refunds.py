"""Refunds: of what WeChat Pay has collected itself, up to its amount, by the transaction's number."""

from pathlib import Path
from typing import Any

import pytest

from sandbox.wechat_pay import refunds
from sandbox.wechat_pay.payments import payment_of
from sandbox.wechat_pay.registers import Refunds
from sandbox.wechat_pay.switches import Switches
from tests.sandbox.asking import SUB_MCHID, Asking

REFUNDS = "/v3/refund/domestic/refunds"
YEAR = 365 * 86400


@pytest.fixture
def asking(key_ring: Path) -> Asking:
    """The merchant, with the order S1 of 39 yuan, which WeChat Pay has collected."""
    asking = Asking.alone(key_ring)
    asking.service.ready_to_sync(asking.mchid, "S1", endpoint="direct")
    asking.service.deduct(asking.mchid, "S1")
    return asking


def transaction_of(asking: Asking, out_order_no: str = "S1") -> str:
    """The number of the transaction by which an order was paid."""
    return asking.service.order(asking.mchid, out_order_no).transaction_id


def refund(asking: Asking, number: str = "R1", fen: int = 3900, **fields: Any) -> Any:
    """Apply for a refund of S1; a field that is None is left out."""
    amount = {"refund": fen, "total": 3900, "currency": "CNY"} | fields.pop("amount", {})
    body = {"transaction_id": transaction_of(asking), "out_refund_no": number, "amount": amount} | fields
    return asking.post(REFUNDS, {name: value for name, value in body.items() if value is not None})


def test_a_refund_is_in_process_and_then_succeeds(asking: Asking) -> None:
    """A refund is accepted as PROCESSING, and its query says SUCCESS with its time a minute later."""
    answer = refund(asking, reason="商品已售完").body
    assert (answer["status"], answer["transaction_id"]) == ("PROCESSING", transaction_of(asking))
    assert answer["amount"] == {
        "total": 3900,
        "refund": 3900,
        "payer_total": 3900,
        "payer_refund": 3900,
        "settlement_total": 3900,
        "settlement_refund": 3900,
        "discount_refund": 0,
        "currency": "CNY",
    }
    assert asking.get(f"{REFUNDS}/R1").body == answer
    asking.clock.now += 60
    later = asking.get(f"{REFUNDS}/R1").body
    assert (later["status"], later["success_time"]) == ("SUCCESS", "2026-01-01T12:01:00+08:00")


@pytest.mark.parametrize("status", ["SUCCESS", "CLOSED", "ABNORMAL"])
def test_a_refund_ends_on_command(asking: Asking, status: refunds.End) -> None:
    """A refund ends as commanded, once; a notification of it has documented fields, for the address that it names."""
    refund(asking, notify_url="https://shop.example.com/refunds")
    settled_refund = asking.service.finish_refund(asking.mchid, "R1", status)
    assert asking.get(f"{REFUNDS}/R1").body["status"] == status
    facts = refunds.notification_facts(settled_refund)
    assert (facts.event_type, facts.notify_url) == (f"REFUND.{status}", "https://shop.example.com/refunds")
    assert (facts.original_type, facts.resource["refund_status"]) == ("refund", status)
    assert ("success_time" in facts.resource) == (status == "SUCCESS")
    [notification] = asking.service.outbox.newest(asking.mchid)
    assert (notification.event_type, notification.out_order_no) == (f"REFUND.{status}", "R1")
    with pytest.raises(ValueError, match="refund under another number"):
        asking.service.finish_refund(asking.mchid, "R1")


def test_an_unknown_end_is_refused_by_name(asking: Asking) -> None:
    """A command with another status names the three that there are."""
    refund(asking)
    with pytest.raises(ValueError, match="SUCCESS, CLOSED, ABNORMAL"):
        asking.service.finish_refund(asking.mchid, "R1", "DONE")  # type: ignore[arg-type]  # a command may have any text


def test_parts_sum_up_to_the_payment(asking: Asking) -> None:
    """Partial refunds are accepted up to the amount of the payment; one that was CLOSED does not count."""
    assert refund(asking, "R1", 1900).status == 200
    assert refund(asking, "R2", 2001).refusal == (400, "INVALID_REQUEST")
    assert refund(asking, "R3", 2000).status == 200
    full = refund(asking, "R4", 1)
    assert (full.refusal, full.body["message"]) == ((400, "INVALID_REQUEST"), "订单已全额退款")
    asking.service.finish_refund(asking.mchid, "R3", "CLOSED")
    assert refund(asking, "R5", 2000).status == 200


def test_amounts_are_compared_with_the_payment(asking: Asking) -> None:
    """A refund above its total, a total that is not the payment's, and another currency are refused."""
    assert refund(asking, fen=3901).field == "/amount/refund"
    assert refund(asking, amount={"total": 4000}).refusal == (400, "INVALID_REQUEST")
    assert refund(asking, amount={"currency": "HKD"}).field == "/amount/currency"


def test_the_same_refund_is_answered_again(asking: Asking) -> None:
    """The same request under a number is answered with the refund that it has made; another one is refused."""
    first = refund(asking, "R1", 1000).body
    assert refund(asking, "R1", 1000).body == first
    other = refund(asking, "R1", 1001)
    assert (other.refusal, other.body["message"][:4]) == ((400, "INVALID_REQUEST"), "订单金额")
    asking.service.ready_to_sync(asking.mchid, "S6", endpoint="direct")
    asking.service.deduct(asking.mchid, "S6")
    assert refund(asking, "R1", 1000, transaction_id=transaction_of(asking, "S6")).refusal == (400, "INVALID_REQUEST")
    asking.clock.now += 60
    assert refund(asking, "R1", 1000).body["status"] == "SUCCESS"
    assert len(asking.service.refunds.all()) == 1


def test_a_number_of_an_order_is_no_number_of_a_trade(asking: Asking) -> None:
    """An out_order_no is no out_trade_no: 404 订单不存在. WeChat Pay's own out_trade_no of the deduction is one."""
    wrong = refund(asking, transaction_id=None, out_trade_no="S1")
    assert (wrong.refusal, wrong.body["message"]) == ((404, "RESOURCE_NOT_EXISTS"), "订单不存在")
    payment = payment_of(asking.service.order(asking.mchid, "S1"))
    assert payment is not None
    assert refund(asking, transaction_id=None, out_trade_no=payment.out_trade_no).status == 200
    assert refund(asking, "R2", out_trade_no="S1").refusal == (400, "INVALID_REQUEST")  # transaction_id comes first


def test_a_payment_at_the_till_has_no_transaction(asking: Asking) -> None:
    """An order that was synced (MCH), or that still waits, cannot be refunded: 404 订单不存在."""
    asking.service.ready_to_sync(asking.mchid, "S2", endpoint="direct")
    names = {"appid": "wxd678efh567hg6787", "service_id": "500001"}
    paid = {**names, "type": "Order_Paid", "detail": {"paid_time": "20260101115900"}}
    assert refund(asking, transaction_id=f"{transaction_of(asking)}1").refusal == (404, "RESOURCE_NOT_EXISTS")
    assert asking.post("/v3/payscore/serviceorder/S2/sync", paid).status == 200
    assert payment_of(asking.service.order(asking.mchid, "S2")) is None
    assert refund(asking, transaction_id=None, out_trade_no="S2").refusal == (404, "RESOURCE_NOT_EXISTS")


def test_a_sub_merchants_payment_needs_its_number(asking: Asking) -> None:
    """A service provider names the sub-merchant at both calls; without it, or with another, it is refused."""
    asking.service.ready_to_sync(asking.mchid, "S3", endpoint="partner", sub_mchid=SUB_MCHID)
    asking.service.deduct(asking.mchid, "S3", sub_mchid=SUB_MCHID)
    number = transaction_of(asking, "S3")
    assert refund(asking, transaction_id=number).refusal == (400, "INVALID_REQUEST")
    assert refund(asking, transaction_id=number, sub_mchid=SUB_MCHID).status == 200
    assert asking.get(f"{REFUNDS}/R1").refusal == (400, "INVALID_REQUEST")
    assert asking.get(f"{REFUNDS}/R1", sub_mchid=SUB_MCHID).status == 200


def test_a_payment_overseas_is_not_refunded_here(asking: Asking) -> None:
    """A payment overseas is unknown to the domestic refund: it has one of its own on apihk."""
    asking.service.ready_to_sync(asking.mchid, "S4", endpoint="oversea", sub_mchid=SUB_MCHID)
    asking.service.deduct(asking.mchid, "S4", sub_mchid=SUB_MCHID)
    wrong = refund(asking, transaction_id=transaction_of(asking, "S4"), sub_mchid=SUB_MCHID)
    assert wrong.refusal == (404, "RESOURCE_NOT_EXISTS")


def test_a_payment_is_refunded_within_a_year_and_fifty_times(asking: Asking) -> None:
    """The fifty-first refund of a payment, and one more than 365 days after it, are refused."""
    for number in range(50):
        assert refund(asking, f"R{number}", 1).status == 200
    assert refund(asking, "R50", 1).refusal == (400, "INVALID_REQUEST")
    asking.service.ready_to_sync(asking.mchid, "S5", endpoint="direct")
    asking.service.deduct(asking.mchid, "S5")
    asking.clock.now += YEAR + 1
    late = refund(asking, "R51", 1, transaction_id=transaction_of(asking, "S5"))
    assert (late.refusal, late.body["message"]) == ((400, "INVALID_REQUEST"), "订单已经超过退款期限")


def test_an_unknown_refund_is_404(asking: Asking) -> None:
    """The query of a refund that does not exist is 404 退款单不存在."""
    answer = asking.get(f"{REFUNDS}/R9")
    assert (answer.refusal, answer.body["message"]) == ((404, "RESOURCE_NOT_EXISTS"), "退款单不存在")


def test_the_time_of_a_refund_is_a_switch(key_ring: Path) -> None:
    """`refund_seconds` says how long a refund is in process."""
    asking = Asking.alone(key_ring, Switches(refund_seconds=0.0))
    asking.service.ready_to_sync(asking.mchid, "S1", endpoint="direct")
    asking.service.deduct(asking.mchid, "S1")
    refund(asking)
    assert asking.get(f"{REFUNDS}/R1").body["status"] == "SUCCESS"


def test_refunds_survive_in_their_records(asking: Asking) -> None:
    """A register that is filled with the records of another one answers as that one."""
    refund(asking)
    records: list[Any] = []
    register = Refunds(lambda kind, name, record: records.append(record))
    register.store(asking.service.refunds.all()[0])
    restored = Refunds()
    restored.restore(records)
    assert restored.all() == asking.service.refunds.all()
