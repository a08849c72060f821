"""Times in the forms that WeChat Pay uses: digits of Beijing time, or RFC 3339 with an offset (doc 4012068676)."""

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

BEIJING = timezone(timedelta(hours=8))

_DIGITS = re.compile(r"[0-9]{14}|[0-9]{8}")
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-5][0-9])?"
)
_FORMS = "an aware datetime, yyyyMMddHHmmss or yyyyMMdd (Beijing time), or RFC 3339 such as 2026-01-01T12:00:00+08:00"


def write(moment: datetime | str, *, rfc_3339: bool = False, field: str = "paid_time") -> str:
    """Return a moment in the form that an endpoint takes: 14 digits of Beijing time (8 stay 8), or RFC 3339.

    `moment` is an aware datetime, `yyyyMMddHHmmss`, `yyyyMMdd`, or RFC 3339 with an offset. RFC 3339 is returned in
    Beijing time. Raise ValueError naming `field` for everything else: another type, a time without an offset, a date
    that does not exist.
    """
    if not isinstance(moment, datetime | str):
        raise ValueError(f"{field} must be {_FORMS}, not {type(moment).__name__}")  # noqa: TRY004  the contract
    if isinstance(moment, str) and _DIGITS.fullmatch(moment) and not rfc_3339:
        _parse_or_refuse(moment, field)
        return moment
    beijing = _to_beijing(_parse_or_refuse(moment, field) if isinstance(moment, str) else moment, field)
    text = beijing.isoformat(timespec="seconds")  # strftime does not pad a year below 1000
    return text if rfc_3339 else re.sub(r"[-T:]", "", text[:19])


def read(text: object) -> datetime | None:
    """Return the aware moment of a text of WeChat Pay's: 14 digits, 8 digits (midnight in Beijing) or RFC 3339.

    Return None for everything else: absent, not text, without an offset, impossible, or a word such as `OnAccept`.
    """
    try:
        moment = _parse(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo else None


def _parse_or_refuse(text: str, field: str) -> datetime:
    try:
        return _parse(text)
    except ValueError:
        raise ValueError(f"{field} must be {_FORMS}, and must exist") from None


def _to_beijing(moment: datetime, field: str) -> datetime:
    try:
        beijing = None if moment.utcoffset() is None else moment.astimezone(BEIJING)
    except (OverflowError, ValueError, TypeError, NotImplementedError):  # before year 1, after 9999, or a broken tzinfo
        raise ValueError(f"{field} must be {_FORMS}, and must exist") from None
    if beijing is None:
        raise ValueError(f"{field} has no offset: it must be {_FORMS}")
    return beijing


@lru_cache(maxsize=128)  # the time of one payment is read several times on its way
def _parse(text: str) -> datetime:
    """Parse a text; raise ValueError where it has another form or does not exist. Naive where it has no offset."""
    if _DIGITS.fullmatch(text):
        year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
        hour, minute, second = int(text[8:10] or 0), int(text[10:12] or 0), int(text[12:] or 0)
        return datetime(year, month, day, hour, minute, second, tzinfo=BEIJING)
    if _RFC_3339.fullmatch(text):
        return datetime.fromisoformat(text.upper())
    raise ValueError("neither digits nor RFC 3339")
