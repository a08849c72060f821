"""A batch end to end in this process: which calls, writes and waits it makes while WeChat Pay and AWS misbehave."""

import json
from collections.abc import Iterator
from copy import replace
from functools import partial
from typing import Any

import pytest

import wechatpay
from orders import rules
from orders.conversation import WeChatPay
from orders.event import Message
from orders.merchants import Merchants
from orders.order import UNKNOWN, Outcome, Status
from orders.results import Done, RetryIn, RetryNow
from sandbox.testbed import MERCHANT, SERVICE_ID
from tests.orders.conftest import CALL_BUDGET, LONG_AGO, PAID_TIME, Shop, a_message
from tests.orders.inprocess import Wire, session_with


def test_a_payment_is_synced_once_and_written_once(shop: Shop) -> None:
    """One sync and one write make an item that has every field of WeChat Pay's answer."""
    number = shop.order_no()
    [result] = shop.run(a_message(number))
    item = shop.item(number)
    assert not result.failed
    assert (item.status, item.version, item.attempts) == (Status.SYNCED, 1, 1)
    assert shop.facts(number).answer == shop.wechat_pay.order(MERCHANT, number).answer()
    assert shop.calls(number) == ["sync"]


def test_the_same_message_again_asks_nothing(shop: Shop) -> None:
    """A redelivered message of an order with a final status makes no call."""
    number = shop.order_no()
    shop.run(a_message(number))
    [again] = shop.run(a_message(number, receive_count=2), a_message("x", "m9"))[:1]
    assert (again.failed, again.outcome) == (False, None)
    assert shop.calls(number) == ["sync"]


def test_twins_in_a_batch_cost_one_call_and_follow_its_outcome(shop: Shop) -> None:
    """Two messages that report one payment are both done, or both fail."""
    good, bad = shop.order_no(), shop.order_no(ready=False)
    results = shop.run(a_message(good, "m1"), a_message(good, "m2"), a_message(bad, "m3"), a_message(bad, "m4"))
    assert [result.failed for result in results] == [False, False, True, True]
    assert (shop.calls(good), shop.calls(bad)) == (["sync"], ["sync"])
    assert {attempt.message_id for attempt in shop.item(bad).history} == {"m3", "m4"}


def test_two_reports_with_different_times_get_their_own_turns(shop: Shop) -> None:
    """Another `paid_time` is another report: if the first is rejected, the second gets an attempt of its own."""
    number = shop.order_no()
    early = a_message(number, "m1", detail={"paid_time": "20200101000000"})
    rejected, waiting = shop.run(early, a_message(number, "m2"))
    assert (rejected.ending, rejected.order and rejected.order.reason) == (RetryNow(), "PARAM_ERROR")
    assert (waiting.failed, waiting.ending) == (True, RetryIn(15))
    [result] = shop.run(a_message(number, "m2", receive_count=2))
    assert not result.failed
    assert shop.item(number).status is Status.SYNCED


def test_what_was_signed_ahead_is_sent_for_its_own_payment_alone(shop: Shop) -> None:
    """Of two messages the first was rejected before; the second has another `paid_time`, and that one is sent."""
    number = shop.order_no()
    early = a_message(number, "m1", detail={"paid_time": "20200101000000"})
    [rejected] = shop.run(early)
    assert rejected.ending == RetryNow()
    again, other = shop.run(early, a_message(number, "m2"))
    assert (again.ending, other.failed) == (RetryNow(), False)
    bodies = [json.loads(call.body) for call in shop.wechat_pay.calls if call.out_order_no == number and call.body]
    assert [body["detail"]["paid_time"] for body in bodies] == ["20200101000000", PAID_TIME]


def test_a_message_that_needs_no_call_sends_nothing_though_it_was_signed(shop: Shop) -> None:
    """A message of an order with a final status discards the sync that was signed ahead."""
    number = shop.order_no()
    shop.run(a_message(number, "m1"))
    shop.run(a_message(number, "m2"))
    assert shop.calls(number) == ["sync"]


