"""The head of an answer: what is read without http.client is read as http.client reads it."""

import io
import socket
from http.client import HTTPException
from http.client import HTTPResponse as StdlibResponse
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wechatpay.http1 import Answer

BODY = b'{"state": "DONE"}'
PLAIN = [
    "HTTP/1.1 200 OK",
    "Server: nginx",
    "Content-Type: application/json; charset=utf-8",
    f"Content-Length: {len(BODY)}",
    "Connection: keep-alive",
    "Request-ID: 08F78BB5AF0610D302189B8F9A58-0",
    "Wechatpay-Signature: " + "s" * 344,
]
LINES = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 206 Partial",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 100 Continue",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 299 \u00fcber",
    f"Content-Length: {len(BODY)}",
    f"Content-Length:{len(BODY)}",
    f"content-length: \t{len(BODY)}",
    f"Content-Length: {len(BODY)} ",
    "Content-Length: +1",
    "Content-Length: -1",
    "Content-Length: 1_0",
    "Content-Length: " + "9" * 19,
    "Content-Length: ",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Content-Encoding: gzip",
    "Connection: close",
    "Connection: Keep-Alive",
    "Connection: keep-alive, Upgrade",
    "Keep-Alive: timeout=8",
    "X-Empty:",
    "X-Blanks:  a  b  ",
    "X-Latin: \u00e9\u00ff",
    "X-Control: a\x0bb\x0c\x1c\x85",
    "X-Return: a\rX-Second: b",
    "X-Feed: a\nX-Second: b",
    " folded",
    "\tfolded: too",
    "Blank : before the colon",
    ": no name",
    "no colon",
    "From the start",
    "X-Twice: a",
    "x-twice: b",
    "",
]


class _Socket(io.BytesIO):
    """A socket from which an answer is read."""

    def recv_into(self, buffer: Any) -> int:
        """Receive."""
        return self.readinto(buffer)

    def settimeout(self, _: float | None) -> None:
        """Wait for nothing."""

    def makefile(self, *_: object) -> io.BytesIO:
        """Return the bytes."""
        return self


def read(response: Any) -> object:
    """Return all that a response is read as, or the error."""
    try:
        response.begin()
        head = (response.status, response.reason, response.version, response.headers.items())
        return *head, response.chunked, response.will_close, response.length, response.read()
    except (HTTPException, ValueError, OverflowError) as error:
        return type(error)


def outcomes(content: bytes, method: str = "POST") -> tuple[object, object]:
    """Return what both read."""
    ours, theirs = Answer(_Socket(content), method=method), StdlibResponse(_Socket(content), method=method)  # type: ignore[arg-type]
    return read(ours), read(theirs)


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
def test_the_usual_head_is_read_without_http_client(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as http.client would; that of a HEAD request, which has no body, is left to http.client."""
    content = "\r\n".join([*PLAIN, "", ""]).encode() + BODY
    ours, theirs = outcomes(content, method)
    assert ours == theirs
    monkeypatch.setattr(StdlibResponse, "begin", pytest.fail)  # in this process, for the answers of this test alone
    answer = Answer(_Socket(content), method=method)  # type: ignore[arg-type]
    if method == "HEAD":
        with pytest.raises(pytest.fail.Exception):
            answer.begin()
    else:
        answer.begin()
        assert answer.read() == BODY


@given(lines=st.lists(st.sampled_from(LINES), max_size=8), place=st.integers(0, 8), line=st.sampled_from(LINES))
@example(lines=PLAIN, place=3, line="X-Return: a\rX-Second: b")
@example(lines=PLAIN, place=0, line="HTTP/1.1 100 Continue")
def test_a_head_is_read_as_http_client_reads_it(lines: list[str], place: int, line: str) -> None:
    """Whatever lines a head has, in whatever order: the same answer, or the same error."""
    for head in (lines, [*lines[:place], line, *lines[place:]], [*PLAIN[:place], line, *PLAIN[place:]]):
        ours, theirs = outcomes("\r\n".join([*head, "", ""]).encode("latin-1") + BODY)
        assert ours == theirs


@given(st.binary(max_size=60))
def test_bytes_in_a_head_are_read_as_http_client_reads_them(noise: bytes) -> None:
    """Any bytes in the place of a header."""
    head = "\r\n".join(PLAIN).encode()
    ours, theirs = outcomes(head + b"\r\nX: " + noise + b"\r\n\r\n" + BODY)
    assert ours == theirs
    ours, theirs = outcomes(head + b"\r\n" + noise + b"\r\n\r\n" + BODY)
    assert ours == theirs


@pytest.mark.parametrize("number", [92, 93, 94, 95, 200])
def test_as_many_headers_are_read_as_http_client_takes(number: int) -> None:
    """The last line counts as a header: 99 are read, and more are refused."""
    ours, theirs = outcomes("\r\n".join([*PLAIN, *["X: y"] * number, "", ""]).encode() + BODY)
    assert ours == theirs


def test_a_head_that_comes_in_pieces_is_left_to_http_client() -> None:
    """A part of a head is read by http.client, which waits for the rest."""
    here, there = socket.socketpair()
    with here, there:
        content = "\r\n".join([*PLAIN, "", ""]).encode() + BODY
        answer = Answer(here)
        there.sendall(content[:50])
        assert answer.fp.peek(1) == content[:50]
        there.sendall(content[50:])
        answer.begin()
        assert answer.read() == BODY
        answer.close()
