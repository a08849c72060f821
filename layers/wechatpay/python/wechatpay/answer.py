"""A verified answer of WeChat Pay, and its JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from wechatpay.errors import MalformedError

DEPTH_LIMIT = 100
"""Levels of nested objects and lists that are read; WeChat Pay's deepest documented answer has eight."""


Json: TypeAlias = Any
"""A decoded JSON value: `Any`, as typeshed has it for `json.loads`, so that callers can index it."""

JsonObject: TypeAlias = Mapping[str, Json]
"""A decoded JSON object."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer whose signature has been verified over exactly these bytes.

    `headers` ignore case; `content` is the body as it came; `request_id` is WeChat Pay's name for the exchange
    (`Request-ID`, empty where absent): write it into every log; `serial` names the key that signed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    request_id: str
    serial: str
    method: str
    path: str

    def json(self, *, tidied: bool = False) -> Json:
        """Return the decoded body, see `decode_json`; MalformedError where it is empty or not JSON (a 204 has none)."""
        try:
            return decode_json(self.content, tidied=tidied)
        except ValueError as error:
            raise MalformedError(
                f"the verified body of {len(self.content)} bytes is not JSON ({error})",
                method=self.method,
                path=self.path,
            ) from None


def decode_json(content: bytes, *, tidied: bool = False) -> Json:
    """Decode UTF-8 JSON of at most DEPTH_LIMIT levels; ValueError, which never repeats the content, otherwise.

    `tidied`: without the blanks that WeChat Pay's own samples have around some names (`"transaction_id "`). Where a
    name stands both with and without blanks, the one without is meant.
    """
    try:
        value = (_TIDYING if tidied else _DECODER).decode(content.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None
    # Few answers have so many brackets at all: counting them is cheaper than walking through the value.
    if content.count(b"{") + content.count(b"[") > DEPTH_LIMIT and _is_deeper(value, DEPTH_LIMIT):
        raise ValueError("nested too deeply")
    return value


def _is_deeper(value: object, limit: int) -> bool:
    """Whether a JSON value has more than `limit` levels; found level by level, without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        members = (part.values() if isinstance(part, dict) else part for part in level)
        level = [member for part in members for member in part if isinstance(member, dict | list)]
    return bool(level)


def _trim_names(fields: dict[str, Json]) -> dict[str, Json]:
    names = "".join(fields)
    if names.split() == [names]:  # no name has a blank, as in almost every answer
        return fields
    trimmed = {name.strip(): member for name, member in fields.items()}
    if len(trimmed) < len(fields):  # two names became one
        trimmed |= {name: member for name, member in fields.items() if name == name.strip()}
    return trimmed


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is Python's own")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_TIDYING = json.JSONDecoder(parse_constant=_refuse_constant, object_hook=_trim_names)