def test_a_bug_in_the_shared_write_keeps_the_messages(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is answered all the same; each message is received again, and queries first."""
    number = shop.order_no()
    monkeypatch.setattr(shop.table, "create", lambda _: 1 / 0)
    bad, waiting = shop.run(Message("m1", "nonsense"), a_message(number, "m2"))
    assert (bad.ending, waiting.ending, waiting.problem) == (RetryNow(), RetryIn(15), "unexpected ZeroDivisionError")
    monkeypatch.undo()
    [result] = shop.run(a_message(number, "m2", receive_count=2))
    assert not result.failed
    assert shop.calls(number) == ["sync", "query"]


def test_a_bug_about_one_order_costs_one_order(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error in the record of one order keeps its message; its neighbour is settled."""
    bad, fine = shop.order_no(), shop.order_no()
    record = rules.record

    def record_or_fail(order: Any, outcome: Outcome, *arguments: Any, **options: Any) -> Any:
        if outcome.payment.out_order_no == bad:
            raise ZeroDivisionError
        return record(order, outcome, *arguments, **options)

    monkeypatch.setattr(rules, "record", record_or_fail)
    waiting, done = shop.run(a_message(bad, "m1"), a_message(fine, "m2"))
    assert (waiting.ending, waiting.problem) == (RetryIn(15), "unexpected ZeroDivisionError")
    assert (done.failed, shop.item(fine).status) == (False, Status.SYNCED)


def test_one_bad_record_costs_one_record(shop: Shop) -> None:
    """Unreadable, unknown, deducting and good messages of one batch each end by themselves."""
    good, deducting = shop.order_no(), shop.order_no()
    shop.wechat_pay.deducting(MERCHANT, deducting)
    results = shop.run(
        Message("m1", "nonsense"),
        a_message(good, "m2"),
        a_message(shop.order_no(ready=False), "m3"),
        a_message(deducting, "m4"),
        a_message("Z", "m5", mchid="1999999999"),
    )
    assert [result.ending for result in results] == [RetryNow(), Done(), RetryIn(3), RetryIn(180), RetryNow()]
    assert results[0].field == "body"
    assert results[4].order is not None
    assert results[4].order.reason == "UNKNOWN_MERCHANT"


@pytest.mark.parametrize(
    "fault",
    [
        "tampered_body",
        "reserialised_body",
        "stale_timestamp",
        "foreign_serial",
        "missing_signature_headers",
        "signtest",
        "other_order",
        "huge_body",
        "reset_after_processing",
        "truncated_body",
    ],
)
def test_an_answer_that_proves_nothing_is_settled_by_a_query(shop: Shop, fault: str) -> None:
    """The call was executed once; one query gets a verified answer, and that makes SYNCED."""
    number = shop.order_no()
    shop.wechat_pay.misbehave(fault, operation="sync")
    [result] = shop.run(a_message(number))
    assert not result.failed
    assert shop.calls(number) == ["sync", "query"]
    assert shop.wechat_pay.order(MERCHANT, number).syncs == 1


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        ("tampered_body", {}, "UNTRUSTED_ANSWER"),
        ("reserialised_body", {}, "UNTRUSTED_ANSWER"),
        ("stale_timestamp", {"seconds": 400}, "OUTCOME_UNKNOWN"),
        ("stale_timestamp", {"seconds": -400}, "OUTCOME_UNKNOWN"),
        ("foreign_serial", {}, "UNTRUSTED_ANSWER"),
        ("missing_signature_headers", {}, "OUTCOME_UNKNOWN"),
        ("signtest", {}, "OUTCOME_UNKNOWN"),
        ("other_order", {}, "OUTCOME_UNKNOWN"),
    ],
)
def test_without_a_verified_answer_no_final_status_is_written(
    shop: Shop, fault: str, options: dict[str, Any], reason: str
) -> None:
    """The outcome stays unknown and the next attempt queries first; a wrong signature is a key problem."""
    number = shop.order_no()
    shop.wechat_pay.misbehave(fault, **options)
    [result] = shop.run(a_message(number))
    item = shop.item(number)
    assert (result.failed, item.status, item.reason) == (True, Status.RETRYING, reason)
    assert item.outcome_unknown
    assert item.history[-1].outcome == UNKNOWN
    assert item.facts is None
    shop.wechat_pay.behave()
    shop.run(a_message(number, receive_count=2))
    assert shop.item(number).status is Status.SYNCED
    assert shop.calls(number) == ["sync", "query", "query"]


