"""A way in for clients with fixed hosts: an HTTP proxy on loopback that ends TLS under WeChat Pay's host names.

A program sets HTTPS_PROXY and trusts the proxy's authority; each of its requests to api, api2 or
apihk.mch.weixin.qq.com is then answered by the simulated host of that name, with all its faults. Every other request is
refused: nothing is ever passed on to a network.
"""

import socket
import ssl
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Self

from sandbox.browser_guard import Guard
from sandbox.wechat_pay.connect_request import (
    HEAD_LIMIT,
    HTTPS,
    NOT_HTTP,
    TOO_LONG,
    ProxyRefusal,
    read_name,
    unavailable,
)
from sandbox.wechat_pay.host import Host
from sandbox.wechat_pay.proxy_authority import NAMES, ProxyAuthority

CONNECTIONS = 256  # at a time; each has a thread
IDLE = 75.0  # seconds for which a program may be silent before its first request
END = b"\r\n\r\n"

type _Socket = socket.socket | tuple[bytes, socket.socket]  # as socketserver has it


class Proxy:
    """The proxy's port, in front of hosts by name; it can close and come back on the same port."""

    def __init__(
        self, hosts: Mapping[str, Host], authority: ProxyAuthority, port: int = 0, address: str = "127.0.0.1"
    ) -> None:
        self.hosts = {name: hosts[host] for name, host in NAMES.items()}
        self.contexts = {name: _server_context(pem) for name, pem in authority.identities.items()}
        self.port = port
        self.address = address
        self._server: _ProxyServer | None = None

    def open(self) -> None:
        """Listen, on the same port as the first time."""
        if self._server is None:
            self._server = _ProxyServer(self)
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and end those that are open."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.drop_connections()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What HTTPS_PROXY has to be."""
        return f"http://{self.address}:{self.port}"


class _ProxyServer(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.open_connections: set[socket.socket] = set()
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((proxy.address, proxy.port), _ProxyHandler)

    def process_request(self, request: _Socket, client_address: object) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        if isinstance(request, socket.socket):
            _refuse(request, unavailable(f"this proxy serves at most {CONNECTIONS} connections: close some"))
        self.shutdown_request(request)

    def process_request_thread(self, request: _Socket, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def drop_connections(self) -> None:
        for connection in list(self.open_connections):
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # below TLS

    def handle_error(self, request: object, client_address: object) -> None:
        """Report nothing: a program may close its connection, or not trust the authority; it says so itself."""


class _ProxyHandler(BaseRequestHandler):
    request: socket.socket
    server: _ProxyServer

    def handle(self) -> None:
        """Serve one connection from its CONNECT to its end."""
        with _Registered(self.server, self.request):
            self.request.settimeout(IDLE)
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = read_head(self.request)
            name = read_name(head) if isinstance(head, bytes) else head
            if isinstance(name, str) and not self.server.proxy.hosts[name].is_open:
                name = unavailable(f"{name} refuses connections by a fault of the sandbox: end it by `behave`")
            if isinstance(name, ProxyRefusal):
                _refuse(self.request, name)
                return
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._serve(name)

    def _serve(self, name: str) -> None:
        proxy = self.server.proxy
        with (
            proxy.contexts[name].wrap_socket(self.request, server_side=True, do_handshake_on_connect=False) as tunnel,
            _Registered(self.server, tunnel),
        ):
            tunnel.do_handshake()
            proxy.hosts[name].serve(tunnel, self.client_address, Guard(name, HTTPS))
            _say_end(tunnel)


class _Registered:
    """A connection that ends with the server, for the length of the block."""

    def __init__(self, server: _ProxyServer, connection: socket.socket) -> None:
        self._connections, self._connection = server.open_connections, connection

    def __enter__(self) -> None:
        self._connections.add(self._connection)

    def __exit__(self, *_: object) -> None:
        self._connections.discard(self._connection)


def read_head(connection: socket.socket) -> bytes | ProxyRefusal:
    """Read the head of a request and no byte more: a client may send the first bytes of TLS with it."""
    head = b""
    while len(head) < HEAD_LIMIT:
        waiting = connection.recv(HEAD_LIMIT, socket.MSG_PEEK)
        if not waiting:
            return NOT_HTTP
        end = (head + waiting).find(END)
        head += connection.recv(len(waiting) if end < 0 else end + len(END) - len(head))
        if end >= 0:
            return head
    return TOO_LONG


def _refuse(connection: socket.socket, refusal: ProxyRefusal) -> None:
    """Send the refusal, and read what is waiting, so that closing does not reset the connection before it is read."""
    with suppress(OSError):
        connection.sendall(refusal.encode())
        connection.shutdown(socket.SHUT_WR)
        connection.setblocking(False)
        while connection.recv(65_536):
            pass


def _say_end(tunnel: ssl.SSLSocket) -> None:
    """Send close_notify (RFC 8446, 6.1) without waiting for the other side's; a connection that was reset gets none."""
    with suppress(OSError, ValueError):
        tunnel.setblocking(False)
        tunnel.unwrap()


def _server_context(identity: str) -> ssl.SSLContext:
    """Return the TLS of one host; `ssl` loads a key from a file alone, so one exists for a moment, for its owner."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "identity.pem"
        path.touch(mode=0o600)
        path.write_text(identity, encoding="ascii")
        context.load_cert_chain(path)
    return context
