"""Times as WeChat Pay writes them: Beijing's, without an offset, or RFC 3339 (doc 4012068676)."""

from datetime import datetime, timedelta, timezone
from typing import cast

BEIJING = timezone(timedelta(hours=8))


def written(moment: datetime | str, *, rfc_3339: bool = False, field: str = "paid_time") -> str:
    """Return a moment as an endpoint wants it; ValueError naming `field` for naive, impossible or unreadable ones.

    Beijing time in 14 digits (8 digits stay as they are), or RFC 3339 with Beijing's offset.
    """
    digits = isinstance(moment, str) and _is_digits(moment)
    at = _given(moment, field)
    if at.tzinfo is None:
        raise ValueError(
            f"{field} has no offset: give an aware datetime, or RFC 3339 such as 2026-01-01T12:00:00+08:00"
        )
    if rfc_3339:
        return at.astimezone(BEIJING).isoformat(timespec="seconds")
    return cast("str", moment) if digits else at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")


def read(text: str | None) -> datetime | None:
    """Return the aware moment that an answer tells; None for what is absent or no moment, such as `OnAccept`."""
    try:
        at = _moment(text or "")
    except ValueError:
        return None
    return at if at.tzinfo else None


def _given(moment: datetime | str, field: str) -> datetime:
    if isinstance(moment, datetime):
        return moment
    try:
        return _moment(moment)
    except (ValueError, TypeError):
        raise ValueError(f"{field} must be yyyyMMddHHmmss, yyyyMMdd or RFC 3339, and must exist") from None


def _moment(text: str) -> datetime:
    if _is_digits(text):
        return datetime.strptime(text.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    return datetime.fromisoformat(text)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) in {8, 14}