def test_a_forged_success_is_not_final(shop: Shop) -> None:
    """A proxy answers "paid" under a genuine signature of another answer: the order is still to be paid, and waits."""
    number = shop.order_no()
    shop.wechat_pay.misbehave("forged_success")
    [result] = shop.run(a_message(number))
    assert (result.failed, shop.item(number).status) == (True, Status.RETRYING)
    assert shop.wechat_pay.order(MERCHANT, number).state == "DOING"
    shop.wechat_pay.behave()
    shop.run(a_message(number, receive_count=2))
    assert (shop.item(number).status, shop.wechat_pay.order(MERCHANT, number).paid_type) == (Status.SYNCED, "MCH")
    assert shop.calls(number) == ["sync", "query", "query", "sync"]


@pytest.fixture
def wired(shop: Shop) -> Iterator[Shop]:
    """The shop, whose calls reach the simulator without a network: a read time-out there takes no time."""
    hosts: dict[str, Any] = {"base_url": shop.wechat_pay.base_url, "backup_url": shop.wechat_pay.backup_url}
    names = {shop.wechat_pay.base_url: "main", shop.wechat_pay.backup_url: "backup"}
    merchants: Any = shop.relay.wechat_pay.merchants  # type: ignore[attr-defined]
    with session_with(Wire(shop.wechat_pay, names)) as session:
        client = partial(wechatpay.Client, session=session, **hosts)
        merchants_over_wire = Merchants(shop.cloud.client("secretsmanager"), merchants._prefix, client)
        wechat_pay = WeChatPay(merchants_over_wire, call_budget=CALL_BUDGET)
        yield replace(shop, relay=replace(shop.relay, wechat_pay=wechat_pay))


@pytest.mark.parametrize("processed", [True, False])
def test_a_silence_is_settled_by_a_query_on_the_backup_host(wired: Shop, processed: bool) -> None:
    """The order ends SYNCED with one executed sync, whether or not the unanswered call was executed."""
    shop = wired
    number = shop.order_no()
    shop.wechat_pay.misbehave("silence", times=1, operation="sync", processed=processed)
    shop.run(a_message(number))
    if not processed:
        assert (shop.item(number).status, shop.item(number).reason) == (Status.RETRYING, "USER_PAYING")
        shop.run(a_message(number, receive_count=2))
    assert shop.item(number).status is Status.SYNCED
    assert shop.wechat_pay.order(MERCHANT, number).syncs == 1
    assert [call.host for call in shop.wechat_pay.calls if call.out_order_no == number][:2] == ["main", "backup"]


@pytest.mark.parametrize(
    "fault", ["order_done_on_replay", "invalid_order_state_on_replay", "invalid_request_on_replay", "ok_on_replay"]
)
def test_the_order_decides_whatever_a_repeated_sync_is_answered(shop: Shop, fault: str) -> None:
    """The official pages do not document the answer; with each of four the payment at the till ends as SYNCED."""
    number = shop.order_no()
    shop.run(a_message(number))
    shop.cloud.client("dynamodb").delete_item(TableName="orders", Key={"pk": {"S": f"{MERCHANT}#{number}"}})
    shop.wechat_pay.misbehave(fault)
    shop.run(a_message(number, "m2"))
    assert shop.item(number).status is Status.SYNCED


def test_an_unsigned_order_done_proves_nothing(shop: Shop) -> None:
    """An unsigned ORDER_DONE may be forged: the query shows that the order is still to be paid."""
    number = shop.order_no()
    shop.wechat_pay.misbehave("unsigned_error", times=1, code="ORDER_DONE")
    [result] = shop.run(a_message(number))
    assert (result.failed, shop.item(number).status, shop.item(number).reason) == (
        True,
        Status.RETRYING,
        "USER_PAYING",
    )


