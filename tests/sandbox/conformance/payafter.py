"""Rows about payafter-orders, whose pages have left the documentation: its own words everywhere."""

from typing import Any

from sandbox.wechat_pay import family_examples as examples
from tests.sandbox.asking import OPENID, Asking
from tests.sandbox.conformance.entering import enter
from tests.sandbox.conformance.families import PARAM_ERROR, change, completed, confirmed, create, query, require_each
from tests.sandbox.conformance.row import Section

FAMILY = "payafter"
SECTION = Section("The former payafter-orders", FAMILY, Asking.alone)
SECTIONS = (SECTION,)
_CREATE, _QUERY, _CANCEL, _COMPLETE, _SYNC = (
    *("wiki payscore.php 17_1", "wiki payscore.php 17_2", "wiki payscore.php 17_3"),
    *("wiki payscore.php 17_4", "wiki payscore.php 24_1"),
)
NUMBERS = {"appid", "mchid", "out_order_no", "order_id"}
PROGRAM = {"miniprogram_businesstype", "miniprogram_appid", "package"}
FOREIGN = {"collection", "state_description", "post_payments", "risk_fund", "time_range", "location", "notify_url"}


@enter(SECTION, "create-required", _CREATE, "appid, service, number and the start of the service are sent")
def _(asking: Asking) -> None:
    for name in ("appid", "service_id", "service_start_time"):
        answer = create(asking, FAMILY, **{name: None})
        assert (answer.refusal, answer.field) == (PARAM_ERROR, f"/{name}")


@enter(SECTION, "create-limits", _CREATE, "times are 8 or 14 digits or OnAccept; five discounts at most")
def _(asking: Asking) -> None:
    discounts = [{"discount_name": f"优惠{number}", "discount_amount": 1} for number in range(6)]
    wrong: dict[str, tuple[Any, str]] = {
        "service_start_time": ("2026-01-01T13:00:00+08:00", "/service_start_time"),
        "service_end_time": ("OnAccept", "/service_end_time"),
        "discounts": (discounts, "/discounts"),
        "risk_amount": ("9900", "/risk_amount"),
    }
    for name, (value, field) in wrong.items():
        assert create(asking, FAMILY, **{name: value}).field == field
    assert create(asking, FAMILY, service_start_time="20260102").status == 200


@enter(
    SECTION, "create-answer", _CREATE, "the answer has the order's numbers and the way to the confirmation, no state"
)
def _(asking: Asking) -> None:
    body = create(asking, FAMILY).body
    assert body.keys() == NUMBERS | {"service_id"} | PROGRAM
    assert body["miniprogram_businesstype"] == "wxpayScoreUse"


@enter(SECTION, "create-no-confirm", _CREATE, "without a confirmation the openid is sent; the service begins at once")
def _(asking: Asking) -> None:
    assert create(asking, FAMILY, need_user_confirm=False).field == "/openid"
    body = create(asking, FAMILY, need_user_confirm=False, openid=OPENID).body
    assert ("package" in body, query(asking, FAMILY).body["state"]) == (False, "USER_ACCEPTED")


@enter(SECTION, "create-again", _CREATE, "the page does not say what a repetition is", does="As the direct family")
def _(asking: Asking) -> None:
    first = create(asking, FAMILY).body
    assert create(asking, FAMILY).body == first
    assert create(asking, FAMILY, attach="other").refusal == (400, "INVALID_REQUEST")


@enter(SECTION, "states", _QUERY, "CREATED, USER_ACCEPTED, FINISHED, USER_PAID, in the fields of this family alone")
def _(asking: Asking) -> None:
    create(asking, FAMILY, risk_amount=9900, service_introduction="充电宝租借")
    states, keys = [query(asking, FAMILY).body["state"]], set(query(asking, FAMILY).body)
    asking.service.confirm(asking.mchid, "S1")
    asking.clock.now += 3600
    states.append(query(asking, FAMILY).body["state"])
    change(asking, FAMILY, "complete", examples.complete(FAMILY, 3900, asking.clock.now))
    states.append(query(asking, FAMILY).body["state"])
    asking.clock.now += 60
    change(asking, FAMILY, "sync", examples.sync(FAMILY, asking.clock.now))
    order = query(asking, FAMILY).body
    assert [*states, order["state"]] == ["CREATED", "USER_ACCEPTED", "FINISHED", "USER_PAID"]
    assert (order["pay_type"], order["total_amount"]) == ("MchChannelPayType", 3900)
    assert not FOREIGN & (keys | order.keys())


