"""Every form of a till's event, and every fault in it."""

import base64
import json
import traceback
from typing import Any

import pytest

from orders.envelope import BODY_LIMIT
from orders.errors import MalformedEventError
from orders.event import Message, read
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
    """A payload sent to the queue has the message id as its event id and `sqs` as its source."""
    event = read(Message("m1", a_body()), NOW)
    assert event.payment == Payment("1230000109", "A_1-|*", "20260101110000")
    assert event.reporter == Reporter("m1", "m1", "sqs")


def test_a_whole_eventbridge_event_is_read() -> None:
    """An EventBridge event's id and source are kept."""
    event = {"id": "e1", "source": "pos.till", "detail-type": "Order_Paid", "detail": PAYLOAD}
    assert read(Message("m1", json.dumps(event)), NOW).reporter == Reporter("m1", "e1", "pos.till")


def test_the_payloads_event_id_takes_precedence() -> None:
    """The payload's own event id takes precedence over those of EventBridge and SQS."""
    assert read(Message("m1", a_body(event_id="till-7")), NOW).reporter.event_id == "till-7"


def an_sns_envelope(inside: Any, **changes: Any) -> str:
    """What SNS delivers to a queue without raw message delivery; `...` takes a member out."""
    envelope = {
        "Type": "Notification",
        "MessageId": "sns-1",
        "TopicArn": "arn:aws-cn:sns:cn-north-1:123456789012:payments",
        "Message": inside if isinstance(inside, str) else json.dumps(inside),
        "Timestamp": "2026-01-01T04:00:01.000Z",
        "SignatureVersion": "1",
    } | changes
    return json.dumps({name: value for name, value in envelope.items() if value is not ...})


BUS_EVENT = {"id": "e1", "source": "pos.till", "detail-type": "Order_Paid", "detail": PAYLOAD}


@pytest.mark.parametrize(
    ("body", "event_id", "source"),
    [
        (an_sns_envelope(PAYLOAD), "sns-1", "sns:payments"),
        (an_sns_envelope(PAYLOAD | {"event_id": "till-7"}), "till-7", "sns:payments"),
        (an_sns_envelope(BUS_EVENT), "e1", "pos.till"),
        (an_sns_envelope(BUS_EVENT, MessageId=...), "e1", "pos.till"),
        (an_sns_envelope({**BUS_EVENT, "id": " "}), "sns-1", "pos.till"),
        (an_sns_envelope(PAYLOAD, MessageId=..., TopicArn=...), "m1", "sns"),
        (an_sns_envelope(PAYLOAD, MessageId=7, TopicArn=None), "m1", "sns"),
        (an_sns_envelope(PAYLOAD, MessageId="x" * 500, TopicArn=":" + "t" * 500), "x" * 128, "sns:" + "t" * 252),
        (an_sns_envelope(json.dumps({**PAYLOAD, "note": "\U0001f600"}, ensure_ascii=False)), "sns-1", "sns:payments"),
        (a_body(Type="Notification", Message="hello"), "m1", "sqs"),
        (an_sns_envelope(PAYLOAD | {"Type": "Notification", "detail-type": "x"}), "sns-1", "sns:payments"),
        (a_body(**{"detail-type": "Order_Refunded", "id": 7, "Records": [], "body": None}), "m1", "sqs"),
    ],
)
def test_an_sns_envelope_is_unwrapped(body: str, event_id: str, source: str) -> None:
    """SNS may deliver a payload or an EventBridge event; a payload with members of an envelope is a payload."""
    event = read(Message("m1", body), NOW)
    assert event.payment == Payment("1230000109", "A_1-|*", "20260101110000")
    assert event.reporter == Reporter("m1", event_id, source)


NO_TIME = PAYLOAD | {"detail": {"paid_time": "yesterday"}}
NO_MCHID = {name: value for name, value in PAYLOAD.items() if name != "mchid"}


