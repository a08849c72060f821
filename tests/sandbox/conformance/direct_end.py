"""Canceling, querying and syncing a direct order."""

from typing import Any

from sandbox.wechat_pay import examples
from sandbox.wechat_pay.times import digits
from tests.sandbox.conformance.direct_complete import DEDUCTING, STATE
from tests.sandbox.conformance.row import Section
from tests.sandbox.conformance.shop import MCHID, Shop

CANCEL = Section("Direct: cancel", "cancel", Shop)
QUERY = Section("Direct: query", "query", Shop)
SYNC = Section("Direct: sync", "sync", Shop)
FORMER = "wiki chapter6_1_16"
row = CANCEL.row


@row("states", "an order can be canceled in CREATED and DOING, also while it waits for its money", FORMER)
def _(shop: Shop) -> None:
    """200, and the order is REVOKED."""
    for number, steps in enumerate((0, 1, 2)):
        order = f"C{number}"
        shop.create(order)
        if steps:
            shop.service.confirm(MCHID, order)
        if steps == 2:
            shop.post(f"/{order}/complete", examples.complete(1, shop.now))
        assert shop.post(f"/{order}/cancel", examples.cancel()).status == 200
        assert shop.query(out_order_no=order).json["state"] == "REVOKED"


@row(
    "after-complete",
    "the official troubleshooting guide says that a completed order cannot be canceled",
    FORMER,
    "switch `cancel_after_complete`, on",
)
def _(shop: Shop) -> None:
    """Cancels it, as the page says; without the switch 400 INVALID_REQUEST `当前订单状态不满足撤销条件` (271316592)."""
    shop.completed()
    shop.switch(cancel_after_complete=False)
    assert shop.cancel().refusal == (400, "INVALID_REQUEST", "当前订单状态不满足撤销条件")
    shop.switch(cancel_after_complete=True)
    assert shop.cancel().status == 200


@row("answer", "the answer has five numbers and no state", FORMER)
def _(shop: Shop) -> None:
    """`appid`, `mchid`, `out_order_no`, `service_id` and `order_id`."""
    order = shop.created()
    names = ("appid", "mchid", "out_order_no", "service_id", "order_id")
    assert shop.cancel().json == {name: order[name] for name in names}


@row("again", "the same call with the same parameters succeeds again", FORMER)
def _(shop: Shop) -> None:
    """200 with the same answer."""
    shop.created()
    assert shop.cancel().json == shop.cancel().json


@row("again-otherwise", "a repetition has the same parameters, the reason included", FORMER)
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST `订单重入参数校验失败` (271316598)."""
    shop.created()
    shop.cancel()
    assert shop.cancel(reason="缺货").refusal == (400, "INVALID_REQUEST", "订单重入参数校验失败")


@row("canceled-elsewhere", "an order that was canceled otherwise is canceled", FORMER)
def _(shop: Shop) -> None:
    """400 ORDER_CANCELED."""
    shop.created()
    shop.service.cancel(MCHID, "S1")
    assert shop.cancel().refusal == (400, "ORDER_CANCELED", "单据已取消")


@row("names", "`appid` is required, `service_id` is not", FORMER)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR without the one, 200 without the other."""
    shop.created()
    shop.cancel(appid=None).wrong("/appid", "此字段为必填项")
    assert shop.cancel(service_id=None).status == 200


@row(
    "reason",
    "`reason` is required; 30 characters on the former page, 50 on the newest",
    FORMER,
    "switch `reason_limit`, 30",
)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR without, and for 31 characters; with the switch at 50 for 51."""
    shop.created()
    shop.cancel(reason=None).wrong("/reason", "此字段为必填项")
    shop.cancel(reason="").wrong("/reason")
    shop.cancel(reason="退" * 31).wrong("/reason", "字符数 31，大于最大值 30")
    shop.switch(reason_limit=50)
    shop.cancel(reason="退" * 51).wrong("/reason", "字符数 51，大于最大值 50")
    assert shop.cancel(reason="退" * 50).status == 200


@row("deducting", "while WeChat Pay takes the money, it asks to wait three minutes", FORMER)
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST `单据正在扣款中，请稍后再试`; afterwards 200."""
    shop.completed()
    shop.service.deducting(MCHID, "S1")
    assert shop.cancel().refusal == DEDUCTING
    shop.service.deducting(MCHID, "S1", on=False)
    assert shop.cancel().status == 200


@row("done", "an order that is paid cannot be canceled", FORMER)
def _(shop: Shop) -> None:
    """400 ORDER_DONE."""
    shop.completed()
    shop.sync()
    assert shop.cancel().refusal == (400, "ORDER_DONE", "订单已完成")


