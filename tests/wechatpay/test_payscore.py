"""PayScore with types: five endpoints behind one set of methods."""

import asyncio
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

import wechatpay
from sandbox.wechat_pay import Simulator
from wechatpay import times
from wechatpay.caller import Caller
from wechatpay.payscore import ENDPOINTS

MCHID = "1230000109"
LONG_AGO = 1_764_547_200.0  # 2025-12-01
PAID = "20260101120000"
WHO: dict[str, dict[str, Any]] = {
    "direct": {"service_id": "500001", "appid": "wxd678efh567hg6787"},
    "payafter": {"service_id": "500001", "appid": "wxd678efh567hg6787"},
    "partner": {"service_id": "500001", "sub_mchid": "1900000109"},
    "acquiringbank": {"service_id": "500001", "sub_mchid": "1900000109", "channel_id": "C1"},
    "oversea": {"service_id": "500001", "sub_mchid": "1900000109"},
}


@pytest.fixture
def client(wechat_pay: Simulator) -> wechatpay.Client:
    """The merchant's client."""
    secret = wechat_pay.merchant(MCHID).secret()
    return wechatpay.Client(**secret, base_url=wechat_pay.base_url, backup_url=wechat_pay.backup_url)


MOMENT = datetime(2026, 1, 1, 4, tzinfo=UTC)


def at_endpoint(endpoint: str, number: str = "A1") -> dict[str, Any]:
    """Return the arguments that identify an order at this endpoint."""
    return WHO[endpoint] | {"out_order_no": number, "endpoint": endpoint}


def waiting(wechat_pay: Simulator, endpoint: str) -> None:
    """Open an order of this endpoint that waits for its payment."""
    numbers = {name: WHO[endpoint][name] for name in ("sub_mchid", "channel_id") if name in WHO[endpoint]}
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO, endpoint=endpoint, **numbers)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_syncs_and_answers_a_query(
    client: wechatpay.Client, wechat_pay: Simulator, endpoint: Any
) -> None:
    """Every endpoint takes a sync and a query; only the direct one answers the sync with the order."""
    waiting(wechat_pay, endpoint)
    synced = client.payscore.sync(paid_time=PAID, **at_endpoint(endpoint))
    order = client.payscore.query(**at_endpoint(endpoint))
    assert (order.paid_type, order.transaction_id, order.paid_at) == ("MCH", None, MOMENT)
    assert order.raw == wechat_pay.order(MCHID, "A1").answer()
    assert (synced and synced.raw) == (order.raw if endpoint == "direct" else None)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_tells_what_wechat_pay_collected_itself(
    client: wechatpay.Client, wechat_pay: Simulator, endpoint: Any
) -> None:
    """At every endpoint an order collected by WeChat Pay is NEWTON and has the transaction that a refund needs."""
    waiting(wechat_pay, endpoint)
    deducted = wechat_pay.deduct(MCHID, "A1")
    order = client.payscore.query(**at_endpoint(endpoint))
    assert (order.paid_type, order.transaction_id) == ("NEWTON", deducted.transaction_id)
    assert len(order.paid_moments) == 1


