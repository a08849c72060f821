"""The bytes that are signed and the bytes that are sent: pure functions, the standard library alone.

A signature covers exact bytes, so everything is written once here and sent as it was signed
(doc 4012365336 for requests, 4013053249 for answers and notifications).
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

SCHEME = "WECHATPAY2-SHA256-RSA2048"
"""The only signature scheme of this library: RSASSA-PKCS1-v1_5 with SHA-256 and a 2048 bit key."""


_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DEPTH_LIMIT = 500  # levels that are searched; a body that holds itself has no end
_TOO_DEEP = "json is nested too deeply, or holds itself"


def request_message(method: str, target: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    r"""Return what the merchant signs: five lines, each ended by `\n`.

    `target` is path and query exactly as on the wire; `body` is the exact body, empty for a GET.
    """
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def answer_message(timestamp: str, nonce: str, body: bytes) -> bytes:
    r"""Return what WeChat Pay signs: three lines, each ended by `\n`; of an empty body only the `\n` remains."""
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


def authorization(mchid: str, serial_no: str, timestamp: str, nonce: str, signature: str) -> str:
    """Return the `Authorization` header's value: one line, no blanks after the commas (doc 4012365344)."""
    return (
        f'{SCHEME} mchid="{mchid}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{serial_no}"'
    )


def escape(text: str) -> str:
    """Percent-encode one path segment or query value so that no HTTP library changes it after it was signed."""
    return quote(text, safe="*-_.~")


def query_string(params: Mapping[str, object]) -> str:
    """Return the query, encoded once, in the order given; a list repeats its name.

    Raises ValueError naming the parameter for None, and for anything but text, whole numbers and booleans.
    """
    return "&".join(f"{escape(name)}={text}" for name, value in params.items() for text in _query_values(name, value))


def _query_values(name: str, parameter: object) -> Iterator[str]:
    for value in parameter if isinstance(parameter, list | tuple) else (parameter,):
        if isinstance(value, bool):
            yield "true" if value else "false"
        elif isinstance(value, str | int):
            yield _escape_value(name, str(value))
        else:
            kind = type(value).__name__
            raise ValueError(f"params[{name!r}] must be text, a whole number or a boolean, not {kind}")  # noqa: TRY004


def _escape_value(name: str, value: str) -> str:
    try:
        return escape(value)
    except UnicodeEncodeError:
        raise ValueError(f"params[{name!r}] holds half a character (a lone surrogate)") from None


def json_bytes(value: object) -> bytes:
    """Serialise a request's body once: compact UTF-8, keys in the order given.

    Raises ValueError naming the field for what WeChat Pay refuses (doc 4012081709): null, NaN, characters of
    four bytes (emoji) and halves of them; TypeError for what JSON cannot hold.
    """
    try:
        return _serialise(value).encode()
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _serialise(value: object) -> str:
    try:
        text = _COMPACT.encode(value)
    except ValueError:
        _refuse(value)
        raise
    if "null" in text or not text.isascii():
        _refuse(value)
    return text


def _refuse(value: object) -> None:
    """Raise ValueError for the first field that cannot be sent, if there is one.

    An explicit stack, not recursion: a body that JSON can hold is searched however little is left of Python's own.
    """
    path: list[_Level] = []
    _look(value, "json", path)
    while path:
        level = path[-1]
        step = next(level.members, None)
        if step is None:
            path.pop()
        else:
            _look(step[1], level.where + step[0], path)


class _Level(NamedTuple):
    """A part of the body that is being searched."""

    where: str
    members: Iterator[tuple[str, object]]


def _look(value: object, where: str, path: list[_Level]) -> None:
    """Raise ValueError for a value that cannot be sent; put a container on the path, to be searched next."""
    match value:
        case None:
            raise ValueError(f"{where} is null: leave the field out")
        case float() if not math.isfinite(value):
            raise ValueError(f"{where} is not a number that JSON can hold")
        case str():
            if problem := _problem(value):
                raise ValueError(f"{where} {problem}")
        case dict() | list() | tuple():
            if len(path) == _DEPTH_LIMIT:
                raise ValueError(_TOO_DEEP)
            path.append(_Level(where, _members(value, where)))


def _members(
    part: dict[object, object] | list[object] | tuple[object, ...], where: str
) -> Iterator[tuple[str, object]]:
    """Yield each member with its place; ValueError for a field's name that cannot be sent."""
    if not isinstance(part, dict):
        yield from ((f"[{position}]", member) for position, member in enumerate(part))
        return
    for name, member in part.items():
        if problem := "is null" if name is None else _problem(str(name)):
            raise ValueError(f"{where}: a field's name {problem}")
        yield f".{name}", member


def _problem(text: str) -> str:
    if max(text, default="") > "\uffff":
        return "holds a character of four bytes, such as an emoji: WeChat Pay takes three at most"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half a character (a lone surrogate)"
    return ""