def test_a_message_without_a_record_queries_first(shop: Shop) -> None:
    """A second receive of which nothing is recorded queries first: the environment may have ended after the call."""
    number = shop.order_no()
    shop.run(a_message(number, receive_count=2))
    assert shop.calls(number) == ["query", "sync"]
    assert shop.item(number).status is Status.SYNCED


@pytest.mark.parametrize(
    ("fault", "options", "reason", "wait"),
    [
        ("connection_refused", {}, "UNREACHABLE", 15),
        ("system_error", {}, "OUTCOME_UNKNOWN", 15),
        ("gateway_error", {}, "OUTCOME_UNKNOWN", 15),
        ("frequency_limited", {"retry_after": 120}, "THROTTLED", 120),
        ("sub_code_throttled", {}, "THROTTLED", 60),
        ("bad_sign_401", {}, "SIGN_ERROR", 60),
        ("clock_skew_401", {}, "CLOCK", 60),
        ("unknown_state", {"operation": "sync"}, "UNKNOWN_STATE", 60),
        ("accepted_202", {"operation": "sync", "times": 1}, "USER_PAYING", 15),
    ],
)
def test_a_fault_that_passes_is_retried(
    shop: Shop, fault: str, options: dict[str, Any], reason: str, wait: int
) -> None:
    """The order is RETRYING under its reason, and SYNCED by one executed sync when the fault has passed."""
    number = shop.order_no()
    shop.wechat_pay.misbehave(fault, **options)
    [result] = shop.run(a_message(number))
    assert (shop.item(number).status, shop.item(number).reason) == (Status.RETRYING, reason)
    assert result.ending == RetryIn(wait)
    shop.wechat_pay.behave()
    shop.run(a_message(number, receive_count=2))
    assert shop.item(number).status is Status.SYNCED
    assert shop.wechat_pay.order(MERCHANT, number).syncs == 1


def test_an_unknown_state_is_kept_as_it_came(shop: Shop) -> None:
    """The item has the state and the whole answer, so that a later version can be given the word."""
    number = shop.order_no()
    shop.wechat_pay.misbehave("unknown_state", state="SUSPENDED")
    shop.run(a_message(number))
    facts = shop.facts(number)
    assert facts.answer is not None
    assert (facts.state, facts.answer["state"]) == ("SUSPENDED", "SUSPENDED")


def test_an_order_that_is_seconds_old_gets_one_short_retry(shop: Shop) -> None:
    """ORDER_NOT_EXIST is retried after 3 s, rejected the second time, and makes no call the third time."""
    number = shop.order_no(ready=False)
    [first] = shop.run(a_message(number))
    assert (first.ending, shop.item(number).status) == (RetryIn(3), Status.RETRYING)
    [second] = shop.run(a_message(number, receive_count=2))
    [third] = shop.run(a_message(number, receive_count=3))
    assert (second.ending, third.ending) == (RetryNow(), RetryNow())
    assert (shop.item(number).status, shop.item(number).reason) == (Status.REJECTED, "ORDER_NOT_EXIST")
    assert len(shop.calls(number)) == 2


def test_a_printed_blank_in_the_code_is_no_other_code(shop: Shop) -> None:
    """`ORDER_NOT_ EXIST`, as the official tables print it, is ORDER_NOT_EXIST."""
    number = shop.order_no()
    shop.wechat_pay.misbehave("not_found_blank")
    shop.run(a_message(number))
    assert shop.item(number).reason == "ORDER_NOT_EXIST"


def test_a_corrected_event_revives_a_rejected_order(shop: Shop) -> None:
    """An event with a corrected `paid_time` makes a REJECTED order SYNCED."""
    number = shop.order_no()
    shop.run(a_message(number, detail={"paid_time": "20200101000000"}))
    assert (shop.item(number).status, shop.item(number).reason) == (Status.REJECTED, "PARAM_ERROR")
    shop.run(a_message(number, "m2"))
    assert (shop.item(number).status, shop.item(number).payment.paid_time) == (Status.SYNCED, "20260101120000")


