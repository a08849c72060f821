"""A merchant that reaches the simulator under WeChat Pay's own host names, through the proxy."""

import socket
import ssl
from collections.abc import Mapping

from sandbox.wechat_pay import Simulator
from tests.sandbox.signed import LIMIT, Connection, signed_request

MAIN = "api.mch.weixin.qq.com"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def connect(wechat_pay: Simulator) -> socket.socket:
    """A connection to the proxy."""
    host, port = wechat_pay.proxy_url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=LIMIT)


def trusting(wechat_pay: Simulator) -> ssl.SSLContext:
    """TLS as Python makes it by default, which trusts the proxy's authority and no other."""
    return ssl.create_default_context(cadata=wechat_pay.authority.certificate)


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side ends the connection."""
    content = b""
    while part := connection.recv(65_536):
        content += part
    return content


def ask_for(wechat_pay: Simulator, head: str) -> bytes:
    """The proxy's whole answer to a head."""
    with connect(wechat_pay) as connection:
        connection.sendall(head.encode())
        return read_all(connection)


class Tunnel(Connection):
    """A merchant on a socket that is a tunnel to one of WeChat Pay's hosts."""

    def __init__(self, wechat_pay: Simulator, name: str = MAIN) -> None:
        self._wechat_pay = wechat_pay
        self.name = name
        raw = connect(wechat_pay)
        raw.sendall(f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n".encode())
        self.socket, self.buffered = raw, b""
        self.greeting = self.until(b"\r\n\r\n")
        if self.greeting == ESTABLISHED:
            self.socket = trusting(wechat_pay).wrap_socket(raw, server_hostname=name)

    def encode(
        self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str | None] | None = None
    ) -> bytes:
        """The bytes of one signed request, with other headers in place of the usual ones; None leaves one out."""
        usual = {**signed_request(self._wechat_pay, method, target, body).headers, "Host": self.name}
        whole = {**usual, "Content-Length": str(len(body)), **(headers or {})}
        lines = [f"{name}: {text}" for name, text in whole.items() if text is not None]
        return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body

    def ask(self, method: str, target: str, body: bytes = b"") -> None:
        """Send one signed request to the host of the tunnel."""
        self.socket.sendall(self.encode(method, target, body))
