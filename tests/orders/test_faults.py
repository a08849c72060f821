"""Faults that are easily mistaken: a gateway's page, a wrong key, a clock, a crash, an item, a stale secret."""

import json
import time
from collections.abc import Callable
from copy import replace
from threading import Barrier
from typing import Any

import pytest

import wechatpay
from orders.conversation import Conversation, WeChatPay
from orders.items import item_of
from orders.merchants import Merchants
from orders.order import Order, Payment, Status, instant
from orders.results import RetryIn, RetryNow
from orders.rules import RETRIES_EXHAUSTED
from orders.table import OrdersTable
from sandbox.testbed import APPID, MERCHANT, OTHER_MERCHANT, SERVICE_ID
from sandbox.waiting import PATIENCE

from .conftest import CALL_BUDGET, LIMITS, LONG_AGO, PAID_TIME, Shop, a_message

BEIJING_HOURS = 8 * 3600


def digits(moment: float) -> str:
    """Unix seconds as WeChat Pay's digits of Beijing time."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(moment + BEIJING_HOURS))


def with_relay(shop: Shop, **changes: Any) -> Shop:
    """The shop with another relay."""
    return replace(shop, relay=replace(shop.relay, **changes))


def keys_of(shop: Shop) -> tuple[Any, str]:
    """The shop's merchants and where their secrets are."""
    merchants: Any = shop.relay.wechat_pay.merchants  # type: ignore[attr-defined]
    return merchants, merchants._prefix


class TestGateways:
    """A refusal without WeChat Pay's own code says nothing about the order."""

    @pytest.mark.parametrize("status", [400, 403, 404, 405, 407, 408, 409, 413, 421, 425])
    @pytest.mark.parametrize("body", [None, "", '{"message": "denied"}'])
    def test_a_gateways_page_dead_letters_nothing(self, shop: Shop, status: int, body: str | None) -> None:
        """After a gateway's page the order is queried; it waits while the gateway is there, then it is synced."""
        number = shop.order_no()
        shop.wechat_pay.misbehave("gateway_408", status=status, body=body)
        [result] = shop.run(a_message(number))
        item = shop.item(number)
        assert (result.ending, item.status, item.reason) == (RetryIn(15), Status.RETRYING, "OUTCOME_UNKNOWN")
        shop.wechat_pay.behave()
        shop.run(a_message(number, receive_count=2))
        assert shop.item(number).status is Status.SYNCED
        assert shop.wechat_pay.order(MERCHANT, number).syncs == 1

    def test_a_page_instead_of_the_answer_of_an_executed_call_is_settled_by_a_query(self, shop: Shop) -> None:
        """A gateway's page in place of the answer to an executed sync is settled by one query."""
        number = shop.order_no()
        shop.wechat_pay.misbehave("gateway_408_after", operation="sync")
        shop.run(a_message(number))
        assert (shop.item(number).status, shop.calls(number)) == (Status.SYNCED, ["sync", "query"])

    def test_codes_go_by_their_name_under_any_status(self, shop: Shop) -> None:
        """SYSTEM_ERROR under status 400 is transient, SIGN_ERROR under status 400 is a key problem."""
        for fault, reason in (("system_error_400", "OUTCOME_UNKNOWN"), ("sign_error_400", "SIGN_ERROR")):
            number = shop.order_no()
            shop.wechat_pay.misbehave(fault)
            [result] = shop.run(a_message(number))
            assert (result.ending, shop.item(number).reason) != (RetryNow(), "PARAM_ERROR")
            assert (shop.item(number).status, shop.item(number).reason) == (Status.RETRYING, reason)
            shop.wechat_pay.behave()

    def test_a_platform_serial_that_is_refused_is_a_key_problem(self, shop: Shop) -> None:
        """PARAM_ERROR that names Wechatpay-Serial is a key problem, and the order waits."""
        number = shop.order_no()
        shop.wechat_pay.misbehave("wrong_platform_serial")
        [result] = shop.run(a_message(number))
        item = shop.item(number)
        assert (result.failed, item.status, item.reason) == (True, Status.RETRYING, "WECHATPAY_SERIAL")

    def test_a_parameter_error_for_a_closed_order_is_settled_by_the_order(self, shop: Shop) -> None:
        """PARAM_ERROR for an order that WeChat Pay has collected ends as PAID_BY_WECHAT, after a query."""
        number = shop.order_no()
        shop.wechat_pay.deduct(MERCHANT, number)
        shop.wechat_pay.misbehave("param_error_done", operation="sync")
        shop.run(a_message(number))
        assert (shop.item(number).status, shop.calls(number)) == (Status.PAID_BY_WECHAT, ["sync", "query"])


