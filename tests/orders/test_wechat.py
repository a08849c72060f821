"""The two tables: what an order's facts mean, and what a refusal asks for."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from orders.order import Payment, Status, Wait
from orders.wechat import SOON, Action, judge, verdict
from wechatpay import Collection, CollectionDetail, RefusedError, ServiceOrder

PAID_TIME = "20260101120000"
PAYMENT = Payment("1230000109", "A1", PAID_TIME, endpoint="direct")


def an_order(state: str, description: str = "", collection: str = "", *paid: str, at: str = PAID_TIME) -> ServiceOrder:
    """A verified order; `paid` are the words of its details."""
    details = tuple(CollectionDetail(paid_type=word, paid_time=at) for word in paid)
    collected = Collection(state=collection, details=details) if collection else None
    return ServiceOrder("A1", state, description or None, collection=collected)


def a_refusal(status: int, code: str = "", message: str = "", **evidence: Any) -> RefusedError:
    """WeChat Pay's refusal."""
    return RefusedError(status=status, code=code, message=message, **evidence)


@pytest.mark.parametrize(
    ("order", "status", "reason"),
    [
        (an_order("DONE", "", "USER_PAID", "MCH"), Status.SYNCED, ""),
        (an_order("DONE", "", "USER_PAID", "MCH", "MCH"), Status.SYNCED, ""),
        (an_order("DONE", "", "USER_PAID", "NEWTON"), Status.PAID_BY_WECHAT, "NEWTON"),
        (an_order("DONE", "", "USER_PAID", "MCH", "NEWTON"), Status.PAID_BY_WECHAT, "NEWTON"),
        (an_order("DONE"), Status.NOTHING_DUE, ""),
        (an_order("DOING", "MCH_COMPLETE", "USER_PAYING"), Status.RETRYING, "USER_PAYING"),
        (an_order("DOING", "USER_CONFIRM"), Status.RETRYING, "USER_CONFIRM"),
        (an_order("CREATED"), Status.RETRYING, "CREATED"),
        (an_order("REVOKED"), Status.REJECTED, "REVOKED"),
        (an_order("REVOKED", "", "USER_PAYING"), Status.REJECTED, "REVOKED"),
        (an_order("EXPIRED"), Status.REJECTED, "EXPIRED"),
        (an_order("PAUSED"), Status.RETRYING, "UNKNOWN_STATE"),
        (an_order("REVOKED", "MCH_COMPLETE"), Status.REJECTED, "REVOKED"),  # a description counts while DOING
        (an_order("EXPIRED", "USER_CONFIRM"), Status.REJECTED, "EXPIRED"),
        (an_order("DOING", "USER_CONFIRM", "USER_PAYING"), Status.RETRYING, "USER_CONFIRM"),  # not asked for yet
        (an_order("DONE", "", "USER_PAID", "MCH", "BARTER"), Status.RETRYING, "UNKNOWN_STATE"),
        (an_order("DONE", "", "WAIT_PAY"), Status.RETRYING, "UNKNOWN_STATE"),
        (an_order("DONE", "", "USER_PAID"), Status.RETRYING, "UNKNOWN_STATE"),
        (an_order("DONE", "", "USER_PAID", "BARTER"), Status.RETRYING, "UNKNOWN_STATE"),
        (an_order("DOING", "MCH_COMPLETE", "USER_PAID", "MCH"), Status.RETRYING, "UNKNOWN_STATE"),
        (an_order("CREATED", "MCH_COMPLETE", "USER_PAID", "NEWTON"), Status.RETRYING, "CREATED"),
    ],
)
def test_the_verdict_rests_on_the_facts_of_the_order(order: ServiceOrder, status: Status, reason: str) -> None:
    """A word that nobody knows is retried, never guessed at."""
    found = verdict(order, PAYMENT)
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(
    ("order", "floor", "base"),
    [
        (an_order("DOING", "USER_CONFIRM"), 300.0, 300.0),
        (an_order("CREATED"), 300.0, 300.0),
        (an_order("PAUSED"), 60.0, 15.0),
        (an_order("DOING", "MCH_COMPLETE", "USER_PAYING"), 0.0, 15.0),
    ],
)
def test_an_open_order_waits_as_long_as_its_state_takes(order: ServiceOrder, floor: float, base: float) -> None:
    """A shop needs minutes to complete an order; what nobody knows is not hammered."""
    wait = verdict(order, PAYMENT).wait
    assert (wait.floor, wait.base) == (floor, base)


