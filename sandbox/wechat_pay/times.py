"""Times as WeChat Pay writes and reads them: digits of Beijing time, RFC 3339 overseas (doc 4012068676)."""

import re
from datetime import UTC, datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))

_DIGITS = re.compile(r"[0-9]{14}|[0-9]{8}")
_RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})")


def digits(at: float) -> str:
    """Write Unix seconds as `yyyyMMddHHmmss`, Beijing time."""
    return datetime.fromtimestamp(at, UTC).astimezone(BEIJING).strftime("%Y%m%d%H%M%S")


def rfc_3339(text: str) -> str:
    """Write `yyyyMMddHHmmss` as RFC 3339 with Beijing's offset; an empty text stays empty."""
    return _beijing(text).isoformat() if text else ""


def has_form(text: object, *, overseas: bool) -> bool:
    """Return whether a time has the endpoint's form: RFC 3339 with an offset overseas, 14 or 8 digits elsewhere."""
    return isinstance(text, str) and bool((_RFC_3339 if overseas else _DIGITS).fullmatch(text))


def moment(text: str) -> float:
    """Return a time of either form as Unix seconds; 8 digits mean midnight. ValueError for an impossible one."""
    return (datetime.fromisoformat(text) if "T" in text else _beijing(text.ljust(14, "0"))).timestamp()


def _beijing(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
