"""Every shape that a till may send, and every way in which it may be wrong."""

import json
import traceback
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from orders.errors import MalformedEventError
from orders.event import BODY_LIMIT, Message, read
from orders.order import Payment, Reporter

NOW = 1_767_240_000.0  # 2026-01-01T12:00:00+08:00
PAYLOAD: dict[str, Any] = {"mchid": "1230000109", "out_order_no": "A_1-|*", "detail": {"paid_time": "20260101110000"}}


def a_body(**changes: Any) -> str:
    """A payload with other values; `detail__x` changes a field of the detail, `...` takes a field out."""
    payload = json.loads(json.dumps(PAYLOAD))
    for name, value in changes.items():
        target, field = (payload["detail"], name[8:]) if name.startswith("detail__") else (payload, name)
        if value is ...:
            target.pop(field)
        else:
            target[field] = value
    return json.dumps(payload)


def test_a_payload_alone_is_read() -> None:
    """As a till sends it to the queue; the SQS message is who reported it."""
    event = read(Message("m1", a_body()), NOW)
    assert event.payment == Payment("1230000109", "A_1-|*", "20260101110000")
    assert event.reporter == Reporter("m1", "m1", "sqs")


def test_a_whole_eventbridge_event_is_read() -> None:
    """Its id is the trace, its source is kept."""
    event = {"id": "e1", "source": "pos.till", "detail-type": "Order_Paid", "detail": PAYLOAD}
    assert read(Message("m1", json.dumps(event)), NOW).reporter == Reporter("m1", "e1", "pos.till")


def test_an_event_id_of_the_tills_own_goes_first() -> None:
    """Before EventBridge's and before the message's."""
    assert read(Message("m1", a_body(event_id="till-7")), NOW).reporter.event_id == "till-7"


def test_every_field_of_ours_is_passed_on() -> None:
    """And what is not ours is ignored."""
    body = a_body(
        appid="wx1",
        service_id="500001",
        type="Order_Paid",
        endpoint="partner",
        sub_mchid="1900000109",
        channel_id="c1",
        detail__seq=2,
        detail__paid_amount=3900,
        cashier="Wang",
    )
    assert read(Message("m1", body), NOW).payment == Payment(
        "1230000109", "A_1-|*", "20260101110000", "wx1", "500001", "partner", "1900000109", "c1", 2, 3900
    )


