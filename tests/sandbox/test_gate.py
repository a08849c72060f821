"""The gate takes what real clients send, and refuses the rest in WeChat Pay's own words."""

import io
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator, incoming
from sandbox.wechat_pay.accept import admits_json
from sandbox.wechat_pay.message import Request, joined
from sandbox.wechat_pay.service import SimulatedService
from tests.sandbox.signed import BASE, LONG_AGO, MCHID, PAID, QUERY, Connection, signed_request

SYNC = f"{BASE}/S1/sync"
RULES = "HTTP 请求不符合微信支付 APIv3 接口规则"
MISSING = "Http头缺少Accept或User-Agent"


@pytest.fixture
def service(key_ring: Path) -> SimulatedService:
    """WeChat Pay without a network, with the order S1 that waits for its money."""
    service = SimulatedService(keys=key_ring)
    service.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    return service


def message_of(service: SimulatedService, request: Request) -> str:
    """The message of a refusal; empty for a success."""
    reply = service.answer(request).reply
    return str(json.loads(reply.body).get("message", "")) if reply.status >= 400 else ""


def changed(request: Request, **headers: str) -> Request:
    """The request with other headers."""
    return Request(request.method, request.target, {**request.headers, **headers}, request.body)


ADMITTING = [
    "application/json",
    "*/*",
    " */*",
    "application/*",
    "Application/JSON; charset=utf-8",
    "text/html, application/json;q=0.9, */*;q=0.8",
    "application/json, text/plain, application/x-gzip, application/pdf, image/png, image/*;q=0.5",
    "text/html;q=0.1,*/*;Q=0.01",
    "application/*;q=0, application/json",
    "*/*;q=0, application/json;q=0.001",
    "application/json ; q=1 ; x=y",
    "application/json;q=high",
    "text/*,\tapplication/json",
]
EXCLUDING = [
    "text/html",
    "application/xml",
    "application/json;q=0",
    "application/json;q=0.000, */*",
    "application/*;q=0, */*",
    "*/*;q=0",
    "json",
    "application/jsonp",
    ",",
    "application / json",
]


@pytest.mark.parametrize("accept", ADMITTING)
def test_an_accept_that_admits_json_is_taken(service: SimulatedService, accept: str) -> None:
    """Every form of Accept that admits JSON passes."""
    assert admits_json(accept)
    assert message_of(service, changed(signed_request(service, "GET", QUERY), Accept=accept)) == ""


@pytest.mark.parametrize("accept", EXCLUDING)
def test_an_accept_that_excludes_json_is_refused(service: SimulatedService, accept: str) -> None:
    """An Accept without JSON, or with a weight of zero for it, breaks the rules of APIv3."""
    assert not admits_json(accept)
    assert message_of(service, changed(signed_request(service, "GET", QUERY), Accept=accept)) == RULES


@pytest.mark.parametrize("header", ["Accept", "User-Agent"])
@pytest.mark.parametrize("value", ["", "  "])
def test_a_missing_header_is_named(service: SimulatedService, header: str, value: str) -> None:
    """A request without Accept or User-Agent is refused in the words that name both."""
    assert message_of(service, changed(signed_request(service, "GET", QUERY), **{header: value})) == MISSING


def test_header_lines_of_one_name_are_one_list() -> None:
    """Several lines of one header, in any case, become one list in their order."""
    lines = [("Accept", "text/html"), ("accept", "application/json"), ("Host", "a")]
    assert joined(lines) == {"Accept": "text/html, application/json", "Host": "a"}


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json "])
def test_a_json_body_is_declared_in_any_spelling(service: SimulatedService, content_type: str) -> None:
    """A Content-Type of JSON is taken in any case and with parameters."""
    assert (
        message_of(service, changed(signed_request(service, "POST", SYNC, PAID), **{"Content-Type": content_type}))
        == ""
    )


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_serial_is_taken_in_either_case(service: SimulatedService, case: object) -> None:
    """The serial of the merchant's certificate is hexadecimal, in capitals or not."""
    serial = service.merchant(MCHID).serial_no
    assert serial != serial.lower()
    request = signed_request(service, "GET", QUERY)
    written = request.headers["Authorization"].replace(serial, str.lower(serial) if case is str.lower else serial)
    assert message_of(service, changed(request, Authorization=written)) == ""


# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def connection(wechat_pay: Simulator) -> Iterator[Connection]:
    """A connection to a simulator that has the order S1."""
    wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO)
    with Connection(wechat_pay) as connection:
        yield connection