@pytest.mark.parametrize("word", ["BARTER", "A", "B", "C", "D", "E"])
def test_parts_that_were_paid_in_ways_nobody_knows_are_not_guessed_at(word: str) -> None:
    """One part by the merchant does not settle the other."""
    assert verdict(an_order("DONE", "", "USER_PAID", "MCH", word), PAYMENT).status is Status.RETRYING


def test_only_a_synced_order_is_compared_with_our_time() -> None:
    """Another time on an order that somebody else's money has ended is no news."""
    assert verdict(an_order("DONE", "", "USER_PAID", "NEWTON", at="20260101090000"), PAYMENT).reason == "NEWTON"
    assert verdict(an_order("PAUSED"), PAYMENT).reason == "UNKNOWN_STATE"


def test_tables_and_their_rows_do_not_change() -> None:
    """They are shared by all threads."""
    for row in (verdict(an_order("DONE"), PAYMENT), judge(a_refusal(500))):
        assert not hasattr(row, "__dict__")
        with pytest.raises(FrozenInstanceError):
            row.reason = "MINE"  # type: ignore[misc]


def test_an_order_synced_with_another_time_is_synced_and_noted() -> None:
    """Somebody told WeChat Pay before us."""
    found = verdict(an_order("DONE", "", "USER_PAID", "MCH", at="20260101090000"), PAYMENT)
    assert (found.status, found.reason) == (Status.SYNCED, "OTHER_PAID_TIME")


def test_the_short_form_of_a_time_means_midnight() -> None:
    """WeChat Pay returns 14 digits for the 8 that it was told."""
    midnight = an_order("DONE", "", "USER_PAID", "MCH", at="20260101000000")
    assert verdict(midnight, replace(PAYMENT, paid_time="20260101")).reason == ""
    assert verdict(midnight, replace(PAYMENT, paid_time="20260101000000")).reason == ""
    assert (
        verdict(an_order("DONE", "", "USER_PAID", "MCH", at="20260101"), replace(PAYMENT, paid_time="20260101")).reason
        == ""
    )


