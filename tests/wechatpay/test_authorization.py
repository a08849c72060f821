"""The signature of requests, verified by a server over the raw bytes that it received."""

import base64
import logging
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox.waiting import PATIENCE
from wechatpay.authorization import Authorization, random_nonce
from wechatpay.merchant import Merchant

HOST = "https://api.mch.weixin.qq.com"
HEADER = re.compile(
    r'WECHATPAY2-SHA256-RSA2048 mchid="(?P<mchid>[0-9]+)",nonce_str="(?P<nonce>[^"]+)",'
    r'signature="(?P<signature>[^"]+)",timestamp="(?P<timestamp>[0-9]+)",serial_no="(?P<serial_no>[^"]+)"'
)


def signed_parts(header: str) -> dict[str, str]:
    """Parse an `Authorization` header as WeChat Pay does."""
    parts = HEADER.fullmatch(header)
    assert parts, header
    return parts.groupdict()


def verifies(merchant: Merchant, method: str, target: str, header: str, body: bytes) -> bool:
    """Verify a request as WeChat Pay does, with no code of the library."""
    parts = signed_parts(header)
    message = f"{method}\n{target}\n{parts['timestamp']}\n{parts['nonce']}\n".encode() + body + b"\n"
    signature = base64.b64decode(parts["signature"])
    try:
        merchant.public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


@pytest.fixture
def authorization(merchant: Merchant) -> Authorization:
    """An `Authorization` with a clock that stands still."""
    return Authorization(merchant, clock=lambda: 1554208460.9)


CHINESE = '{"service_introduction":"充电宝租借","paid_time":"20091225091210"}'


@pytest.mark.parametrize(
    ("url", "words", "target", "body"),
    [
        ("/v3/x", {"method": "get"}, "/v3/x", b""),
        ("/v3/x?b=1&a=%E5%85%85", {"method": "GET"}, "/v3/x?b=1&a=%E5%85%85", b""),
        ("/v3/x", {"method": "GET", "params": {"name": "充 |*"}}, "/v3/x?name=%E5%85%85+%7C%2A", b""),
        ("/v3/A|B*C/sync", {"method": "POST", "data": b"{}"}, "/v3/A%7CB*C/sync", b"{}"),
        ("/v3/x#fragment", {"method": "POST", "data": CHINESE.encode()}, "/v3/x", CHINESE.encode()),
        ("/v3/x", {"method": "POST", "data": CHINESE}, "/v3/x", CHINESE.encode()),
        ("/v3/x", {"method": "POST", "json": {"a": "充"}}, "/v3/x", b'{"a": "\\u5145"}'),
        ("", {"method": "GET"}, "/", b""),
    ],
)
def test_the_prepared_requests_own_bytes_are_signed(
    merchant: Merchant, authorization: Authorization, url: str, words: dict[str, Any], target: str, body: bytes
) -> None:
    """The signature covers path, query and body as requests has prepared them."""
    request = requests.Request(url=HOST + url, auth=authorization, **words).prepare()
    header = request.headers["Authorization"]
    assert verifies(merchant, words["method"].upper(), target, header, body)
    assert not verifies(merchant, words["method"].upper(), target, header, body + b" ")
    assert not verifies(merchant, words["method"].upper(), target + "/", header, body)


def test_the_header_says_who_signed_and_when(merchant: Merchant, authorization: Authorization) -> None:
    """The header has the mchid, the serial and the time in whole seconds."""
    request = requests.Request("GET", f"{HOST}/v3/x", auth=authorization).prepare()
    parts = signed_parts(request.headers["Authorization"])
    assert (parts["mchid"], parts["serial_no"]) == (merchant.mchid, merchant.serial_no)
    assert parts["timestamp"] == "1554208460"


def test_signing_twice_signs_anew(merchant: Merchant) -> None:
    """Signing a request a second time gives it another nonce and another timestamp."""
    times = iter([1554208460.0, 1554208471.0])
    request = requests.Request("POST", f"{HOST}/v3/x", data=b"{}").prepare()
    sign = Authorization(merchant, clock=lambda: next(times))
    first = signed_parts(sign(request).headers["Authorization"])
    second = signed_parts(sign(request).headers["Authorization"])
    assert (first["timestamp"], second["timestamp"]) == ("1554208460", "1554208471")
    assert first["nonce"] != second["nonce"]
    assert verifies(merchant, "POST", "/v3/x", request.headers["Authorization"], b"{}")


