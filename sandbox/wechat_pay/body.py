"""Read the JSON body of a request as WeChat Pay does (doc 4012081709)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from sandbox.wechat_pay.refusals import NOT_A_REQUEST

_LARGEST = "\uffff"  # the last character that UTF-8 writes with three bytes
_HALVES = range(0xD800, 0xE000)  # halves of a larger one, which JSON can escape


def json_object(body: bytes) -> dict[str, Any]:
    """Read a body as WeChat Pay does: an object in UTF-8, without any null; INVALID_REQUEST otherwise."""
    try:
        value: object = json.loads(body.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NOT_A_REQUEST from None
    if not isinstance(value, dict):
        raise NOT_A_REQUEST
    require_characters(value)
    return value


def require_characters(values: Mapping[str, Any]) -> None:
    """Refuse a null, and a character that needs four bytes of UTF-8 (doc 4012081709)."""
    for part in _parts(values):
        if part is None or (isinstance(part, str) and not part.isascii() and any(map(_is_refused, part))):
            raise NOT_A_REQUEST


def _is_refused(character: str) -> bool:
    return character > _LARGEST or ord(character) in _HALVES


def _parts(value: object) -> Iterator[object]:
    """Yield every name and value at any depth."""
    pending = [value]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, dict):
            pending += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            pending += part


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(constant)