# ---------------------------------------------------------------------------------------------------------------------

row = QUERY.row
READ = "4012587902"


@row("number", "an order is found by `out_order_no`", READ)
def _(shop: Shop) -> None:
    """200 with the order."""
    shop.created()
    assert shop.query().json["out_order_no"] == "S1"


@row("query-id", "an order is found by the `query_id` that the customer's phone brings back", READ)
def _(shop: Shop) -> None:
    """200 with the same order; the ledger of the control port has the `query_id`; 404 for another."""
    shop.created()
    query_id = shop.service.ledger()[0]["query_id"]
    assert 1 <= len(query_id) <= 512
    assert shop.query(out_order_no=None, query_id=query_id).json == shop.query().json
    assert shop.query(out_order_no=None, query_id="x").refusal[:2] == (404, "ORDER_NOT_EXIST")


@row("one-number", "one of the two numbers, not both and not none", READ)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR that names `out_order_no`, location `query`."""
    shop.created()
    words = "不允许都填写或都不填写"
    shop.query(query_id=shop.order().query_id).wrong("out_order_no", words, "query")
    shop.query(out_order_no=None).wrong("out_order_no", words, "query")


@row("names", "`service_id` and `appid` are required", READ)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR with the name and the location `query`; 403 NO_AUTH for another one's."""
    shop.created()
    for name in ("service_id", "appid"):
        shop.query(**{name: None}).wrong(name, "此字段为必填项", "query")
        shop.query(**{name: ""}).wrong(name, "字符数 0，小于最小值 1", "query")
        assert shop.query(**{name: "other"}).refusal == (403, "NO_AUTH", "商户信息不合法")


@row("lengths", "`out_order_no` has 32 characters at most, `query_id` 512", READ)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for one more."""
    shop.query(out_order_no="x" * 33).wrong("out_order_no", "字符数 33", "query")
    shop.query(out_order_no=None, query_id="x" * 513).wrong("query_id", "字符数 513", "query")


@row("unknown", "an unknown number, or another merchant's, does not exist", READ)
def _(shop: Shop) -> None:
    """404 ORDER_NOT_EXIST."""
    shop.created()
    shop.service.merchant("1900000109")
    query_id = shop.order().query_id
    assert shop.query(out_order_no="S2").refusal == (404, "ORDER_NOT_EXIST", "订单不存在")
    assert shop.query("1900000109").refusal[:2] == (404, "ORDER_NOT_EXIST")
    assert shop.query("1900000109", out_order_no=None, query_id=query_id).refusal[:2] == (404, "ORDER_NOT_EXIST")


@row("state-description", "`state_description` belongs to DOING alone", READ)
def _(shop: Shop) -> None:
    """Present in DOING, absent in CREATED, DONE, REVOKED and EXPIRED."""
    present = []
    for step in (shop.created, lambda: shop.service.confirm(MCHID, "S1"), shop.complete, shop.sync):
        step()
        shop.now += 1
        present.append("state_description" in shop.query().json)
    assert present == [False, True, True, False]


@row("collection", "`collection` is absent before the order is completed", READ)
def _(shop: Shop) -> None:
    """Absent, as `total_amount` and `need_collection` are."""
    shop.confirmed()
    assert not {"collection", "total_amount", "need_collection"} & set(shop.query().json)


@row("collected", "what WeChat Pay has collected has `paid_type` NEWTON and a `transaction_id`", READ)
def _(shop: Shop) -> None:
    """One entry of `details` with both; all is paid, nothing is to be paid."""
    shop.completed()
    shop.service.deduct(MCHID, "S1")
    order = shop.query().json
    collection = order["collection"]
    [detail] = collection["details"]
    assert (order["state"], collection["state"]) == ("DONE", "USER_PAID")
    assert (collection["paid_amount"], collection["paying_amount"]) == (3900, 0)
    assert detail["paid_type"] == "NEWTON"
    assert detail["transaction_id"]


# ---------------------------------------------------------------------------------------------------------------------

row = SYNC.row
PAGE = "4012587962"


@row("paid", "the order is DONE and USER_PAID, one payment of `paid_type` MCH at `paid_time`", PAGE)
def _(shop: Shop) -> None:
    """200 with the order: no `state_description`, no `transaction_id`, nothing to be paid."""
    shop.completed()
    order = shop.sync().json
    assert (order["state"], order["collection"]["state"], "state_description" in order) == ("DONE", "USER_PAID", False)
    detail = {"seq": 1, "amount": 3900, "paid_type": "MCH", "paid_time": digits(shop.now)}
    assert order["collection"]["details"] == [detail]
    assert shop.query().json == order


def _missing(name: str, path: str, changes: dict[str, Any]) -> None:
    def check(shop: Shop) -> None:
        shop.completed()
        shop.sync(**changes).wrong(path, "此字段为必填项")

    says = f"`{path.removeprefix('/').replace('/', '.')}` is required"
    SYNC.add(f"without-{name}", says, PAGE, f"400 PARAM_ERROR that names `{path}`", check)


for _name in ("appid", "service_id", "type", "detail"):
    _missing(_name.replace("_", "-"), f"/{_name}", {_name: None})
_missing("paid-time", "/detail/paid_time", {"detail": {}})


@row("type", "`type` is `Order_Paid`", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for another word."""
    shop.completed()
    for word in ("Order_Refunded", "order_paid", ""):
        shop.sync(type=word).wrong("/type")