@enter(SECTION, "query-one-number", _QUERY, "a query has out_order_no or query_id, and appid and service")
def _(asking: Asking) -> None:
    create(asking, FAMILY)
    query_id = asking.service.order(asking.mchid, "S1").query_id
    assert query(asking, FAMILY, out_order_no=None, query_id=query_id).body["state"] == "CREATED"
    assert query(asking, FAMILY, query_id=query_id).refusal == PARAM_ERROR
    assert query(asking, FAMILY, appid=None).field == "appid"


@enter(SECTION, "complete-used", _COMPLETE, "finish_type 2 has a total of fees minus discounts, within the risk amount")
def _(asking: Asking) -> None:
    confirmed(asking, FAMILY, risk_amount=9900)
    body = examples.complete(FAMILY, 3900, asking.clock.now)
    require_each(asking, FAMILY, "complete", body, ("appid", "service_id", "finish_type", "total_amount"))
    assert change(asking, FAMILY, "complete", {**body, "total_amount": 3899}).field == "/total_amount"
    assert (
        change(asking, FAMILY, "complete", examples.complete(FAMILY, 9901, asking.clock.now)).field == "/total_amount"
    )
    assert change(asking, FAMILY, "complete", {**body, "finish_type": 3}).field == "/finish_type"
    assert change(asking, FAMILY, "complete", body).body.keys() == NUMBERS | {"service_id"}
    order = query(asking, FAMILY).body
    assert (order["finish_type"], order["fees"], order["state"]) == (2, body["fees"], "FINISHED")


@enter(SECTION, "complete-unused", _COMPLETE, "finish_type 1 has a reason and no payment", does="The order is REVOKED")
def _(asking: Asking) -> None:
    confirmed(asking, FAMILY)
    body = {**examples.WHO[FAMILY], "finish_type": 1}
    assert change(asking, FAMILY, "complete", body).field == "/cancel_reason"
    assert change(asking, FAMILY, "complete", {**body, "cancel_reason": "未使用"}).status == 200
    assert query(asking, FAMILY).body["state"] == "REVOKED"


@enter(
    SECTION, "finish-ticket", _COMPLETE, "the ticket that the query has shown is repeated when the order is completed"
)
def _(asking: Asking) -> None:
    confirmed(asking, FAMILY)
    ticket = query(asking, FAMILY).body["finish_ticket"]
    body = examples.complete(FAMILY, 3900, asking.clock.now)
    assert change(asking, FAMILY, "complete", {**body, "finish_ticket": "other"}).field == "/finish_ticket"
    assert change(asking, FAMILY, "complete", {**body, "finish_ticket": ticket}).status == 200
    assert "finish_ticket" not in query(asking, FAMILY).body


@enter(SECTION, "cancel", _CANCEL, "canceling needs a reason and answers with the order's numbers")
def _(asking: Asking) -> None:
    create(asking, FAMILY)
    body = examples.cancel(FAMILY)
    require_each(asking, FAMILY, "cancel", body, ("reason", "appid", "service_id"))
    for _ in range(2):
        assert change(asking, FAMILY, "cancel", body).body.keys() == NUMBERS | {"service_id"}
    assert change(asking, FAMILY, "cancel", {**body, "reason": "其他"}).refusal == (400, "INVALID_REQUEST")
    assert query(asking, FAMILY).body["state"] == "REVOKED"


@enter(SECTION, "sync", _SYNC, "a sync answers with four numbers and no state; its time is 14 digits")
def _(asking: Asking) -> None:
    completed(asking, FAMILY)
    body = examples.sync(FAMILY, asking.clock.now)
    require_each(asking, FAMILY, "sync", body, ("appid", "service_id", "type", "detail"))
    for wrong in ("20260101", "2026-01-01T13:00:00+08:00"):
        assert change(asking, FAMILY, "sync", {**body, "detail": {"paid_time": wrong}}).field == "/detail/paid_time"
    assert change(asking, FAMILY, "sync", body).body.keys() == NUMBERS


@enter(SECTION, "collected", _QUERY, "what WeChat Pay has collected has finish_transaction_id and no pay_type")
def _(asking: Asking) -> None:
    completed(asking, FAMILY)
    asking.service.deduct(asking.mchid, "S1")
    order = query(asking, FAMILY).body
    assert (order["state"], "pay_type" in order) == ("USER_PAID", False)
    assert order["finish_transaction_id"] == asking.service.order(asking.mchid, "S1").transaction_id


@enter(SECTION, "no-modify", _QUERY, "there is no page about modify", does="404 RESOURCE_NOT_EXISTS")
def _(asking: Asking) -> None:
    completed(asking, FAMILY)
    assert change(asking, FAMILY, "modify", examples.modify(FAMILY, 1)).refusal == (404, "RESOURCE_NOT_EXISTS")
