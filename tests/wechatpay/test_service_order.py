"""Reading service orders from answers whose documented samples contradict each other."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wechatpay
from wechatpay.read_order import order_fields, read_order
from wechatpay.text import printable

SAMPLES = json.loads((Path(__file__).parent / "vectors/orders.json").read_text(encoding="utf-8"))["orders"]


def answer(body: object) -> wechatpay.Answer:
    """Return a verified answer."""
    return wechatpay.Answer(200, {}, json.dumps(body).encode(), "08F5-0", "S", "GET", "/v3/payscore/serviceorder")


def read(body: dict[str, Any]) -> wechatpay.ServiceOrder:
    """Read an order, of any number."""
    return read_order(answer(body), body["out_order_no"], "1230000109")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample["name"]))
def test_the_documentations_own_samples_are_read(sample: dict[str, Any]) -> None:
    """The documentation's samples are read: an object for a list, an amount as text, blanks in names."""
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
    """Unknown states are kept as they are; unknown fields are in `raw`."""
    order = read({"out_order_no": "A", "state": "PAUSED", "weather": "fine", "collection": {"state": "WAIT_PAY"}})
    assert (order.state, order.collection_state, order.raw["weather"]) == ("PAUSED", "WAIT_PAY", "fine")


def test_coupons_are_read() -> None:
    """The coupons of a collection are read, with the part that each side contributes."""
    coupon = {"coupon_id": "109519", "scope": "GLOBAL", "type": "CASH", "amount": 5, "wechatpay_contribute": 5}
    details = [{"seq": 1, "amount": 900, "paid_type": "NEWTON", "promotion_detail": [coupon]}]
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"details": details}})
    assert order.collection is not None
    assert order.collection.details[0].promotion_detail == (
        wechatpay.PromotionDetail(coupon_id="109519", scope="GLOBAL", type="CASH", amount=5, wechatpay_contribute=5),
    )


def test_an_overseas_time_is_read() -> None:
    """A `paid_time` in RFC 3339, as the oversea endpoint has it, is read as an aware datetime."""
    details = {"paid_time": "2019-11-11T16:24:05+08:00"}
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"details": [details]}})
    assert order.collection is not None
    assert order.collection.details[0].paid_at == datetime.fromisoformat("2019-11-11T16:24:05+08:00")


def test_overseas_currencies_are_read() -> None:
    """An oversea order has its currency, price and exchange rate (doc 4014096411)."""
    order = read(
        {"out_order_no": "A", "state": "DONE", "currency": "HKD", "currency_price": 9, "currency_rate_info": "1"}
    )
    assert (order.currency, order.currency_price, order.currency_rate_info) == ("HKD", 9, "1")


def test_the_bank_and_the_goods_of_a_coupon_are_read() -> None:
    """The bank of a collection and the goods of a coupon are read with types."""
    goods = {"goods_id": "M1", "quantity": 1, "unit_price": 100, "discount_amount": 5, "goods_remark": "冷饮"}
    coupon = {"coupon_id": "1", "currency": "CNY", "goods_detail": [goods]}
    part = {"amount": 95, "paid_type": "NEWTON", "promotion_detail": [coupon]}
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"bank_type": "CMC", "details": [part]}})
    assert order.collection is not None
    assert order.collection.bank_type == "CMC"
    ((read_coupon,),) = [detail.promotion_detail for detail in order.collection.details]
    assert (read_coupon.currency, read_coupon.goods_detail) == (
        "CNY",
        (wechatpay.GoodsDetail("M1", 1, 100, 5, "冷饮"),),
    )


PAYAFTER = {"out_order_no": "A", "mchid": "1230000109", "service_id": "S", "appid": "wx", "total_amount": 3900}


@pytest.mark.parametrize("state", ["CREATED", "USER_ACCEPTED", "FINISHED", "USER_PAID", "REVOKED", "EXPIRED"])
def test_a_payafter_order_keeps_its_own_words(state: str) -> None:
    """A payafter order keeps its own states and has no `paid_type` before it is paid."""
    order = read(PAYAFTER | {"state": state})
    assert (order.state, order.collection, order.collection_state, order.total_amount) == (state, None, None, 3900)
    assert (order.paid_type, order.transaction_id, order.paid_moments, order.paid_at) == (None, None, (), None)


