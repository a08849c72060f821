"""Read a request or an answer as a person pastes it: a first line, headers, a blank line, the body byte by byte."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_REQUEST_LINE = re.compile(rb"([A-Za-z]+) (\S+)(?: HTTP/[0-9.]+)?")
_STATUS_LINE = re.compile(rb"HTTP/[0-9.]+ [0-9]{3}.*")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HttpText:
    """What a pasted text holds; `body` is None if it holds no body."""

    method: str = ""
    target: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def header(self, name: str) -> str:
        """Return a header, in whatever case its name was pasted; empty if there is none."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")


def read_http(data: bytes) -> HttpText:
    """Read a request, an answer, headers alone, or the value of Authorization alone."""
    text = data.removeprefix(b"\xef\xbb\xbf")
    head, body = _split(text)
    lines = head.splitlines()
    method = target = ""
    if lines and (match := _REQUEST_LINE.fullmatch(lines[0].strip())):
        method, target = match[1].decode(), match[2].decode("latin-1")
        lines = lines[1:]
    elif lines and _STATUS_LINE.fullmatch(lines[0].strip()):
        lines = lines[1:]
    headers = dict(_headers(lines))
    if not headers and not method and b"=" in text:
        return HttpText(headers={"Authorization": text.decode("utf-8", "replace").strip()})
    return HttpText(method, target, headers, body)


def _split(text: bytes) -> tuple[bytes, bytes | None]:
    """Split at the first blank line; what follows is the body, unchanged."""
    match = re.search(rb"\r?\n\r?\n", text)
    return (text, None) if match is None else (text[: match.start()], text[match.end() :])


def _headers(lines: list[bytes]) -> list[tuple[str, str]]:
    matches = [_HEADER.fullmatch(line.strip()) for line in lines]
    return [(match[1].decode(), match[2].decode("utf-8", "replace").strip()) for match in matches if match]
