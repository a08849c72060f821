"""The body of an HTTP/1.1 request, of a stated length or in chunks, `LARGEST` bytes at most (RFC 9112, 6 and 7)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedIOBase

LARGEST = 4 << 20  # bytes of a body that are read at most; the switch `largest_body` refuses less
_LINE = 8192  # bytes of a chunk's first line, or of a trailer
_TRAILERS = 100


class UnreadableError(Exception):
    """A body that is framed wrongly; the connection cannot be used again."""


class TooLargeError(UnreadableError):
    """A body of more than `LARGEST` bytes."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body ends: after `length` bytes, or with its last chunk. `stated` False: the headers do not say."""

    length: int = 0
    chunked: bool = False
    stated: bool = True


def framing(headers: Iterable[tuple[str, str]]) -> Framing:
    """Read the framing from the headers; raise UnreadableError where they contradict each other."""
    values = [(name.lower(), value.strip()) for name, value in headers]
    lengths = {value for name, value in values if name == "content-length"}
    codings = [value.lower() for name, value in values if name == "transfer-encoding"]
    if codings:
        if lengths or codings != ["chunked"]:
            raise UnreadableError
        return Framing(chunked=True)
    if not lengths:
        return Framing(stated=False)
    (length, *others) = lengths
    if others or not re.fullmatch(r"[0-9]{1,18}", length):
        raise UnreadableError
    if int(length) > LARGEST:
        raise TooLargeError
    return Framing(int(length))


def read_body(stream: BufferedIOBase, frame: Framing) -> bytes:
    """Read a body; raise UnreadableError where the stream ends before it does."""
    return _read_chunks(stream) if frame.chunked else _read(stream, frame.length)


def _read_chunks(stream: BufferedIOBase) -> bytes:
    body = b""
    while size := _size(_line(stream)):
        if len(body) + size > LARGEST:
            raise TooLargeError
        body += _read(stream, size)
        if _line(stream):
            raise UnreadableError
    for _ in range(_TRAILERS):
        if not _line(stream):
            return body
    raise UnreadableError


def _size(line: bytes) -> int:
    """Return a chunk's size; an extension after it means nothing here."""
    match = re.fullmatch(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", line)
    if not match:
        raise UnreadableError
    return int(match[1], 16)


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(_LINE)
    if not line.endswith(b"\r\n"):
        raise UnreadableError
    return line[:-2]


def _read(stream: BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise UnreadableError
    return data