def test_a_nonce_cannot_be_guessed() -> None:
    """A nonce has 32 random hexadecimal digits and is never repeated."""
    nonces = {random_nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert all(re.fullmatch("[0-9A-F]{32}", nonce) for nonce in nonces)


def test_a_nonce_may_be_given(merchant: Merchant) -> None:
    """The nonce can be an argument, for known answers."""
    sign = Authorization(merchant, nonce=lambda: "593BEC0C930BF1AFEB40B4A08C8FB242")
    request = requests.Request("GET", f"{HOST}/v3/x", auth=sign).prepare()
    assert signed_parts(request.headers["Authorization"])["nonce"] == "593BEC0C930BF1AFEB40B4A08C8FB242"


def test_a_stream_is_refused(authorization: Authorization) -> None:
    """A body that is a stream raises TypeError: its bytes are not known before they are sent."""
    with pytest.raises(TypeError, match=r"^only a body of bytes can be signed, not a stream$"):
        requests.Request("POST", f"{HOST}/v3/x", data=iter([b"a"]), auth=authorization).prepare()


class Verifier(BaseHTTPRequestHandler):
    """A server that answers 204 where the raw request verifies, otherwise 401."""

    merchant: Merchant

    def do_POST(self) -> None:
        """Verify the raw request."""
        target = self.path  # as it stood in the request line
        body = self.rfile.read(int(self.headers["Content-Length"]))
        good = verifies(self.merchant, self.command, target, self.headers["Authorization"], body)
        self.send_response(204 if good else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server(merchant: Merchant) -> Iterator[str]:
    """The server's URL."""
    handler = type("_Verifier", (Verifier,), {"merchant": merchant})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/v3/x", "/v3/A|B*C/sync?name=充电 宝&b=%2A", "/v3/x/?q=a%2Fb"])
@pytest.mark.parametrize(
    "body", [{"data": CHINESE.encode()}, {"data": CHINESE}, {"json": {"a": "充"}}, {"data": b""}, {"data": b"\r\n\x00"}]
)
def test_a_plain_session_sends_what_was_signed(
    merchant: Merchant, server: str, path: str, body: dict[str, Any]
) -> None:
    """A plain `requests.Session` with `Authorization` sends exactly the bytes that were signed."""
    with requests.Session() as session:
        session.trust_env = False
        session.auth = Authorization(merchant)
        answer = session.post(server + path, timeout=PATIENCE, **body)
    assert answer.status_code == 204


def test_a_changed_request_does_not_verify(merchant: Merchant, server: str) -> None:
    """A request that is changed after it was signed is refused by the server."""
    request = requests.Request("POST", f"{server}/v3/x", data=b"{}", auth=Authorization(merchant)).prepare()
    request.body = b"[]"
    with requests.Session() as session:
        session.trust_env = False
        assert session.send(request, timeout=PATIENCE).status_code == 401


def test_debug_tells_what_was_signed_and_nothing_secret(
    authorization: Authorization, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG the log has lengths and hashes of what was signed, and no body, query, key or signature."""
    request = requests.Request("POST", f"{HOST}/v3/x?openid=oUpF8uMuAJO", data=CHINESE.encode(), auth=authorization)
    with caplog.at_level(logging.DEBUG, logger="wechatpay"):
        header = request.prepare().headers["Authorization"]
    parts = signed_parts(header)
    (line,) = (record.getMessage() for record in caplog.records if record.name == "wechatpay")
    target = f"of 24 bytes, sha256 {_sha256(b'/v3/x?openid=oUpF8uMuAJO')}"
    body = f"of {len(CHINESE.encode())} bytes, sha256 {_sha256(CHINESE.encode())}"
    ids = f"Merchant(mchid='{parts['mchid']}', serial_no='{parts['serial_no']}')"
    signed_text = f"method POST; target {target}; timestamp 1554208460; nonce {parts['nonce']}; body {body}"
    assert line == f"{ids} signed: {signed_text}"
    for secret in (parts["signature"], "oUpF8uMuAJO", "充电宝"):
        assert secret not in line


def _sha256(content: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(content)
    return digest.finalize().hex()


def test_above_debug_nothing_is_told(authorization: Authorization, caplog: pytest.LogCaptureFixture) -> None:
    """Above DEBUG nothing is logged and nothing is hashed."""
    with caplog.at_level(logging.INFO, logger="wechatpay"):
        requests.Request("GET", f"{HOST}/v3/x", auth=authorization).prepare()
    assert caplog.records == []


def test_a_signer_shows_ids_alone(merchant: Merchant, authorization: Authorization) -> None:
    """The repr of an `Authorization` shows mchid and serial only."""
    assert repr(authorization) == f"Authorization({merchant!r})"