def test_payafter_answers_in_its_own_words(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """A payafter order has states of its own, from CREATED to USER_PAID, and no collection."""
    states = []

    def look() -> wechatpay.ServiceOrder:
        order = client.payscore.query(**at_endpoint("payafter"))
        assert (order.collection, order.state_description) == (None, None)
        states.append(order.state)
        return order

    wechat_pay.open(MCHID, "A1", endpoint="payafter", at=LONG_AGO)
    look()
    wechat_pay.confirm(MCHID, "A1")
    assert "finish_ticket" in look().raw
    wechat_pay.complete(MCHID, "A1", at=LONG_AGO)
    look()
    assert client.payscore.sync(paid_time=PAID, **at_endpoint("payafter")) is None
    order = look()
    assert (order.pay_type, order.pay_succ_time, order.finish_transaction_id) == ("MchChannelPayType", PAID, None)
    assert states == ["CREATED", "USER_ACCEPTED", "FINISHED", "USER_PAID"]


def test_overseas_times_and_currency(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """The oversea endpoint takes and returns RFC 3339 times, and its orders have a currency."""
    waiting(wechat_pay, "oversea")
    assert client.payscore.sync(paid_time=MOMENT, **at_endpoint("oversea")) is None
    order = client.payscore.query(**at_endpoint("oversea"))
    assert order.collection is not None
    assert order.collection.details[0].paid_time == "2026-01-01T12:00:00+08:00"
    assert (order.paid_moments, order.currency, order.sub_mchid) == ((MOMENT,), "HKD", WHO["oversea"]["sub_mchid"])


def test_the_channel_of_an_acquiring_bank_is_sent_and_read(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """`channel_id` is sent by sync and query and read from the answer."""
    waiting(wechat_pay, "acquiringbank")
    client.payscore.sync(paid_time=PAID, **at_endpoint("acquiringbank"))
    assert client.payscore.query(**at_endpoint("acquiringbank")).channel_id == "C1"


@pytest.mark.parametrize("endpoint", ["partner", "oversea"])
def test_a_part_and_its_amount_stand_in_the_detail(
    client: wechatpay.Client, wechat_pay: Simulator, endpoint: Any
) -> None:
    """`seq` and `paid_amount` stand in the `detail` of a sync where the endpoint has them."""
    waiting(wechat_pay, endpoint)
    client.payscore.sync(paid_time=PAID, seq=1, paid_amount=3900, **at_endpoint(endpoint))
    (call,) = wechat_pay.calls
    body = json.loads(call.body)
    assert (body["detail"]["seq"], body["detail"]["paid_amount"]) == (1, 3900)
    assert set(body) == {"service_id", "sub_mchid", "type", "detail"}


def test_one_sub_merchants_order_is_not_anothers(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Two sub-merchants may use the same order number for two orders."""
    for sub_mchid in ("1900000109", "1900000110"):
        wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO, endpoint="partner", sub_mchid=sub_mchid)
    client.payscore.sync(paid_time=PAID, **at_endpoint("partner"))
    other = at_endpoint("partner") | {"sub_mchid": "1900000110"}
    states = [client.payscore.query(**names).state for names in (at_endpoint("partner"), other)]
    assert states == ["DONE", "DOING"]


def replay(monkeypatch: pytest.MonkeyPatch, answer: wechatpay.Answer) -> None:
    """Have every call answered by this genuine, signed answer to another call."""
    monkeypatch.setattr(Caller, "_send", lambda *_: answer)


@pytest.mark.parametrize("endpoint", ["partner", "acquiringbank", "payafter", "oversea"])
def test_an_answer_to_a_query_is_not_one_to_a_sync(
    client: wechatpay.Client, wechat_pay: Simulator, monkeypatch: pytest.MonkeyPatch, endpoint: Any
) -> None:
    """A replayed answer to a query does not pass as an answer to a sync."""
    waiting(wechat_pay, endpoint)
    names = {**WHO[endpoint], "out_order_no": "A1"}
    replay(monkeypatch, client.chain(ENDPOINTS[endpoint].path).get(params=names))
    assert client.payscore.query(**at_endpoint(endpoint)).out_order_no == "A1"
    with pytest.raises(wechatpay.MalformedError, match="not one to a sync"):
        client.payscore.sync(paid_time=PAID, **at_endpoint(endpoint))
    with pytest.raises(wechatpay.MalformedError, match="not one to a sync"):
        asyncio.run(client.payscore.sync_async(paid_time=PAID, **at_endpoint(endpoint)))


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("direct", "service_id"),
        ("direct", "appid"),
        ("payafter", "service_id"),
        ("payafter", "appid"),
        ("partner", "service_id"),
        ("partner", "sub_mchid"),
        ("acquiringbank", "sub_mchid"),
        ("acquiringbank", "channel_id"),
        ("oversea", "sub_mchid"),
    ],
)
def test_an_answer_that_names_another_owner_is_not_ours(
    client: wechatpay.Client, wechat_pay: Simulator, monkeypatch: pytest.MonkeyPatch, endpoint: Any, name: str
) -> None:
    """An answer that names another service, sub-merchant, channel or app is about another order."""
    waiting(wechat_pay, endpoint)
    names = {**WHO[endpoint], "out_order_no": "A1"}
    replay(monkeypatch, client.chain(ENDPOINTS[endpoint].path).get(params=names))
    client.payscore.query(**at_endpoint(endpoint))
    with pytest.raises(wechatpay.MalformedError, match="about another order"):
        client.payscore.query(**at_endpoint(endpoint) | {name: "another"})


def test_the_calls_can_be_awaited(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """`sync_async` and `query_async` return what `sync` and `query` return."""
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    who = WHO["direct"] | {"out_order_no": "A1"}

    async def sync_and_query() -> tuple[Any, Any]:
        return await client.payscore.sync_async(paid_time=PAID, **who), await client.payscore.query_async(**who)

    synced, queried = asyncio.run(sync_and_query())
    assert synced.raw == queried.raw


def test_an_order_carries_what_a_refund_needs(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """An order has amounts in fen, WeChat Pay's own `transaction_id` and the whole answer."""
    wechat_pay.ready_to_sync(MCHID, "A1", total_amount=4200)
    deducted = wechat_pay.deduct(MCHID, "A1")
    order = client.payscore.query(out_order_no="A1", **WHO["direct"])
    assert (order.paid_type, order.transaction_id) == ("NEWTON", deducted.transaction_id)
    assert order.total_amount == 4200
    assert order.collection is not None
    assert order.collection.details[0].amount == 4200
    assert order.raw == deducted.answer()
    assert "openid" not in repr(order)


@pytest.mark.parametrize(("fault", "options"), [("other_order", {}), ("accepted_202", {})])
def test_a_genuine_answer_that_is_not_ours_does_not_pass(
    client: wechatpay.Client, wechat_pay: Simulator, fault: str, options: dict[str, Any]
) -> None:
    """A signed answer about another order, or a 202, raises MalformedError."""
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    wechat_pay.misbehave(fault, **options)
    with pytest.raises(wechatpay.MalformedError):
        client.payscore.sync(out_order_no="A1", paid_time=PAID, **WHO["direct"])


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"appid": None}, "appid"),
        ({"service_id": ""}, "service_id"),
        ({"out_order_no": "a b"}, "out_order_no"),
        ({"out_order_no": ""}, "out_order_no"),
        ({"endpoint": "moon"}, "endpoint"),
        ({"endpoint": "partner"}, "sub_mchid"),
        ({"sub_mchid": "1900000109"}, "sub_mchid"),
        ({"paid_amount": 100}, "paid_amount"),
        ({"paid_time": "2026-01-01T12:00:00"}, "paid_time"),
        ({"paid_time": "20260230"}, "paid_time"),
        ({"paid_time": "yesterday"}, "paid_time"),
        ({"paid_time": 20260101120000}, "paid_time"),
        ({"paid_time": None}, "paid_time"),
        ({"paid_time": date(2026, 1, 1)}, "paid_time"),
        ({"endpoint": "acquiringbank", "appid": None, "channel_id": "C1"}, "sub_mchid"),
        ({"paid_time": datetime(2026, 1, 1)}, "paid_time"),  # noqa: DTZ001  naive on purpose
    ],
)
def test_what_the_endpoint_cannot_take_is_refused_by_name(
    client: wechatpay.Client, wechat_pay: Simulator, changes: dict[str, Any], name: str
) -> None:
    """A value that the endpoint needs or has no place for raises ValueError naming it, before anything is sent."""
    arguments = {"out_order_no": "A1", "paid_time": PAID, **WHO["direct"], **changes}
    with pytest.raises(ValueError, match=name):
        client.payscore.sync(**arguments)
    assert wechat_pay.calls == []


