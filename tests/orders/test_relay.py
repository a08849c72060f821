"""The corridor of a batch, in this process: what is called, written and put back while the world misbehaves."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

import wechatpay
from orders.conversation import WeChatPay
from orders.event import Message
from orders.merchants import Merchants
from orders.order import UNKNOWN, Status
from orders.results import Done, RetryIn, RetryNow
from sandbox.world import MERCHANT, SERVICE_ID
from tests.orders.conftest import CALL_BUDGET, LONG_AGO, PAID_TIME, Shop, a_message
from tests.orders.inprocess import Wire, session_with


def test_a_payment_is_told_once_and_written_once(shop: Shop) -> None:
    """The item has every field of WeChat Pay's answer."""
    number = shop.order_no()
    [result] = shop.run(a_message(number))
    item = shop.item(number)
    assert not result.failed
    assert (item.status, item.version, item.attempts) == (Status.SYNCED, 1, 1)
    assert shop.facts(number).answer == shop.wechat_pay.order(MERCHANT, number).answer()
    assert shop.calls(number) == ["sync"]


def test_the_same_message_again_asks_nothing(shop: Shop) -> None:
    """A final status is final."""
    number = shop.order_no()
    shop.run(a_message(number))
    [again] = shop.run(a_message(number, receive_count=2), a_message("x", "m9"))[:1]
    assert (again.failed, again.outcome) == (False, None)
    assert shop.calls(number) == ["sync"]


def test_twins_in_a_batch_cost_one_call_and_follow_its_outcome(shop: Shop) -> None:
    """Both are done, or both fail."""
    good, bad = shop.order_no(), shop.order_no(ready=False)
    results = shop.run(a_message(good, "m1"), a_message(good, "m2"), a_message(bad, "m3"), a_message(bad, "m4"))
    assert [result.failed for result in results] == [False, False, True, True]
    assert (shop.calls(good), shop.calls(bad)) == (["sync"], ["sync"])
    assert {attempt.message_id for attempt in shop.item(bad).history} == {"m3", "m4"}


def test_twins_that_disagree_are_told_apart(shop: Shop) -> None:
    """Another time of payment is another report: where the first is rejected, the second gets its own turn."""
    number = shop.order_no()
    early = a_message(number, "m1", detail={"paid_time": "20200101000000"})
    rejected, waiting = shop.run(early, a_message(number, "m2"))
    assert (rejected.ending, rejected.order and rejected.order.reason) == (RetryNow(), "PARAM_ERROR")
    assert (waiting.failed, waiting.ending) == (True, RetryIn(15))
    [settled] = shop.run(a_message(number, "m2", receive_count=2))
    assert not settled.failed
    assert shop.item(number).status is Status.SYNCED


def test_what_was_signed_ahead_is_sent_for_its_own_payment_alone(shop: Shop) -> None:
    """The first message of two was rejected before; the second tells of another time, and that time is told."""
    number = shop.order_no()
    early = a_message(number, "m1", detail={"paid_time": "20200101000000"})
    [rejected] = shop.run(early)
    assert rejected.ending == RetryNow()
    again, settled = shop.run(early, a_message(number, "m2"))
    assert (again.ending, settled.failed) == (RetryNow(), False)
    told = [json.loads(call.body) for call in shop.wechat_pay.calls if call.out_order_no == number and call.body]
    assert [body["detail"]["paid_time"] for body in told] == ["20200101000000", PAID_TIME]


def test_a_message_that_needs_no_call_sends_nothing_though_it_was_signed(shop: Shop) -> None:
    """Nor does one whose table does not answer."""
    number = shop.order_no()
    shop.run(a_message(number, "m1"))
    shop.run(a_message(number, "m2"))
    assert shop.calls(number) == ["sync"]