@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (json.dumps, ""),
        (lambda payload: json.dumps({**BUS_EVENT, "detail": payload}), "detail."),
        (an_sns_envelope, "Message."),
        (lambda payload: an_sns_envelope({**BUS_EVENT, "detail": payload}), "Message.detail."),
    ],
    ids=["payload", "EventBridge", "SNS", "EventBridge by SNS"],
)
@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (NO_MCHID, "mchid"),
        (NO_TIME, "detail.paid_time"),
        (PAYLOAD | {"detail": {"paid_time": "20260101110000", "seq": 0}}, "detail.seq"),
        (PAYLOAD | {"event_id": None}, "event_id"),
        (PAYLOAD | {"appid": "\u202e"}, "appid"),
        (PAYLOAD | {"detail": 7}, "detail"),
    ],
    ids=["mchid", "paid_time", "seq", "event_id", "appid", "detail"],
)
def test_a_field_is_named_by_the_path_in_which_it_was_sent(wrap: Any, path: str, payload: Any, field: str) -> None:
    """An error names a field by its path from the body as it was sent."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", wrap(payload)), NOW)
    assert caught.value.field == path + field


@pytest.mark.parametrize(
    ("body", "event_id"),
    [
        (json.dumps(NO_TIME | {"event_id": "till-7"}), "till-7"),
        (json.dumps({**BUS_EVENT, "detail": NO_TIME}), "e1"),
        (json.dumps({**BUS_EVENT, "detail": NO_TIME | {"event_id": "x" * 129}}), "e1"),
        (an_sns_envelope(NO_TIME), "sns-1"),
        (json.dumps(NO_TIME), "m1"),
        ("nonsense", ""),
    ],
)
def test_an_error_has_the_events_id(body: str, event_id: str) -> None:
    """An error has the event's id if it could be read, so that a search for it leads to the log line."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", body), NOW)
    assert caught.value.event_id == event_id


@pytest.mark.parametrize(
    ("sent_at", "paid_time", "readable"),
    [
        (NOW - 7200, "20260101110000", False),
        (NOW - 7200, "20260101100100", True),
        (NOW - 7200, "20260101100101", False),
        (NOW + 7200, "20260101140000", True),
        (None, "20260101120100", True),
        (None, "20260101120101", False),
        (1_523_232_000.0, "20260101120100", True),  # of AWS's sample event: years old, as no message of SQS is
        (1_523_232_000.0, "20260101120101", False),
    ],
)
def test_the_future_is_judged_by_when_the_message_was_sent(sent_at: float, paid_time: str, readable: bool) -> None:
    """A time counts as future by the message's SentTimestamp, or by now if that is not known."""
    message = Message("m1", a_body(detail__paid_time=paid_time), sent_at=sent_at)
    if readable:
        assert read(message, NOW).payment.paid_time == paid_time
        return
    with pytest.raises(MalformedEventError, match="lies in the future"):
        read(message, NOW)


def test_a_broken_record_is_refused_whatever_its_body_holds() -> None:
    """A broken record raises the error that its reader has attached."""
    reason = MalformedEventError("attributes", "is not an object", "")
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", a_body(), unreadable=reason), NOW)
    assert caught.value is reason


