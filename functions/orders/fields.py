"""Reads the fields of a JSON object by rule. An error names the field by its path, the problem and the remedy."""

import base64
import json
import re
from collections.abc import Mapping
from typing import NamedTuple, Self

from orders.errors import MalformedEventError
from wechatpay.text import printable

MOST = 2_147_483_647  # what a 32-bit integer holds, as WeChat Pay's amounts in fen
IDENTIFIER_LENGTH = 32  # characters, as WeChat Pay's own identifiers have at most
BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"

# An identifier beyond question, as almost every one is: visible ASCII, blanks only between it.
_PLAIN = re.compile(f"[!-~](?:[ -~]{{0,{IDENTIFIER_LENGTH - 2}}}[!-~])?")
# Controls, line separators, zero-width and direction characters (Unicode categories Cc, Zl, Zp and most of Cf).
_INVISIBLE = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_FOUR_BYTES = re.compile("[\ud800-\udfff\U00010000-\U0010ffff]")  # a lone surrogate has no UTF-8 at all


class Fields(NamedTuple):
    """A JSON object; `path` leads to it from the text that was sent: "", or with a point at its end."""

    values: Mapping[str, object]
    path: str = ""

    @classmethod
    def parse(cls, text: str, name: str, path: str = "") -> Self:
        """Read one JSON object; the last value of a repeated key counts. `name` is the field that holds the text.

        Raises:
            MalformedEventError: whatever the text holds, no other error.
        """
        try:
            value = _DECODER.decode(text.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            raise MalformedEventError(name, *_not_json(text)) from None
        if not isinstance(value, dict):
            raise MalformedEventError(name, *_not_an_object(value))
        return cls(value, path)

    def nested(self, name: str, remedy: str) -> "Fields":
        """Return the object in a required field; `remedy` is what to do if it is missing."""
        value = self._present(name, remedy)
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            raise self.wrong(name, "is JSON text, not an object", "send the object itself, encoded once")
        if not isinstance(value, dict):
            raise self.wrong(name, "is not an object", "send a JSON object")
        return Fields(value, f"{self.path}{name}.")

    def identifier(self, name: str) -> str | None:
        """Return an identifier of 1 to 32 characters, none of them invisible, no blank at either end."""
        if isinstance(plain := self.values.get(name), str) and _PLAIN.fullmatch(plain):
            return plain
        value = self.text(name, IDENTIFIER_LENGTH, "send the identifier as WeChat Pay has it")
        if value is None:
            return None
        if _INVISIBLE.search(value):
            raise self.wrong(name, "has a control, zero-width or direction character", "send only what can be read")
        if value[0] in BLANKS or value[-1] in BLANKS:
            raise self.wrong(name, "begins or ends with a blank", "send it trimmed")
        return value

    def label(self, name: str, limit: int) -> str | None:
        """Return text for people and logs, cleaned; None if the field is absent or holds only blanks."""
        value = self.text(name, limit, "shorten it")
        return None if value is None else printable(value, limit).strip() or None

    def text(self, name: str, limit: int, remedy: str) -> str | None:
        """Return text of 1 to `limit` characters, each of at most three bytes in UTF-8; None if it is absent."""
        if name not in self.values:
            return None
        value = self._present(name, "")
        if not isinstance(value, str):
            raise self.wrong(name, "is not a string", "send it in quotation marks")
        if not 1 <= len(value) <= limit:
            raise self.wrong(name, f"is not 1 to {limit} characters long", remedy)
        if _FOUR_BYTES.search(value):
            raise self.wrong(name, "has a character of 4 bytes", "WeChat Pay takes UTF-8 of 1 to 3 bytes")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], rule: str) -> str:
        """Return a required identifier that matches the whole pattern; `rule` is the pattern in words."""
        self._present(name, f"add it: {rule}, as a string")
        value = self.identifier(name)
        if value is None or not pattern.fullmatch(value):
            raise self.wrong(name, "has characters that WeChat Pay does not take", f"send {rule}")
        return value

    def one_of(self, name: str, words: tuple[str, ...]) -> str | None:
        """Return one of these words; None if the field is absent."""
        value = self.identifier(name)
        if value is not None and value not in words:
            raise self.wrong(name, "is not one of the allowed words", f"send {' or '.join(words)}, or leave it out")
        return value

    def integer(self, name: str, least: int) -> int | None:
        """Return an integer from `least` to 2^31 - 1; None if the field is absent."""
        if name not in self.values:
            return None
        value = self._present(name, "")
        number = int(value) if isinstance(value, float) and value.is_integer() else value  # JSON's 1.0 is 1
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= MOST:
            raise self.wrong(name, f"is not an integer from {least} to {MOST}", "send a number (money in fen)")
        return number

    def wrong(self, name: str, problem: str, remedy: str) -> MalformedEventError:
        """Return the error about one of these fields; an empty name stands for the whole object."""
        return MalformedEventError(f"{self.path}{name}".rstrip(".") or "body", problem, remedy)

    def _present(self, name: str, remedy: str) -> object:
        if name not in self.values:
            raise self.wrong(name, "is missing", remedy)
        if self.values[name] is None:
            raise self.wrong(name, "is null", "WeChat Pay takes no null: send a value or leave the field out")
        return self.values[name]


def _refuse_constant(_: str) -> None:
    raise ValueError  # NaN and Infinity, which Python's JSON reader takes


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _not_json(text: str) -> tuple[str, str]:
    """Return what a text that is not JSON is, and what to send instead."""
    try:
        if base64.b64decode(text, validate=True).lstrip()[:1] in {b"{", b"["}:
            return "is base64", "send the JSON text itself"
    except ValueError:
        pass
    return "is not JSON", "send the payload as one JSON object in UTF-8"


def _not_an_object(value: object) -> tuple[str, str]:
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        return "is JSON text inside JSON text", "encode once: send the object itself"
    if isinstance(value, list):
        return "is not a JSON object", "it is an array, as EventBridge Pipes makes: send each payload as one message"
    return "is not a JSON object", "send the payload as one JSON object"
