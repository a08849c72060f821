"""A user's code as `mypy --strict` sees it, checked but never run. Each `type: ignore` is an error that must be found.

`make lint` checks it with the tree; `warn_unused_ignores` fails where a wrong use is no longer an error.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_type

import requests

import wechatpay


def clients(pem: str, keys: Mapping[str, str], session: requests.Session) -> None:
    """Keys as text or bytes, one APIv3 key or several, a session of one's own, a store of one's own."""
    client = wechatpay.Client(mchid="1", serial_no="A", private_key=pem, platform_keys=keys)
    wechatpay.Client(mchid="1", serial_no="A", private_key=b"", platform_keys={}, apiv3_key=["new", "old"])
    wechatpay.Client(mchid="1", serial_no="A", private_key=pem, platform_keys=keys, session=session, timeout=(30, 45.5))
    wechatpay.Client(mchid="1", serial_no="A", private_key=pem, platform_keys=keys, certificate_store=Store())
    wechatpay.Client("1", "A", pem, keys)  # type: ignore[call-arg]
    wechatpay.Client(mchid=1, serial_no="A", private_key=pem, platform_keys=keys)  # type: ignore[arg-type]
    assert_type(client.merchant, wechatpay.Merchant)
    assert_type(client.platform_keys, wechatpay.PlatformKeys)
    assert_type(client.encrypt("x"), str)


class Store:
    """A store needs these two methods and no base class."""

    def load(self) -> Mapping[str, str]:
        """Load."""
        return {}

    def save(self, certificates: Mapping[str, str], /) -> None:
        """Save."""


def six_forms(client: wechatpay.Client) -> None:
    """Every spelling ends in the same answer."""
    assert_type(client.v3.payscore.serviceorder._out_order_no_.sync.post(out_order_no="1", json={}), wechatpay.Answer)
    assert_type(client.chain("v3/x/{id}").get(id="1", params={"a": 1}, timeout=60.0), wechatpay.Answer)
    assert_type(client["v3/x/{id}"].delete(id="1", headers={"Accept-Language": "en"}), wechatpay.Answer)
    client.chain("v3/x").post({})  # type: ignore[call-arg]
    client.chain("v3/x").get(timeout="soon")  # type: ignore[arg-type]


async def await_calls(client: wechatpay.Client) -> None:
    """An asynchronous form must be awaited."""
    assert_type(await client.v3.x.get_async(), wechatpay.Answer)
    assert_type(await client.chain("v3/x").put_async(json=[1]), wechatpay.Answer)
    _ = client.v3.x.get_async().status  # type: ignore[attr-defined]
    assert_type(await client.payscore.query_async(out_order_no="1", service_id="1", appid="wx"), wechatpay.ServiceOrder)


def typed(client: wechatpay.Client) -> None:
    """PayScore with types: what an endpoint answers, what a time is, what money is."""
    paid = datetime.now(UTC)
    synced = client.payscore.sync(out_order_no="1", service_id="1", appid="wx", paid_time=paid)
    assert_type(synced, wechatpay.ServiceOrder | None)
    _ = synced.state  # type: ignore[union-attr]
    client.payscore.sync(out_order_no="1", service_id="1", paid_time=paid, endpoint="moon")  # type: ignore[arg-type]
    client.payscore.sync(out_order_no="1", service_id="1")  # type: ignore[call-arg]
    client.payscore.sync(out_order_no="1", service_id="1", paid_time=paid, colour="red")  # type: ignore[call-arg]
    payment: wechatpay.SyncPayment = {"out_order_no": "1", "service_id": "1", "paid_time": paid, "appid": None}
    signed = client.payscore.sign_sync(**payment)
    assert_type(signed, wechatpay.SignedCall[wechatpay.ServiceOrder | None])
    assert_type(signed.send(), wechatpay.ServiceOrder | None)
    assert_type(client.sign(wechatpay.Call("GET", "v3/certificates", {})), wechatpay.SignedCall[wechatpay.Answer])
    client.payscore.query(**payment)  # type: ignore[misc]
    order = client.payscore.query(out_order_no="1", service_id="1", endpoint="partner", sub_mchid="2")
    assert_type(order.total_amount, int | None)
    assert_type(order.collection_state, str | None)
    if order.collection:
        assert_type(order.collection.details, tuple[wechatpay.CollectionDetail, ...])
        assert_type(order.collection.details[0].paid_at, datetime | None)
        assert_type(order.collection.unreadable, bool)
    assert_type(order.paid_moments, tuple[datetime, ...])
    assert_type(order.pay_type, str | None)
    client.payscore.sync(out_order_no="1", service_id="1", appid="wx", paid_time=20260101)  # type: ignore[arg-type]
    client.payscore.cancel(out_order_no="1", service_id="1", appid="wx", reason="-")
    client.payscore.cancel(out_order_no="1", service_id="1", appid="wx")  # type: ignore[call-arg]
    bill = [wechatpay.PostPayment(name="rent", amount=100)]
    client.payscore.complete(out_order_no="1", service_id="1", appid="wx", post_payments=bill, total_amount=100)
    device = wechatpay.Device(end_device_id="HG124")
    client.payscore.complete(
        out_order_no="1",
        service_id="1",
        appid="wx",
        post_payments=bill,
        total_amount=100,
        goods_tag="TAG",
        device=device,
    )
    client.payscore.complete(out_order_no="1", service_id="1", appid="wx", post_payments=bill, total_amount="1")  # type: ignore[arg-type]


def errors(client: wechatpay.Client, headers: Mapping[str, str], body: bytes) -> None:
    """The evidence on each error has its type."""
    try:
        assert_type(client.notification(headers, body), wechatpay.Notification)
    except wechatpay.UntrustedError as error:
        assert_type(error.serial, str)
        assert_type(error.held, tuple[str, ...])
    except wechatpay.RefusedError as error:
        assert_type(error.verified, bool | None)
        assert_type(error.sub_code, str | None)
    except wechatpay.UnansweredError as error:
        assert_type(error.sent, bool)
    client.notification(headers, "text")  # type: ignore[arg-type]