def head_of(wechat_pay: Simulator, **more: str) -> bytes:
    """The head of a signed sync whose body is `PAID`, without a length."""
    headers = {**signed_request(wechat_pay, "POST", SYNC, PAID).headers, **more}
    lines = [f"POST {SYNC} HTTP/1.1", *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def in_chunks(body: bytes, size: int, end: bytes = b"") -> bytes:
    """The body in chunks of a size, with an extension, and what stands between the last chunk and the empty line."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x;part=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + end + b"\r\n"


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("end", [b"", b"Checksum: 4711\r\nX: y\r\n"])
def test_a_body_in_chunks_is_read(connection: Connection, wechat_pay: Simulator, size: int, end: bytes) -> None:
    """A chunked body is read, with its extensions and trailers, and the connection goes on."""
    connection.socket.sendall(head_of(wechat_pay, Transfer_Encoding="chunked") + in_chunks(PAID, size, end))
    assert connection.answer()[0] == 200
    connection.ask("GET", QUERY)
    assert connection.answer()[0] == 200


def test_a_caller_that_waits_is_asked_for_its_body(connection: Connection, wechat_pay: Simulator) -> None:
    """`Expect: 100-continue` is answered at once; the body follows, then the answer."""
    connection.socket.sendall(head_of(wechat_pay, Expect="100-continue", Content_Length=str(len(PAID))))
    assert connection.head() == (100, {})
    connection.socket.sendall(PAID)
    assert connection.answer()[0] == 200


def test_a_caller_that_waits_with_too_much_is_not_asked(connection: Connection, wechat_pay: Simulator) -> None:
    """A body that would be too large is refused before it is sent."""
    connection.socket.sendall(head_of(wechat_pay, Expect="100-continue", Content_Length=str(incoming.LARGEST + 1)))
    assert connection.head()[0] == 413


def test_a_body_without_a_length_is_none(connection: Connection, wechat_pay: Simulator) -> None:
    """Without a length a request has no body: its signature does not fit, and the connection ends."""
    connection.socket.sendall(head_of(wechat_pay) + PAID)
    status, headers, body = connection.answer()
    assert (status, json.loads(body)["code"], headers["connection"]) == (401, "SIGN_ERROR", "close")
    with pytest.raises((EOFError, ConnectionError)):
        connection.until(b"\r\n")


@pytest.mark.parametrize("size", [incoming.LARGEST + 1, 2 * incoming.LARGEST])
@pytest.mark.parametrize("chunked", [True, False])
def test_an_oversized_body_is_refused(wechat_pay: Simulator, connection: Connection, size: int, chunked: bool) -> None:
    """A body that is too large is refused with 413, and the caller reads the refusal although it sends everything."""
    body = b"x" * size
    framing = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": str(size)}
    sent = in_chunks(body, 65_536) if chunked else body
    connection.socket.sendall(head_of(wechat_pay, **framing) + sent)
    status, _, answer = connection.answer()
    assert (status, json.loads(answer)) == (413, {"code": "INVALID_REQUEST", "message": RULES})
    assert [(call.status, call.body) for call in wechat_pay.calls] == [(413, b"")]


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ({"Content_Length": "-1"}, b""),
        ({"Content_Length": "1x"}, b""),
        ({"Content_Length": "3, 4"}, b""),
        ({"Transfer_Encoding": "gzip, chunked"}, b""),
        ({"Transfer_Encoding": "chunked", "Content_Length": "3"}, b"0\r\n\r\n"),
        ({"Transfer_Encoding": "chunked"}, b"x\r\n"),
        ({"Transfer_Encoding": "chunked"}, b"2\nab\r\n0\r\n\r\n"),
        ({"Transfer_Encoding": "chunked"}, b"2\r\nabc\r\n0\r\n\r\n"),
        ({"Transfer_Encoding": "chunked"}, b"0\r\n" + b"A: b\r\n" * 101),
        ({"Transfer_Encoding": "chunked"}, b"0\r\n" + b"A" * 9000 + b"\r\n\r\n"),
        ({"Transfer_Encoding": "chunked"}, b"11111111111111111\r\n"),
    ],
)
def test_a_body_that_is_framed_wrongly_is_refused(
    wechat_pay: Simulator, connection: Connection, framing: dict[str, str], body: bytes
) -> None:
    """A body whose end cannot be found is refused with 400, and the connection ends."""
    connection.socket.sendall(head_of(wechat_pay, **framing) + body)
    status, headers, answer = connection.answer()
    assert (status, json.loads(answer)["message"], headers["connection"]) == (400, RULES, "close")


def test_a_body_that_breaks_off_is_refused() -> None:
    """A stream that ends before its body does raises UnreadableError."""
    for frame in (incoming.Framing(5), incoming.Framing(chunked=True)):
        with pytest.raises(incoming.UnreadableError):
            incoming.read_body(io.BufferedReader(io.BytesIO(b"3\r\na")), frame)


@pytest.mark.parametrize("method", ["PUT", "TRACE", "PROPFIND", "HEAD"])
def test_every_method_is_answered_by_wechat_pay(wechat_pay: Simulator, method: str) -> None:
    """A method that no page has is refused by WeChat Pay itself, to HEAD without a body."""
    host, port = wechat_pay.base_url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=PATIENCE)) as raw:
        raw.sendall(f"{method} {SYNC} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = raw.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.endswith(b"\r\n\r\n") == (method == "HEAD")