@pytest.mark.parametrize(
    ("fields_of_payment", "paid_type", "transaction_id"),
    [
        ({"pay_type": "MchChannelPayType"}, "MCH", None),
        ({"pay_type": "MchChannelPayType", "finish_transaction_id": ""}, "MCH", None),
        ({"finish_transaction_id": "4200"}, "NEWTON", "4200"),
        ({"pay_type": "", "finish_transaction_id": "4200"}, "NEWTON", "4200"),
        ({"pay_type": "SomeOtherPayType", "finish_transaction_id": "4200"}, "NEWTON", "4200"),
        ({"pay_type": "MchChannelPayType", "finish_transaction_id": "4200"}, None, "4200"),
        ({"pay_type": "SomeOtherPayType"}, None, None),
        ({"pay_type": None, "finish_transaction_id": "4200"}, None, "4200"),
        ({"pay_type": ["MchChannelPayType"]}, None, None),
        ({"pay_type": "MchChannelPayType", "finish_transaction_id": 4200}, None, None),
        ({"pay_type": "MchChannelPayType", "finish_transaction_id": None}, None, None),
        ({}, None, None),
    ],
)
def test_how_a_payafter_order_was_paid(
    fields_of_payment: dict[str, Any], paid_type: str | None, transaction_id: str | None
) -> None:
    """A paid payafter order is MCH or NEWTON by one clear field, neither where fields contradict or are unreadable."""
    order = read(PAYAFTER | fields_of_payment | {"state": "USER_PAID", "pay_succ_time": "20260101120000"})
    assert (order.paid_type, order.transaction_id) == (paid_type, transaction_id)
    assert order.paid_moments == (datetime(2026, 1, 1, 4, tzinfo=UTC),)
    assert read(PAYAFTER | fields_of_payment | {"state": "FINISHED"}).paid_type is None


def test_times_of_payment_are_compared_as_moments() -> None:
    """`paid_moments` has every readable time of payment as an aware datetime, in whichever form it was written."""
    times = ["20260101120000", "2026-01-01T12:00:00+08:00", "20260101", "OnAccept", None, 7, "2026-01-01T12:00:00"]
    details = [{"paid_type": "MCH", "paid_time": time} for time in times]
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"details": details}})
    noon, midnight = datetime(2026, 1, 1, 4, tzinfo=UTC), datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert order.paid_moments == (noon, noon, midnight)
    assert order.paid_at == noon


MERCHANT_PART = {"paid_type": "MCH", "paid_time": "20260101120000"}


@pytest.mark.parametrize(
    ("details", "unreadable", "paid_type"),
    [
        ([MERCHANT_PART], False, "MCH"),
        (MERCHANT_PART, False, "MCH"),
        ([], False, None),
        ([MERCHANT_PART, "NEWTON"], True, None),
        ([MERCHANT_PART, None], True, None),
        ([MERCHANT_PART, []], True, None),
        ([MERCHANT_PART, {}], True, None),
        ([MERCHANT_PART, {"paid_type": ""}], True, None),
        ([MERCHANT_PART, {"paid_type": 7}], True, None),
        ([{"paid_type": "NEWTON"}, {"paid_type": None}], True, "NEWTON"),
        ([[MERCHANT_PART]], True, None),
        (None, True, None),
        ("MCH", True, None),
        (0, True, None),
        (True, True, None),
    ],
)
def test_a_part_that_cannot_be_read_does_not_vanish(details: Any, unreadable: bool, paid_type: str | None) -> None:
    """A collection with an unreadable part is `unreadable`, and its `paid_type` is not that of the other parts."""
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"state": "USER_PAID", "details": details}})
    assert order.collection is not None
    assert (order.collection.unreadable, order.paid_type) == (unreadable, paid_type)
    assert order.raw["collection"]["details"] == details


def test_an_answer_cannot_say_that_it_is_readable() -> None:
    """`unreadable` is computed from `details`; a field of that name in the answer is ignored."""
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"unreadable": False, "details": None}})
    assert order.collection is not None
    assert order.collection.unreadable
    order = read({"out_order_no": "A", "state": "DONE", "collection": {"unreadable": True}})
    assert order.collection is not None
    assert not order.collection.unreadable


@pytest.mark.parametrize("collection", [None, "USER_PAID", [], [{"state": "USER_PAID"}], 0, True])
def test_a_collection_that_is_no_object_is_none_but_stands_in_raw(collection: Any) -> None:
    """A `collection` that is not an object is None, and differs from an absent one by `raw`."""
    order = read({"out_order_no": "A", "state": "DONE", "collection": collection})
    assert order.collection is None
    assert "collection" in order.raw
    assert "collection" not in read({"out_order_no": "A", "state": "DONE"}).raw


@pytest.mark.parametrize("amount", [None, "", "39.00", "-1", "٣٩", 39.0, True, [], {}, "9" * 19])
def test_an_amount_that_cannot_be_read_is_none(amount: Any) -> None:
    """An amount that cannot be read is None, never zero."""
    order = read({"out_order_no": "A", "state": "DONE", "total_amount": amount})
    assert order.total_amount is None
    assert "total_amount" in order.raw


