"""A service order read from whatever WeChat Pay writes: its own samples contradict each other."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wechatpay
from wechatpay.service_order import service_order

SAMPLES = json.loads((Path(__file__).parent / "vectors/orders.json").read_text(encoding="utf-8"))["orders"]


def answer(body: object) -> wechatpay.Answer:
    """A verified answer."""
    return wechatpay.Answer(200, {}, json.dumps(body).encode(), "08F5-0", "S", "GET", "/v3/payscore/serviceorder")


def read(body: dict[str, Any]) -> wechatpay.ServiceOrder:
    """Read an order, whatever its number."""
    return service_order(answer(body), body["out_order_no"], "1230000109")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample["name"]))
def test_the_documentations_own_samples_are_read(sample: dict[str, Any]) -> None:
    """An object where a list is due, a sum as text, a blank in a name: the facts are found."""
    order = read(sample["order"])
    assert order.post_payments[0].amount == 40000
    assert order.total_amount == 40000
    assert order.collection is not None
    (detail,) = order.collection.details
    assert detail.transaction_id == "15646546545165651651"
    assert detail.paid_at == datetime.fromisoformat("2009-12-25T09:12:10+08:00")
    assert order.time_range is not None
    assert order.time_range.end == datetime.fromisoformat(sample["end"])
    assert str(order.openid) not in repr(order)


def test_words_to_come_are_kept() -> None:
    """A state that nobody knows yet is a state; a field that nobody knows yet is in `raw`."""
    order = read({"out_order_no": "A", "state": "PAUSED", "weather": "fine", "collection": {"state": "WAIT_PAY"}})
    assert (order.state, order.collection_state, order.raw["weather"]) == ("PAUSED", "WAIT_PAY", "fine")


def test_coupons_are_read() -> None:
    """A query tells who paid which part."""
    coupon = {"coupon_id": "109519", "scope": "GLOBAL", "type": "CASH", "amount": 5, "wechatpay_contribute": 5}
    details = [{"seq": 1, "amount": 900, "paid_type": "NEWTON", "promotion_detail": [coupon]}]
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"details": details}})
    assert order.collection is not None
    assert order.collection.details[0].promotion_detail == (
        wechatpay.PromotionDetail(coupon_id="109519", scope="GLOBAL", type="CASH", amount=5, wechatpay_contribute=5),
    )


def test_an_overseas_time_is_read() -> None:
    """RFC 3339 there, digits elsewhere."""
    details = {"paid_time": "2019-11-11T16:24:05+08:00"}
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"details": [details]}})
    assert order.collection is not None
    assert order.collection.details[0].paid_at == datetime.fromisoformat("2019-11-11T16:24:05+08:00")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
_NAMES = ["collection", "post_payments", "post_discounts", "risk_fund", "time_range", "location", "total_amount"]
_ORDERS = st.fixed_dictionaries(
    {"out_order_no": st.just("A"), "state": st.just("DONE")},
    optional={name: _JSON | st.fixed_dictionaries({}, optional={"details": _JSON, "amount": _JSON}) for name in _NAMES},
)


@given(_ORDERS | _JSON)
def test_nothing_but_the_one_error_comes_out(body: Any) -> None:
    """Whatever a signed answer says, it is an order or a MalformedError; its moments and sums can be asked for."""
    try:
        order = service_order(answer(body), "A", "1230000109")
    except wechatpay.MalformedError:
        return
    details = order.collection.details if order.collection else ()
    assert all(detail.paid_at is None or detail.paid_at.tzinfo for detail in details)
    assert order.raw["state"] == order.state
    assert hash(order)