def test_a_message_without_enough_time_goes_back_untouched(shop: Shop) -> None:
    """No call is started that the invocation could not finish; the message goes back to the queue at once."""
    number = shop.order_no()
    [result] = shop.run(a_message(number), time_left=1.0)
    assert (result.failed, result.ending, result.problem) == (True, RetryNow(), "OUT_OF_TIME")
    assert shop.calls(number) == []
    assert shop.table.load([f"{MERCHANT}#{number}"]) == {}


def test_while_dynamodb_is_down_nothing_is_permanent(shop: Shop) -> None:
    """Without the table no call is made, and nothing is rejected but an unreadable message."""
    number = shop.order_no()
    shop.table._name = "no-such-table"
    unreadable, waiting = shop.run(Message("m0", "nonsense"), a_message(number))
    assert (unreadable.ending, waiting.ending) == (RetryNow(), RetryIn(15))
    assert "ResourceNotFoundException" in waiting.problem
    assert shop.calls(number) == []


def test_of_two_racing_environments_the_second_write_yields(shop: Shop) -> None:
    """The environment that writes second finds another version, and keeps the final status that is there."""
    number = shop.order_no()
    original = shop.table.load

    def slow_load(keys: Any) -> Any:
        orders = original(keys)
        shop.table.load = original  # type: ignore[method-assign]
        shop.run(a_message(number, "other"))
        return orders

    shop.table.load = slow_load  # type: ignore[method-assign]
    [result] = shop.run(a_message(number, "mine"))
    item = shop.item(number)
    assert not result.failed
    assert (item.status, item.version, item.message_id) == (Status.SYNCED, 1, "other")


def test_a_failed_message_gets_its_visibility(shop: Shop) -> None:
    """A failed message gets the visibility timeout of its wait: a rejected one is received again at once."""
    number = shop.order_no(ready=False)
    sqs = shop.cloud.client("sqs")
    url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=a_message(number, mchid="1999999999").body)
    [received] = sqs.receive_message(QueueUrl=url)["Messages"]
    message = Message(received["MessageId"], received["Body"], 1, received["ReceiptHandle"])
    shop.run(message)
    [again] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert again["MessageId"] == received["MessageId"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])


FAMILIES: dict[str, dict[str, Any]] = {
    "partner": {"sub_mchid": "1900000109"},
    "acquiringbank": {"sub_mchid": "1900000109", "channel_id": "2000000001"},
    "payafter": {},
    "oversea": {"sub_mchid": "1900000109"},
}


def an_order_of(shop: Shop, endpoint: str) -> tuple[str, str]:
    """A new order of this family, waiting for its money; its number, and the merchant part of its key."""
    number, who = shop.order_no(ready=False), FAMILIES[endpoint]
    shop.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO, endpoint=endpoint, **who)
    return number, f"{MERCHANT}/{who['sub_mchid']}" if "sub_mchid" in who else MERCHANT


@pytest.mark.parametrize("endpoint", FAMILIES)
def test_endpoints_that_answer_without_the_order_are_queried(shop: Shop, endpoint: str) -> None:
    """Each endpoint answers in its own words; the order is SYNCED, and at the `paid_time` that was sent."""
    number, merchant = an_order_of(shop, endpoint)
    shop.run(a_message(number, endpoint=endpoint, **FAMILIES[endpoint]))
    item = shop.item(number, merchant)
    assert (item.status, item.reason, item.payment.endpoint) == (Status.SYNCED, "", endpoint)
    assert shop.facts(number, merchant).paid_type == "MCH"
    assert shop.calls(number) == ["sync", "query"]


def test_an_acquiring_banks_payment_without_a_channel_is_synced(shop: Shop) -> None:
    """Without `channel_id` a payment is sent: the OpenAPI description allows it, and so may WeChat Pay."""
    shop.wechat_pay.switches = replace(shop.wechat_pay.switches, channel_id_required=False)
    number = shop.order_no(ready=False)
    shop.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO, endpoint="acquiringbank", sub_mchid="1900000109")
    shop.run(a_message(number, endpoint="acquiringbank", sub_mchid="1900000109"))
    assert shop.item(number, f"{MERCHANT}/1900000109").status is Status.SYNCED


