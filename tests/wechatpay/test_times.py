"""Times: written in the form that an endpoint takes, read from every form that an answer has."""

import math
import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wechatpay
from wechatpay.times import BEIJING, read, write


def _name(value: object) -> str:
    """Name a case by its value, without the address of an object: all processes of a run need the same names."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


class Offset(tzinfo):
    """A time zone with an offset of the test's choice."""

    def __init__(self, offset: Any) -> None:
        self.offset = offset

    def utcoffset(self, moment: datetime | None) -> Any:
        """Return the offset."""
        return self.offset

    def dst(self, moment: datetime | None) -> None:
        """Return None."""

    def tzname(self, moment: datetime | None) -> None:
        """Return None."""


@pytest.mark.parametrize(
    ("moment", "digits", "rfc_3339"),
    [
        ("20260101120000", "20260101120000", "2026-01-01T12:00:00+08:00"),
        ("20260101", "20260101", "2026-01-01T00:00:00+08:00"),
        ("2026-01-01T04:00:00Z", "20260101120000", "2026-01-01T12:00:00+08:00"),
        ("2026-01-01t04:00:00.123456789z", "20260101120000", "2026-01-01T12:00:00+08:00"),
        ("2025-12-31 23:00:00.5-05:00", "20260101120000", "2026-01-01T12:00:00+08:00"),
        (datetime(2026, 1, 1, 4, tzinfo=UTC), "20260101120000", "2026-01-01T12:00:00+08:00"),
        (datetime(987, 6, 5, 4, 3, 2, tzinfo=BEIJING), "09870605040302", "0987-06-05T04:03:02+08:00"),
        ("0987-06-05T04:03:02+08:00", "09870605040302", "0987-06-05T04:03:02+08:00"),
        ("09870605", "09870605", "0987-06-05T00:00:00+08:00"),
        (
            datetime(1900, 1, 1, tzinfo=timezone(timedelta(hours=8, minutes=5, seconds=43))),
            "18991231235417",
            "1899-12-31T23:54:17+08:00",
        ),
    ],
)
def test_a_moment_is_written_in_beijing_time(moment: Any, digits: str, rfc_3339: str) -> None:
    """A moment is written as digits, or as RFC 3339 for the overseas endpoint, both in Beijing time."""
    assert (write(moment), write(moment, rfc_3339=True)) == (digits, rfc_3339)


WRONG = [
    20260101120000,
    1767240000.0,
    math.nan,
    True,
    None,
    date(2026, 1, 1),
    time(12),
    b"20260101120000",
    ["20260101120000"],
    {},
    object(),
    "",
    "yesterday",
    "2026",
    "202601011200",
    "20260230",
    "20260101240000",
    "20260101126000",
    "00000101",
    "２０２６０１０１",
    "20260101120000\n",
    " 20260101",
    "2026-01-01",
    "2026-01-01T12:00:00",
    "2026-01-01T12:00+08:00",
    "2026-01-01T12:00:00+0800",
    "2026-01-01T12:00:00+08:00:30",
    "2026-01-01T12:00:00+08:60",
    "2026-01-01T12:00:00+25:00",
    "2026-02-30T12:00:00+08:00",
    "2026-W01-1T12:00:00+08:00",
    "9999-12-31T23:59:59-01:00",
    datetime(2026, 1, 1),  # noqa: DTZ001  naive on purpose
    datetime(2026, 1, 1, tzinfo=Offset(None)),
    datetime(2026, 1, 1, tzinfo=Offset(8)),
    datetime(2026, 1, 1, tzinfo=Offset(timedelta(days=2))),
    datetime(2026, 1, 1, tzinfo=tzinfo()),  # type: ignore[abstract]  # Python itself does make one
    datetime.max.replace(tzinfo=UTC),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
]


@pytest.mark.parametrize("rfc_3339", [False, True])
@pytest.mark.parametrize("moment", WRONG, ids=_name)
def test_everything_else_is_a_value_error_that_names_the_field(moment: Any, rfc_3339: bool) -> None:
    """Another type, a time without an offset and an impossible date raise ValueError, never another error."""
    with pytest.raises(ValueError, match=r"^start (must be|has no offset)"):
        write(moment, rfc_3339=rfc_3339, field="start")


@pytest.mark.parametrize("moment", WRONG, ids=_name)
def test_a_wrong_start_of_a_service_is_named(moment: Any) -> None:
    """The start of a service follows the rule of every written time."""
    with pytest.raises(ValueError, match=r"^start "):
        wechatpay.TimeRange.between(moment)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20091225091210", "2009-12-25T09:12:10+08:00"),
        ("20091225", "2009-12-25T00:00:00+08:00"),
        ("2019-11-11T16:24:05+08:00", "2019-11-11T16:24:05+08:00"),
        ("2019-11-11T08:24:05Z", "2019-11-11T16:24:05+08:00"),
        ("2019-11-11T08:24:05.5z", "2019-11-11T08:24:05.5+00:00"),
    ],
)
def test_every_form_of_an_answer_is_read_as_a_moment(text: str, moment: str) -> None:
    """A time is read as an aware moment, so that moments can be compared where their texts differ."""
    assert read(text) == datetime.fromisoformat(moment)
    assert read(text) == read(text).astimezone(UTC)  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["OnAccept", *WRONG], ids=_name)
def test_what_is_no_moment_is_read_as_none(text: Any) -> None:
    """A text that is not a time, or has no offset, is read as None; the year 10000 in Beijing alone is a time."""
    if text == "9999-12-31T23:59:59-01:00":
        assert read(text) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-1)))
    else:
        assert read(text) is None


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_what_is_written_is_read_as_the_same_moment(moment: datetime) -> None:
    """A moment that is written and read again is the same to the second, in both forms."""
    for rfc_3339 in (False, True):
        text = write(moment, rfc_3339=rfc_3339)
        again = read(text)
        assert again is not None
        assert again == moment.astimezone(BEIJING).replace(microsecond=0)
        assert write(again, rfc_3339=rfc_3339) == text


@given(st.text() | st.from_regex(r"[0-9TtZz:+. -]{0,30}", fullmatch=True))
def test_a_text_is_written_or_refused(text: str) -> None:
    """Any text is either refused with ValueError, or written as digits that can be read again."""
    try:
        digits = write(text)
    except ValueError:
        return
    assert read(digits) is not None
    assert digits.isdigit()
