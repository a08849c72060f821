"""A verified answer: the bytes as they came, decoded on demand."""

import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from wechatpay.answer import DEPTH_LIMIT, Answer, decode_json
from wechatpay.errors import MalformedError


def answer_of(content: bytes, status: int = 200) -> Answer:
    """An answer with this body."""
    headers = CaseInsensitiveDict({"Request-ID": "08F5-0", "Set-Cookie": "secret-of-the-header"})
    return Answer(status, headers, content, "08F5-0", "PUB_KEY_ID_1", "GET", "/v3/payscore/serviceorder")


def test_a_body_is_decoded_on_demand() -> None:
    """`json()` returns whatever JSON the body is."""
    assert answer_of('{"state":"DONE","name":"充电宝"}'.encode()).json() == {"state": "DONE", "name": "充电宝"}
    assert answer_of(b" [1, 2.5, null] ").json() == [1, 2.5, None]


@pytest.mark.parametrize(
    ("content", "text"),
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
def test_a_body_that_is_no_json_is_told(content: bytes, text: str) -> None:
    """A body that is not JSON raises MalformedError naming the call, without the content."""
    with pytest.raises(MalformedError) as caught:
        answer_of(content).json()
    assert str(caught.value) == f"GET /v3/payscore/serviceorder: the verified body of {text}"
    assert caught.value.__suppress_context__
    assert (caught.value.method, caught.value.path) == ("GET", "/v3/payscore/serviceorder")


def test_a_body_of_too_long_a_number_is_told() -> None:
    """A number with more digits than Python reads raises MalformedError."""
    with pytest.raises(MalformedError):
        answer_of(b"9" * 5000).json()


def test_an_answer_shows_neither_headers_nor_body() -> None:
    """The repr of an answer shows its path and Request-ID, not its headers and body."""
    text = repr(answer_of(b'{"openid":"oUpF8uMuAJO"}'))
    assert "oUpF8uMuAJO" not in text
    assert "secret-of-the-header" not in text
    assert "08F5-0" in text
    assert "/v3/payscore/serviceorder" in text


def test_an_answer_does_not_change() -> None:
    """An answer is frozen."""
    with pytest.raises(FrozenInstanceError):
        answer_of(b"{}").content = b"[]"  # type: ignore[misc]


def test_headers_ignore_case() -> None:
    """The names of headers ignore case."""
    assert answer_of(b"").headers["request-id"] == "08F5-0"


def nested(levels: int, kind: str) -> bytes:
    """Return JSON of so many levels."""
    begin, end = {"list": ("[", "]"), "object": ('{"a":', "}"), "both": ('[{"a":', "}]")}[kind]
    times = levels // 2 if kind == "both" else levels
    return (begin * times + "1" + end * times).encode()


def with_little_stack(frames: int, work: Callable[[], Any]) -> Any:
    """Run the work where only so many more calls fit on Python's stack."""

    def deeper(levels: int) -> Any:
        return work() if levels == 0 else deeper(levels - 1)

    depth = len(inspect.stack(context=0))
    decoder = 0 if sys.version_info >= (3, 12) else DEPTH_LIMIT  # until 3.11 C recursion counts as calls of Python
    return deeper(sys.getrecursionlimit() - depth - frames - decoder)


@pytest.mark.parametrize("kind", ["list", "object", "both"])
@pytest.mark.parametrize("levels", [2, 50, DEPTH_LIMIT, DEPTH_LIMIT + 2, 1_000, 5_000, 200_000])
def test_json_is_read_to_a_depth_and_refused_beyond(levels: int, kind: str) -> None:
    """JSON up to the depth limit is read and deeper JSON raises MalformedError, also on a nearly full stack."""

    def read() -> Any:
        return answer_of(nested(levels, kind)).json(tidied=True)

    for call in (read, lambda: with_little_stack(30, read)):
        if levels <= DEPTH_LIMIT:
            assert json.dumps(call(), separators=(",", ":")).encode() == nested(levels, kind)
        else:
            with pytest.raises(MalformedError, match="nested too deeply"):
                call()


def test_many_shallow_parts_are_not_deep() -> None:
    """The depth limit counts levels, not brackets."""
    assert len(decode_json(b"[" + b"[{}]," * 1_000 + b"[]]")) == 1_001
    assert decode_json(b'["' + b"[{" * 1_000 + b'"]') == ["[{" * 1_000]


def test_names_are_tidied_at_every_level() -> None:
    """Blanks around names go, those within names and values stay; of two equal names the one without blanks counts."""
    content = b'{"b ": [{" c": null}, {" a": 1}], "d": "x ", "e f": {"g ": 1, "g": 2}, "h": {"h": 3, "\\u0020h": 4}}'
    tidied = {"b": [{"c": None}, {"a": 1}], "d": "x ", "e f": {"g": 2}, "h": {"h": 3}}
    assert decode_json(content, tidied=True) == tidied
    assert decode_json(content) != tidied
    assert [decode_json(scalar, tidied=True) for scalar in (b"1", b'"a "', b"null")] == [1, "a ", None]


@given(st.binary() | st.from_regex(r"[\[\]{}\",:0-9eE.\-truefalsnIy ]*", fullmatch=True).map(str.encode))
def test_nothing_but_the_one_error_comes_out(content: bytes) -> None:
    """Any signed body is JSON or a MalformedError."""
    try:
        value: Any = answer_of(content).json()
    except MalformedError:
        return
    assert json.loads(content.decode()) == value