@row("time-form", "`paid_time` is yyyyMMddHHmmss or yyyyMMdd", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for another form, an impossible time and a number."""
    shop.completed()
    for time in ("2026-01-01T12:00:00+08:00", "202601011200", "20260230000000", "20260101250000"):
        shop.sync(time).wrong("/detail/paid_time")
    shop.sync(detail={"paid_time": 20260101120000}).wrong("/detail/paid_time")


@row("window", "`paid_time` is after the complete call, and a minute after this call at most", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for the second of complete and before, and for more than 60 s ahead."""
    shop.completed()
    for time in (digits(shop.now - 60), digits(shop.now - 61), digits(shop.now + 61), digits(shop.now)[:8]):
        shop.sync(time).wrong("/detail/paid_time", "支付时间不在允许的范围内")
    assert shop.sync(digits(shop.now + 60)).status == 200


@row("day", "a time of 8 digits is the midnight of that day", PAGE)
def _(shop: Shop) -> None:
    """Takes the day after the complete call, as its midnight."""
    shop.completed()
    shop.now += 86_400
    order = shop.sync(digits(shop.now)[:8]).json
    assert order["collection"]["details"][0]["paid_time"] == "20260102000000"


@row("not-completed", "only an order in MCH_COMPLETE and USER_PAYING can be synced", PAGE)
def _(shop: Shop) -> None:
    """400 INVALID_ORDER_STATE before the customer confirms, before complete, and after the order expired."""
    shop.created()
    assert shop.sync().refusal == STATE
    shop.service.confirm(MCHID, "S1")
    assert shop.sync().refusal == STATE


@row("collected", "an order that WeChat Pay has collected is done", PAGE)
def _(shop: Shop) -> None:
    """400 ORDER_DONE `订单已完成`."""
    shop.completed()
    shop.service.deduct(MCHID, "S1")
    assert shop.sync().refusal == (400, "ORDER_DONE", "订单已完成")


@row("canceled", "an order that was canceled is canceled", PAGE)
def _(shop: Shop) -> None:
    """400 ORDER_CANCELED `单据已取消`."""
    shop.completed()
    shop.cancel()
    assert shop.sync().refusal == (400, "ORDER_CANCELED", "单据已取消")


@row("deducting", "while WeChat Pay takes the money, it asks to wait three minutes", PAGE)
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST `单据正在扣款中，请稍后再试` (271316754)."""
    shop.completed()
    shop.service.deducting(MCHID, "S1")
    answer = shop.sync()
    assert answer.refusal == DEDUCTING
    assert answer.headers["Request-ID"].endswith("-271316754")


@row("names", "the order must exist, `appid` and `service_id` be those of create", PAGE)
def _(shop: Shop) -> None:
    """404 ORDER_NOT_EXIST, 403 NO_AUTH."""
    assert shop.sync().refusal == (404, "ORDER_NOT_EXIST", "订单不存在")
    shop.completed()
    for changes in ({"appid": "wx-other"}, {"service_id": "9999"}):
        assert shop.sync(**changes).refusal == (403, "NO_AUTH", "商户信息不合法")


@row(
    "again",
    "no page says how a second sync is answered",
    "silent",
    "faults `ok_on_replay`, `invalid_order_state_on_replay`, `invalid_request_on_replay`; none",
)
def _(shop: Shop) -> None:
    """400 ORDER_DONE; a fault chooses 200, INVALID_ORDER_STATE or INVALID_REQUEST."""
    shop.completed()
    shop.sync()
    assert shop.sync().refusal == (400, "ORDER_DONE", "订单已完成")
    answers = []
    for fault in ("ok_on_replay", "invalid_order_state_on_replay", "invalid_request_on_replay"):
        shop.service.misbehave(fault, times=1)
        answers.append((shop.sync().status, shop.service.calls[-1].code))
    assert answers == [(200, ""), (400, "INVALID_ORDER_STATE"), (400, "INVALID_REQUEST")]
