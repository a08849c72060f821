"""PayScore with types: five endpoints, one way of asking."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

import wechatpay
from sandbox.wechat_pay import Simulator
from wechatpay.payscore import ENDPOINTS
from wechatpay.times import written

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


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_syncs_and_answers_a_query(
    client: wechatpay.Client, wechat_pay: Simulator, endpoint: Any
) -> None:
    """Only the direct one answers the sync with the order; the others ask for a query."""
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    who = WHO[endpoint] | {"out_order_no": "A1", "endpoint": endpoint}
    synced = client.payscore.sync(paid_time=PAID, **who)
    order = client.payscore.query(**who)
    assert (order.state, order.collection_state, order.paid_type) == ("DONE", "USER_PAID", "MCH")
    assert synced == (order if endpoint == "direct" else None) or synced.raw == order.raw  # type: ignore[union-attr]


def test_the_calls_can_be_awaited(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Both, with the same results."""
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    who = WHO["direct"] | {"out_order_no": "A1"}

    async def awaited() -> tuple[Any, Any]:
        return await client.payscore.sync_async(paid_time=PAID, **who), await client.payscore.query_async(**who)

    synced, queried = asyncio.run(awaited())
    assert synced.raw == queried.raw


def test_an_order_carries_what_a_refund_needs(client: wechatpay.Client, wechat_pay: Simulator) -> None:
    """Money in fen, the transaction_id of WeChat Pay's own collection, and the whole answer."""
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
    """A signed answer about another order, or "accepted", settles nothing."""
    wechat_pay.ready_to_sync(MCHID, "A1", at=LONG_AGO)
    wechat_pay.misbehave(fault, **options)
    with pytest.raises(wechatpay.MalformedError):
        client.payscore.sync(out_order_no="A1", paid_time=PAID, **WHO["direct"])


@pytest.mark.parametrize(
    ("changes", "named"),
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
        ({"paid_time": datetime(2026, 1, 1)}, "paid_time"),  # noqa: DTZ001  naive on purpose
    ],
)
def test_what_the_endpoint_cannot_take_is_refused_by_name(
    client: wechatpay.Client, wechat_pay: Simulator, changes: dict[str, Any], named: str
) -> None:
    """Before anything is sent."""
    arguments = {"out_order_no": "A1", "paid_time": PAID, **WHO["direct"], **changes}
    with pytest.raises(ValueError, match=named):
        client.payscore.sync(**arguments)
    assert wechat_pay.calls == []


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
    """Digits for four endpoints, RFC 3339 for the overseas one."""
    assert (written(paid_time), written(paid_time, rfc_3339=True)) == (beijing, rfc_3339)


def test_overseas_orders_have_a_host_of_their_own() -> None:
    """Unless the hosts were overridden."""
    simulator = Simulator()
    official = wechatpay.Client(**simulator.merchant(MCHID).secret())
    assert "apihk.mch.weixin.qq.com" in repr(official.oversea)
    overridden = wechatpay.Client(**simulator.merchant(MCHID).secret(), base_url="http://127.0.0.1:9")
    assert overridden.oversea is overridden