@pytest.mark.parametrize("value", [39.0, True, -1, "39", [39]])
@pytest.mark.parametrize("name", ["seq", "paid_amount"])
def test_money_and_numbers_are_whole(client: wechatpay.Client, wechat_pay: Simulator, name: str, value: Any) -> None:
    """`seq` and `paid_amount` are whole numbers, not negative; a float or a boolean raises ValueError."""
    with pytest.raises(ValueError, match=f"^{name} must be a whole number"):
        client.payscore.sync(paid_time=PAID, **at_endpoint("partner"), **{name: value})
    assert wechat_pay.calls == []


def test_a_sync_signed_ahead_needs_an_order_and_a_time(client: wechatpay.Client) -> None:
    """Missing arguments raise TypeError when the call is signed, not when it is sent."""
    incomplete: dict[str, Any] = WHO["direct"]
    with pytest.raises(TypeError, match="missing out_order_no, paid_time"):
        client.payscore.sign_sync(**incomplete)


@pytest.mark.parametrize(
    ("paid_time", "beijing", "rfc_3339"),
    [
        (PAID, PAID, "2026-01-01T12:00:00+08:00"),
        ("20260101", "20260101", "2026-01-01T00:00:00+08:00"),
        ("2026-01-01T04:00:00Z", PAID, "2026-01-01T12:00:00+08:00"),
        ("2025-12-31T23:00:00.5-05:00", PAID, "2026-01-01T12:00:00+08:00"),
        (datetime(2026, 1, 1, 4, tzinfo=UTC), PAID, "2026-01-01T12:00:00+08:00"),
    ],
)
def test_a_time_is_converted_to_beijing(paid_time: Any, beijing: str, rfc_3339: str) -> None:
    """A time is sent as digits of Beijing time to four endpoints, as RFC 3339 to the oversea one."""
    assert (times.write(paid_time), times.write(paid_time, rfc_3339=True)) == (beijing, rfc_3339)


def test_overseas_orders_have_a_host_of_their_own() -> None:
    """`client.oversea` calls Hong Kong's host; where hosts were overridden it is the client itself."""
    simulator = Simulator()
    official = wechatpay.Client(**simulator.merchant(MCHID).secret())
    assert "apihk.mch.weixin.qq.com" in repr(official.oversea)
    overridden = wechatpay.Client(**simulator.merchant(MCHID).secret(), base_url="http://127.0.0.1:9")
    assert overridden.oversea is overridden
