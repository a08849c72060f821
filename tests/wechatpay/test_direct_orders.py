"""A shop's side of PayScore with types: an order from its creation to its end."""

import asyncio
import json
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import pytest

import wechatpay
from sandbox.wechat_pay import Simulator
from wechatpay.caller import Caller
from wechatpay.times import BEIJING

MCHID = "1230000109"
WHO: dict[str, Any] = {"out_order_no": "A|1*", "service_id": "500001", "appid": "wxd678efh567hg6787"}
START = datetime.now(BEIJING).replace(microsecond=0) + timedelta(hours=2)
NEW: dict[str, Any] = {
    **WHO,
    "service_introduction": "充电宝租借",
    "risk_fund": wechatpay.RiskFund(name="DEPOSIT", amount=9900, description="押金"),
    "time_range": wechatpay.TimeRange.between(START),
    "notify_url": "https://shop.example.com/notify",
    "location": wechatpay.Location(start_location="上海静安寺店"),
    "attach": "till 7",
}
BILL: dict[str, Any] = {
    **WHO,
    "post_payments": [wechatpay.PostPayment(name="租金", amount=4200, description="按小时计费", count=1)],
    "post_discounts": (wechatpay.PostDiscount(name="满20减3元", amount=300, count=1),),
    "total_amount": 3900,
    "time_range": wechatpay.TimeRange.between("OnAccept", START),
}
SMALLER: dict[str, Any] = {**WHO, "post_payments": [wechatpay.PostPayment(name="租金", amount=3000)]} | {
    "total_amount": 3000,
    "reason": "多收",
}


def new() -> dict[str, Any]:
    """An order whose service begins as soon as the customer confirms."""
    return NEW | {"time_range": wechatpay.TimeRange.between("OnAccept")}


def bill() -> dict[str, Any]:
    """The bill of a service that ends now."""
    return BILL | {"time_range": wechatpay.TimeRange.between("OnAccept", datetime.now(BEIJING))}


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
HOLDS_ITSELF: dict[str, Any] = {}
HOLDS_ITSELF["location"] = HOLDS_ITSELF


@pytest.fixture
def client(wechat_pay: Simulator) -> wechatpay.Client:
    """The shop's client."""
    return wechatpay.Client(**wechat_pay.merchant(MCHID).secret(), base_url=wechat_pay.base_url)