def test_a_channel_that_wechat_pay_requires_is_told(shop: Shop) -> None:
    """Where WeChat Pay requires `channel_id`, as its pages say, a payment without it is REJECTED in its words."""
    number = shop.order_no(ready=False)
    shop.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO, endpoint="acquiringbank", sub_mchid="1900000109")
    shop.run(a_message(number, endpoint="acquiringbank", sub_mchid="1900000109"))
    item = shop.item(number, f"{MERCHANT}/1900000109")
    assert item.status is Status.REJECTED
    assert "channel_id" in str(item)


@pytest.mark.parametrize("endpoint", FAMILIES)
def test_a_collection_by_wechat_is_seen_in_the_words_of_each_endpoint(shop: Shop, endpoint: str) -> None:
    """A deduction by WeChat Pay makes PAID_BY_WECHAT, with the transaction that the refund needs."""
    number, merchant = an_order_of(shop, endpoint)
    shop.wechat_pay.deduct(MERCHANT, number, sub_mchid=FAMILIES[endpoint].get("sub_mchid", ""))
    shop.run(a_message(number, endpoint=endpoint, **FAMILIES[endpoint]))
    facts = shop.facts(number, merchant)
    assert (shop.item(number, merchant).status, facts.paid_type) == (Status.PAID_BY_WECHAT, "NEWTON")
    assert facts.transaction_id


@pytest.mark.parametrize("endpoint", ["partner", "acquiringbank", "oversea"])
def test_one_sub_merchants_settled_order_does_not_swallow_anothers_event(shop: Shop, endpoint: str) -> None:
    """The same number under two sub-merchants is two orders, and two items."""
    number, merchant = an_order_of(shop, endpoint)
    other = FAMILIES[endpoint] | {"sub_mchid": "1900000222"}
    shop.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO, endpoint=endpoint, **other)
    first, second = shop.run(
        a_message(number, "m1", endpoint=endpoint, **FAMILIES[endpoint]),
        a_message(number, "m2", endpoint=endpoint, **other),
    )
    assert (first.failed, second.failed) == (False, False)
    assert shop.item(number, merchant).status is Status.SYNCED
    assert shop.item(number, f"{MERCHANT}/1900000222").status is Status.SYNCED


def test_the_secrets_default_endpoint_decides_the_key(shop: Shop) -> None:
    """An event with a sub-merchant and without an endpoint belongs to the default endpoint of the secret."""
    prefix = shop.relay.wechat_pay.merchants._prefix  # type: ignore[attr-defined]
    secret = shop.wechat_pay.merchant("1230000222").secret() | {"service_id": SERVICE_ID, "endpoint": "partner"}
    shop.cloud.put_secret(f"{prefix}/1230000222", secret)
    number, who = shop.order_no(ready=False), FAMILIES["partner"]
    shop.wechat_pay.ready_to_sync("1230000222", number, at=LONG_AGO, endpoint="partner", **who)
    [result] = shop.run(a_message(number, mchid="1230000222", **who))
    assert not result.failed
    assert shop.item(number, "1230000222/1900000109").status is Status.SYNCED


def test_a_missing_field_is_named(shop: Shop) -> None:
    """A partner event without a `sub_mchid` is rejected with a reason that names the field, without a call."""
    number = shop.order_no()
    shop.run(a_message(number, endpoint="partner"))
    assert shop.item(number).reason == "MISSING_SUB_MCHID"
    assert shop.calls(number) == []


def test_fields_that_the_endpoint_has_no_place_for_are_ignored(shop: Shop) -> None:
    """What an endpoint has no place for is left out of the request."""
    number = shop.order_no()
    detail = {"paid_time": "20260101120000", "seq": 1, "paid_amount": 3900}
    shop.run(a_message(number, detail=detail, sub_mchid="1900000109", cashier="Wang"))
    assert shop.item(number).status is Status.SYNCED
    [call] = [call for call in shop.wechat_pay.calls if call.out_order_no == number]
    assert set(json.loads(call.body)) == {"appid", "service_id", "type", "detail"}
