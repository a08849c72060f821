"""Times as WeChat Pay writes and reads them: digits of Beijing time, RFC 3339 overseas (doc 4012068676)."""

import re
from datetime import UTC, datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))

_DIGITS = re.compile(r"[0-9]{14}|[0-9]{8}")
_RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})")


def digits(at: float) -> str:
    """Unix seconds as `yyyyMMddHHmmss`, Beijing time."""
    return datetime.fromtimestamp(at, UTC).astimezone(BEIJING).strftime("%Y%m%d%H%M%S")


def rfc_3339(text: str) -> str:
    """`yyyyMMddHHmmss` as RFC 3339 with Beijing's offset; an empty text stays empty."""
    return _beijing(text).isoformat() if text else ""


def moment(text: str, *, overseas: bool = False) -> float:
    """Return a time in the form that the endpoint takes as Unix seconds; ValueError for another or impossible one."""
    if not (_RFC_3339 if overseas else _DIGITS).fullmatch(text):
        raise ValueError("格式错误")
    try:
        read = datetime.fromisoformat(text) if overseas else _beijing(text.ljust(14, "0"))
    except ValueError:
        raise ValueError("时间格式错误") from None
    return read.timestamp()


def _beijing(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