def test_an_order_from_its_opening_to_its_payment_at_the_till(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """An order can be created, confirmed, completed, modified and synced; each answer is typed."""
    created = client.payscore.create(**NEW | {"out_order_no": "A2"})
    assert (created.state, bool(created.package)) == ("CREATED", True)
    assert created.time_range is not None
    assert created.time_range.start == START
    client.payscore.create(**new())
    assert created.risk_fund == NEW["risk_fund"]
    wechat_pay.confirm(MCHID, WHO["out_order_no"])
    shop_bill = bill()
    completed = client.payscore.complete(**shop_bill)
    assert (completed.state_description, completed.collection_state) == ("MCH_COMPLETE", "USER_PAYING")
    assert completed.post_payments == tuple(BILL["post_payments"])
    assert completed.post_discounts == BILL["post_discounts"]
    assert completed.time_range is not None
    assert completed.time_range.end_time == shop_bill["time_range"].end_time
    assert client.payscore.modify(**SMALLER).total_amount == 3000
    synced = client.payscore.sync(**WHO, paid_time=datetime.now(BEIJING) + timedelta(seconds=30))
    assert synced is not None
    assert (synced.state, synced.paid_type, synced.total_amount) == ("DONE", "MCH", 3000)


def test_every_operation_can_be_awaited(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Each operation has an asynchronous form with the same result."""

    async def life() -> str:
        await client.payscore.create_async(**new())
        wechat_pay.confirm(MCHID, WHO["out_order_no"])
        await client.payscore.complete_async(**bill())
        await client.payscore.modify_async(**SMALLER)
        await client.payscore.cancel_async(**WHO, reason="用户投诉")
        return (await client.payscore.query_async(**WHO)).state

    assert asyncio.run(life()) == "REVOKED"


def test_a_canceled_order_is_revoked(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A canceled order is REVOKED and may be canceled again, as the documentation promises."""
    client.payscore.create(**NEW)
    client.payscore.cancel(**WHO, reason="用户投诉")
    client.payscore.cancel(**WHO, reason="用户投诉")
    assert wechat_pay.order(MCHID, WHO["out_order_no"]).state == "REVOKED"


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"total_amount": 39.0}, ValueError, "total_amount must be whole fen"),
        ({"total_amount": True}, ValueError, "total_amount must be whole fen"),
        ({"total_amount": -1}, ValueError, "total_amount must be whole fen"),
        ({"post_payments": [wechatpay.PostPayment(amount=-1)]}, ValueError, r"post_payments\[0\].amount must be"),
        ({"out_order_no": "a b"}, ValueError, "out_order_no"),
        ({"colour": "red"}, TypeError, "colour has no place here"),
        ({"location": wechatpay.Location("店🏪")}, ValueError, "emoji"),
        ({"goods": [{"goods_id": "1"}]}, TypeError, "goods has no place here"),
        ({"post_payments": [{"name": "租金", "amount": 39.5}]}, ValueError, r"post_payments\[0\].amount must be"),
        ({"post_payments": ENDLESS}, ValueError, "nested too deeply, or holds itself"),
        ({"location": HOLDS_ITSELF}, ValueError, "nested too deeply, or holds itself"),
    ],
)
def test_what_cannot_be_sent_is_told_before_anything_is_sent(
    client: wechatpay.Client, wechat_pay: Simulator, changes: dict[str, Any], error: type[Exception], text: str
) -> None:
    """A name or value that cannot be sent raises TypeError or ValueError naming it, before anything is sent."""
    with pytest.raises(error, match=text):
        client.payscore.complete(**(BILL | changes))
    assert wechat_pay.calls == []


def test_a_missing_name_is_told(client: wechatpay.Client) -> None:
    """A missing argument raises TypeError naming it."""
    with pytest.raises(TypeError, match="missing post_payments, total_amount"):
        client.payscore.complete(**WHO)


def test_a_time_without_an_offset_is_refused_by_name() -> None:
    """A time without an offset raises ValueError: it could be eight hours off."""
    with pytest.raises(ValueError, match="end has no offset"):
        wechatpay.TimeRange.between("OnAccept", "2026-01-01T12:00:00")
    assert wechatpay.TimeRange.between("OnAccept").start is None


