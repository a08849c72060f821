"""The payload's JSON Schema and the parser accept the same payloads."""

import copy
import hashlib
import json
import os
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orders.envelope import BODY_LIMIT
from orders.errors import MalformedEventError
from orders.event import Message, read
from orders.fields import Fields
from sandbox.testbed import EVENTS
from wechatpay.endpoints import ENDPOINTS

SCHEMA = json.loads((EVENTS / "order_paid.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
FILES = sorted(path for path in EVENTS.glob("*.json") if not path.name.endswith(".schema.json"))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
NOW = 1_767_300_000.0  # 2026-01-01T20:40:00Z

A_PAYLOAD: dict[str, Any] = {
    "mchid": "1230000109",
    "out_order_no": "A-1",
    "type": "Order_Paid",
    "appid": "wx1",
    "service_id": "500001",
    "endpoint": "direct",
    "sub_mchid": "1900000109",
    "channel_id": "c",
    "event_id": "e",
    "detail": {"paid_time": "20260101120000", "seq": 1, "paid_amount": 100},
}
TIMES = st.one_of(
    st.sampled_from(["20260101120000", "20260101", "2026-01-01T12:00:00+08:00", "2026-01-01t04:00:00.123z"]),
    st.sampled_from(["2026-01-01 12:00:00Z", "2026-01-01T12:00:00", "2026-01-01T12:00+08:00", "2026010112", "", "now"]),
    st.sampled_from(["2026-01-01T12:00:00+0800", "2026-01-01T12:00:00+08:60", "2026-01-01T12:00:00.Z", " 20260101"]),
    st.from_regex(
        r"2025-(0[1-9]|1[0-2])-(0[1-9]|1\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]0\d:[0-5]\d)",
        fullmatch=True,
    ),
    st.from_regex(r"2025(0[1-9]|1[0-2])(0[1-9]|1\d)(([01]\d|2[0-3])[0-5]\d[0-5]\d)?", fullmatch=True),
    st.text(max_size=40),
)
WORDS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="0123456789abc_-|*", max_size=40),
    st.text(alphabet="0123456789", max_size=33),
    st.sampled_from(["Order_Paid", "order_paid", *ENDPOINTS, "１２３", "1\n", "😀", "\ud800", "a" * 128, "a" * 129]),
)
VALUES = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.integers(2**31 - 2, 2**31 + 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.builds(list),
    st.builds(dict),
)
LINE_ENDS = ["1\n", "1\r", "1\u2028", "\n1"]
IDENTIFIERS = [
    "",
    "x",
    "x" * 32,
    "x" * 33,
    "单" * 32,
    "😀",
    "\ud800",
    "\udfff",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "a\nb\n",
    *("\x1b[2J", "a\u202eb", "a\u200b", "\ufeffa", "\x9b", "\u2028", "\u2066", "\u206f", "\u2070", "\u061c"),
    *(" a", "a ", "a b", " ", "\u3000a", "a\u00a0", "\u200aa", "a\u205f", "\u1680", "a\u202f"),
    None,
]
TIME = "2026-01-01T12:00:00"
LIMITS: dict[str, list[Any]] = {
    "mchid": ["", "1", "1" * 32, "1" * 33, "a", "１", *LINE_ENDS, None, 1],
    "out_order_no": ["", "a", "Z" * 32, "a" * 33, "09azAZ_-|*", *"/.+ `{[^@é单", *LINE_ENDS, None, 1],
    "type": ["Order_Paid", "Order_Paid\n", "order_paid", "", None, True],
    "endpoint": [*ENDPOINTS, "Direct", "direct\n", "", None, 1, ["direct"]],
    "appid": IDENTIFIERS,
    "service_id": [*IDENTIFIERS, 500001],
    "sub_mchid": IDENTIFIERS,
    "channel_id": IDENTIFIERS,
    "event_id": ["", "e", "e" * 128, "e" * 129, "\ud800", "😀", "单", None, 1],
    "detail": [{"paid_time": "20260101"}, {}, [], "20260101", None, 1],
    "detail.paid_time": [
        *("20260101120000", "20260101", "202601011", "2026010", "20260101120000\n", "20260101\n", "２０２６０１０１"),
        *(TIME + end for end in ("Z", "z", "+08:00", "-00:00", "+08:59", "+08:60", "+0800", "+08", "", "Z\n", " Z")),
        *(TIME + "." + "1" * digits + "Z" for digits in (0, 1, 6, 9, 11, 12)),
        *(
            "2026-01-01 12:00:00Z",
            "2026-01-01t12:00:00Z",
            "2026-01-01_12:00:00Z",
            "2026-01-01T12:00Z",
            "2026-1-1T12:00:00Z",
        ),
        *(
            "20260101T120000Z",
            "2026-W01-1T12:00:00Z",
            "２026-01-01T12:00:00Z",
            "2026-01-01T1２:00:00Z",
            "",
            None,
            20260101,
        ),
    ],
    "detail.seq": [0, 1, 1.0, 1.5, 2**31 - 1, 2**31, 2.0**31, -1, True, "1", None, 1e300],
    "detail.paid_amount": [-1, 0, -0.0, 0.5, 2**31 - 1, 2**31, False, "0", None, []],
}
TOP = [name for name in A_PAYLOAD if name != "detail"]


