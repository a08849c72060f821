"""A verified answer: the bytes as they came, decoded on demand."""

import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from wechatpay.answer import Answer
from wechatpay.errors import MalformedError


def answered(content: bytes, status: int = 200) -> Answer:
    """An answer with this body."""
    headers = CaseInsensitiveDict({"Request-ID": "08F5-0", "Set-Cookie": "secret-of-the-header"})
    return Answer(status, headers, content, "08F5-0", "PUB_KEY_ID_1", "GET", "/v3/payscore/serviceorder")


def test_a_body_is_decoded_on_demand() -> None:
    """Whatever the endpoint answers."""
    assert answered('{"state":"DONE","name":"充电宝"}'.encode()).json() == {"state": "DONE", "name": "充电宝"}
    assert answered(b" [1, 2.5, null] ").json() == [1, 2.5, None]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "0 bytes is not JSON (Expecting value at character 0)"),
        (b"<html>openid=oUpF8uMuAJO</html>", "31 bytes is not JSON (Expecting value at character 0)"),
        (b"\xff\xfe{}", "4 bytes is not JSON (not UTF-8)"),
        (b"[" * 100_000, "100000 bytes is not JSON (nested too deeply)"),
        (b'{"openid":"oUpF8uMuAJO"', "23 bytes is not JSON (Expecting ',' delimiter at character 23)"),
        (b'{"amount":NaN}', "14 bytes is not JSON (NaN is Python's own)"),
        (b"[-Infinity]", "11 bytes is not JSON (-Infinity is Python's own)"),
    ],
)
def test_a_body_that_is_no_json_is_told(content: bytes, told: str) -> None:
    """With the call, without the content: it may name people."""
    with pytest.raises(MalformedError) as caught:
        answered(content).json()
    assert str(caught.value) == f"GET /v3/payscore/serviceorder: the verified body of {told}"
    assert caught.value.__suppress_context__
    assert (caught.value.method, caught.value.path) == ("GET", "/v3/payscore/serviceorder")


def test_a_body_of_too_long_a_number_is_told() -> None:
    """Python refuses to read it, by an error of its own."""
    with pytest.raises(MalformedError):
        answered(b"9" * 5000).json()


def test_an_answer_shows_neither_headers_nor_body() -> None:
    """But what one searches for."""
    text = repr(answered(b'{"openid":"oUpF8uMuAJO"}'))
    assert "oUpF8uMuAJO" not in text
    assert "secret-of-the-header" not in text
    assert "08F5-0" in text
    assert "/v3/payscore/serviceorder" in text


def test_an_answer_does_not_change() -> None:
    """What was verified stays what it was."""
    with pytest.raises(FrozenInstanceError):
        answered(b"{}").content = b"[]"  # type: ignore[misc]


def test_headers_ignore_case() -> None:
    """As HTTP has it."""
    assert answered(b"").headers["request-id"] == "08F5-0"


@given(st.binary() | st.from_regex(r"[\[\]{}\",:0-9eE.\-truefalsnIy ]*", fullmatch=True).map(str.encode))
def test_nothing_but_the_one_error_comes_out(content: bytes) -> None:
    """Whatever was signed."""
    try:
        value: Any = answered(content).json()
    except MalformedError:
        return
    assert json.loads(content.decode()) == value
