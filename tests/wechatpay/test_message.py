"""The bytes that are signed and sent: written once, and refused by name where WeChat Pay would refuse them."""

import inspect
import json
import math
import re
import sys
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from wechatpay.message import answer_message, escape, json_bytes, query_string, request_message


def test_a_request_is_five_lines() -> None:
    """A request's message has five lines, each with a line end, also where the body ends with one."""
    assert request_message("POST", "/v3/x?y=1", "1554208460", "ABC", b'{"a":1}\n') == (
        b'POST\n/v3/x?y=1\n1554208460\nABC\n{"a":1}\n\n'
    )


def test_an_empty_body_leaves_its_line_end() -> None:
    """An empty body, of a GET or a 204, leaves one line end in the message."""
    assert request_message("GET", "/v3/x", "1554208460", "ABC", b"") == b"GET\n/v3/x\n1554208460\nABC\n\n"
    assert answer_message("1722850421", "abc", b"") == b"1722850421\nabc\n\n"


def test_an_answer_is_three_lines() -> None:
    """An answer's message has three lines with the body's bytes as they came, not decoded."""
    assert answer_message("1722850421", "abc", b"\xff\x00") == b"1722850421\nabc\n\xff\x00\n"


def test_a_body_is_compact_utf_8_in_the_order_given() -> None:
    """A body is compact UTF-8 in the order of its fields, written once for signing and sending."""
    assert json_bytes({"b": "充电宝", "a": [1, True, {"x": 1.5}]}) == '{"b":"充电宝","a":[1,true,{"x":1.5}]}'.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "json is null: leave the field out"),
        ({"detail": {"paid_time": None}}, "json.detail.paid_time is null: leave the field out"),
        ({"list": [1, None]}, "json.list[1] is null: leave the field out"),
        ({"tuple": (None,)}, "json.tuple[0] is null: leave the field out"),
        ({None: 1}, "json: a field's name is null"),
        ({"amount": math.nan}, "json.amount is not a number that JSON can hold"),
        ({"amount": [math.inf]}, "json.amount[0] is not a number that JSON can hold"),
        ({"name": "🔋"}, "json.name holds a character of four bytes"),
        ({"🔋": 1}, "json: a field's name holds a character of four bytes"),
        ({"name": "\U00010000"}, "json.name holds a character of four bytes"),
        ({"name": "\ud83d"}, "json.name holds half a character"),
        ({"name": chr(0xD800)}, "json.name holds half a character"),
        ({"name": chr(0xDFFF)}, "json.name holds half a character"),
        ({"name": "\uffff🔋"}, "json.name holds a character of four bytes"),
        ({"\udd0b": 1}, "json: a field's name holds half a character"),
    ],
)
def test_what_wechat_pay_does_not_take_is_named(value: Any, text: str) -> None:
    """A value that WeChat Pay refuses raises ValueError naming its place in the body (doc 4012081709)."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        json_bytes(value)


@pytest.mark.parametrize("value", [{"a": "null"}, {"nullable": 1}, {"null": "\uffff\ue000\ud7ff"}, {}, [], "x", 0])
def test_what_only_looks_like_it_is_taken(value: Any) -> None:
    """Characters of three bytes and the text `null` are accepted."""
    assert json.loads(json_bytes(value)) == value


def test_endless_and_foreign_values_are_refused() -> None:
    """A body that contains itself raises ValueError, one that JSON cannot hold TypeError."""
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = "充"
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, {"a": [endless]}, deep):
        with pytest.raises(ValueError, match=r"^json is nested too deeply, or holds itself$"):
            json_bytes(value)
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        json_bytes({"a": {1}})


def test_a_body_is_searched_without_pythons_stack() -> None:
    """A nested body is written although the caller's own calls have nearly filled Python's stack."""
    body: Any = ["充电宝", {"a": ["null"]}]
    for _ in range(90):
        body = {"a": [body]}

    def deeper(frames: int) -> bytes:
        return json_bytes(body) if frames == 0 else deeper(frames - 1)

    depth = len(inspect.stack(context=0))
    encoder = 0 if sys.version_info >= (3, 12) else 200  # until 3.11 C recursion counts as calls of Python
    assert json.loads(deeper(sys.getrecursionlimit() - depth - 40 - encoder)) == body


def test_a_wide_body_that_holds_itself_is_refused_in_time() -> None:
    """A wide body that contains itself is refused without following all of its paths."""
    wide: list[Any] = ["充"]
    wide += [wide] * 10
    with pytest.raises(ValueError, match=r"^json is nested too deeply, or holds itself$"):
        json_bytes(wide)


JSON = st.recursive(
    st.booleans() | st.integers() | st.text() | st.floats() | st.none(),
    lambda members: st.lists(members, max_size=4) | st.dictionaries(st.text(max_size=4), members, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_body_says_what_was_meant_or_is_refused(value: Any) -> None:
    """Any JSON value is written so that it reads back equal, or is refused."""
    try:
        body = json_bytes(value)
    except ValueError:
        return
    assert json.loads(body) == value
    assert body.decode() == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert all(ord(sign) <= 0xFFFF for sign in body.decode())


def test_a_query_is_encoded_once_in_the_order_given() -> None:
    """A query is encoded once, in the order of its parameters; a list repeats its name."""
    params = {"service_id": "500001", "name": "充电 宝&=", "n": [1, "2"], "flag": True, "off": False, "empty": ""}
    assert query_string(params) == (
        "service_id=500001&name=%E5%85%85%E7%94%B5%20%E5%AE%9D%26%3D&n=1&n=2&flag=true&off=false&empty="
    )


@pytest.mark.parametrize("value", [None, 1.5, {"a": 1}, b"x", [None], [[1]]])
def test_a_query_takes_text_numbers_and_booleans(value: Any) -> None:
    """A query parameter that is not text, a whole number or a boolean raises ValueError."""
    with pytest.raises(ValueError, match=r"^params\['service_id'\] must be text, a whole number or a boolean, not "):
        query_string({"service_id": value})


def test_half_a_character_in_a_query_is_told() -> None:
    """A lone surrogate in a query raises ValueError naming the parameter."""
    with pytest.raises(ValueError, match=r"^params\['name'\] holds half a character"):
        query_string({"name": "\ud83d"})


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_an_escaped_value_reads_as_it_was(text: str) -> None:
    """An escaped value decodes to the same text and contains nothing that ends a segment, a query or a line."""
    assert unquote(escape(text)) == text
    assert set(escape(text)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%*-_.~")


@given(segment=TEXT.filter(lambda text: text not in {"", ".", ".."}), params=st.dictionaries(TEXT, TEXT, min_size=1))
def test_no_http_library_changes_what_was_signed(segment: str, params: dict[str, str]) -> None:
    """An HTTP library sends path and query exactly as they were signed, `|` and `*` included."""
    target = f"/v3/x/{escape(segment)}/sync?{query_string(params)}"
    request = requests.Request("GET", f"https://api.mch.weixin.qq.com{target}").prepare()
    assert request.path_url == target
    assert dict(parse_qsl(target.partition("?")[2], keep_blank_values=True)) == params