@st.composite
def payloads(draw: st.DrawFn) -> Any:
    """Draw a valid payload in which some fields are missing or have another value."""
    payload = copy.deepcopy(A_PAYLOAD)
    for name in draw(st.lists(st.sampled_from([*TOP, "detail", "unknown"]), max_size=3)):
        payload[name] = draw(VALUES)
    for name in draw(st.lists(st.sampled_from(list(payload)), max_size=4)):
        payload.pop(name, None)
    detail = payload.get("detail")
    if isinstance(detail, dict):
        for name in draw(st.lists(st.sampled_from(["paid_time", "seq", "paid_amount", "unknown"]), max_size=2)):
            detail[name] = draw(st.one_of(TIMES, VALUES)) if name == "paid_time" else draw(VALUES)
        if draw(st.booleans()):
            detail["paid_time"] = draw(TIMES)
    return payload


NOT_IN_A_SCHEMA = {"is a date or time that does not exist", "lies in the future"}


def _is_accepted(body: str) -> bool:
    """Return whether the parser accepts a body, apart from errors that a schema cannot express."""
    try:
        read(Message("m1", body), NOW)
    except MalformedEventError as error:
        return error.problem in NOT_IN_A_SCHEMA
    return True


def _with_value(name: str, value: object) -> dict[str, Any]:
    """Return the valid payload with another value; `detail.x` is a field of the detail."""
    payload = copy.deepcopy(A_PAYLOAD)
    target = payload["detail"] if name.startswith("detail.") else payload
    target[name.removeprefix("detail.")] = value
    return payload


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(payload=st.one_of(payloads(), payloads(), payloads(), VALUES))
def test_the_schema_accepts_what_the_parser_accepts(payload: Any) -> None:
    """Schema and parser agree on generated payloads, valid or invalid in any field."""
    assert VALIDATOR.is_valid(payload) == _is_accepted(json.dumps(payload))


@pytest.mark.parametrize("name", LIMITS)
def test_they_agree_on_every_limit(name: str) -> None:
    """Schema and parser agree on the values at and around each limit, each in an otherwise valid payload."""
    verdicts = set()
    for value in LIMITS[name]:
        payload = _with_value(name, value)
        assert VALIDATOR.is_valid(payload) == _is_accepted(json.dumps(payload)), value
        verdicts.add(VALIDATOR.is_valid(payload))
    assert verdicts == {True, False}


def test_they_agree_on_every_character_of_an_identifier() -> None:
    """Schema and parser agree on every character at the start, in the middle and at the end of an identifier."""
    identifier = SCHEMA["$defs"]["identifier"]
    allowed, refused = re.compile(identifier["pattern"]), re.compile(identifier["not"]["pattern"])
    for number in (*range(0x10000), 0x10000, 0x1F600, 0x10FFFF):
        for value in (f"{chr(number)}a", f"a{chr(number)}a", f"a{chr(number)}"):
            valid = bool(allowed.search(value)) and not refused.search(value)
            assert valid == _is_identifier(value), ascii(value)


def _is_identifier(value: str) -> bool:
    try:
        return Fields({"appid": value}).identifier("appid") == value
    except MalformedEventError:
        return False


