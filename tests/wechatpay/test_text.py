"""Text from outside is cleaned and bounded."""

import pytest

from wechatpay import RefusedError
from wechatpay.text import printable


@pytest.mark.parametrize(
    "dirty",
    [
        "\x1b[2J",
        "line\nbreak",
        "\u202eevil",
        "\u2066x",
        "\x00",
        "\ud800",
        "\u2028",
        "\r",
        "\x9b31m",
        "\u200b",
        "\ufeff",
    ],
)
def test_what_a_terminal_or_a_log_obeys_becomes_a_blank(dirty: str) -> None:
    """Each control, escape, bidi or zero-width character and each lone surrogate is replaced by a blank."""
    assert printable(dirty).isprintable()
    printable(dirty).encode()


def test_words_stay_as_they_are_and_are_bounded() -> None:
    """Chinese, punctuation and emoji are kept; text beyond the limit is cut off."""
    assert printable("单据正在扣款中，请稍后再试 😀") == "单据正在扣款中，请稍后再试 😀"
    assert len(printable("x" * 500_000)) == 300


def test_the_text_of_a_refusal_names_the_field_and_its_issue_and_never_the_value() -> None:
    """A refusal shows `detail.field` and `detail.issue`; `detail.value` may belong to a customer and is not shown."""
    detail = {"field": "/detail/paid_time", "value": "oUpF8uMuAJO", "issue": "later\x1b[2Jthan now", "location": "body"}
    error = RefusedError(status=400, code="PARAM_ERROR", message="参数错误", detail=detail, request_id="08F-1")
    assert (error.field, error.location, error.issue) == ("/detail/paid_time", "body", "later [2Jthan now")
    assert str(error) == "400 PARAM_ERROR 参数错误 (/detail/paid_time: later [2Jthan now) (Request-ID 08F-1)"
    assert "oUpF8uMuAJO" not in str(error) + repr(error)


@pytest.mark.parametrize("detail", [None, "text", 7, [], {"field": 1, "issue": None}])
def test_a_detail_of_another_shape_is_empty(detail: object) -> None:
    """A `detail` that is not of the documented shape leaves field, location and issue empty."""
    error = RefusedError(status=400, code="X", detail=detail)
    assert (error.field, error.location, error.issue) == ("", "", "")


def test_a_message_of_half_a_megabyte_is_cut_where_it_enters() -> None:
    """Code, message and Request-ID of a refusal have a greatest length."""
    error = RefusedError(status=500, code="C" * 1000, message="m" * 500_000, request_id="r" * 1000)
    assert (len(error.code), len(error.message), len(error.request_id)) == (64, 300, 128)
