"""The two tables: what an order's facts mean, and what a refusal asks for."""

import copy
import json
from copy import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.dialogue import Action
from orders.order import Payment, Status
from orders.waits import SOON, Wait
from orders.wechat.refusals import is_ahead, judge
from orders.wechat.verdicts import verdict
from wechatpay import Answer, Collection, CollectionDetail, MalformedError, RefusedError, ServiceOrder, times
from wechatpay.read_order import read_order

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
    """A state that this version has no word for is retried, never guessed."""
    judged = verdict(order, PAYMENT)
    assert (judged.status, judged.reason) == (status, reason)


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
    """A shop needs minutes to complete an order; an unknown state is queried no more than once a minute."""
    wait = verdict(order, PAYMENT).wait
    assert (wait.floor, wait.base) == (floor, base)


@pytest.mark.parametrize("word", ["BARTER", "A", "B", "C", "D", "E"])
def test_a_part_that_was_paid_in_an_unknown_way_settles_nothing(word: str) -> None:
    """One part paid by the merchant does not settle the other."""
    assert verdict(an_order("DONE", "", "USER_PAID", "MCH", word), PAYMENT).status is Status.RETRYING


def test_only_a_synced_order_is_compared_with_our_time() -> None:
    """Another time of payment matters only for an order that the till's payment has settled."""
    assert verdict(an_order("DONE", "", "USER_PAID", "NEWTON", at="20260101090000"), PAYMENT).reason == "NEWTON"
    assert verdict(an_order("PAUSED"), PAYMENT).reason == "UNKNOWN_STATE"


def test_tables_and_their_rows_do_not_change() -> None:
    """Rows of the tables are immutable, because all threads share them."""
    for row in (verdict(an_order("DONE"), PAYMENT), judge(a_refusal(500))):
        assert not hasattr(row, "__dict__")
        with pytest.raises(AttributeError):
            row.reason = "MINE"  # type: ignore[misc]


def test_an_order_synced_with_another_time_is_synced_and_noted() -> None:
    """Another sync was executed earlier: the status is SYNCED, the reason says so."""
    judged = verdict(an_order("DONE", "", "USER_PAID", "MCH", at="20260101090000"), PAYMENT)
    assert (judged.status, judged.reason) == (Status.SYNCED, "OTHER_PAID_TIME")


def test_the_short_form_of_a_time_means_midnight() -> None:
    """WeChat Pay returns 14 digits for 8: they are the same moment."""
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
    """WeChat Pay asks for three minutes while it deducts."""
    assert judge(a_refusal(400, "INVALID_REQUEST", "单据正在扣款中，请稍后再试")).wait.floor == 180.0


@pytest.mark.parametrize(
    ("header", "floor"), [("120", 120.0), ("999999", 3600.0), ("soon", 5.0), ("", 5.0), ("²", 5.0), ("6", 6.0)]
)
def test_retry_after_is_obeyed_up_to_an_hour(header: str, floor: float) -> None:
    """`Retry-After` is the floor of the wait, up to an hour; text that is no number counts as absent."""
    assert judge(a_refusal(429, headers={"Retry-After": header})).wait.floor == floor


# ---- absence and unreadability are no facts --------------------------------------------------------------------------

WHOLE: dict[str, dict[str, Any]] = {
    "synced": {
        "state": "DONE",
        "total_amount": 3900,
        "post_payments": [{"name": "bike", "amount": 3900}],
        "collection": {
            "state": "USER_PAID",
            "total_amount": 3900,
            "paying_amount": 0,
            "paid_amount": 3900,
            "details": [{"seq": 1, "amount": 3900, "paid_type": "MCH", "paid_time": PAID_TIME}],
        },
    },
    "paid by wechat": {
        "state": "DONE",
        "total_amount": 3900,
        "post_payments": [{"name": "bike", "amount": 3900}],
        "collection": {
            "state": "USER_PAID",
            "total_amount": 3900,
            "paying_amount": 0,
            "paid_amount": 3900,
            "details": [
                {"seq": 1, "amount": 3900, "paid_type": "NEWTON", "paid_time": PAID_TIME, "transaction_id": "4200"}
            ],
        },
    },
    "paid in two ways": {
        "state": "DONE",
        "total_amount": 3900,
        "collection": {
            "state": "USER_PAID",
            "paid_amount": 3900,
            "details": [
                {"seq": 1, "amount": 900, "paid_type": "MCH", "paid_time": PAID_TIME},
                {"seq": 2, "amount": 3000, "paid_type": "NEWTON", "transaction_id": "4200"},
            ],
        },
    },
    "to be paid": {
        "state": "DOING",
        "state_description": "MCH_COMPLETE",
        "total_amount": 3900,
        "collection": {"state": "USER_PAYING", "total_amount": 3900, "paying_amount": 3900, "paid_amount": 0},
    },
    "free": {"state": "DONE", "total_amount": 0, "post_payments": []},
    "free, no amount": {"state": "DONE"},
    "payafter, by the merchant": {
        "state": "USER_PAID",
        "pay_type": "MchChannelPayType",
        "pay_succ_time": PAID_TIME,
        "total_amount": 3900,
    },
    "payafter, by wechat": {
        "state": "USER_PAID",
        "pay_type": "NewtonPayType",
        "finish_transaction_id": "4200",
        "total_amount": 3900,
    },
}