@pytest.mark.parametrize(
    ("given", "beijing"),
    [
        ("20260101110000", "20260101110000"),
        ("20260101", "20260101"),
        ("2026-01-01T11:00:00+08:00", "20260101110000"),
        ("2026-01-01T03:00:00Z", "20260101110000"),
        ("2026-01-01t03:00:00.999z", "20260101110000"),
        ("2025-12-31T22:00:00-05:00", "20260101110000"),
        ("2026-01-01 08:45:00+05:45", "20260101110000"),
        ("0999-12-31T16:00:00Z", "10000101000000"),
        ("0998-12-31T16:00:00Z", "09990101000000"),
        ("2026-01-01T12:01:00+08:00", "20260101120100"),
    ],
)
def test_a_time_of_payment_is_told_in_beijing_time(given: str, beijing: str) -> None:
    """Converted where it has an offset, as it is otherwise; up to 60 s may lie in the future."""
    assert read(Message("m1", a_body(detail__paid_time=given)), NOW).payment.paid_time == beijing


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "body"),
        ("paid: 4711", "body"),
        ("[]", "body"),
        ('"text"', "body"),
        ("4711", "body"),
        ("null", "body"),
        ("NaN", "body"),
        ('{"mchid": Infinity}', "body"),
        ("[" * 100_000, "body"),
        ('{"a":' + "1" * 5000 + "}", "body"),
        (json.dumps({**PAYLOAD, "note": "x" * BODY_LIMIT}), "body"),
        (json.dumps({"detail-type": "Order_Refunded", "detail": PAYLOAD}), "detail-type"),
        (json.dumps({"detail-type": "Order_Paid", "detail": "text"}), "detail"),
        (json.dumps({"detail-type": "Order_Paid"}), "detail"),
        (json.dumps({"detail-type": None, "detail": PAYLOAD}), "detail-type"),
        (json.dumps({"detail-type": "Order_Paid", "id": 7, "detail": PAYLOAD}), "id"),
        (json.dumps({"detail-type": "Order_Paid", "source": None, "detail": PAYLOAD}), "source"),
        (a_body(mchid=...), "mchid"),
        (a_body(mchid=None), "mchid"),
        (a_body(mchid=1230000109), "mchid"),
        (a_body(mchid="shop"), "mchid"),
        (a_body(mchid=""), "mchid"),
        (a_body(mchid="1" * 33), "mchid"),
        (a_body(mchid="１２３"), "mchid"),
        (a_body(out_order_no=...), "out_order_no"),
        (a_body(out_order_no="a/b"), "out_order_no"),
        (a_body(out_order_no="a" * 33), "out_order_no"),
        (a_body(out_order_no="单号"), "out_order_no"),
        (a_body(appid=None), "appid"),
        (a_body(appid="😀"), "appid"),
        (a_body(appid="\ud800"), "appid"),
        (a_body(appid=""), "appid"),
        (a_body(appid="x" * 33), "appid"),
        (a_body(service_id=7), "service_id"),
        (a_body(type="Order_Refunded"), "type"),
        (a_body(type=None), "type"),
        (a_body(endpoint="moon"), "endpoint"),
        (a_body(endpoint=["direct"]), "endpoint"),
        (a_body(sub_mchid=1900000109), "sub_mchid"),
        (a_body(channel_id=None), "channel_id"),
        (a_body(event_id=None), "event_id"),
        (a_body(event_id="x" * 129), "event_id"),
        (a_body(detail=...), "detail"),
        (a_body(detail=None), "detail"),
        (a_body(detail=[]), "detail"),
        (a_body(detail__paid_time=...), "detail.paid_time"),
        (a_body(detail__paid_time=None), "detail.paid_time"),
        (a_body(detail__paid_time=20260101110000), "detail.paid_time"),
        (a_body(detail__paid_time="yesterday"), "detail.paid_time"),
        (a_body(detail__paid_time="2026-01-01T11:00:00"), "detail.paid_time"),
        (a_body(detail__paid_time="2026-01-01T11:00:00+08:60"), "detail.paid_time"),
        (a_body(detail__paid_time="2026-01-01T11:00:00+24:00"), "detail.paid_time"),
        (a_body(detail__paid_time="20260230110000"), "detail.paid_time"),
        (a_body(detail__paid_time="20260101250000"), "detail.paid_time"),
        (a_body(detail__paid_time="2026-02-30T11:00:00Z"), "detail.paid_time"),
        (a_body(detail__paid_time="0001-01-01T00:00:00+14:00"), "detail.paid_time"),
        (a_body(detail__paid_time="2026-01-01T12:01:01+08:00"), "detail.paid_time"),
        (a_body(detail__paid_time="21260101"), "detail.paid_time"),
        (a_body(detail__seq="1"), "detail.seq"),
        (a_body(detail__seq=True), "detail.seq"),
        (a_body(detail__seq=0), "detail.seq"),
        (a_body(detail__seq=2**31), "detail.seq"),
        (a_body(detail__seq=None), "detail.seq"),
        (a_body(detail__paid_amount=-1), "detail.paid_amount"),
        (a_body(detail__paid_amount=39.5), "detail.paid_amount"),
    ],
)
def test_what_cannot_be_read_is_refused_by_field(body: str, field: str) -> None:
    """One clear line with the field and a remedy; nothing of the body is repeated."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", body), NOW)
    error = caught.value
    assert error.field == field
    assert str(error) == f"{field}: {error.problem}; {error.remedy}"
    assert error.problem
    assert error.remedy
    assert "\n" not in str(error)


OPENID = "oUpF8uMuAJO-M2pxb1Q9zNjWeS6o-and-more"


@pytest.mark.parametrize(
    "body",
    [
        OPENID,
        json.dumps([OPENID]),
        json.dumps({"detail-type": OPENID}),
        json.dumps({"detail-type": "Order_Paid", "id": [OPENID]}),
        *(a_body(**{name: OPENID}) for name in ("mchid", "out_order_no", "type", "appid", "service_id", "endpoint")),
        *(a_body(**{name: OPENID}) for name in ("sub_mchid", "channel_id", "detail")),
        a_body(event_id=OPENID * 4),
        *(a_body(**{f"detail__{name}": OPENID}) for name in ("paid_time", "seq", "paid_amount")),
    ],
)
def test_a_value_is_never_repeated(body: str) -> None:
    """The reason goes into the log, and into tracebacks; the value, which may belong to a customer, into neither."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", body), NOW)
    assert OPENID[:8] not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mchid", "1"),
        ("mchid", "1" * 32),
        ("appid", "w"),
        ("appid", "w" * 32),
        ("event_id", "e" * 128),
        ("detail__seq", 1),
        ("detail__seq", 2_147_483_647),
        ("detail__paid_amount", 0),
        ("detail__paid_amount", 2_147_483_647),
    ],
)
def test_the_last_value_within_a_border_is_taken(name: str, value: Any) -> None:
    """On both sides of what is allowed."""
    assert read(Message("m1", a_body(**{name: value})), NOW).payment.out_order_no == "A_1-|*"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("mchid", "1" * 33, "mchid: is not 1 to 32 characters long"),
        ("appid", "", "appid: is not 1 to 32 characters long"),
        ("appid", "w" * 33, "appid: is not 1 to 32 characters long"),
        ("event_id", "e" * 129, "event_id: is not 1 to 128 characters long"),
        ("detail__seq", 0, "detail.seq: is not an integer from 1 to 2147483647"),
        ("detail__seq", 2_147_483_648, "detail.seq: is not an integer from 1 to 2147483647"),
        ("detail__paid_amount", -1, "detail.paid_amount: is not an integer from 0 to 2147483647"),
        ("detail__paid_amount", 2_147_483_648, "detail.paid_amount: is not an integer from 0 to 2147483647"),
    ],
)
def test_the_first_value_beyond_a_border_is_refused(name: str, value: Any, told: str) -> None:
    """And the border is named."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", a_body(**{name: value})), NOW)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(("length", "read_"), [(256, True), (257, False)])
def test_a_source_is_as_long_as_eventbridge_allows(length: int, read_: bool) -> None:
    """256 characters."""
    event = {"id": "e1", "source": "s" * length, "detail-type": "Order_Paid", "detail": PAYLOAD}
    if read_:
        assert read(Message("m1", json.dumps(event)), NOW).reporter.source == "s" * length
    else:
        with pytest.raises(MalformedEventError, match="source: is not 1 to 256"):
            read(Message("m1", json.dumps(event)), NOW)


def test_what_was_read_does_not_change() -> None:
    """Neither a delivery nor what it told; a delivery is the first unless somebody counted."""
    message = Message("m1", a_body())
    assert (message.receive_count, message.receipt_handle) == (1, None)
    for value in (message, read(message, NOW)):
        assert not hasattr(value, "__dict__")
        with pytest.raises(FrozenInstanceError):
            setattr(value, value.__slots__[0], None)


def test_a_body_of_64_kb_is_the_most() -> None:
    """Counted in bytes of UTF-8, not in characters."""
    rest = BODY_LIMIT - len(a_body(note="").encode())
    assert read(Message("m1", a_body(note="x" * rest)), NOW).payment.out_order_no == "A_1-|*"
    body = json.dumps(PAYLOAD | {"note": "单" * (BODY_LIMIT // 3)}, ensure_ascii=False)
    assert len(body) < BODY_LIMIT
    with pytest.raises(MalformedEventError, match=r"^body: is over 65536 bytes; "):
        read(Message("m1", body), NOW)