BASE64 = base64.b64encode(a_body().encode()).decode()
A_RECORD = {"messageId": "m1", "body": a_body(), "eventSource": "aws:sqs"}


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        (json.dumps(a_body()), "body", "JSON text inside JSON text"),
        (an_sns_envelope(json.dumps(a_body())), "Message", "JSON text inside JSON text"),
        (json.dumps({**BUS_EVENT, "detail": a_body()}), "detail", "is JSON text, not an object"),
        (a_body(detail='{"paid_time": "20260101110000"}'), "detail", "is JSON text, not an object"),
        (BASE64, "body", "is base64"),
        (an_sns_envelope(BASE64), "Message", "is base64"),
        (f"[{a_body()}]", "body", "each payload as one message"),
        (
            json.dumps({"version": "2.0", "routeKey": "$default", "requestContext": {}, "body": a_body()}),
            "body",
            "HTTP",
        ),
        (json.dumps({"httpMethod": "POST", "body": a_body(), "isBase64Encoded": False}), "body", "HTTP"),
        (json.dumps({"requestContext": {}, "requestPayload": PAYLOAD}), "body", "failed invocation"),
        (json.dumps({"Records": [A_RECORD]}), "body", "is a list of Records; send the body"),
        (json.dumps({"Records": []}), "body", "is a list of Records"),
        (json.dumps({"Records": [{"eventSource": "aws:s3", "s3": {}}]}), "body", "Records of aws:s3"),
        (an_sns_envelope({"Records": [{"eventSource": "aws:s3", "s3": {}}]}), "Message", "Records of aws:s3"),
        (json.dumps({"Records": [{"eventSource": "x" * 99}]}), "body", "Records of an unknown source"),
        (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"}), "body", "test event"),
        (json.dumps(A_RECORD), "body", "is a message inside a message"),
        (json.dumps({"MessageId": "m1", "Body": a_body()}), "body", "is an SQS message inside a message"),
        (json.dumps({"Source": "pos.x", "DetailType": "Order_Paid", "Detail": a_body()}), "body", "PutEvents"),
        (json.dumps({"Entries": []}), "body", "PutEvents"),
        (json.dumps({**BUS_EVENT, "detail": BUS_EVENT}), "detail", "EventBridge event inside another"),
        (an_sns_envelope(an_sns_envelope(PAYLOAD)), "Message", "is an SNS envelope"),
        (json.dumps({"specversion": "1.0", "data": PAYLOAD}), "body", "CloudEvent"),
        (an_sns_envelope(PAYLOAD, Type="SubscriptionConfirmation"), "Type", "confirmation of SNS"),
        (an_sns_envelope(PAYLOAD, Type="UnsubscribeConfirmation"), "Type", "confirmation of SNS"),
        (an_sns_envelope(PAYLOAD, Message=...), "Message", "is not a string"),
        (an_sns_envelope(PAYLOAD, Message=PAYLOAD), "Message", "is not a string"),
        (an_sns_envelope("hello"), "Message", "is not JSON"),
        (an_sns_envelope("[1]"), "Message", "is not a JSON object"),
        (an_sns_envelope({**BUS_EVENT, "detail-type": "Scheduled Event"}), "Message.detail-type", "is not Order_Paid"),
        (json.dumps({"Type": ["Notification"]}), "mchid", "is missing"),
    ],
)
def test_an_error_names_the_mistake(body: str, field: str, text: str) -> None:
    """The error names the mistake, its place and what to send, and repeats none of the values."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", body), NOW)
    assert caught.value.field == field
    assert text in str(caught.value)
    assert "1230000109" not in str(caught.value)


def test_a_byte_order_mark_is_ignored() -> None:
    """A byte order mark before the JSON is ignored."""
    assert read(Message("m1", "\ufeff" + a_body()), NOW).payment.mchid == "1230000109"


def test_the_last_value_of_a_repeated_key_counts() -> None:
    """The last value of a repeated key counts, as in most JSON readers."""
    body = a_body().replace("{", '{"mchid": "1", ', 1)
    assert read(Message("m1", body), NOW).payment.mchid == "1230000109"


@pytest.mark.parametrize("name", ["appid", "service_id", "sub_mchid", "channel_id"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("wx\x1b[2J", "has a control, zero-width or direction character"),
        ("wx\n", "has a control, zero-width or direction character"),
        ("wx\x9b", "has a control, zero-width or direction character"),
        ("wx\u202e1", "has a control, zero-width or direction character"),
        ("wx\u2066", "has a control, zero-width or direction character"),
        ("wx\u200b", "has a control, zero-width or direction character"),
        ("\ufeffwx", "has a control, zero-width or direction character"),
        ("wx\u2028", "has a control, zero-width or direction character"),
        (" wx", "begins or ends with a blank"),
        ("wx ", "begins or ends with a blank"),
        ("wx\u3000", "begins or ends with a blank"),
        (" ", "begins or ends with a blank"),
        ("wx\ud83d", "has a character of 4 bytes"),
        ("\U0001f600", "has a character of 4 bytes"),
    ],
)
def test_an_identifier_with_invisible_characters_is_refused(name: str, value: str, problem: str) -> None:
    """An identifier with invisible characters or outer blanks is refused before it reaches WeChat Pay, item or log."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", a_body(**{name: value})), NOW)
    assert (caught.value.field, caught.value.problem) == (name, problem)


@pytest.mark.parametrize(
    ("event_id", "label"),
    [
        ("till\x1b[2J7", "till [2J7"),
        ("till-7\nlevel=INFO synced", "till-7 level=INFO synced"),
        ("\u202e7-llit", "7-llit"),
        (" till-7 ", "till-7"),
        ("\n\t", "m1"),
    ],
)
def test_a_label_is_cleaned_where_it_enters(event_id: str, label: str) -> None:
    """Control characters are taken out of the event id and the source, and the payment is read."""
    assert read(Message("m1", a_body(event_id=event_id)), NOW).reporter.event_id == label
    event = {**BUS_EVENT, "id": event_id, "source": "pos.\x1btill\u202e"}
    assert read(Message("m1", json.dumps(event)), NOW).reporter == Reporter("m1", label, "pos. till")


