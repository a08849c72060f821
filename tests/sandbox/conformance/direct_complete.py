"""Confirming, completing and modifying a direct order."""

from typing import Any

from sandbox.wechat_pay import examples
from sandbox.wechat_pay.times import digits
from tests.sandbox.conformance.row import Section
from tests.sandbox.conformance.shop import MCHID, Shop, without_none

COMPLETE = Section("Direct: confirm and complete", "complete", Shop)
MODIFY = Section("Direct: modify", "modify", Shop)
row = COMPLETE.row
PAGE = "4012587955"
STATE = (400, "INVALID_ORDER_STATE", "单据状态错误")
DEDUCTING = (400, "INVALID_REQUEST", "单据正在扣款中，请稍后再试")


def payments(*amounts: int, **more: Any) -> list[dict[str, Any]]:
    """Payments of these amounts."""
    return [{"name": f"租金{number}", "amount": amount, **more} for number, amount in enumerate(amounts)]


@row("confirm", "the customer confirms: CREATED becomes DOING, USER_CONFIRM; `OnAccept` is that moment", "4012587166")
def _(shop: Shop) -> None:
    """DOING and USER_CONFIRM; the query has the customer's `openid`, and the start's time."""
    shop.confirmed()
    order = shop.query().json
    assert (order["state"], order["state_description"], bool(order["openid"])) == ("DOING", "USER_CONFIRM", True)
    assert order["time_range"] == {"start_time": digits(shop.now)}


@row("expire", "an order that the customer does not confirm expires", "4012587166")
def _(shop: Shop) -> None:
    """EXPIRED by the control verb `expire`; it can be neither completed nor canceled."""
    shop.created()
    shop.service.expire(MCHID, "S1")
    assert shop.query().json["state"] == "EXPIRED"
    assert shop.complete().refusal == shop.cancel().refusal == STATE


@row("completed", "the order is DOING, MCH_COMPLETE, and waits for its money: USER_PAYING", PAGE)
def _(shop: Shop) -> None:
    """200 with the order, what was sent and `collection`: all to be paid, no details."""
    order = shop.completed()
    assert (order["state"], order["state_description"], order["need_collection"]) == ("DOING", "MCH_COMPLETE", True)
    assert order["collection"] == {
        "state": "USER_PAYING",
        "total_amount": 3900,
        "paying_amount": 3900,
        "paid_amount": 0,
        "details": [],
    }
    assert order["post_payments"] == examples.complete(3900, shop.now)["post_payments"]


for _name in ("appid", "service_id", "post_payments", "total_amount"):

    def _missing(shop: Shop, name: str = _name) -> None:
        shop.confirmed()
        shop.complete(**{name: None}).wrong(f"/{name}", "此字段为必填项")

    COMPLETE.add(
        f"without-{_name.replace('_', '-')}",
        f"`{_name}` is required",
        PAGE,
        f"400 PARAM_ERROR that names `/{_name}`",
        _missing,
    )


