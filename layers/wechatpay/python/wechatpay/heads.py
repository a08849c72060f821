"""The head of an HTTP answer. http.client has its headers parsed as those of an e-mail, which may be anything.

For an order that is a tenth of all code. The usual head is read here, and what leaves a question open by http.client.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from http.client import HTTPMessage, HTTPResponse
from typing import NamedTuple

_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 (20[0-3]|206) ([\t -~]*)\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n){1,99})\r\n"
)
"""The head of a success of HTTP/1.1 (RFC 9112): headers on one line each, and not more than http.client takes."""

_LENGTH = re.compile(r"[0-9]{1,18}")


class Field(NamedTuple):
    """A header's name as it came, and its value."""

    name: str
    value: str


def fields_of(headers: Iterable[tuple[str, str]]) -> dict[str, Field]:
    """Return headers by their names in lower case: the values of a repeated one in one, a folded one as one line."""
    fields: dict[str, Field] = {}
    for name, value in headers:
        key, line = name.lower(), " ".join(value.split()) if "\n" in value else value
        fields[key] = Field(name, f"{fields[key].value}, {line}" if key in fields else line)
    return fields


class PlainHeads(HTTPResponse):
    """An answer whose head is read here where it is the usual one, and by http.client where it is not."""

    _method: str | None
    """http.client, HTTPResponse.__init__: sets it; the stubs leave it out."""

    def begin(self) -> None:
        """Read the head. http.client, HTTPResponse.begin."""
        if self.headers is not None or not self._begin_plainly():
            super().begin()

    def _begin_plainly(self) -> bool:
        """Read a head that leaves no question open, and return True; otherwise leave every byte where it is."""
        plain = _PLAIN_HEAD.match(self.fp.peek(1)) if self._method != "HEAD" else None
        if plain is None:
            return False
        status, reason, lines = plain[1], plain[2].decode("iso-8859-1"), plain[3].decode("iso-8859-1")
        headers = HTTPMessage()
        for line in lines.removesuffix("\r\n").split("\r\n"):
            name, _, value = line.partition(":")
            headers.set_raw(name, value.lstrip(" \t"))
        fields = fields_of(headers.raw_items())
        length, connection = fields.get("content-length"), fields.get("connection")
        is_kept = connection is None or connection.value.lower() == "keep-alive"
        if length is None or not _LENGTH.fullmatch(length.value) or not is_kept or "transfer-encoding" in fields:
            return False
        self.fp.read(plain.end())
        self.version, self.code, self.status, self.reason = 11, int(status), int(status), reason.strip()
        self.headers = self.msg = headers
        self.chunked, self.will_close, self.length = False, False, int(length.value)
        self.fields = fields
        return True

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The headers by their names in lower case."""
        return fields_of(self.headers.raw_items())