def test_they_agree_on_what_is_required() -> None:
    """Schema and parser agree on which fields are required."""
    for name in TOP:
        payload = {key: value for key, value in A_PAYLOAD.items() if key != name}
        assert (
            VALIDATOR.is_valid(payload) == _is_accepted(json.dumps(payload)) == (name not in {"mchid", "out_order_no"})
        )
    for detail in ({"paid_time": "20260101"}, {"seq": 1}, {}):
        payload = A_PAYLOAD | {"detail": detail}
        assert VALIDATOR.is_valid(payload) == _is_accepted(json.dumps(payload)) == ("paid_time" in detail)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (A_PAYLOAD | {"detail": {"paid_time": "20260230120000"}}, "is a date or time that does not exist"),
        (A_PAYLOAD | {"detail": {"paid_time": "2025-02-29T12:00:00Z"}}, "is a date or time that does not exist"),
        (A_PAYLOAD | {"detail": {"paid_time": "20260103"}}, "lies in the future"),
        (A_PAYLOAD | {"detail": {"paid_time": "2026-01-01T20:41:01Z"}}, "lies in the future"),
        (A_PAYLOAD | {"note": "x" * BODY_LIMIT}, f"is over {BODY_LIMIT} bytes"),
    ],
)
def test_the_parser_refuses_what_the_schema_cannot(payload: dict[str, Any], problem: str) -> None:
    """The parser alone refuses dates that do not exist, times in the future, and long bodies."""
    assert VALIDATOR.is_valid(payload)
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", json.dumps(payload)), NOW)
    assert caught.value.problem == problem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_schema_and_the_parser_agree_on_an_event_file(path: Any) -> None:
    """Schema and parser agree on each record of an event file."""
    event = json.loads(path.read_text(encoding="utf-8"))
    bodies = (
        [record["body"] for record in _well_formed(event["Records"])] if "Records" in event else [json.dumps(event)]
    )
    for body in bodies:
        assert VALIDATOR.is_valid(_payload(body)) == _is_accepted(body)


def _payload(body: str) -> Any:
    """Return the value in the payload's place of a body; None if there is none."""
    try:
        value = json.loads(body)
        value = json.loads(value["Message"]) if "TopicArn" in value else value
    except (TypeError, ValueError):
        return None
    return value["detail"] if isinstance(value, dict) and "detail-type" in value else value


def _well_formed(records: list[Any]) -> list[dict[str, Any]]:
    """Return the records that are as SQS sends them."""
    return [
        record
        for record in records
        if record and isinstance(record.get("attributes"), dict) and {"body", "messageId"} <= record.keys()
    ]


def test_the_unreadable_file_has_each_kind_once() -> None:
    """The ten records of unreadable.json have ten different problems, each with its field."""
    event = json.loads((EVENTS / "unreadable.json").read_text(encoding="utf-8"))
    assert [_refusal(record["body"]) for record in event["Records"]] == [
        ("body", "is not JSON"),
        ("body", "is not a JSON object"),
        ("mchid", "is missing"),
        ("out_order_no", "has characters that WeChat Pay does not take"),
        ("appid", "is null"),
        ("detail.paid_time", "has no offset"),
        ("detail.paid_time", "is a date or time that does not exist"),
        ("detail.paid_time", "lies in the future"),
        ("mchid", "is not a string"),
        ("type", "is not one of the allowed words"),
    ]


def _refusal(body: str) -> tuple[str, str]:
    with pytest.raises(MalformedEventError) as caught:
        read(Message("m1", body), NOW)
    return caught.value.field, caught.value.problem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_event_file_is_as_lambda_delivers_it(path: Any) -> None:
    """An event file has complete SQS records with the MD5 of their bodies, or a complete EventBridge event."""
    event = json.loads(path.read_text(encoding="utf-8"))
    if "Records" not in event:
        assert VALIDATOR.is_valid(event["detail"])
        assert {"id", "source", "detail-type", "time", "account", "region", "resources"} <= event.keys()
        return
    records = _well_formed(event["Records"])
    assert path.name == "broken-records.json" or records == event["Records"]
    for record in records:
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
        assert record["eventSource"] == "aws:sqs"
        assert record["attributes"]["ApproximateReceiveCount"] == "1"
    identifiers = [record["messageId"] for record in records]
    assert len(set(identifiers)) == len(identifiers)


def test_each_story_has_orders_of_its_own() -> None:
    """No two event files share an order, so that they can be sent in any sequence."""
    orders: list[str] = []
    for path in set(FILES) - {EVENTS / "unreadable.json"}:
        orders += set(re.findall(r"out_order_no\W+([\w-]+)", path.read_text(encoding="utf-8")))
    assert len(orders) == len(set(orders)) > len(FILES)


def test_the_schema_is_documented() -> None:
    """The schema is valid, every field has a title and a description, and all examples are valid."""
    Draft202012Validator.check_schema(SCHEMA)
    properties = SCHEMA["properties"]
    detail = properties["detail"]["properties"]
    for field in [SCHEMA, *properties.values(), *detail.values()]:
        assert field["title"]
        assert field["description"].endswith(".")
    assert all(VALIDATOR.is_valid(payload) for payload in SCHEMA["examples"])
    for name, field in properties.items():
        assert all(VALIDATOR.is_valid(A_PAYLOAD | {name: value}) for value in field.get("examples", []))
    for name, field in detail.items():
        for value in field["examples"]:
            assert VALIDATOR.is_valid(A_PAYLOAD | {"detail": A_PAYLOAD["detail"] | {name: value}})
