"""Requests that a merchant signs by hand, and a bare socket to send them on."""

import json
import socket
import time
from collections.abc import Callable
from typing import Self

from sandbox.waiting import PATIENCE
from sandbox.wechat_pay import Simulator
from sandbox.wechat_pay.keys import sign
from sandbox.wechat_pay.message import Request
from sandbox.wechat_pay.service import SimulatedService

MCHID = "1230000109"
BASE = "/v3/payscore/serviceorder"
WHO = {"appid": "wxd678efh567hg6787", "service_id": "500001"}
LONG_AGO = 1_764_547_200.0
PAID = json.dumps({**WHO, "type": "Order_Paid", "detail": {"paid_time": "20260101120000"}}).encode()
QUERY = f"{BASE}?service_id=500001&appid={WHO['appid']}&out_order_no=S1"
LIMIT = PATIENCE  # seconds that a test waits for bytes at most


def signed_request(
    wechat_pay: SimulatedService, method: str, target: str, body: bytes = b"", *, at: float | None = None
) -> Request:
    """A request that the merchant has signed by hand, now, or `at` Unix seconds."""
    merchant, now = wechat_pay.merchant(MCHID), str(int(time.time() if at is None else at))
    signature = sign(merchant.key, f"{method}\n{target}\n{now}\nNONCE\n".encode() + body + b"\n")
    pairs = {"mchid": MCHID, "nonce_str": "NONCE", "timestamp": now, "serial_no": merchant.serial_no}
    value = ",".join(f'{name}="{text}"' for name, text in {**pairs, "signature": signature}.items())
    headers = {
        "Host": "localhost",
        "Authorization": f"WECHATPAY2-SHA256-RSA2048 {value}",
        "Accept": "application/json",
        "User-Agent": "till/1",
        "Content-Type": "application/json",
        "Wechatpay-Serial": wechat_pay.platform.public_key_id,
    }
    return Request(method, target, headers, body)


class Connection:
    """A merchant on a socket: signs its requests, and reads what comes byte by byte."""

    def __init__(self, wechat_pay: Simulator) -> None:
        self._wechat_pay = wechat_pay
        host, port = wechat_pay.base_url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=LIMIT)
        self.buffered = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, method: str, target: str, body: bytes = b"") -> None:
        """Send one signed request."""
        headers = {**signed_request(self._wechat_pay, method, target, body).headers, "Content-Length": str(len(body))}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def until(self, end: bytes) -> bytes:
        """Read up to and with these bytes; EOFError where the connection ends before."""
        while end not in self.buffered:
            more = self.socket.recv(65_536)
            if not more:
                raise EOFError(self.buffered)
            self.buffered += more
        before, match, self.buffered = self.buffered.partition(end)
        return before + match

    def head(self) -> tuple[int, dict[str, str]]:
        """Read one status line with its headers, their names in lower case."""
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        return int(first.split(" ")[1]), {
            name.lower(): text for name, _, text in (line.partition(": ") for line in lines)
        }

    def body(self, length: int) -> bytes:
        """Read so many bytes."""
        while len(self.buffered) < length:
            more = self.socket.recv(65_536)
            if not more:
                raise EOFError(self.buffered)
            self.buffered += more
        content, self.buffered = self.buffered[:length], self.buffered[length:]
        return content

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one whole answer."""
        status, headers = self.head()
        return status, headers, self.body(int(headers.get("content-length", "0")))


def situations(wechat_pay: Simulator) -> dict[str, Callable[[], object]]:
    """The states of the order S1 in which a fault is tried."""
    return {
        "waits": lambda: wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO),
        "is paid": lambda: (wechat_pay.ready_to_sync(MCHID, "S1", at=LONG_AGO), wechat_pay.deduct(MCHID, "S1")),
        "is created": lambda: wechat_pay.open(MCHID, "S1", at=LONG_AGO),
    }