@pytest.mark.parametrize("note", ["\ud800", "\U0001f600", "\x1b[2J", None, [1e300], {"mchid": "7"}])
def test_an_unknown_field_may_hold_anything(note: Any) -> None:
    """An unknown field is ignored, in the payload, its detail and its envelope."""
    payload = PAYLOAD | {"note": note, "detail": PAYLOAD["detail"] | {"note": note}}
    for body in (json.dumps(payload), json.dumps({**BUS_EVENT, "detail": payload, "account": note})):
        assert read(Message("m1", body), NOW).payment == Payment("1230000109", "A_1-|*", "20260101110000")
    assert read(Message("m1", an_sns_envelope(payload, Subject=note)), NOW).payment.mchid == "1230000109"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400, "1" * 5000, "NaN", "-Infinity", "1.5", "-0.5"])
def test_a_number_out_of_range_is_refused(number: str) -> None:
    """A number out of range is an error of its field, or of the body if Python's JSON reader refuses it."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", a_body(detail__seq="#").replace('"#"', number)), NOW)
    readable = number not in {"NaN", "-Infinity"} and len(number) < 5000
    assert caught.value.field == ("detail.seq" if readable else "body")


def test_a_message_does_not_show_its_body() -> None:
    """The repr of a message shows neither its body nor its receipt handle."""
    assert repr(Message("m1", "oUpF8uMuAJO", 1, "AQEB")) == (
        "Message(message_id='m1', receive_count=1, sent_at=None, unreadable=None)"
    )


def test_every_field_of_the_contract_is_read() -> None:
    """Every field of the contract is in the payment, and no other."""
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
    ("paid_time", "beijing"),
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
def test_a_time_of_payment_is_converted_to_beijing_time(paid_time: str, beijing: str) -> None:
    """A time with an offset is converted to Beijing time; digits are passed on; 60 s ahead are accepted."""
    assert read(Message("m1", a_body(detail__paid_time=paid_time)), NOW).payment.paid_time == beijing


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
def test_an_unreadable_event_is_refused_by_field(body: str, field: str) -> None:
    """An unreadable event is one line with the field and a remedy, and nothing of the body."""
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
    """Neither the error nor its traceback shows a value, which may belong to a customer."""
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
def test_the_last_value_within_a_limit_is_accepted(name: str, value: Any) -> None:
    """The smallest and the largest allowed value are accepted."""
    assert read(Message("m1", a_body(**{name: value})), NOW).payment.out_order_no == "A_1-|*"


@pytest.mark.parametrize(
    ("name", "value", "text"),
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
def test_the_first_value_beyond_a_limit_is_refused(name: str, value: Any, text: str) -> None:
    """The first value beyond a limit is refused, and the error names the limit."""
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", a_body(**{name: value})), NOW)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(("length", "read_"), [(256, True), (257, False)])
def test_a_source_is_as_long_as_eventbridge_allows(length: int, read_: bool) -> None:
    """A source may have 256 characters."""
    event = {"id": "e1", "source": "s" * length, "detail-type": "Order_Paid", "detail": PAYLOAD}
    if read_:
        assert read(Message("m1", json.dumps(event)), NOW).reporter.source == "s" * length
    else:
        with pytest.raises(MalformedEventError, match="source: is not 1 to 256"):
            read(Message("m1", json.dumps(event)), NOW)


def test_messages_and_payments_are_frozen() -> None:
    """A message, a payment and a reporter are frozen; a message without a receive count is at its first receive."""
    message = Message("m1", a_body())
    assert (message.receive_count, message.receipt_handle) == (1, None)
    for value, field in ((message, "body"), (read(message, NOW), "payment")):
        assert not hasattr(value, "__dict__")
        with pytest.raises(AttributeError):
            setattr(value, field, None)


def test_the_limit_of_a_body_is_64_kb() -> None:
    """The limit of a body is 65,536 bytes of UTF-8, not characters."""
    rest = BODY_LIMIT - len(a_body(note="").encode())
    assert read(Message("m1", a_body(note="x" * rest)), NOW).payment.out_order_no == "A_1-|*"
    body = json.dumps(PAYLOAD | {"note": "单" * (BODY_LIMIT // 3)}, ensure_ascii=False)
    assert len(body) < BODY_LIMIT
    with pytest.raises(MalformedEventError, match=r"^body: is over 65536 bytes; "):
        read(Message("m1", body), NOW)
