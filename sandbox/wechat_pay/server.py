"""HTTP/1.1 with keep-alive on loopback, raw enough to lose an answer on purpose."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.wechat_pay.answers import Reply
from sandbox.wechat_pay.faults import Wire
from sandbox.wechat_pay.gate import Request

SILENCE = 60.0  # seconds that a silent server keeps a caller waiting at most


@dataclass(frozen=True, slots=True)
class Response:
    """What goes on the wire, and how much of it."""

    reply: Reply
    wire: Wire = "whole"


type Application = Callable[[Request, str], Response]


@dataclass(slots=True)
class Host:
    """One host name of WeChat Pay, which can stop listening and come back on the same port."""

    name: str
    application: Application
    port: int = 0
    address: str = "127.0.0.1"
    closing: threading.Event = field(default_factory=threading.Event)
    _server: "_Server | None" = None

    def open(self) -> None:
        """Listen; on the port of the first time."""
        if self._server is None:
            self.closing.clear()
            self._server = _Server(self)
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and reset those that are open."""
        server, self._server = self._server, None
        if server is not None:
            self.closing.set()
            server.shutdown()
            server.server_close()
            server.drop_connections()

    @property
    def url(self) -> str:
        """The host's address."""
        return f"http://{self.address}:{self.port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: Host) -> None:
        self.host = host
        self._open: set[socket.socket] = set()
        super().__init__((host.address, host.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as socketserver has it
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401  as socketserver has it
        self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as socketserver has it
        """A caller that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = Request(self.command, self.path, dict(self.headers.items()), body)
        response = self.server.host.application(request, self.server.host.name)
        if response.wire in {"whole", "half"}:
            self._write(response.reply, half=response.wire == "half")
        elif response.wire == "silence":
            self.server.host.closing.wait(SILENCE)
        if response.wire != "whole":
            self._reset()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  as http.server has it

    def _write(self, reply: Reply, *, half: bool) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if half else reply.body)
        self.wfile.flush()

    def _reset(self) -> None:
        """End the connection as a crash would."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Silent: `Simulator.calls` is the log."""
