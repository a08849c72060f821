"""Any answer of any host, and any call that a caller writes, ends in an answer or in one tree of errors.

Each parser has a test of the same kind (`test_nothing_but_the_one_error_comes_out`); here it is the whole client.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import wechatpay
from sandbox.waiting import PATIENCE

from .conftest import NOW, PUBLIC_KEY_ID, Sign
from .wire import Server, say

IN_TURN = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

_SERIALS = st.sampled_from([PUBLIC_KEY_ID, "ABCDEF", "PUB_KEY_ID_", ""]) | st.text(max_size=20)
_HEADERS = st.dictionaries(
    st.sampled_from(["Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Request-ID"])
    | st.from_regex(r"[A-Za-z-]{1,12}", fullmatch=True),
    _SERIALS | st.just(str(NOW)) | st.just("WECHATPAY/SIGNTEST/AAAA"),
    max_size=7,
)


def _bytes(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append("Connection: close")  # else the client may reuse the connection before it sees the server close it
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    return head.encode("utf-8", "replace") + body


@pytest.fixture
def server() -> Iterator[Server]:
    """A host in WeChat Pay's place."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def client(server: Server, merchant_pem: str, platform_pem: str) -> Iterator[wechatpay.Client]:
    """A client that takes this host for WeChat Pay."""
    with wechatpay.Session() as session:
        yield wechatpay.Client(
            mchid="1230000109",
            serial_no="3775B6A4",
            private_key=merchant_pem,
            platform_keys={PUBLIC_KEY_ID: platform_pem},
            base_url=server.url,
            session=session,
            timeout=PATIENCE,  # each answer ends with its connection
            clock=lambda: NOW,
        )


def call(client: wechatpay.Client, server: Server, answer: bytes) -> wechatpay.Answer | wechatpay.WeChatPayError:
    """Make a call that is answered once by these bytes; the connection is closed after them."""
    server.script[:] = [lambda connection: say(answer)(connection) and False] * 2
    try:
        return client.chain("v3/x").post(json={})
    except wechatpay.WeChatPayError as error:
        return error


@IN_TURN
@given(st.binary(max_size=300))
@example(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
@example(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")
@example(b"HTTP/1.1 " + b"9" * 5000)
@example(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n")
@example(b"HTTP/1.1 100 Continue\r\n\r\n")
def test_whatever_bytes_come_back(client: wechatpay.Client, server: Server, answer: bytes) -> None:
    """Any bytes of an untrusted host raise a WeChatPayError."""
    assert isinstance(call(client, server, answer), wechatpay.WeChatPayError)


@IN_TURN
@given(st.integers(200, 599), _HEADERS, st.binary(max_size=100) | st.text(max_size=40).map(str.encode))
def test_whatever_an_unsigned_answer_says(
    client: wechatpay.Client, server: Server, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Any unsigned answer raises a WeChatPayError whose text is one printable line."""
    error = call(client, server, _bytes(status, headers, body))
    assert isinstance(error, wechatpay.WeChatPayError)
    assert str(error).isprintable()


_WITHOUT_BODY = {301, 302, 303, 304, 307, 308}  # of a redirect nothing is read, so nothing is verified

_ERRORS = st.dictionaries(
    st.sampled_from(["code", "message", "detail", "more"]),
    st.none() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=2),
    max_size=4,
)


@IN_TURN
@given(st.integers(200, 599), _ERRORS)
def test_whatever_a_signed_answer_says(
    client: wechatpay.Client, server: Server, signed: Sign, status: int, body: dict[str, Any]
) -> None:
    """Any signed answer is an Answer, or a RefusedError with `verified` True."""
    content = json.dumps(body).encode()
    outcome = call(client, server, _bytes(status, signed(content), content if status not in {204, 304} else b""))
    if isinstance(outcome, wechatpay.RefusedError):
        assert (outcome.status, outcome.verified) == (status, status not in _WITHOUT_BODY)
        assert isinstance(outcome.code, str)
        assert isinstance(outcome.message, str)
    elif isinstance(outcome, wechatpay.Answer):
        assert (outcome.status, outcome.json()) == (status, body)
    else:
        assert isinstance(outcome, wechatpay.UntrustedError)
        assert status == 204, "the body that was signed had to be left out"


_PARTS = st.text(max_size=12) | st.none() | st.integers() | st.binary(max_size=3)


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=8), _PARTS, max_size=3))
def test_whatever_a_caller_writes(merchant_pem: str, platform_key: rsa.RSAPrivateKey, path: str, values: Any) -> None:
    """Any path with any values is sent, or raises TypeError or ValueError before anything is sent."""
    client = wechatpay.Client(
        mchid="1",
        serial_no="A",
        private_key=merchant_pem,
        platform_keys={PUBLIC_KEY_ID: platform_key.public_key()},
        base_url="http://127.0.0.1:1",
    )
    try:
        client.chain(path).get(**values)
    except (TypeError, ValueError, wechatpay.UnansweredError):
        return
    raise AssertionError("no host listens there")