def test_every_field_of_an_order_is_read(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Every field of a paid direct order is read into a typed one; only other endpoints' fields stay empty."""
    wechat_pay.ready_to_sync(MCHID, "A1")
    wechat_pay.deduct(MCHID, "A1")
    order = client.payscore.query(**{**WHO, "out_order_no": "A1"})
    empty = {field.name for field in fields(order) if not getattr(order, field.name)}
    assert empty == {
        "state_description",
        "sub_mchid",
        "sub_appid",
        "sub_openid",
        "channel_id",
        "package",
        "post_discounts",
        *("currency", "currency_price", "currency_rate_info"),  # oversea
        *("pay_type", "pay_succ_time", "finish_transaction_id"),  # payafter
    }
    assert set(order.raw) <= {field.name for field in fields(order)}
    assert str(order.openid) not in repr(order)


def test_devices_and_the_coupons_tag_are_sent_where_they_are_documented(
    client: wechatpay.Client, wechat_pay: Simulator
) -> None:
    """`device` is sent with create, complete and modify, `goods_tag` with complete (docs 4012587900, 4012587955)."""
    device = wechatpay.Device(start_device_id="HG123", materiel_no="https://example.com/1")
    client.payscore.create(**new(), device=device)
    wechat_pay.confirm(MCHID, WHO["out_order_no"])
    client.payscore.complete(**bill(), device=wechatpay.Device(end_device_id="HG124"), goods_tag="TAG")
    client.payscore.modify(**SMALLER, device=device)
    bodies = [json.loads(call.body) for call in wechat_pay.calls]
    sent = {"start_device_id": "HG123", "materiel_no": "https://example.com/1"}
    assert [body["device"] for body in bodies] == [sent, {"end_device_id": "HG124"}, sent]
    assert [body.get("goods_tag") for body in bodies] == [None, "TAG", None]
    with pytest.raises(TypeError, match="goods_tag has no place here"):
        client.payscore.create(**NEW | {"goods_tag": "TAG"})
    with pytest.raises(TypeError, match="device has no place here"):
        client.payscore.cancel(**WHO | {"reason": "用户投诉", "device": device})


def answer(**fields: Any) -> wechatpay.Answer:
    """Return a verified answer about the order."""
    body = {"mchid": MCHID, **WHO, **fields}
    return wechatpay.Answer(200, {}, json.dumps(body).encode(), "08F5-0", "S", "POST", "/v3/payscore/serviceorder")


CALLS: dict[str, dict[str, Any]] = {
    "create": NEW,
    "complete": BILL,
    "modify": SMALLER,
    "cancel": {**WHO, "reason": "用户投诉"},
}
DEFINED = ("CREATED", "DOING", "DONE", "REVOKED", "EXPIRED")
STATES = {"create": DEFINED, "complete": ("DOING", "DONE"), "modify": ("DOING", "DONE"), "cancel": ("REVOKED",)}


@pytest.mark.parametrize("state", [*DEFINED, "PAUSED", "", None, ["REVOKED"], 7])
@pytest.mark.parametrize("operation", CALLS)
def test_an_answer_in_a_state_that_the_call_cannot_have_led_to_is_not_its_answer(
    client: wechatpay.Client, monkeypatch: pytest.MonkeyPatch, operation: str, state: Any
) -> None:
    """An answer in a state that the operation cannot lead to raises MalformedError; `create` may find any state."""
    monkeypatch.setattr(Caller, "_send", lambda *_: answer(state=state))
    call = getattr(client.payscore, operation)
    if state in STATES[operation]:
        call(**CALLS[operation])
    else:
        with pytest.raises(wechatpay.MalformedError, match=f"no service order|not one to {operation}"):
            call(**CALLS[operation])


def test_the_documented_answer_to_cancel_has_no_state(
    client: wechatpay.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to `cancel` needs no state; the answers to the other operations do."""
    monkeypatch.setattr(Caller, "_send", lambda *_: answer(order_id="1000"))
    client.payscore.cancel(**CALLS["cancel"])
    for operation in ("create", "complete", "modify"):
        with pytest.raises(wechatpay.MalformedError, match="no service order"):
            getattr(client.payscore, operation)(**CALLS[operation])


@pytest.mark.parametrize("name", ["mchid", "out_order_no", "service_id", "appid"])
@pytest.mark.parametrize("operation", CALLS)
def test_an_answer_about_another_order_is_refused(
    client: wechatpay.Client, monkeypatch: pytest.MonkeyPatch, operation: str, name: str
) -> None:
    """An answer that names another order raises MalformedError from both forms of every operation."""
    states = {} if operation == "cancel" else {"state": "DOING"}
    other = answer(**states, **{name: "another"})
    monkeypatch.setattr(Caller, "_send", lambda *_: other)
    with pytest.raises(wechatpay.MalformedError, match="about another order"):
        getattr(client.payscore, operation)(**CALLS[operation])
    with pytest.raises(wechatpay.MalformedError, match="about another order"):
        asyncio.run(getattr(client.payscore, f"{operation}_async")(**CALLS[operation]))


def test_a_query_replayed_to_cancel_does_not_say_that_the_order_is_canceled(
    client: wechatpay.Client, wechat_pay: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replayed answer to a query does not pass as an answer to `cancel`."""
    client.payscore.create(**NEW)
    names = {name: WHO[name] for name in WHO}
    replayed = client.v3.payscore.serviceorder.get(params=names)
    monkeypatch.setattr(Caller, "_send", lambda *_: replayed)
    with pytest.raises(wechatpay.MalformedError, match="not one to cancel"):
        client.payscore.cancel(**WHO, reason="用户投诉")
    assert wechat_pay.order(MCHID, WHO["out_order_no"]).state == "CREATED"
