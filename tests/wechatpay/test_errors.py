"""One tree of errors: evidence on each, and nothing in their text that must not be logged."""

import copy
import inspect
import pickle

import pytest

from wechatpay import errors
from wechatpay.errors import (
    InvalidKeyError,
    MalformedError,
    RefusedError,
    UnansweredError,
    UndecryptableError,
    UntrustedError,
    WeChatPayError,
)

CALL = {"method": "POST", "path": "/v3/payscore/serviceorder/1234/sync"}
REFUSED = RefusedError(
    status=400,
    code="INVALID_REQUEST",
    message="单据正在扣款中，请稍后再试",
    detail={"field": "/detail/paid_time", "value": "20091225091210"},
    request_id="08F5B8C2B506102C18FDDFEEA30620BE821E28EDC405-271316754",
    headers={"Set-Cookie": "secret-of-the-header", "Retry-After": "7"},
    verified=True,
    **CALL,
)
UNTRUSTED = UntrustedError("not ours", reason="unknown_serial", serial="A", held={"B": 1}, request_id="R-0", **CALL)
ERRORS = [
    WeChatPayError("x", **CALL),
    UnansweredError("no whole answer", sent=True, **CALL),
    REFUSED,
    UNTRUSTED,
    MalformedError("not JSON", **CALL),
    UndecryptableError("not opened"),
    InvalidKeyError("private_key is empty"),
]
NAMES = [type(error).__name__ for error in ERRORS]


def test_one_root_catches_every_error() -> None:
    """Every error is a WeChatPayError and stands in the tree of the module's docstring."""
    family = {error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, Exception)}
    assert {type(error) for error in ERRORS} == family
    for error in family:
        assert issubclass(error, WeChatPayError)
        assert error.__name__ in str(errors.__doc__)
        assert error.__doc__


def test_a_key_that_cannot_be_used_is_a_value_error_too() -> None:
    """A caller that checks configuration and catches ValueError catches a bad key."""
    assert issubclass(InvalidKeyError, ValueError)


@pytest.mark.parametrize("error", ERRORS, ids=NAMES)
@pytest.mark.parametrize("copied", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])  # noqa: S301
def test_evidence_survives_a_pickle(error: WeChatPayError, copied: object) -> None:
    """An error that is pickled or copied keeps its type, its evidence and its text."""
    assert callable(copied)
    restored = copied(error)
    assert type(restored) is type(error)
    assert restored is not error
    assert vars(restored) == vars(error)
    assert str(restored) == str(error)


def test_a_text_begins_with_the_call_where_there_was_one() -> None:
    """The text of an error begins with method and path of the call, where there was one."""
    assert str(ERRORS[1]) == "POST /v3/payscore/serviceorder/1234/sync: no whole answer"
    assert str(UndecryptableError("not opened")) == "not opened"
    assert (ERRORS[1].method, ERRORS[1].path) == ("POST", "/v3/payscore/serviceorder/1234/sync")


def test_a_refusal_shows_wechat_pays_words() -> None:
    """The text of a refusal has status, code, message and Request-ID, which WeChat Pay's support asks for."""
    assert str(REFUSED) == (
        "POST /v3/payscore/serviceorder/1234/sync: 400 INVALID_REQUEST 单据正在扣款中，请稍后再试 (/detail/paid_time) "
        "(Request-ID 08F5B8C2B506102C18FDDFEEA30620BE821E28EDC405-271316754)"
    )
    assert str(RefusedError(status=502)) == "502 (Request-ID absent)"


def test_a_refusal_carries_the_whole_answer() -> None:
    """A refusal has detail, headers and `verified`, with defaults where the answer had none."""
    assert REFUSED.detail == {"field": "/detail/paid_time", "value": "20091225091210"}
    assert REFUSED.headers["Retry-After"] == "7"
    assert REFUSED.verified is True
    assert RefusedError(status=500).verified is None
    assert RefusedError(status=500).headers == {}


def test_a_refusals_text_holds_neither_headers_nor_detail() -> None:
    """Headers and the value in `detail`, which may name people, are not in the text of a refusal."""
    for text in (str(REFUSED), repr(REFUSED)):
        assert "secret-of-the-header" not in text
        assert "20091225091210" not in text


def test_untrusted_text_makes_no_lines_of_its_own() -> None:
    """Text of an unsigned answer forges no log line, controls no terminal and has a greatest length."""
    text = str(RefusedError(status=400, code="A\nB", message="\x1b[31m\r\n\u2028" + "x" * 5000, request_id="\x00-1\n"))
    assert text.isprintable()
    assert len(text) < 400


@pytest.mark.parametrize(
    ("request_id", "sub_code"),
    [
        ("08F5B8C2B506102C18FDDFEEA30620BE821E28EDC405-271316754", "271316754"),
        ("08F5-1-268435472", "268435472"),
        ("08F5B8C2B5-0", "0"),
        ("271316754", None),
        ("08F5B8C2B5-", None),
        ("08F5B8C2B5-x1", None),
        ("08F5B8C2B5-１", None),
        ("", None),
    ],
)
def test_the_sub_code_is_the_number_after_the_last_hyphen(request_id: str, sub_code: str | None) -> None:
    """The sub-code is the number at the end of Request-ID, None where there is none."""
    assert RefusedError(status=400, request_id=request_id).sub_code == sub_code


@pytest.mark.parametrize("sent", [True, False])
def test_an_unanswered_call_says_whether_the_request_may_have_arrived(sent: bool) -> None:
    """`sent` decides between repeating the call and querying first."""
    assert UnansweredError("silence", sent=sent).sent is sent


def test_an_untrusted_answer_names_its_key_and_the_trusted_ones() -> None:
    """An UntrustedError has the serial of the answer and those of the keys that are trusted."""
    evidence = UNTRUSTED.reason, UNTRUSTED.serial, UNTRUSTED.held, UNTRUSTED.request_id
    assert evidence == ("unknown_serial", "A", ("B",), "R-0")