@pytest.mark.parametrize("state", ["", None, 7, [], {"state": "DONE"}, True])
def test_an_answer_without_a_state_is_no_order(state: Any) -> None:
    """An answer without a state, or with an empty one, raises MalformedError."""
    with pytest.raises(wechatpay.MalformedError, match="no service order"):
        read({"out_order_no": "A", "state": state})
    with pytest.raises(wechatpay.MalformedError, match="no service order"):
        read({"out_order_no": "A"})


def test_words_that_people_read_are_cleaned_and_bounded() -> None:
    """Words and transaction numbers are cleaned and bounded; `raw` keeps them as they came."""
    rough = "\x1b[2J\u202e\n" + "9" * 500
    part = {"paid_type": rough, "transaction_id": rough}
    words = dict.fromkeys(("state", "state_description", "pay_type", "finish_transaction_id"), rough)
    order = read({"out_order_no": "A", **words, "collection": {"state": rough, "details": [part]}})
    assert order.collection is not None
    (detail,) = order.collection.details
    for word in (order.state, order.state_description, order.pay_type, order.collection_state, detail.paid_type):
        assert word == printable(rough, 64)
    for number in (order.finish_transaction_id, order.transaction_id, detail.transaction_id):
        assert number == printable(rough, 128)
    assert order.raw["state"] == rough


@pytest.mark.parametrize("name", ["mchid", "service_id", "sub_mchid", "appid"])
@pytest.mark.parametrize("other", ["another", "", None, 1230000109, ["1230000109"]])
def test_an_answer_that_contradicts_the_call_is_about_another_order(name: str, other: Any) -> None:
    """An answer that names another value than the call raises MalformedError; a field left out does not contradict."""
    identity = {"service_id": "S", "sub_mchid": "1900000109", "appid": "wx"}
    ours = {"out_order_no": "A", "state": "DONE", "mchid": "1230000109", **identity}
    assert read_order(answer(ours), "A", "1230000109", identity).raw == ours
    assert order_fields(answer({"out_order_no": "A"}), "A", "1230000109", identity) == {"out_order_no": "A"}
    with pytest.raises(wechatpay.MalformedError, match="about another order"):
        read_order(answer(ours | {name: other}), "A", "1230000109", identity)


@pytest.mark.parametrize("number", [None, "B", "a", "", 7])
def test_an_answer_names_its_order(number: Any) -> None:
    """An answer without the order's own number raises MalformedError."""
    with pytest.raises(wechatpay.MalformedError, match="about another order"):
        order_fields(answer({"out_order_no": number}), "A", "1230000109")
    with pytest.raises(wechatpay.MalformedError, match="about another order"):
        order_fields(answer({}), "A", "1230000109")


def test_a_name_without_blanks_wins_over_one_with() -> None:
    """Of a name with and without blanks around it, the one without counts."""
    assert read({"out_order_no": "A", "state": "DONE", " state": "DOING", "state ": "CREATED"}).state == "DONE"
    assert read({" out_order_no ": "A", "out_order_no": "A", "state ": "DONE"}).state == "DONE"


def test_an_order_of_unreadable_fields_is_an_order_of_none() -> None:
    """Every field has a reader, and an unreadable value of any field becomes its default."""
    unreadable: dict[str, Any] = {field.name: [] for field in fields(wechatpay.ServiceOrder)}
    order = read(unreadable | {"out_order_no": "A", "state": "DONE", "mchid": "1230000109"})
    values = {field.name: getattr(order, field.name) for field in fields(order) if field.name != "raw"}
    assert {name: value for name, value in values.items() if value} == {
        "out_order_no": "A",
        "state": "DONE",
        "mchid": "1230000109",
        "request_id": "08F5-0",
    }


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
_NAMES = ["collection", "post_payments", "post_discounts", "risk_fund", "time_range", "location", "total_amount"]
_NAMES += ["pay_type", "pay_succ_time", "finish_transaction_id", "currency", "mchid", "state_description"]
_STATES = st.sampled_from(["DONE", "USER_PAID"]) | st.text(max_size=80)
_ORDERS = st.fixed_dictionaries(
    {"out_order_no": st.just("A"), "state": _STATES},
    optional={name: _JSON | st.fixed_dictionaries({}, optional={"details": _JSON, "amount": _JSON}) for name in _NAMES},
)


@given(_ORDERS | _JSON)
def test_nothing_but_the_one_error_comes_out(body: Any) -> None:
    """Any signed JSON is an order or a MalformedError, and every property of such an order can be read."""
    try:
        order = read_order(answer(body), "A", "1230000109")
    except wechatpay.MalformedError:
        return
    details = order.collection.details if order.collection else ()
    assert all(detail.paid_at is None or detail.paid_at.tzinfo for detail in details)
    moments = order.paid_moments
    assert all(moment.tzinfo for moment in moments)
    assert order.paid_at == (max(moments) if moments else None)
    assert order.state == printable(order.raw["state"], 64)
    assert hash(order)