class TestClocks:
    """A `paid_time` some seconds ahead of WeChat Pay's clock."""

    def test_a_time_of_payment_ahead_gets_one_delayed_retry(self, shop: Shop) -> None:
        """A `paid_time` of this moment that is refused is sent again after a minute, and synced."""
        number = shop.order_no()
        detail = {"paid_time": digits(time.time())}
        shop.wechat_pay.misbehave("paid_time_ahead", times=1)
        [first] = shop.run(a_message(number, detail=detail))
        assert (first.ending, shop.item(number).reason) == (RetryIn(60), "PAID_TIME_AHEAD")
        [second] = shop.run(a_message(number, receive_count=2, detail=detail))
        assert (second.failed, shop.item(number).status) == (False, Status.SYNCED)

    def test_the_second_refusal_stands(self, shop: Shop) -> None:
        """A second refusal of the `paid_time` rejects the order; of an older time the first refusal does."""
        for paid_time, endings in ((digits(time.time()), [RetryIn(60), RetryNow()]), (PAID_TIME, [RetryNow()])):
            number = shop.order_no()
            shop.wechat_pay.misbehave("paid_time_ahead", times=2)
            detail = {"paid_time": paid_time}
            results = [
                shop.run(a_message(number, receive_count=count + 1, detail=detail))[0] for count in range(len(endings))
            ]
            assert [result.ending for result in results] == endings
            item = shop.item(number)
            assert (item.status, item.reason) == (Status.REJECTED, "PARAM_ERROR")
            assert item.last_error is not None
            assert (item.last_error.field, item.last_error.location) == ("/detail/paid_time", "body")
            shop.wechat_pay.behave()


class TestWords:
    """WeChat Pay's own words are kept, cleaned and bounded."""

    def test_the_field_and_the_issue_reach_the_item(self, shop: Shop) -> None:
        """The last error has the field and the issue of the refusal, and never the value."""
        number = shop.order_no()
        shop.run(a_message(number, detail={"paid_time": "20200101000000"}))
        error = shop.item(number).last_error
        assert error is not None
        assert (error.code, error.http_status) == ("PARAM_ERROR", 400)
        assert "paid_time" in error.field
        assert error.issue
        raw = shop.cloud.client("dynamodb").get_item(TableName="orders", Key={"pk": {"S": f"{MERCHANT}#{number}"}})
        assert "20200101000000" not in json.dumps(raw["Item"]["last_error"])

    @pytest.mark.parametrize("options", [{}, {"bytes": 500_000}, {"code": "PARAM_ERROR"}])
    def test_dirty_and_endless_words_leave_an_item_that_can_be_read(self, shop: Shop, options: dict[str, Any]) -> None:
        """Text with escape sequences, bidi marks, line breaks or half a megabyte is stored printable and bounded."""
        number = shop.order_no()
        shop.wechat_pay.misbehave("dirty_words", **options)
        shop.run(a_message(number))
        error = shop.item(number).last_error
        assert error is not None
        words = (error.code, error.message, error.field, error.location, error.issue, error.request_id)
        assert all(word.isprintable() and len(word) <= 300 for word in words)

    def test_what_sqs_says_about_a_wait_is_on_the_result(self, shop: Shop) -> None:
        """If SQS refuses the visibility timeout of a message, its error code is on the result."""
        message = replace(a_message(shop.order_no(ready=False)), receipt_handle="stale")
        [result] = shop.run(message)
        assert result.failed
        assert result.visibility


