"""A merchant's handler of notifications on loopback, which answers what a test tells it to."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from sandbox.wechat_pay.keys import SimulatedMerchant


@dataclass
class Handler:
    """What has arrived; `statuses` are answered one by one, the last one for ever."""

    statuses: list[int]
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    silence: threading.Event | None = None  # nothing is answered before it is set

    def status(self) -> int:
        """Return the next status."""
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def opened(self, merchant: SimulatedMerchant, number: int = -1) -> dict[str, Any]:
        """Verify and open one call; return the envelope with the resource opened."""
        headers, body = self.calls[number]
        verify(merchant, headers, body)
        return open_resource(merchant, body)


def verify(merchant: SimulatedMerchant, headers: dict[str, str], body: bytes) -> None:
    """Raise InvalidSignature unless the headers sign the body, by a key that the merchant holds."""
    pem = merchant.platform_keys("both")[headers["Wechatpay-Serial"]].encode()
    key = load_pem_x509_certificate(pem).public_key() if b"CERTIFICATE" in pem else load_pem_public_key(pem)
    assert isinstance(key, rsa.RSAPublicKey)
    text = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode() + body + b"\n"
    key.verify(base64.b64decode(headers["Wechatpay-Signature"]), text, padding.PKCS1v15(), hashes.SHA256())


def open_resource(merchant: SimulatedMerchant, body: bytes) -> dict[str, Any]:
    """Return the envelope with its resource opened by the merchant's APIv3 key."""
    envelope: dict[str, Any] = json.loads(body)
    resource = envelope["resource"]
    cipher, data = AESGCM(merchant.apiv3_key.encode()), resource["associated_data"].encode()
    plain = cipher.decrypt(resource["nonce"].encode(), base64.b64decode(resource["ciphertext"]), data)
    return envelope | {"resource": json.loads(plain)}


@contextmanager
def listening(*statuses: int, silent: bool = False) -> Iterator[Handler]:
    """Listen on loopback for the length of the block."""
    handler = Handler(list(statuses), silence=threading.Event() if silent else None)

    class _Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            handler.calls.append((dict(self.headers.items()), body))
            if handler.silence:
                handler.silence.wait()
            self.send_response(handler.status())
            self.send_header("Location", f"{handler.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), _Requests) as server:
        handler.url = f"http://127.0.0.1:{server.server_address[1]}/notify"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield handler
        if handler.silence:
            handler.silence.set()
        server.shutdown()
        thread.join()