def parsed(raw: dict[str, Any]) -> ServiceOrder | None:
    """The order as the library reads it from a verified answer; None where that is none."""
    body = json.dumps({"out_order_no": "A1", "mchid": "1230000109", **raw}).encode()
    answer = Answer(200, {}, body, "08F5-0", "serial", "GET", "/v3/x")
    try:
        return read_order(answer, "A1", "1230000109")
    except MalformedError:
        return None


def family(name: str) -> Payment:
    """A payment at the endpoint whose words the sample has."""
    return replace(PAYMENT, endpoint="payafter" if name.startswith("payafter") else "direct")


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in an answer."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(place for name, member in inner for place in places(member, (*path, name)))][bool(not path) :]


REMOVED = object()
DAMAGE = [REMOVED, None, "", "?", [], {}, [None], ["x"], [[]], -1, 0.5, True, 10**40, "x" * 1000]


def damaged(raw: dict[str, Any], place: tuple[str | int, ...], damage: object) -> dict[str, Any]:
    """The answer with one place removed or replaced by something else."""
    result: Any = copy.deepcopy(raw)
    holder = result
    for step in place[:-1]:
        holder = holder[step]
    if damage is REMOVED:
        del holder[place[-1]]
    else:
        holder[place[-1]] = damage
    return dict(result)


@pytest.mark.parametrize("name", WHOLE)
def test_no_damaged_answer_yields_a_final_status_that_the_whole_answer_would_not(name: str) -> None:
    """Each place of each answer is removed or replaced: what cannot be read is queried again, and proves nothing."""
    whole = parsed(WHOLE[name])
    assert whole is not None
    truth = verdict(whole, family(name)).status
    for place in places(WHOLE[name]):
        for damage in DAMAGE:
            order = parsed(damaged(WHOLE[name], place, damage))
            if order is not None and (judged := verdict(order, family(name))).status.final:
                assert judged.status is truth, f"{place} became {damage!r}"