class TestItems:
    """An item that this version cannot read costs its own order."""

    @pytest.mark.parametrize(
        "edit", [{"status": {"S": "REFUNDED"}}, {"history": {"L": [{"S": "?"}]}}, {"version": {"S": "two"}}]
    )
    def test_an_unreadable_item_fails_its_own_order(self, shop: Shop, edit: dict[str, Any]) -> None:
        """The order of an unreadable item waits with a reason, without a call or a write; its neighbour is settled."""
        bad, fine = shop.order_no(), shop.order_no()
        now = instant(time.time())
        item = item_of(Order(Payment(MERCHANT, bad, PAID_TIME), None, Status.RETRYING, 1, now, now)) | edit
        shop.cloud.client("dynamodb").put_item(TableName="orders", Item=item)
        waits, done = shop.run(a_message(bad, "m1"), a_message(fine, "m2"))
        assert (waits.failed, waits.reason, done.failed) == (True, "UNREADABLE_ITEM", False)
        assert f"{MERCHANT}#{bad}" in waits.problem
        assert shop.calls(bad) == []
        key = {"pk": {"S": f"{MERCHANT}#{bad}"}}
        assert shop.cloud.client("dynamodb").get_item(TableName="orders", Key=key)["Item"] == item


class TestEvidence:
    """The item's fields have all that the rules decide by."""

    def test_twenty_one_reports_of_a_rejected_order_cost_one_call(self, shop: Shop) -> None:
        """A rejection counts for every report of the payment, even if it has dropped out of the history."""
        number = shop.order_no()
        shop.wechat_pay.cancel(MERCHANT, number)
        for receive_count in (1, 2, 3):
            results = shop.run(*(a_message(number, f"m{n}", receive_count) for n in range(21)))
            assert {result.ending for result in results} == {RetryNow()}
        assert shop.calls(number) == ["sync", "query"]

    def test_a_message_killed_at_a_later_attempt_asks_first(self, shop: Shop) -> None:
        """A message whose second receive left no record queries first at its third."""
        number = shop.order_no()
        shop.wechat_pay.misbehave("frequency_limited", times=1)
        shop.run(a_message(number))
        shop.wechat_pay.order(MERCHANT, number)
        [result] = shop.run(a_message(number, receive_count=3))
        assert not result.failed
        assert shop.calls(number) == ["sync", "query", "sync"]

    def test_a_throttled_race_hides_no_unknown_outcome(self, shop: Shop) -> None:
        """A throttled report leaves the outcome unknown, and the `paid_time` that was sent first stays."""
        number = shop.order_no()
        shop.wechat_pay.misbehave("tampered_body", times=2, out_order_no=number)
        shop.run(a_message(number, "m1"))
        assert shop.item(number).outcome_unknown
        shop.wechat_pay.misbehave("frequency_limited", times=1)
        shop.run(a_message(number, "m2", detail={"paid_time": "20260101130000"}))
        item = shop.item(number)
        assert (item.reason, item.outcome_unknown, item.payment.paid_time) == ("THROTTLED", True, PAID_TIME)

    def test_an_unknown_state_is_queried_again_and_not_synced_again(self, shop: Shop) -> None:
        """An order in an unknown state is queried until its state is one that this version has a word for."""
        number = shop.order_no()
        shop.wechat_pay.misbehave("foreign_words", operation="sync")
        shop.run(a_message(number))
        assert shop.item(number).reason == "UNKNOWN_STATE"
        shop.run(a_message(number, receive_count=2))
        assert (shop.item(number).status, shop.calls(number)) == (Status.SYNCED, ["sync", "query"])

    @pytest.mark.parametrize("fault", ["frequency_limited", "tampered_body", "connection_refused"])
    def test_a_message_that_sqs_gives_up_leaves_a_reason_and_a_redrive_that_asks_first(
        self, shop: Shop, fault: str
    ) -> None:
        """The item of a message that SQS gives up is REJECTED with a reason; a redrive queries first."""
        shop = with_relay(shop, max_receives=12)
        number = shop.order_no()
        shop.wechat_pay.misbehave(fault)
        shop.run(a_message(number, receive_count=1))
        calls_before = shop.calls(number)
        [last] = shop.run(a_message(number, receive_count=12))
        item = shop.item(number)
        assert (last.ending, last.given_up) == (RetryNow(), True)
        assert (item.status, item.reason, item.outcome_unknown) == (Status.REJECTED, RETRIES_EXHAUSTED, True)
        assert item.last_error is not None
        assert item.last_error.code
        shop.wechat_pay.behave()
        shop.run(a_message(number, "redriven"))
        assert shop.item(number).status is Status.SYNCED
        assert "query" in shop.calls(number)[len(calls_before) :]

    @pytest.mark.parametrize("receive_count", [12, 13])
    def test_a_message_without_a_conversation_is_given_up_with_its_reason(
        self, shop: Shop, receive_count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A last receive without a conversation, for lack of time or by a bug, leaves its reason on the item."""
        shop = with_relay(shop, max_receives=12)
        late, broken = shop.order_no(), shop.order_no()
        [result] = shop.run(a_message(late, receive_count=receive_count), time_left=1.0)
        assert (result.ending, shop.item(late).reason) == (RetryNow(), RETRIES_EXHAUSTED)
        assert shop.item(late).history[-1].reason == "OUT_OF_TIME"
        monkeypatch.setattr(Conversation, "start", lambda *_, **__: 1 / 0)
        [result] = shop.run(a_message(broken, receive_count=receive_count))
        item = shop.item(broken)
        assert (result.ending, item.reason, item.outcome_unknown) == (RetryNow(), RETRIES_EXHAUSTED, True)
        assert item.last_error is not None
        assert item.last_error.message == "unexpected ZeroDivisionError"


class TestSecrets:
    """A rejection that the merchant's secret decides is tried again with a fresh secret."""

    def test_a_mended_secret_is_taken_up_at_once(self, shop: Shop) -> None:
        """After a missing field is added to the secret, a redriven message is synced within the cache's 300 s."""
        merchants, prefix = keys_of(shop)
        bare = shop.wechat_pay.merchant(MERCHANT).secret()
        shop.cloud.put_secret(f"{prefix}/{MERCHANT}", bare)
        number = shop.order_no()
        shop.run(a_message(number))
        item = shop.item(number)
        assert (item.status, item.reason) == (Status.REJECTED, "MISSING_SERVICE_ID")
        assert item.last_error is not None
        assert item.last_error.field == "service_id, appid"
        shop.cloud.put_secret(f"{prefix}/{MERCHANT}", bare | {"appid": APPID, "service_id": SERVICE_ID})
        [result] = shop.run(a_message(number, "redriven"))
        assert (result.failed, shop.item(number).status) == (False, Status.SYNCED)
        assert merchants is not None

    def test_a_merchant_that_was_unknown_a_moment_ago_is_known(self, shop: Shop) -> None:
        """After the missing secret is created, a redriven message is synced at once."""
        _, prefix = keys_of(shop)
        number = shop.order_no(ready=False)
        mchid = f"19{time.time_ns() % 10**8:08d}"
        shop.wechat_pay.ready_to_sync(mchid, number, at=LONG_AGO)
        [result] = shop.run(a_message(number, mchid=mchid))
        assert result.order is not None
        assert result.order.reason == "UNKNOWN_MERCHANT"
        secret = shop.wechat_pay.merchant(mchid).secret() | {"appid": APPID, "service_id": SERVICE_ID}
        shop.cloud.put_secret(f"{prefix}/{mchid}", secret)
        [result] = shop.run(a_message(number, "redriven", mchid=mchid))
        assert (result.failed, shop.item(number, mchid).status) == (False, Status.SYNCED)

    def test_wrong_defaults_are_read_again_before_an_order_is_rejected_for_them(self, shop: Shop) -> None:
        """NO_AUTH for a wrong default is tried again with the corrected secret in the same attempt."""
        _, prefix = keys_of(shop)
        keys = shop.wechat_pay.merchant(MERCHANT).secret()
        shop.cloud.put_secret(f"{prefix}/{MERCHANT}", keys | {"appid": "wx-wrong", "service_id": SERVICE_ID})
        first, second = shop.order_no(), shop.order_no()
        shop.run(a_message(first))
        assert shop.item(first).status is Status.REJECTED
        shop.cloud.put_secret(f"{prefix}/{MERCHANT}", keys | {"appid": APPID, "service_id": SERVICE_ID})
        [result] = shop.run(a_message(second))
        assert (result.failed, shop.item(second).status) == (False, Status.SYNCED)

    def test_a_platform_key_that_was_replaced_is_fetched_once(self, shop: Shop) -> None:
        """An answer under a new platform key is verified with the fresh secret in the same attempt."""
        _, prefix = keys_of(shop)
        secret = shop.wechat_pay.merchant(MERCHANT).secret() | {"appid": APPID, "service_id": SERVICE_ID}
        other = shop.wechat_pay.merchant("1230000333").secret()
        assert secret["platform_keys"]
        stranger = {"PUB_KEY_ID_0000000000000001": next(iter(other["platform_keys"].values()))}
        shop.cloud.put_secret(f"{prefix}/{MERCHANT}", secret | {"platform_keys": stranger})
        number = shop.order_no()
        shop.run(a_message(number))
        item = shop.item(number)
        assert (item.status, item.reason) == (Status.RETRYING, "UNTRUSTED_ANSWER")
        shop.cloud.put_secret(f"{prefix}/{MERCHANT}", secret)
        [result] = shop.run(a_message(number, receive_count=2))
        assert (result.failed, shop.item(number).status) == (False, Status.SYNCED)


class _Repeating:
    """A DynamoDB client that repeats each write, as boto3 does after a late answer."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self.repeated = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dynamodb, name)

    def batch_execute_statement(self, **request: Any) -> Any:
        """Write twice, and return the second answer."""
        self.repeated += 1
        self._dynamodb.batch_execute_statement(**request)
        return self._dynamodb.batch_execute_statement(**request)

    def put_item(self, **request: Any) -> Any:
        """Write one item twice, and return the second answer."""
        self.repeated += 1
        self._dynamodb.put_item(**request)
        return self._dynamodb.put_item(**request)


class TestRaces:
    """A write that boto3 repeats is recognized as one write."""

    def test_our_own_write_repeated_by_boto3_is_no_race(self, shop: Shop) -> None:
        """A repeated write neither counts the attempt twice nor writes the item again."""
        repeating = _Repeating(shop.cloud.client("dynamodb"))
        shop = with_relay(shop, table=OrdersTable(repeating, "orders"))  # type: ignore[arg-type]
        paid, waiting = shop.order_no(), shop.order_no()
        shop.wechat_pay.deducting(MERCHANT, waiting)
        results = shop.run(a_message(paid, "m1"), a_message(waiting, "m2"))
        assert [result.failed for result in results] == [False, True]
        for number in (paid, waiting):
            assert (shop.item(number).attempts, shop.item(number).version) == (1, 1)
        shop.run(a_message(waiting, "m2", receive_count=2))
        assert (shop.item(waiting).attempts, shop.item(waiting).version) == (2, 2)
        assert repeating.repeated == 2

    def test_races_of_a_batch_are_settled_side_by_side(self, shop: Shop) -> None:
        """The races over eight orders that another environment created are settled at the same time."""
        numbers = [shop.order_no() for _ in range(8)]
        rivals = [a_message(number, f"r{n}") for n, number in enumerate(numbers)]
        gate = _Gate(shop.table, len(numbers), lambda: shop.run(*rivals))
        relay = replace(shop.relay, table=gate)
        results = relay.run([a_message(number, f"m{n}") for n, number in enumerate(numbers)], lambda: 60.0)
        assert not any(result.failed for result in results)
        assert gate.together == len(numbers)


class _Gate:
    """A table whose later reads wait until all of them have begun."""

    def __init__(self, table: OrdersTable, parties: int, meanwhile: Callable[[], object]) -> None:
        self._table, self._meanwhile = table, meanwhile
        self._barrier = Barrier(parties)
        self._reads = 0
        self.together = 0
        self.create, self.save = table.create, table.save

    def load(self, keys: Any) -> Any:
        """Read for the batch and let the rival write; then hold each read until all have begun."""
        self._reads += 1
        if self._reads == 1:
            orders = self._table.load(keys)
            self._meanwhile()
            return orders
        self._barrier.wait(timeout=PATIENCE)  # fails where one read waits for another to end
        self.together = self._barrier.parties
        return self._table.load(keys)


class TestLimits:
    """A batch is answered in time though one answer drips."""

    @pytest.mark.parametrize(
        ("fault", "options"),
        [
            ("drip_headers", {"seconds": 0.2}),
            ("drip_body", {"seconds": 0.2}),
            ("interim_answers", {"endless": True, "seconds": 0.1}),
            ("big_headers", {}),
        ],
    )
    def test_a_dripping_answer_costs_one_order_and_no_more_than_its_limit(
        self, shop: Shop, fault: str, options: dict[str, Any]
    ) -> None:
        """The order of a dripping answer waits with an unknown outcome; its neighbour is settled."""
        bad, fine = shop.order_no(ready=False), shop.order_no()
        shop.wechat_pay.ready_to_sync(OTHER_MERCHANT, bad, at=LONG_AGO)
        shop.wechat_pay.misbehave(fault, out_order_no=bad, **options)
        bad_message = a_message(bad, "m1", mchid=OTHER_MERCHANT)
        waits, done = _hasty(shop, OTHER_MERCHANT).run(bad_message, a_message(fine, "m2"))
        item = shop.item(bad, OTHER_MERCHANT)
        assert (waits.failed, done.failed) == (True, False)
        assert (item.status, item.reason, item.outcome_unknown) == (Status.RETRYING, "OUTCOME_UNKNOWN", True)
        shop.wechat_pay.behave()
        shop.run(replace(bad_message, receive_count=2))
        assert shop.item(bad, OTHER_MERCHANT).status is Status.SYNCED
        assert shop.wechat_pay.order(OTHER_MERCHANT, bad).syncs == 1


def _hasty(shop: Shop, mchid: str) -> Shop:
    """The shop with one more merchant, whose calls have a short read time-out."""
    merchants, prefix = keys_of(shop)
    secret = shop.wechat_pay.merchant(mchid).secret() | {"appid": APPID, "service_id": SERVICE_ID}
    shop.cloud.put_secret(f"{prefix}/{mchid}", secret)

    def client(**keys: Any) -> wechatpay.Client:
        limits = {"timeout": (LIMITS[0], 0.5)} if keys["mchid"] == mchid else {}  # a drip must reach the limit
        client: wechatpay.Client = merchants._client_factory(**keys | limits)
        return client

    over_them = Merchants(shop.cloud.client("secretsmanager"), prefix, client)
    return with_relay(shop, wechat_pay=WeChatPay(over_them, call_budget=CALL_BUDGET))