def test_a_bug_in_the_shared_write_keeps_the_messages(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is answered all the same; each message comes again, and asks first."""
    number = shop.order_no()
    monkeypatch.setattr(shop.table, "create", lambda _: 1 / 0)
    bad, waiting = shop.run(Message("m1", "nonsense"), a_message(number, "m2"))
    assert (bad.ending, waiting.ending, waiting.problem) == (RetryNow(), RetryIn(15), "unexpected ZeroDivisionError")
    monkeypatch.undo()
    [settled] = shop.run(a_message(number, "m2", receive_count=2))
    assert not settled.failed
    assert shop.calls(number) == ["sync", "query"]


def test_one_bad_record_costs_one_record(shop: Shop) -> None:
    """Unreadable, unknown, deducting and good in one batch: each ends as it must."""
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
    """Executed once, asked once, SYNCED by the verified answer to the query."""
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
    """The outcome stays unknown, and the next attempt asks first; a wrong signature is a matter of keys."""
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


def test_a_forged_success_ends_nothing(shop: Shop) -> None:
    """Somebody in the middle says "paid" under an honest signature of something else: WeChat Pay still waits."""
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
    """The shop, whose calls reach WeChat Pay without a network: a silence there takes no time to be one."""
    hosts: dict[str, Any] = {"base_url": shop.wechat_pay.base_url, "backup_url": shop.wechat_pay.backup_url}
    names = {shop.wechat_pay.base_url: "main", shop.wechat_pay.backup_url: "backup"}
    merchants: Any = shop.relay.wechat_pay.merchants  # type: ignore[attr-defined]
    with session_with(Wire(shop.wechat_pay, names)) as session:
        client = partial(wechatpay.Client, session=session, **hosts)
        over_it = Merchants(shop.cloud.client("secretsmanager"), merchants._prefix, client)
        wechat_pay = WeChatPay(over_it, call_budget=CALL_BUDGET)
        yield replace(shop, relay=replace(shop.relay, wechat_pay=wechat_pay))


@pytest.mark.parametrize("processed", [True, False])
def test_a_silence_is_settled_by_a_query_on_the_backup_host(wired: Shop, processed: bool) -> None:
    """Whether or not the call was executed before the silence: it ends SYNCED, told once."""
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
def test_whatever_a_replay_is_answered_the_order_decides(shop: Shop, fault: str) -> None:
    """The official pages do not say; all four end as SYNCED for what the till took."""
    number = shop.order_no()
    shop.run(a_message(number))
    shop.cloud.client("dynamodb").delete_item(TableName="orders", Key={"pk": {"S": f"{MERCHANT}#{number}"}})
    shop.wechat_pay.misbehave(fault)
    shop.run(a_message(number, "m2"))
    assert shop.item(number).status is Status.SYNCED


def test_an_unsigned_order_done_is_not_believed(shop: Shop) -> None:
    """Somebody in between may have forged it: the query says that the money is still open."""
    number = shop.order_no()
    shop.wechat_pay.misbehave("unsigned_error", times=1, code="ORDER_DONE")
    [result] = shop.run(a_message(number))
    assert (result.failed, shop.item(number).status, shop.item(number).reason) == (
        True,
        Status.RETRYING,
        "USER_PAYING",
    )


def test_a_lost_record_asks_first(shop: Shop) -> None:
    """Received before, nothing recorded: the environment may have died after the call."""
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
def test_trouble_that_passes_is_waited_out(
    shop: Shop, fault: str, options: dict[str, Any], reason: str, wait: int
) -> None:
    """RETRYING under its reason, and SYNCED once the trouble has passed; told once in the end."""
    number = shop.order_no()
    shop.wechat_pay.misbehave(fault, **options)
    [result] = shop.run(a_message(number))
    assert (shop.item(number).status, shop.item(number).reason) == (Status.RETRYING, reason)
    assert result.ending == RetryIn(wait)
    shop.wechat_pay.behave()
    shop.run(a_message(number, receive_count=2))
    assert shop.item(number).status is Status.SYNCED
    assert shop.wechat_pay.order(MERCHANT, number).syncs == 1


def test_an_unknown_word_is_kept_as_it_came(shop: Shop) -> None:
    """For whoever has to teach this version the word."""
    number = shop.order_no()
    shop.wechat_pay.misbehave("unknown_state", state="SUSPENDED")
    shop.run(a_message(number))
    facts = shop.facts(number)
    assert facts.answer is not None
    assert (facts.state, facts.answer["state"]) == ("SUSPENDED", "SUSPENDED")


def test_an_order_that_is_seconds_old_gets_one_short_retry(shop: Shop) -> None:
    """ORDER_NOT_EXIST waits the first time and is rejected the second time; the third receive asks nothing."""
    number = shop.order_no(ready=False)
    [first] = shop.run(a_message(number))
    assert (first.ending, shop.item(number).status) == (RetryIn(3), Status.RETRYING)
    [second] = shop.run(a_message(number, receive_count=2))
    [third] = shop.run(a_message(number, receive_count=3))
    assert (second.ending, third.ending) == (RetryNow(), RetryNow())
    assert (shop.item(number).status, shop.item(number).reason) == (Status.REJECTED, "ORDER_NOT_EXIST")
    assert len(shop.calls(number)) == 2


def test_a_printed_blank_in_the_code_is_no_other_code(shop: Shop) -> None:
    """`ORDER_NOT_ EXIST` stands so in the official tables."""
    number = shop.order_no()
    shop.wechat_pay.misbehave("not_found_blank")
    shop.run(a_message(number))
    assert shop.item(number).reason == "ORDER_NOT_EXIST"


def test_a_corrected_event_revives_a_rejected_order(shop: Shop) -> None:
    """With its own time of payment."""
    number = shop.order_no()
    shop.run(a_message(number, detail={"paid_time": "20200101000000"}))
    assert (shop.item(number).status, shop.item(number).reason) == (Status.REJECTED, "PARAM_ERROR")
    shop.run(a_message(number, "m2"))
    assert (shop.item(number).status, shop.item(number).payment.paid_time) == (Status.SYNCED, "20260101120000")


def test_time_that_runs_out_leaves_the_message_untouched(shop: Shop) -> None:
    """No call is begun that could not be ended; the record goes back at once."""
    number = shop.order_no()
    [result] = shop.run(a_message(number), time_left=1.0)
    assert (result.failed, result.ending, result.problem) == (True, RetryNow(), "OUT_OF_TIME")
    assert shop.calls(number) == []
    assert shop.table.load([f"{MERCHANT}#{number}"]) == {}


def test_while_dynamodb_is_down_nothing_is_permanent(shop: Shop) -> None:
    """Neither a call is made without a record to write it to, nor is anything rejected."""
    number = shop.order_no()
    shop.table._name = "no-such-table"
    unreadable, waiting = shop.run(Message("m0", "nonsense"), a_message(number))
    assert (unreadable.ending, waiting.ending) == (RetryNow(), RetryIn(15))
    assert "ResourceNotFoundException" in waiting.problem
    assert shop.calls(number) == []


def test_two_environments_that_race_write_one_truth(shop: Shop) -> None:
    """Whoever writes second finds the version moved, and what stands stays."""
    number = shop.order_no()
    original = shop.table.load

    def slow_load(keys: Any) -> Any:
        found = original(keys)
        shop.table.load = original  # type: ignore[method-assign]
        shop.run(a_message(number, "other"))
        return found

    shop.table.load = slow_load  # type: ignore[method-assign]
    [result] = shop.run(a_message(number, "mine"))
    item = shop.item(number)
    assert not result.failed
    assert (item.status, item.version, item.message_id) == (Status.SYNCED, 1, "other")


def test_a_failed_message_gets_its_visibility(shop: Shop) -> None:
    """SQS is told when to hand it out again."""
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
def test_endpoints_that_answer_without_the_order_are_asked_for_it(shop: Shop, endpoint: str) -> None:
    """Each answers in its own words; SYNCED for what the till took, at the very moment that it told."""
    number, merchant = an_order_of(shop, endpoint)
    shop.run(a_message(number, endpoint=endpoint, **FAMILIES[endpoint]))
    item = shop.item(number, merchant)
    assert (item.status, item.reason, item.payment.endpoint) == (Status.SYNCED, "", endpoint)
    assert shop.facts(number, merchant).paid_type == "MCH"
    assert shop.calls(number) == ["sync", "query"]


def test_an_acquiring_banks_payment_without_a_channel_is_told(shop: Shop) -> None:
    """Its pages require one, its OpenAPI description does not: WeChat Pay decides."""
    number = shop.order_no(ready=False)
    shop.wechat_pay.ready_to_sync(MERCHANT, number, at=LONG_AGO, endpoint="acquiringbank", sub_mchid="1900000109")
    shop.run(a_message(number, endpoint="acquiringbank", sub_mchid="1900000109"))
    assert shop.item(number, f"{MERCHANT}/1900000109").status is Status.SYNCED


@pytest.mark.parametrize("endpoint", FAMILIES)
def test_a_collection_by_wechat_is_seen_in_the_words_of_each_endpoint(shop: Shop, endpoint: str) -> None:
    """PAID_BY_WECHAT, with the transaction that the refund needs."""
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
    """An event that names a sub-merchant and no endpoint is what the merchant's secret says."""
    prefix = shop.relay.wechat_pay.merchants._prefix  # type: ignore[attr-defined]
    secret = shop.wechat_pay.merchant("1230000222").secret() | {"service_id": SERVICE_ID, "endpoint": "partner"}
    shop.cloud.put_secret(f"{prefix}/1230000222", secret)
    number, who = shop.order_no(ready=False), FAMILIES["partner"]
    shop.wechat_pay.ready_to_sync("1230000222", number, at=LONG_AGO, endpoint="partner", **who)
    [result] = shop.run(a_message(number, mchid="1230000222", **who))
    assert not result.failed
    assert shop.item(number, "1230000222/1900000109").status is Status.SYNCED


def test_a_missing_field_is_named(shop: Shop) -> None:
    """The partner endpoint needs a sub_mchid, which neither event nor secret has."""
    number = shop.order_no()
    shop.run(a_message(number, endpoint="partner"))
    assert shop.item(number).reason == "MISSING_SUB_MCHID"
    assert shop.calls(number) == []


def test_fields_that_the_endpoint_has_no_place_for_are_ignored(shop: Shop) -> None:
    """A till may send more than WeChat Pay takes."""
    number = shop.order_no()
    detail = {"paid_time": "20260101120000", "seq": 1, "paid_amount": 3900}
    shop.run(a_message(number, detail=detail, sub_mchid="1900000109", cashier="Wang"))
    assert shop.item(number).status is Status.SYNCED
    [call] = [call for call in shop.wechat_pay.calls if call.out_order_no == number]
    assert set(json.loads(call.body)) == {"appid", "service_id", "type", "detail"}