@row("no-payments", "at least one payment", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for an empty list."""
    shop.confirmed()
    shop.complete(post_payments=[]).wrong("/post_payments", "元素个数 0，小于最小值 1")


@row("total-type", "`total_amount` is a whole number of fen, 0 or more", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR for true, a text, a fraction and a negative number."""
    shop.confirmed()
    for total in (True, "3900", 3900.0, -1, 2**63):
        shop.complete(total_amount=total).wrong("/total_amount")


@row("sum", "the total is the sum of payments minus the sum of discounts", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR `最终总金额计算非法` for any other total."""
    shop.confirmed()
    discounts = [{"name": "减", "amount": 300}]
    for total in (3899, 3901, 4200):
        answer = shop.complete(total_amount=total, post_payments=payments(4000, 200), post_discounts=discounts)
        answer.wrong("/total_amount", "最终总金额计算非法")
    assert shop.complete(3900, post_payments=payments(4000, 200), post_discounts=discounts).status == 200


@row("count", "an amount is that of the whole row; `count` is shown to the customer", PAGE)
def _(shop: Shop) -> None:
    """`count` multiplies nothing."""
    shop.confirmed()
    shop.complete(total_amount=2000, post_payments=payments(1000, count=2)).wrong("/total_amount")
    assert shop.complete(1000, post_payments=payments(1000, count=2)).status == 200


@row("deposit-limit", "with DEPOSIT, ADVANCE and CASH_DEPOSIT the total is at most the order's risk fund", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR `总金额超过此服务的服务风险金额` (271316656) above it, whatever the service's limit."""
    for number, name in enumerate(("DEPOSIT", "ADVANCE", "CASH_DEPOSIT")):
        shop.switch(service_risk_limit=50_000)
        order = f"D{number}"
        assert shop.create(order, risk_fund={"name": name, "amount": 1000}).status == 200
        shop.service.confirm(MCHID, order)
        answer = shop.post(f"/{order}/complete", examples.complete(1001, shop.now))
        answer.wrong("/total_amount", "总金额超过此服务的服务风险金额")
        assert answer.headers["Request-ID"].endswith("-271316656")
        assert shop.post(f"/{order}/complete", examples.complete(1000, shop.now)).status == 200


@row(
    "estimate-limit",
    "with ESTIMATE_ORDER_COST the total is at most the service's limit, which WeChat Pay agrees with the merchant",
    PAGE,
    "switch `service_risk_limit`, none",
)
def _(shop: Shop) -> None:
    """The limit is the order's risk fund; with the switch it is the service's."""
    shop.confirmed(risk_fund={"name": "ESTIMATE_ORDER_COST", "amount": 1000})
    shop.complete(1001).wrong("/total_amount")
    shop.switch(service_risk_limit=2000)
    shop.complete(2001).wrong("/total_amount")
    assert shop.complete(2000).status == 200


@row("nothing-to-pay", "with a total of 0 the order is done, and never has a `collection`", "4012587902")
def _(shop: Shop) -> None:
    """DONE without `collection`; `need_collection` is false."""
    shop.confirmed()
    order = shop.complete(0).json
    assert (order["state"], "collection" in order, order["need_collection"]) == ("DONE", False, False)
    assert shop.query().json == {**order, "openid": shop.order().openid}


@row("end-missing", "an order that was created without an end needs one", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR `创建订单未填写服务结束时间，则结束时间必填`; an end that create has sent may be left out."""
    shop.confirmed()
    for time_range in (None, {}, {"end_time_remark": "x"}):
        shop.complete(time_range=time_range).wrong("/time_range/end_time", "创建订单未填写服务结束时间")
    expected = {"start_time": "OnAccept", "end_time": digits(shop.now + 7200)}
    assert shop.create("S2", time_range=expected).status == 200
    shop.service.confirm(MCHID, "S2")
    assert shop.post("/S2/complete", without_none(examples.complete(1, shop.now, time_range=None))).status == 200


@row("end-late", "an end is not later than the call", PAGE)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR `实际结束时间不能晚于使用完结接口的时间`."""
    shop.confirmed()
    late = {"end_time": digits(shop.now + 1)}
    shop.complete(time_range=late).wrong("/time_range/end_time", "实际结束时间不能晚于使用完结接口的时间")


@row(
    "end-early",
    "an end is after the start; the refusal says `小于`, which an equal time is not",
    PAGE,
    "switch `end_may_equal_start`, on",
)
def _(shop: Shop) -> None:
    """400 PARAM_ERROR `真实结束时间小于预计开始时间` (271316637) for an earlier end, without it for an equal one."""
    shop.confirmed()
    answer = shop.complete(time_range={"end_time": digits(shop.now - 1)})
    answer.wrong("/time_range/end_time", "真实结束时间小于预计开始时间")
    assert answer.headers["Request-ID"].endswith("-271316637")
    shop.switch(end_may_equal_start=False)
    shop.complete(time_range={"end_time": digits(shop.now)}).wrong("/time_range/end_time")
    shop.switch(end_may_equal_start=True)
    assert shop.complete(time_range={"end_time": digits(shop.now)}).status == 200


@row("replaces", "payments, discounts, times and places of complete replace those of create", PAGE)
def _(shop: Shop) -> None:
    """The answer has those of complete, and of a time or place the parts that it has not sent."""
    start = {"start_time": "OnAccept", "start_time_remark": "取"}
    shop.confirmed(post_payments=payments(1), location={"start_location": "a", "end_location": "b"}, time_range=start)
    order = shop.complete(2, post_payments=payments(2), location={"end_location": "c"}).json
    assert (order["post_payments"], order["location"]) == (payments(2), {"start_location": "a", "end_location": "c"})
    now = digits(shop.now)
    assert order["time_range"] == {"start_time": now, "start_time_remark": "取", "end_time": now}


@row("unconfirmed", "only an order in DOING, USER_CONFIRM can be completed", PAGE)
def _(shop: Shop) -> None:
    """400 INVALID_ORDER_STATE before the customer confirms, and a second time."""
    shop.created()
    assert shop.complete().refusal == STATE
    shop.service.confirm(MCHID, "S1")
    assert shop.complete().status == 200
    assert shop.complete().refusal == STATE


@row("ended", "an order that has ended cannot be completed", PAGE)
def _(shop: Shop) -> None:
    """400 ORDER_CANCELED after a cancellation, ORDER_DONE after the payment."""
    shop.confirmed()
    shop.cancel()
    assert shop.complete().refusal == (400, "ORDER_CANCELED", "单据已取消")
    shop.service.ready_to_sync(MCHID, "S2")
    shop.service.deduct(MCHID, "S2")
    done = shop.post("/S2/complete", examples.complete(3900, shop.now))
    assert done.refusal == (400, "ORDER_DONE", "订单已完成")


@row("unknown", "the order must exist and be the caller's", PAGE)
def _(shop: Shop) -> None:
    """404 ORDER_NOT_EXIST for an unknown number, 403 NO_AUTH for another appid or service_id."""
    assert shop.complete().refusal == (404, "ORDER_NOT_EXIST", "订单不存在")
    shop.confirmed()
    for changes in ({"appid": "wx-other"}, {"service_id": "9999"}):
        assert shop.complete(**changes).refusal == (403, "NO_AUTH", "商户信息不合法")


# ---------------------------------------------------------------------------------------------------------------------

row = MODIFY.row
LOWER = "4012587902"


@row("lower", "the total of an order that waits for its money can be lowered, more than once", "wiki chapter6_1_17")
def _(shop: Shop) -> None:
    """200 with the order, the new total and the new payments."""
    shop.completed()
    for total in (3000, 1):
        order = shop.modify(total).json
        assert (order["total_amount"], order["collection"]["paying_amount"]) == (total, total)
        assert order["post_payments"] == examples.modify(total)["post_payments"]


@row("higher", "the total is never raised", "wiki chapter6_1_17")
def _(shop: Shop) -> None:
    """400 PARAM_ERROR that names `/total_amount`."""
    shop.completed()
    shop.modify(3901).wrong("/total_amount")


@row(
    "equal",
    "a former page asks for a smaller total, the newest for one that is not larger",
    "wiki chapter6_1_17",
    "switch `modify_to_equal`, on",
)
def _(shop: Shop) -> None:
    """Takes the same total; without the switch 400 PARAM_ERROR."""
    shop.completed()
    assert shop.modify(3900).status == 200
    shop.switch(modify_to_equal=False)
    shop.modify(3900).wrong("/total_amount")


for _name in ("appid", "service_id", "post_payments", "total_amount", "reason"):

    def _missing_in_modify(shop: Shop, name: str = _name) -> None:
        shop.completed()
        shop.modify(**{name: None}).wrong(f"/{name}", "此字段为必填项")

    MODIFY.add(
        f"without-{_name.replace('_', '-')}",
        f"`{_name}` is required",
        "wiki chapter6_1_17",
        f"400 PARAM_ERROR that names `/{_name}`",
        _missing_in_modify,
    )


@row("reason", "`reason`: 50 characters at most", "wiki chapter6_1_17")
def _(shop: Shop) -> None:
    """Takes 50 characters; 400 PARAM_ERROR for 51 and for an empty text."""
    shop.completed()
    for reason in ("多" * 51, ""):
        shop.modify(reason=reason).wrong("/reason")
    assert shop.modify(reason="多" * 50).status == 200


@row("sum", "the total is the sum of payments minus the sum of discounts", "wiki chapter6_1_17")
def _(shop: Shop) -> None:
    """400 PARAM_ERROR `最终总金额计算非法`."""
    shop.completed()
    shop.modify(3000, post_payments=payments(3001)).wrong("/total_amount", "最终总金额计算非法")
    shop.modify(total_amount=True).wrong("/total_amount")


@row("state", "only an order that waits for its money can be modified", "wiki chapter6_1_17")
def _(shop: Shop) -> None:
    """400 INVALID_ORDER_STATE before, ORDER_DONE after the payment, ORDER_CANCELED after a cancellation."""
    shop.confirmed()
    assert shop.modify().refusal == STATE
    shop.complete()
    shop.service.deduct(MCHID, "S1")
    assert shop.modify().refusal == (400, "ORDER_DONE", "订单已完成")


@row("deducting", "while WeChat Pay takes the money, it asks to wait three minutes", "wiki chapter6_1_17")
def _(shop: Shop) -> None:
    """400 INVALID_REQUEST `单据正在扣款中，请稍后再试` (271316754)."""
    shop.completed()
    shop.service.deducting(MCHID, "S1")
    assert shop.modify().refusal == DEDUCTING