@pytest.mark.parametrize(
    ("refusal", "action", "reason"),
    [
        (a_refusal(400, "ORDER_DONE", "订单已完成"), Action.QUERY, "ORDER_DONE"),
        (a_refusal(400, "ORDER_CANCELED", "单据已取消"), Action.QUERY, "ORDER_CANCELED"),
        (a_refusal(400, "INVALID_ORDER_STATE", "单据状态错误"), Action.QUERY, "INVALID_ORDER_STATE"),
        (a_refusal(400, "INVALID_REQUEST", "当前订单状态不合法"), Action.QUERY, "INVALID_REQUEST"),
        (a_refusal(400, "INVALID_REQUEST", "HTTP 请求不符合微信支付 APIv3 接口规则"), Action.REJECT, "INVALID_REQUEST"),
        (a_refusal(400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent"), Action.REJECT, "INVALID_REQUEST"),
        (a_refusal(400, "INVALID_REQUEST", "单据正在扣款中，请稍后再试"), Action.WAIT, "DEDUCTING"),
        (a_refusal(400, "INVALID_REQUEST", "收款结果不明，请稍后重试"), Action.WAIT, "DEDUCTING"),
        (a_refusal(400, "INVALID_REQUEST", "…", request_id="08F5-271316754"), Action.WAIT, "DEDUCTING"),
        (a_refusal(400, "INVALID_REQUEST", "…", request_id="08F5-268435472"), Action.WAIT, "THROTTLED"),
        (a_refusal(429, "FREQUENCY_LIMITED", "频率超限"), Action.WAIT, "THROTTLED"),
        (a_refusal(429), Action.WAIT, "THROTTLED"),
        (a_refusal(400, "RATELIMIT_EXCEEDED"), Action.WAIT, "THROTTLED"),
        (
            a_refusal(401, "SIGN_ERROR", "HTTP头Authorization中的timestamp与发起请求的时间不得超过5分钟"),
            Action.SIGN_AGAIN,
            "CLOCK",
        ),
        (a_refusal(401, "SIGN_ERROR", "错误的签名，导致验签失败。"), Action.FRESH_KEYS, "SIGN_ERROR"),
        (a_refusal(401, "SIGN_ERROR", "商户证书序列号有误。"), Action.FRESH_KEYS, "SIGN_ERROR"),
        (a_refusal(400, "PARAM_ERROR", "参数错误"), Action.REJECT_UNLESS_CLOSED, "PARAM_ERROR"),
        (a_refusal(400, "SIGN_ERROR", "错误的签名"), Action.FRESH_KEYS, "SIGN_ERROR"),
        (a_refusal(400, "SYSTEM_ERROR", "系统错误"), Action.QUERY, "SYSTEM_ERROR"),
        (
            a_refusal(400, "PARAM_ERROR", "平台证书序列号Wechatpay-Serial错误"),
            Action.FRESH_KEYS,
            "WECHATPAY_SERIAL",
        ),
        (
            a_refusal(400, "PARAM_ERROR", "参数错误", detail={"field": "Wechatpay-Serial", "issue": "x"}),
            Action.FRESH_KEYS,
            "WECHATPAY_SERIAL",
        ),
        *((a_refusal(status), Action.QUERY, f"HTTP_{status}") for status in (400, 403, 404, 405, 407, 408, 409, 413)),
        *((a_refusal(status), Action.QUERY, f"HTTP_{status}") for status in (421, 425, 451, 499, 500, 503, 511)),
        (a_refusal(403, "NO_AUTH", "商户信息不合法"), Action.REJECT, "NO_AUTH"),
        (a_refusal(404, "ORDER_NOT_EXIST", "订单不存在"), Action.NOT_EXIST, "ORDER_NOT_EXIST"),
        (a_refusal(404, "ORDER_NOT_ EXIST", "订单不存在"), Action.NOT_EXIST, "ORDER_NOT_EXIST"),
        (a_refusal(404, "RESOURCE_NOT_EXISTS"), Action.REJECT, "RESOURCE_NOT_EXISTS"),
        (a_refusal(500, "SYSTEM_ERROR", "系统错误"), Action.QUERY, "SYSTEM_ERROR"),
        (a_refusal(502), Action.QUERY, "HTTP_502"),
        (a_refusal(302), Action.QUERY, "HTTP_302"),
        (a_refusal(418, "TEAPOT"), Action.REJECT_UNLESS_CLOSED, "TEAPOT"),
        (a_refusal(400, "TEAPOT"), Action.REJECT_UNLESS_CLOSED, "TEAPOT"),
        (a_refusal(499, "TEAPOT"), Action.REJECT_UNLESS_CLOSED, "TEAPOT"),
        (a_refusal(399, "TEAPOT"), Action.QUERY, "TEAPOT"),
        (a_refusal(400, "APPLE", "HTTP头缺少Accept"), Action.REJECT_UNLESS_CLOSED, "APPLE"),
        (a_refusal(400, "ZEBRA", "HTTP头缺少Accept"), Action.REJECT_UNLESS_CLOSED, "ZEBRA"),
    ],
)
def test_a_refusal_asks_for_what_the_table_says(refusal: RefusedError, action: Action, reason: str) -> None:
    """Status, code and message decide; the sub-code of the Request-ID only ever waits."""
    judgement = judge(refusal)
    assert (judgement.action, judgement.reason) == (action, reason)


def test_a_refusal_waits_as_long_as_its_cause_takes() -> None:
    """Throttled: a longer base, so that the next try is not one of many; an order seconds old: seconds."""
    assert judge(a_refusal(429)).wait == Wait(floor=5.0, base=60.0)
    assert Wait(floor=3.0, base=3.0) == SOON
    assert judge(a_refusal(400, "ORDER_DONE")).wait == Wait(floor=0.0, base=15.0)


def test_deducting_waits_three_minutes() -> None:
    """WeChat Pay's own advice."""
    assert judge(a_refusal(400, "INVALID_REQUEST", "单据正在扣款中，请稍后再试")).wait.floor == 180.0


@pytest.mark.parametrize(
    ("header", "floor"), [("120", 120.0), ("999999", 3600.0), ("soon", 5.0), ("", 5.0), ("²", 5.0), ("6", 6.0)]
)
def test_retry_after_is_obeyed_up_to_an_hour(header: str, floor: float) -> None:
    """Text that is no number counts as absent."""
    assert judge(a_refusal(429, headers={"Retry-After": header})).wait.floor == floor