@given(st.data(), st.sampled_from([name for name in WHOLE if not name.startswith("free")]))
def test_no_answer_with_several_damages_yields_another_final_status(data: st.DataObject, name: str) -> None:
    """Any number of places may be damaged, unless every trace of money is removed at once."""
    raw = WHOLE[name]
    for _ in range(data.draw(st.integers(1, 4))):
        if not (remaining := places(raw)):
            break
        raw = damaged(raw, data.draw(st.sampled_from(remaining)), data.draw(st.sampled_from(DAMAGE)))
    order = parsed(raw)
    if order is not None and {"total_amount", "post_payments", "collection"} & raw.keys():
        judged, whole = verdict(order, family(name)), parsed(WHOLE[name])
        assert whole is not None
        assert not judged.status.final or judged.status is verdict(whole, family(name)).status


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        ({"state": "DONE", "total_amount": 3900}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "DONE", "total_amount": 3900, "collection": []}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "DONE", "total_amount": 0, "collection": []}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "DONE", "total_amount": 0, "collection": None}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "DONE", "total_amount": None}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "DONE", "post_payments": [{"amount": 1}]}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "DONE", "total_amount": "0"}, Status.NOTHING_DUE, ""),
        ({"state": "DONE", "total_amount": 0, "post_payments": [{"amount": 1}]}, Status.NOTHING_DUE, ""),
        ({"state": "DONE"}, Status.NOTHING_DUE, ""),
        ({"state": "DOING", "state_description": "MCH_COMPLETE"}, Status.RETRYING, "USER_PAYING"),
        ({"state": "DOING", "state_description": "MCH_COMPLETE", "collection": []}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "DOING"}, Status.RETRYING, "UNKNOWN_STATE"),
    ],
)
def test_only_what_stands_in_the_answer_counts(raw: dict[str, Any], status: Status, reason: str) -> None:
    """Nothing was due only where no collection was begun and nothing was to be paid."""
    order = parsed(raw)
    assert order is not None
    judged = verdict(order, PAYMENT)
    assert (judged.status, judged.reason) == (status, reason)


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        ({"state": "CREATED"}, Status.RETRYING, "CREATED"),
        ({"state": "USER_ACCEPTED"}, Status.RETRYING, "USER_CONFIRM"),
        ({"state": "FINISHED"}, Status.RETRYING, "USER_PAYING"),
        ({"state": "USER_PAID", "pay_type": "MchChannelPayType"}, Status.SYNCED, ""),
        ({"state": "USER_PAID", "pay_type": "X", "finish_transaction_id": "4200"}, Status.PAID_BY_WECHAT, "NEWTON"),
        ({"state": "USER_PAID", "finish_transaction_id": "4200"}, Status.PAID_BY_WECHAT, "NEWTON"),
        ({"state": "USER_PAID"}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "REVOKED"}, Status.REJECTED, "REVOKED"),
        ({"state": "EXPIRED"}, Status.REJECTED, "EXPIRED"),
        ({"state": "DONE"}, Status.RETRYING, "UNKNOWN_STATE"),
        ({"state": "DOING", "state_description": "MCH_COMPLETE"}, Status.RETRYING, "UNKNOWN_STATE"),
    ],
)
def test_payafter_is_read_in_its_own_words(raw: dict[str, Any], status: Status, reason: str) -> None:
    """The words of other endpoints are unknown at payafter, and its words are unknown elsewhere."""
    order = parsed(raw)
    assert order is not None
    judged = verdict(order, replace(PAYMENT, endpoint="payafter"))
    assert (judged.status, judged.reason) == (status, reason)
    if raw["state"] in {"USER_ACCEPTED", "FINISHED", "USER_PAID"}:
        assert verdict(order, PAYMENT).reason == "UNKNOWN_STATE"


@pytest.mark.parametrize(
    ("sent", "returned", "reason"),
    [
        ("20260101120000", "2026-01-01T12:00:00+08:00", ""),
        ("20260101120000", "2026-01-01T04:00:00Z", ""),
        ("20260101120000", "20260101120000", ""),
        ("20260101", "2026-01-01T00:00:00+08:00", ""),
        ("20260101120000", "2026-01-01T12:00:01+08:00", "OTHER_PAID_TIME"),
        ("20260101120000", "long ago", ""),
    ],
)
def test_moments_are_compared_as_moments(sent: str, returned: str, reason: str) -> None:
    """Endpoints write times in different ways; a time that cannot be read contradicts nothing."""
    raw = copy.deepcopy(WHOLE["synced"])
    raw["collection"]["details"][0]["paid_time"] = returned
    order = parsed(raw)
    assert order is not None
    judged = verdict(order, replace(PAYMENT, paid_time=sent))
    assert (judged.status, judged.reason) == (Status.SYNCED, reason)


@pytest.mark.parametrize(
    ("field", "message", "seconds", "ahead"),
    [
        ("/detail/paid_time", "", 0, True),
        ("detail.paid_time", "", 299, True),
        ("", "paid_time 不能晚于当前时间", 10, True),
        ("/detail/paid_time", "", 300, False),
        ("/out_order_no", "", 0, False),
        ("", "参数错误", 0, False),
    ],
)
def test_a_time_of_payment_of_the_last_minutes_may_be_ahead_of_wechat_pays_clock(
    field: str, message: str, seconds: float, ahead: bool
) -> None:
    """A `paid_time` of the last five minutes may be ahead of the clock; an older one is refused for something else."""
    refusal = a_refusal(400, "PARAM_ERROR", message, detail={"field": field, "issue": "x"})
    at = datetime(2026, 1, 1, 12, tzinfo=times.BEIJING).timestamp()
    assert is_ahead(refusal, PAYMENT, at + seconds) is ahead
